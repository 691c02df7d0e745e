"""Writes a miniature Places with the layout of the real one: square pictures in `test_256`, and a list of their names.

Of every six pictures, the first five are drawn scenes, and the sixth one is photographic. In the splits `train` and
`dev`, the photographic pictures are cut from photographs. In the split `val`, the photographic pictures come from
`bench.data.mini.photographic`, and each of them has a different source. In addition, the file `sources.jsonl` records
the content and the source of each picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data.encoding import write_picture
from bench.data.mini.photographic import photograph, photographic_test_picture
from bench.data.mini.photos import PHOTOS
from bench.data.mini.scenes import SIDE, draw_scene, numbered_scene
from bench.data.mini.writing import JPEG_QUALITY, write_notes, written_once
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSIONS", "write_places"]

VERSIONS = {"train": 1, "dev": 1, "val": 3}
"""Version of the rules for each split. It is raised when the same arguments would give other pictures."""
PHOTO_EVERY = 6
STEP = 7
"""Difference between the numbers in two successive file names.

It is larger than 1 because the published list leaves out most of the test pictures.
"""


def write_places(parent: str | Path, split: str, *, pictures: int, seed: int = 0) -> Path:
    """Write one split of the data set, and return the folder of the split. An existing split is not written again.

    Args:
        parent: folder in which data sets are written. The folder of the split appears completely or not at all.
        split: `train`, `dev` or `val`. No photograph, scene or word is in two splits.
        pictures: number of pictures. The list `test_list.txt` names all of them.
        seed: seed of all random values.
    """
    target = Path(parent) / f"places-v{VERSIONS[split]}-seed{seed}-{pictures}" / split
    return written_once(target, lambda folder: _write(folder, split, pictures, seed))


def _write(folder: Path, split: str, pictures: int, seed: int) -> None:
    (folder / "test_256").mkdir()
    names, lines = [], []
    for index in range(pictures):
        name = f"Places365_test_{1 + STEP * index:08d}.jpg"
        picture, facts = (_photographic if index % PHOTO_EVERY == PHOTO_EVERY - 1 else _scene)(split, index, seed)
        write_picture(folder / "test_256" / name, picture, quality=JPEG_QUALITY)
        names.append(name)
        lines.append({"file": f"test_256/{name}", **facts})
    (folder / "test_list.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    write_notes(folder / "sources.jsonl", lines)


def _scene(split: str, index: int, seed: int) -> tuple[npt.NDArray[np.uint8], dict[str, str]]:
    scene = numbered_scene(index, seed, data_set="places", split=split)
    return draw_scene(scene), {"source": f"scene places {split} {index}", **scene.facts}


def _photographic(split: str, index: int, seed: int) -> tuple[npt.NDArray[np.uint8], dict[str, str]]:
    number = index // PHOTO_EVERY
    generator = numpy_generator(seed, "places", split, "photo", index)
    if split == "val":
        picture, facts = photographic_test_picture(number, "places", generator)
    else:
        picture, facts = photograph(PHOTOS[split][number % len(PHOTOS[split])], generator)
    left = int(generator.integers(picture.shape[1] - SIDE, endpoint=True))
    return np.ascontiguousarray(picture[:, left : left + SIDE]), facts
