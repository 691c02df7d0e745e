"""Functions that write data sets of artificial pictures, in the layouts of the real data sets.

Each function writes a few different pictures once, with sizes and file formats that occur in the real data set. All
files of the data set are hard links to these pictures. A data set can therefore have as many files as the real one.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from bench.rehearsal.sizes import Counts
from bench.runtime.seeding import numpy_generator

__all__ = [
    "write_coco",
    "write_cocoee",
    "write_imagenet_flat",
    "write_imagenet_train",
    "write_imagenet_val",
    "write_places",
]

Pixels = npt.NDArray[np.uint8]


class Photograph(NamedTuple):
    """The width, height, colour mode and orientation of a picture, and the format of the picture's file."""

    width: int
    height: int
    mode: str = "RGB"
    kind: str = "JPEG"
    """Name of the file format, whatever the ending of the file's name says."""
    orientation: int = 1
    """EXIF orientation; 1 for an upright picture, without EXIF data."""


PHOTOGRAPHS = (
    Photograph(500, 375),
    Photograph(640, 480, orientation=6),
    Photograph(500, 333, kind="PNG"),
    Photograph(400, 300, "L"),
    Photograph(375, 500),
    Photograph(2592, 1944),
    Photograph(160, 120, "CMYK"),
    Photograph(500, 500),
)
"""Pictures as they occur in ImageNet and COCO: of many sizes, some grey, some in CMYK, some PNG files under the name of
a JPEG file, and some that EXIF data turns by a quarter."""
PLACES_SIDE, COCOEE_SIDE = 256, 512
CAPTIONS = (
    "A man riding a wave on top of a surfboard.",
    "Two dogs lie on a couch" + " and one of them sleeps" * 20,
    "A plate with a sandwich, fries and a pickle on it.\n",
    "  a red double-decker bus drives down the street",
    "\u201cCAF\u00c9\u201d is written above the door of a small shop",
)
"""Captions with the oddities of real ones: no full stop, too long, line ends, leading spaces, and other characters."""
OTHER_SPLITS = ("train", "restval", "test")


def write_places(folder: Path, counts: Counts) -> None:
    """Write the folder `test_256` of Places, and a list of its pictures under the file name of LaMa's list."""
    pool = _pool(folder / "test_256", [Photograph(PLACES_SIDE, PLACES_SIDE)] * len(PHOTOGRAPHS))
    names = [f"Places365_test_{1 + 7 * index:08d}.jpg" for index in range(counts.places)]
    _link(pool, [folder / "test_256" / name for name in names])
    (folder / "test_large_30k.lst").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def write_imagenet_val(folder: Path, counts: Counts) -> None:
    """Write ImageNet's validation set, with one folder for each synset."""
    pool = _pool(folder, PHOTOGRAPHS)
    number = itertools.count(1)
    files = [
        folder / synset / f"ILSVRC2012_val_{next(number):08d}.JPEG"
        for synset in _synsets(counts)
        for _ in range(counts.per_class)
    ]
    _link(pool, files)


def write_imagenet_flat(folder: Path, counts: Counts) -> None:
    """Write ImageNet's validation set as one folder.

    The classes of the pictures are in a file with the format of the ground truth file in ImageNet's development kit.
    """
    pool = _pool(folder, PHOTOGRAPHS)
    total = counts.classes * counts.per_class
    _link(pool, [folder / f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, total + 1)])
    truth = "".join(f"{1 + index // counts.per_class}\n" for index in range(total))
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(truth, encoding="utf-8")


def write_imagenet_train(folder: Path, counts: Counts) -> None:
    """Write ImageNet's training set, with a few pictures of each class."""
    pool = _pool(folder, PHOTOGRAPHS)
    files = [
        folder / synset / f"{synset}_{number}.JPEG" for synset in _synsets(counts) for number in range(counts.per_class)
    ]
    _link(pool, files)


