"""A miniature COCOEE in the real layout: scenes, the box of their main shape, and a shape to paint there.

For every pair, `sources.jsonl` records the content of its scene and its reference, and the source of the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.data.encoding import write_picture
from bench.data.mini.scenes import SHAPES, SIDE, TEXTURES, Scene, Shape, draw_scene, numbered_scene, sample_scene
from bench.data.mini.writing import write_notes, written_once
from bench.runtime.files import write_atomically
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSION", "write_cocoee"]

Pixels = npt.NDArray[np.uint8]

VERSION = 1
"""Version number, which increases when the same arguments give other pairs."""
SMALLEST, LARGEST = 0.08, 0.5
"""Smallest and largest fraction of the picture that a mask covers."""
MARGINS = (3, 8)
"""Smallest and largest margin in pixels around the main shape, in the mask and in the reference."""
CROWD, CROWD_EVERY = 900_100_000_000, 16
"""First id of COCO's crowd annotations, some of which are in the published list; and how often one is used here."""


def write_cocoee(parent: str | Path, split: str, *, pairs: int, resolution: int = 64, seed: int = 0) -> Path:
    """Write a split unless it exists, and return its folder.

    Args:
        parent: folder of data sets; the split's folder appears in it completely or not at all.
        split: `train`, `dev` or `val`; no scene or word is in two of them.
        pairs: number of scenes, each with a mask and a reference.
        resolution: side of scenes and masks in pixels; references are cut from scenes of 128.
        seed: seed of all random values.
    """
    target = Path(parent) / f"cocoee-v{VERSION}-seed{seed}-{pairs}at{resolution}" / split
    return written_once(target, lambda folder: _write(folder, split, pairs, resolution, seed))


def _write(folder: Path, split: str, pairs: int, resolution: int, seed: int) -> None:
    for part in ("GT_3500", "Mask_bbox_3500", "Ref_3500"):
        (folder / part).mkdir()
    ids, lines = list(_ids(split, pairs, seed)), []
    for index, number in enumerate(ids):
        name = f"{number:012d}"
        generator = numpy_generator(seed, "cocoee", split, "pair", index)
        scene = numbered_scene(index, seed, data_set="cocoee", split=split)
        other = _reference_scene(split, index, seed)
        picture = cv2.resize(draw_scene(scene), (resolution, resolution), interpolation=cv2.INTER_AREA)
        write_picture(folder / "GT_3500" / f"{name}_GT.png", picture.astype(np.uint8))
        mask = _box_mask(scene.shapes[0], resolution, _margin(generator))
        write_picture(folder / "Mask_bbox_3500" / f"{name}_mask.png", 255 * mask)
        left, top, right, bottom = _enlarged(other.shapes[0].box, _margin(generator))
        write_picture(folder / "Ref_3500" / f"{name}_ref.png", draw_scene(other)[top:bottom, left:right])
        lines.append(
            {
                "file": f"GT_3500/{name}_GT.png",
                "source": f"scene cocoee {split} {index}",
                **scene.facts,
                **{f"reference_{key}": value for key, value in other.facts.items()},
            }
        )
    listed = BytesIO()
    np.save(listed, np.array(ids, np.int64))
    write_atomically(folder / "id_list.npy", listed.getvalue())
    write_notes(folder / "sources.jsonl", lines)


def _ids(split: str, pairs: int, seed: int) -> Iterator[int]:
    """Yield ids in random order, because the published ones are not sorted either."""
    generator = numpy_generator(seed, "cocoee", split, "ids")
    for index, number in enumerate(generator.choice(2_000_000, size=pairs, replace=False)):
        yield int(number) + (CROWD if index % CROWD_EVERY == CROWD_EVERY - 1 else 1)


def _reference_scene(split: str, index: int, seed: int) -> Scene:
    """Return the scene that a reference is cut from; its main shape is of another kind than the pair's own."""
    shift = 1 + index // len(SHAPES) % (len(SHAPES) - 1)
    return sample_scene(
        numpy_generator(seed, "cocoee", split, "reference", index),
        split=split,
        shape=SHAPES[(index + shift) % len(SHAPES)],
        texture=TEXTURES[(index + shift) % len(TEXTURES)],
    )


def _margin(generator: np.random.Generator) -> int:
    return int(generator.integers(*MARGINS, endpoint=True))


def _enlarged(box: tuple[int, int, int, int], margin: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return max(0, left - margin), max(0, top - margin), min(SIDE, right + margin), min(SIDE, bottom + margin)


def _box_mask(shape: Shape, resolution: int, margin: int) -> Pixels:
    """Return the mask of the shape's box, enlarged by the margin nearest to `margin` that gives a valid area; 1 = hole.

    The box of the largest ring itself is too large, therefore margins may be negative.
    """
    for candidate in sorted(range(-MARGINS[1], SIDE), key=lambda other: abs(other - margin)):
        left, top, right, bottom = (side * resolution / SIDE for side in _enlarged(shape.box, candidate))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 1
        if SMALLEST <= mask.mean() <= LARGEST:
            return mask
    raise ValueError(f"no margin gives {shape} a mask of {SMALLEST} to {LARGEST} of a picture of {resolution} pixels")
