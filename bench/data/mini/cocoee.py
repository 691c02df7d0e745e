"""Writes a miniature COCOEE with the folders and file names of the real one.

The data set consists of pairs of a drawn scene and an exemplar. COCOEE calls the exemplar the reference. Each pair has
a mask whose hole is a box around the scene's main shape. The exemplar shows a shape of another kind, such as a star
instead of a circle, and this shape is to be painted into the box. For each pair, the file `sources.jsonl` records the
content of the scene and of the exemplar, and the source of the scene.
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
"""Version of the rules. It is raised when the same arguments would give other pairs."""
SMALLEST, LARGEST = 0.08, 0.5
"""Smallest and largest hole of a mask, as a fraction of the picture."""
MARGINS = (3, 8)
"""Smallest and largest distance in pixels from the main shape to the edge of the box, in masks and exemplars."""
CROWD, CROWD_EVERY = 900_100_000_000, 16
"""Smallest id of COCO's crowd annotations; and 16, which means that every 16th pair gets such an id.

Some ids in the published list are ids of crowd annotations.
"""


def write_cocoee(parent: str | Path, split: str, *, pairs: int, resolution: int = 64, seed: int = 0) -> Path:
    """Write one split of the data set, and return the folder of the split. An existing split is not written again.

    Args:
        parent: folder in which data sets are written. The folder of the split appears completely or not at all.
        split: `train`, `dev` or `val`. No scene and no word is in two splits.
        pairs: number of scenes, each with a mask and an exemplar.
        resolution: side of scenes and masks in pixels. Exemplars are cut from scenes with a side of 128 pixels.
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
    """Yield the ids of the pairs in random order, because the published ids are not sorted either."""
    generator = numpy_generator(seed, "cocoee", split, "ids")
    for index, number in enumerate(generator.choice(2_000_000, size=pairs, replace=False)):
        yield int(number) + (CROWD if index % CROWD_EVERY == CROWD_EVERY - 1 else 1)


def _reference_scene(split: str, index: int, seed: int) -> Scene:
    """Return the scene from which the exemplar of a pair is cut.

    The main shape of this scene is of another kind than the main shape of the scene in the pair.

    Args:
        split: `train`, `dev` or `val`.
        index: index of the pair in the split.
        seed: seed of all random values.
    """
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
    """Return a mask whose hole is the box around a shape, enlarged by a margin on each side.

    If the requested margin makes the hole too small or too large (`SMALLEST`, `LARGEST`), the nearest margin with a
    valid hole is used. This margin may be negative, because the box of the largest ring is too large without any
    margin.

    Args:
        shape: shape in a scene with a side of 128 pixels.
        resolution: side of the mask in pixels.
        margin: requested margin, in pixels of the scene.

    Returns:
        Mask as uint8 of shape (resolution, resolution), 1 = hole.

    Raises:
        ValueError: no margin leads to a valid hole.
    """
    for candidate in sorted(range(-MARGINS[1], SIDE), key=lambda other: abs(other - margin)):
        left, top, right, bottom = (side * resolution / SIDE for side in _enlarged(shape.box, candidate))
        mask = np.zeros((resolution, resolution), np.uint8)
        mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 1
        if SMALLEST <= mask.mean() <= LARGEST:
            return mask
    raise ValueError(
        f"no margin around {shape} gives a mask that covers {SMALLEST} to {LARGEST} of a picture with a side of "
        f"{resolution} pixels"
    )
