"""Writes a miniature ImageNet with the layout of the real one: one folder of JPEG files for each class (synset).

In the first 72 classes, the pictures are drawn scenes. All scenes of one class have the same main shape and the same
background texture. In all other classes, the pictures are photographic. In the splits `train` and `dev`, all pictures
of a photographic class are crops of one photograph. In the split `val`, the pictures of a photographic class come from
`bench.data.mini.photographic`, and each picture has a different source.

The file `scenes.jsonl` records the content and the source of each picture. The adapter reads only the sources from this
file. The real data set has no such file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.encoding import write_picture
from bench.data.mini.photographic import photograph, photographic_test_picture
from bench.data.mini.photos import PHOTOS
from bench.data.mini.scenes import SHAPES, TEXTURES, draw_scene, sample_scene
from bench.data.mini.writing import JPEG_QUALITY, write_notes, written_once
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSIONS", "write_imagenet"]

Entry = tuple[str, int, npt.NDArray[np.uint8], dict[str, str]]
"""One picture: name of its class (synset), its index in the class, its pixels, and its facts for `scenes.jsonl`."""

VERSIONS = {"train": 1, "dev": 1, "val": 3}
"""Version of the rules for each split. It is raised when the same arguments would give other pictures."""
PHOTO_CLASSES = {"train": 16, "dev": 16, "val": 60}
"""Number of photographic classes in each split. In `train` and `dev`, several classes are cut from one photograph."""


def write_imagenet(parent: str | Path, split: str, *, per_class: int, seed: int = 0) -> Path:
    """Write one split of the data set, and return the folder of the split. An existing split is not written again.

    Args:
        parent: folder in which data sets are written. The folder of the split appears completely or not at all.
        split: `train`, `dev` or `val`. No photograph, scene or word is in two splits.
        per_class: number of pictures in each class. The split `val` has 132 classes, and the other splits have 88.
        seed: seed of all random values.
    """
    target = Path(parent) / f"imagenet-v{VERSIONS[split]}-seed{seed}-{per_class}" / split
    return written_once(target, lambda folder: _write(folder, split, per_class, seed))


def _write(folder: Path, split: str, per_class: int, seed: int) -> None:
    number = itertools.count(1)
    lines = []
    for synset, index, picture, facts in _pictures(split, per_class, seed):
        name = f"{synset}_{index}.JPEG" if split == "train" else f"ILSVRC2012_val_{next(number):08d}.JPEG"
        (folder / synset).mkdir(exist_ok=True)
        write_picture(folder / synset / name, picture, quality=JPEG_QUALITY)
        lines.append({"file": f"{synset}/{name}", **facts})
    write_notes(folder / "scenes.jsonl", lines)


def _pictures(split: str, per_class: int, seed: int) -> Iterator[Entry]:
    yield from _scenes(split, per_class, seed)
    yield from _photographs(split, per_class, seed)


def _scenes(split: str, per_class: int, seed: int) -> Iterator[Entry]:
    for number, (shape, texture) in enumerate(itertools.product(SHAPES, TEXTURES)):
        for index in range(per_class):
            generator = numpy_generator(seed, "imagenet", split, shape, texture, index)
            scene = sample_scene(generator, split=split, shape=shape, texture=texture)
            facts = {"source": f"scene {split} {shape} {texture} {index}", **scene.facts}
            yield f"n9{number:07d}", index, draw_scene(scene), facts


def _photographs(split: str, per_class: int, seed: int) -> Iterator[Entry]:
    names = PHOTOS[split]
    for number, index in itertools.product(range(PHOTO_CLASSES[split]), range(per_class)):
        generator = numpy_generator(seed, "imagenet", split, "photo", number, index)
        if split == "val":
            picture, facts = photographic_test_picture(number * per_class + index, "imagenet", generator)
        else:
            picture, facts = photograph(names[number % len(names)], generator)
        yield f"n99{number:06d}", index, picture, facts
