"""Draws LaMa's random masks for inpainting. Each mask consists either of strokes or of boxes.

Five masks are drawn for each image. Masks with a hole that is too large are rejected, and a random one of the remaining
masks is used. If all five masks are rejected, the image gets no mask. A mask is 1 in the hole and 0 where the image is
known.

The parameters are the ones that LaMa's generator really uses. Some differ by one from LaMa's YAML files, because LaMa's
code adds one to an upper bound. Source: advimman/lama at 786f593, saicinpainting/training/data/masks.py,
saicinpainting/evaluation/masks/mask.py, bin/gen_mask_dataset.py, configs/data_gen/random_thick_{256,512}.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["PRESETS", "MaskPreset", "accept_masks", "preset", "sample_mask", "square_crop"]

Mask = npt.NDArray[np.uint8]
Range = tuple[int, int]

VARIANTS = 5
"""Number of masks that are drawn for an image; one of them is used (`variants_n` in LaMa)."""
MAX_HOLE = 0.5
"""Largest hole of an accepted mask, as a fraction of the cropped image (`max_tamper_area` in LaMa)."""


@dataclass(frozen=True)
class MaskPreset:
    """The settings of a family of masks: the ranges from which the numbers and sizes of strokes and boxes are drawn.

    Every range includes both ends. Lengths and widths are in pixels. With the default weights, which are 1.0 for
    strokes and 0.3 for boxes, about 77 % of the masks consist of strokes and 23 % of boxes.
    """

    name: str
    size: int
    """Side in pixels of the images for which the ranges are meant."""
    strokes: Range
    segments: Range
    """Number of straight segments in a stroke. Each segment starts at the end of the previous one."""
    width: Range
    length: Range
    directions: int
    """Number of possible directions of a segment: angles of 0.01 + k radians, for whole k from 0 to `directions` - 1.

    In the first, third, fifth … stroke, the angle is mirrored.
    """
    boxes: Range
    box_side: Range
    box_margin: int
    """Smallest distance from a box to the edge of the image."""
    irregular_weight: float = 1.0
    box_weight: float = 0.3


PRESETS: dict[str, MaskPreset] = {
    "thick_512": MaskPreset(
        "thick_512", 512, strokes=(1, 6), segments=(1, 5), width=(5, 254), length=(10, 459), directions=4,
        boxes=(1, 4), box_side=(30, 300), box_margin=10,
    ),
    "thick_256": MaskPreset(
        "thick_256", 256, strokes=(1, 6), segments=(1, 5), width=(5, 104), length=(10, 209), directions=4,
        boxes=(1, 3), box_side=(30, 150), box_margin=10,
    ),
}  # fmt: skip


def preset(name: str) -> MaskPreset:
    """Return the family of masks that has a given name.

    Args:
        name: `thick_512`, `thick_256`, or one of these names with `@` and the side of the images in pixels, such as
            `thick_512@64`. All lengths and widths are then scaled to images of this side.

    Raises:
        ValueError: the name is unknown; the message lists the known names.
    """
    base, at, side = name.partition("@")
    if base not in PRESETS or (at and not (side.isdecimal() and int(side))):
        known = ", ".join(PRESETS)
        raise ValueError(
            f"expected one of {known}, or one of them followed by @SIZE, such as thick_512@64, found {name!r}"
        )
    return _scaled(PRESETS[base], int(side)) if at else PRESETS[base]


def _scaled(original: MaskPreset, size: int) -> MaskPreset:
    factor = size / original.size

    def pixels(bounds: Range) -> Range:
        lowest, highest = (max(1, round(bound * factor)) for bound in bounds)
        return lowest, highest

    return replace(
        original,
        name=f"{original.name}@{size}",
        size=size,
        width=pixels(original.width),
        length=pixels(original.length),
        box_side=pixels(original.box_side),
        box_margin=max(1, round(original.box_margin * factor)),
    )


def sample_mask(kind: MaskPreset, height: int, width: int, generator: np.random.Generator) -> Mask:
    """Draw one mask, as uint8 of shape (height, width) with 1 in the hole. The hole may have any size.

    Args:
        kind: family of masks.
        height: height of the mask in pixels.
        width: width of the mask in pixels.
        generator: random generator for the mask.
    """
    share = kind.irregular_weight / (kind.irregular_weight + kind.box_weight)
    draw = _draw_strokes if generator.random() < share else _draw_boxes
    return draw(kind, height, width, generator)


def _draw(bounds: Range, generator: np.random.Generator) -> int:
    return int(generator.integers(bounds[0], bounds[1], endpoint=True))


def _draw_strokes(kind: MaskPreset, height: int, width: int, generator: np.random.Generator) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    for stroke in range(_draw(kind.strokes, generator)):
        x, y = int(generator.integers(width)), int(generator.integers(height))
        for _ in range(_draw(kind.segments, generator)):
            angle = 0.01 + int(generator.integers(kind.directions))
            if stroke % 2 == 0:
                angle = 2 * np.pi - angle
            length = _draw(kind.length, generator)
            thickness = _draw(kind.width, generator)
            end_x = int(np.clip(int(x + length * np.sin(angle)), 0, width))
            end_y = int(np.clip(int(y + length * np.cos(angle)), 0, height))
            cv2.line(mask, (x, y), (end_x, end_y), 1, thickness)
            x, y = end_x, end_y
    return mask


def _draw_boxes(kind: MaskPreset, height: int, width: int, generator: np.random.Generator) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    margin = kind.box_margin
    # LaMa's upper bound is exclusive, and LaMa clips it to the free space. Ours is inclusive, so 1 is subtracted.
    sides = (kind.box_side[0], min(kind.box_side[1], min(height, width) - 2 * margin - 1))
    for _ in range(_draw(kind.boxes, generator)):
        box_width, box_height = _draw(sides, generator), _draw(sides, generator)
        left = _draw((margin, width - margin - box_width), generator)
        top = _draw((margin, height - margin - box_height), generator)
        mask[top : top + box_height, left : left + box_width] = 1
    return mask


def square_crop(mask: Mask, generator: np.random.Generator) -> tuple[int, int, int]:
    """Choose a random square of the image by LaMa's rule. The square usually contains pixels of the hole.

    Args:
        mask: mask of the whole image. At least one pixel must be in the hole.
        generator: random generator for the position of the square.

    Returns:
        Left edge, top edge and side of the square in pixels. The side is as long as the shorter side of the image.
    """
    height, width = mask.shape
    side = min(height, width)
    is_wide = height < width
    inside = np.flatnonzero(mask.any(axis=0 if is_wide else 1))
    last, free = int(inside.max()), max(height, width) - side
    lowest = max(0, min(free - 1, last - side))
    highest = max(lowest + 1, min(free, last))
    start = int(generator.integers(lowest, highest))
    return (start, 0, side) if is_wide else (0, start, side)


def accept_masks(
    kind: MaskPreset, height: int, width: int, generator: np.random.Generator
) -> tuple[Mask, tuple[int, int, int]] | None:
    """Draw five masks by LaMa's rule, choose a square for each, and select a random one of the accepted masks.

    A mask is accepted if its hole covers at most half of its square.

    Args:
        kind: family of masks.
        height: height of the image in pixels.
        width: width of the image in pixels.
        generator: random generator for masks, squares and selection.

    Returns:
        The selected mask, cropped to its square, as uint8 of shape (S, S) with S = min(height, width); and the
            square as (left, top, side) in pixels of the image. The result is None if no mask is accepted, which
            happens for 1.7 % of square images with the masks `thick_512`. LaMa does not use such an image.
    """
    accepted = []
    for _ in range(VARIANTS):
        mask = sample_mask(kind, height, width, generator)
        left, top, side = square_crop(mask, generator)
        crop = mask[top : top + side, left : left + side]
        if crop.mean() <= MAX_HOLE:
            accepted.append((np.ascontiguousarray(crop), (left, top, side)))
    return accepted[int(generator.integers(len(accepted)))] if accepted else None
