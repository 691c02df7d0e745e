"""Writes a miniature COCO with the layout of Karpathy's split.

Drawn scenes are in the folder `val2014`, and five captions of each scene are in the file `dataset_coco.json`. As in the
real file, images of the splits `train` and `test` are listed between the images of `val`. The images of `train` are
only listed; their pictures do not exist. In addition, the file `sources.jsonl` records the content and the source of
each picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.data.encoding import write_picture
from bench.data.mini.captions import captions
from bench.data.mini.scenes import Scene, draw_scene, numbered_scene
from bench.data.mini.writing import JPEG_QUALITY, write_notes, written_once
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSION", "write_karpathy"]

VERSION = 1
"""Version of the rules. It is raised when the same arguments would give other pictures or captions."""
OTHER_EVERY = 8
"""Number of images of `val` in a group. Before each group, one image of `train` and one image of `test` are listed."""


def write_karpathy(parent: str | Path, split: str, *, images: int, seed: int = 0) -> Path:
    """Write one split of the miniature data set, and return the folder of the split.

    An existing split is not written again.

    Args:
        parent: folder in which data sets are written. The folder of the split appears completely or not at all.
        split: `train`, `dev` or `val` of the miniature data. No scene and no word is in two splits. In the file
            `dataset_coco.json`, the images to evaluate always have the split `val`, for every value of this argument.
        images: number of images to evaluate, each with five captions.
        seed: seed of all random values.
    """
    target = Path(parent) / f"karpathy-v{VERSION}-seed{seed}-{images}" / split
    return written_once(target, lambda folder: _write(folder, split, images, seed))


def _write(folder: Path, split: str, images: int, seed: int) -> None:
    (folder / "val2014").mkdir()
    order = _order(images)
    numbers = numpy_generator(seed, "karpathy", split, "cocoids").choice(581_929, size=len(order), replace=False)
    entries, lines = [], []
    for index, (kind, number) in enumerate(zip(order, numbers.tolist(), strict=True)):
        scene = numbered_scene(index, seed, data_set="karpathy", split=split)
        entry = _entry(index, number + 1, kind, scene)
        entries.append(entry)
        if kind == "train":  # COCO's training pictures are a separate download
            continue
        file = f"{entry['filepath']}/{entry['filename']}"
        write_picture(folder / file, draw_scene(scene), quality=JPEG_QUALITY)
        lines.append({"file": file, "source": f"scene karpathy {split} {index}", **scene.facts})
    (folder / "dataset_coco.json").write_text(json.dumps({"images": entries, "dataset": "coco"}), encoding="utf-8")
    write_notes(folder / "sources.jsonl", lines)


def _order(images: int) -> list[str]:
    """Return the split (`train`, `test` or `val`) of each image in `dataset_coco.json`, in the order of the file.

    Args:
        images: number of images in the split `val`.
    """
    order = []
    for index in range(images):
        if index % OTHER_EVERY == 0:
            order += ["train", "test"]
        order.append("val")
    return order


def _entry(index: int, cocoid: int, kind: str, scene: Scene) -> dict[str, Any]:
    texts = captions(scene)
    year = "train2014" if kind == "train" else "val2014"
    sentids = [len(texts) * index + place for place in range(len(texts))]
    return {
        "filepath": year,
        "filename": f"COCO_{year}_{cocoid:012d}.jpg",
        "imgid": index,
        "cocoid": cocoid,
        "split": kind,
        "sentids": sentids,
        "sentences": [
            {"tokens": text.replace(",", "").split(), "raw": text, "imgid": index, "sentid": sentid}
            for text, sentid in zip(texts, sentids, strict=True)
        ],
    }
