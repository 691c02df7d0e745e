"""Writes a miniature COCOEE in the real one's layout: scenes, the box of their main shape, and a shape to put there.

`sources.jsonl` says of every pair what its scene and its reference show, and which source the scene is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.data.mini.scenes import SHAPES, SIDE, TEXTURES, Scene, Shape, draw_scene, numbered_scene, sample_scene
from bench.data.mini.writing import write_notes, written_once
from bench.seeding import numpy_generator

__all__ = ["VERSION", "write_cocoee"]

Pixels = npt.NDArray[np.uint8]

VERSION = 1
"""Raised when the same arguments give other pairs."""
SMALLEST, LARGEST = 0.08, 0.5
"""Share of the picture that a mask covers."""
MARGINS = (3, 8)
"""Pixels of the scene around the main shape, in the mask and in the reference."""
CROWD, CROWD_EVERY = 900_100_000_000, 16
"""COCO's ids of crowds start here; a few of the published ids are such."""


def write_cocoee(parent: str | Path, split: str, *, pairs: int, resolution: int = 64, seed: int = 0) -> Path:
    """Write a split unless it is there, and return its folder.

    Args:
        parent: where data sets lie; the split's folder appears in it whole or not at all.
        split: `train`, `dev` or `val`; no scene or word is in two of them.
        pairs: scenes with a mask and a reference each.
        resolution: side of scenes and masks in pixels; references are cut from scenes of 128.
        seed: of everything drawn.
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
        other = _other(split, index, seed)
        picture = cv2.resize(draw_scene(scene), (resolution, resolution), interpolation=cv2.INTER_AREA)
        Image.fromarray(picture.astype(np.uint8)).save(folder / "GT_3500" / f"{name}_GT.png")
        mask = _box_mask(scene.shapes[0], resolution, _margin(generator))
        Image.fromarray(255 * mask).save(folder / "Mask_bbox_3500" / f"{name}_mask.png")
        left, top, right, bottom = _enlarged(other.shapes[0].box, _margin(generator))
        Image.fromarray(draw_scene(other)[top:bottom, left:right]).save(folder / "Ref_3500" / f"{name}_ref.png")
        lines.append(
            {
                "file": f"GT_3500/{name}_GT.png",
                "source": f"scene cocoee {split} {index}",
                **scene.facts,
                **{f"reference_{key}": value for key, value in other.facts.items()},
            }
        )
    np.save(folder / "id_list.npy", np.array(ids, np.int64))
    write_notes(folder / "sources.jsonl", lines)


def _ids(split: str, pairs: int, seed: int) -> Iterator[int]:
    """Ids in no order, as the published ones are."""
    generator = numpy_generator(seed, "cocoee", split, "ids")
    for index, number in enumerate(generator.choice(2_000_000, size=pairs, replace=False)):
        yield int(number) + (CROWD if index % CROWD_EVERY == CROWD_EVERY - 1 else 1)


def _other(split: str, index: int, seed: int) -> Scene:
    """The scene that a reference is cut from; its main shape is another kind than the pair's own."""
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
    """The shape's box, enlarged by the margin or by the next one that gives a mask of a proper size; 1 = hole.

    The largest ring's own box is a little too large, hence margins below zero.
    """
    for tried in sorted(range(-MARGINS[1], SIDE), key=lambda other: abs(other - margin)):
        left, top, right, bottom = (side * resolution / SIDE for side in _enlarged(shape.box, tried))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 1
        if SMALLEST <= mask.mean() <= LARGEST:
            return mask
    raise ValueError(f"no margin gives {shape} a mask of {SMALLEST} to {LARGEST} of a picture of {resolution} pixels")