def write_cocoee(folder: Path, counts: Counts) -> None:
    """Write the pictures, masks and exemplars of COCOEE, and the list of its ids."""
    side = (COCOEE_SIDE, COCOEE_SIDE)
    ids = [1 + 163 * index for index in range(counts.cocoee)]
    pictures = _pool(folder / "GT_3500", [Photograph(*side, kind="PNG")] * 4)
    _link(pictures, [folder / "GT_3500" / f"{number:012d}_GT.png" for number in ids])
    sizes = ((180, 240), (97, 60), (300, 310), (64, 220))
    exemplars = _pool(folder / "Ref_3500", [Photograph(*size, kind="PNG") for size in sizes])
    _link(exemplars, [folder / "Ref_3500" / f"{number:012d}_ref.png" for number in ids])
    masks = folder / "Mask_bbox_3500"
    masks.mkdir()
    pool = []
    for index, (left, top, right, bottom) in enumerate(((40, 60, 300, 280), (200, 150, 420, 500), (10, 10, 250, 200))):
        mask = np.zeros(side, np.uint8)
        mask[top:bottom, left:right] = 255
        pool.append(masks / f".{index}.png")
        Image.fromarray(mask).save(pool[-1])
    _link(pool, [masks / f"{number:012d}_mask.png" for number in ids])
    np.save(folder / "id_list.npy", np.array(ids, np.int64))


def write_coco(folder: Path, counts: Counts) -> None:
    """Write COCO: the pictures of the split `val`, and Karpathy's `dataset_coco.json` with entries for all splits."""
    pool = _pool(folder / "val2014", PHOTOGRAPHS)
    images = list(_coco_entries(counts.coco))
    files = [folder / str(entry["filepath"]) / str(entry["filename"]) for entry in images if entry["split"] == "val"]
    _link(pool, files)
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}), encoding="utf-8")


def _coco_entries(count: int) -> Iterator[dict[str, object]]:
    """Yield the data of `count` images of the split `val`, in the form of `dataset_coco.json`.

    After each of these images, the data of an image of another split follow.
    """
    sentence = itertools.count()
    for index in range(2 * count):
        split = "val" if index % 2 == 0 else OTHER_SPLITS[index // 2 % len(OTHER_SPLITS)]
        year = "train2014" if split == "train" else "val2014"
        ids = [next(sentence) for _ in CAPTIONS]
        yield {
            "filepath": year,
            "filename": f"COCO_{year}_{57 * index + 42:012d}.jpg",
            "imgid": index,
            "cocoid": 57 * index + 42,
            "split": split,
            "sentids": ids,
            "sentences": [
                {"tokens": text.lower().split(), "raw": text, "imgid": index, "sentid": number}
                for number, text in zip(ids, CAPTIONS, strict=True)
            ],
        }


def _synsets(counts: Counts) -> list[str]:
    return [f"n{1440764 + 31 * index:08d}" for index in range(counts.classes)]


def _pool(folder: Path, photographs: Sequence[Photograph]) -> list[Path]:
    """Write pictures to a folder as hidden files, and return the paths of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, one in enumerate(photographs):
        picture = Image.fromarray(_pixels(one.width, one.height, index)).convert(one.mode)
        options: dict[str, Any] = {"quality": 90} if one.kind == "JPEG" else {}
        if one.orientation != 1:
            options["exif"] = Image.Exif()
            options["exif"][ExifTags.Base.Orientation] = one.orientation
        paths.append(folder / f".{index}")
        picture.save(paths[-1], one.kind, **options)
    return paths


def _pixels(width: int, height: int, index: int) -> Pixels:
    """Return soft patches of colour with some noise, as uint8 of shape (height, width, 3)."""
    draw = numpy_generator(0, "rehearsal", str(index))
    patches = draw.normal(128, 60, (9, 12, 3)).astype(np.float32)
    image = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy: Pixels = np.clip(image + draw.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    return noisy


def _link(pool: list[Path], files: list[Path]) -> None:
    """Create files as hard links to the pictures of a pool, and then delete the files of the pool.

    If there are more files than pictures, the pictures are used again in the same order. If the file system cannot
    create a hard link, the picture is copied.

    Args:
        pool: paths of the pictures, as `_pool` returns them.
        files: paths of the files to create.

    Raises:
        FileExistsError: a file to create already exists.
    """
    for source, file in zip(itertools.cycle(pool), files):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, file)
        except FileExistsError:  # somebody else wrote this file
            raise
        except OSError:  # the file system has no hard links
            shutil.copyfile(source, file)
    for source in pool:
        source.unlink()
