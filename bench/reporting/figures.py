"""The picture of an inpainting table: input, masked input, every row, and its error outside the mask."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.data.items import Item

__all__ = ["ERROR_GAIN", "draw_rows"]

ERROR_GAIN = 4
"""The absolute error is drawn this many times as bright."""
INCH = 1.25
"""Side of one picture in the figure."""


def draw_rows(
    path: Path, items: Sequence[Item], rows: Sequence[tuple[str, npt.NDArray[np.uint8]]], *, title: str
) -> None:
    """Write the figure.

    Args:
        path: of the PNG file.
        items: the items shown, one column for each.
        rows: label and images N×S×S×3 of each row.
        title: stands above.
    """
    lines: list[tuple[str, list[npt.NDArray[np.uint8]]]] = [
        ("input", [item.image for item in items]),
        ("masked", [np.where(item.mask[..., None] > 0, 255, item.image).astype(np.uint8) for item in items]),
    ]
    for label, made in rows:
        lines.append((label, list(made)))
        errors = []
        for item, image in zip(items, made, strict=True):
            error = ERROR_GAIN * np.abs(image.astype(np.int32) - item.image) * (item.mask[..., None] == 0)
            errors.append(error.clip(0, 255).astype(np.uint8))
        lines.append((f"error outside the mask ×{ERROR_GAIN}", errors))
    figure = Figure(figsize=(INCH * len(items) + 2.2, INCH * len(lines) + 0.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(lines), len(items), squeeze=False)
    for (label, images), places in zip(lines, axes, strict=True):
        for place, picture in zip(places, images, strict=True):
            place.imshow(picture, interpolation="nearest")
            place.set_xticks([])
            place.set_yticks([])
        places[0].set_ylabel(_wrapped(label), rotation=0, ha="right", va="center", fontsize=7, parse_math=False)
    figure.suptitle(title, fontsize=9, parse_math=False)
    figure.savefig(path)


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(label, 22))
