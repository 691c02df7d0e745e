"""Writes a miniature COCO 2017 with the layout of the real validation set: JPEG files in the folder `val2017`.

Like most pictures of the real set, the drawn scenes have sides in the proportion 4 to 3, upright or lying, so that it
matters how they are cropped. The file `sources.jsonl` records the content and the source of each picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data.encoding import write_picture
from bench.data.mini.scenes import SIDE, draw_scene, numbered_scene
from bench.data.mini.writing import JPEG_QUALITY, write_notes, written_once
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSION", "write_coco2017"]

VERSION = 1
"""Version of the rules. It is raised when the same arguments would give other pictures."""
SHORT = SIDE * 3 // 4
UPRIGHT = 0.3
"""Share of upright pictures."""


def write_coco2017(parent: str | Path, split: str, *, images: int, seed: int = 0) -> Path:
    """Write one split of the miniature data set, and return the folder of the split.

    An existing split is not written again.

    Args:
        parent: folder in which data sets are written. The folder of the split appears completely or not at all.
        split: `train`, `dev` or `val` of the miniature data. No scene is in two splits. The pictures always lie in a
            folder `val2017`, for every value of this argument.
        images: number of pictures.
        seed: seed of all random values.
    """
    target = Path(parent) / f"coco2017-v{VERSION}-seed{seed}-{images}" / split
    return written_once(target, lambda folder: _write(folder, split, images, seed))


def _write(folder: Path, split: str, images: int, seed: int) -> None:
    (folder / "val2017").mkdir()
    generator = numpy_generator(seed, "coco2017", split, "pictures")
    numbers = np.sort(generator.choice(581_929, size=images, replace=False)) + 1
    upright = generator.random(images) < UPRIGHT
    starts = generator.integers(SIDE - SHORT, size=images, endpoint=True)
    lines = []
    for index, (number, is_upright, start) in enumerate(zip(numbers, upright, starts, strict=True)):
        scene = numbered_scene(index, seed, data_set="coco2017", split=split)
        drawn, kept = draw_scene(scene), slice(int(start), int(start) + SHORT)
        picture = drawn[:, kept] if is_upright else drawn[kept]
        file = f"val2017/{number:012d}.jpg"
        write_picture(folder / file, np.ascontiguousarray(picture), quality=JPEG_QUALITY)
        lines.append({"file": file, "source": f"scene coco2017 {split} {index}", **scene.facts})
    write_notes(folder / "sources.jsonl", lines)
