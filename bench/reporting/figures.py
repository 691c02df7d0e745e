"""Figures: an inpainting table's rows with their errors outside the mask, and a training's curves and pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from bench.data.items import Item
from bench.reporting.pixels import ERROR_GAIN, error_outside, masked
from bench.reporting.windows import border_window

__all__ = ["Line", "draw_borders", "draw_curves", "draw_grid", "draw_lines", "draw_rows", "draw_tradeoff"]

Line = tuple[str, Sequence[npt.NDArray[np.uint8]]]
"""Label and pictures."""

INCH = 1.25
"""Side of one picture in the figure."""


def draw_rows(
    path: Path, items: Sequence[Item], rows: Sequence[tuple[str, npt.NDArray[np.uint8]]], *, title: str
) -> None:
    """Write the figure: what was given, and each row's images with their errors where anything is known.

    Args:
        path: of the PNG file; a PDF stands beside it.
        items: the items shown, one column for each, under their captions where all of it is to be generated.
        rows: label and images N×S×S×3 of each row.
        title: stands above.
    """
    known = any((item.mask == 0).any() for item in items)
    lines: list[tuple[str, list[npt.NDArray[np.uint8]]]] = [
        ("input" if known else "the captions' own picture", [item.image for item in items])
    ]
    if known:
        lines.append(("masked", [*map(masked, items)]))
    exemplars = [item.exemplar for item in items if item.exemplar is not None]
    if len(exemplars) == len(items):
        lines.append(("to be painted", exemplars))
    for label, made in rows:
        lines.append((label, list(made)))
        if known:
            lines.append((f"error outside the mask ×{ERROR_GAIN}", [*map(error_outside, items, made)]))
    draw_lines(path, lines, title=title, heads=() if known else [item.caption for item in items])


def draw_borders(
    path: Path, items: Sequence[Item], rows: Sequence[tuple[str, npt.NDArray[np.uint8]]], *, title: str
) -> None:
    """Write the figure of how holes join what is around them: of each item the square with the longest border.

    Args:
        path: of the PNG file; a PDF stands beside it.
        items: the items shown, one column for each, of which some pixels are known.
        rows: label and images N×S×S×3 of each row.
        title: stands above.
    """
    windows = [border_window(item.mask) for item in items]

    def cut(pictures: Iterable[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
        return [picture[window] for picture, window in zip(pictures, windows, strict=True)]

    lines = [("input", cut(item.image for item in items)), ("masked", cut(map(masked, items)))]
    draw_lines(path, lines + [(label, cut(made)) for label, made in rows], title=title)


def draw_lines(path: Path, lines: Sequence[Line], *, title: str, heads: Sequence[str] = ()) -> None:
    """Write lines of pictures with their labels.

    Args:
        path: of the PNG file; a PDF stands beside it.
        lines: label and pictures of each, as many in every line.
        title: stands above.
        heads: words above the columns.
    """
    columns = len(lines[0][1])
    figure = Figure(figsize=(INCH * columns + 2.2, INCH * len(lines) + 0.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for (label, images), places in zip(lines, axes, strict=True):
        for place, picture in zip(places, images, strict=True):
            place.imshow(picture, interpolation="none")
            place.set_xticks([])
            place.set_yticks([])
        places[0].set_ylabel(_wrapped(label), rotation=0, ha="right", va="center", fontsize=7, parse_math=False)
    for place, words in zip(axes[0], heads, strict=False):
        place.set_title(_wrapped(words), fontsize=6, parse_math=False)
    first, *others = title.split("\n")
    wide = int(16 * figure.get_figwidth())
    figure.suptitle("\n".join([first, *textwrap.wrap(" ".join(others), wide)]), fontsize=8, parse_math=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """As PNG, and beside it as PDF with its words as text."""
    figure.savefig(path)
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(label, 22))


def draw_curves(path: Path, losses: pandas.DataFrame, validations: pandas.DataFrame, *, title: str) -> None:
    """Write one small plot for each loss (means over fiftieths of the run) and each validation figure, by step."""
    stretch = max(1, len(losses) // 50)
    means = losses.groupby((losses["step"] - 1) // stretch).mean()
    plots = [(f"{name} (training)", means["step"], means[name]) for name in losses if name != "step"]
    plots += [
        (f"{name} (validation)", validations["step"], validations[name]) for name in validations if name != "step"
    ]
    columns = 3
    figure = Figure(figsize=(10, 2.4 * -(-len(plots) // columns) + 0.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(plots) // columns), columns, squeeze=False)
    for place in axes.flat[len(plots) :]:
        place.set_axis_off()
    for place, (name, steps, values) in zip(axes.flat, plots, strict=False):
        place.plot(steps, values, linewidth=1)
        place.set_title(name, fontsize=8, parse_math=False)
        place.tick_params(labelsize=7)
        if (values > 0).all():
            place.set_yscale("log")
    figure.suptitle(title, fontsize=9, parse_math=False)
    _save(figure, path)


def draw_grid(path: Path, rows: Sequence[tuple[str, Tensor]], *, title: str) -> None:
    """Write labelled rows of pictures N×3×R×R in [-1, 1]."""
    draw_lines(
        path,
        [(label, [_as_uint8(picture) for picture in pictures]) for label, pictures in rows],
        title=title,
    )


def draw_tradeoff(path: Path, rows: pandas.DataFrame, *, costs: Mapping[str, str], qualities: Sequence[str]) -> None:
    """Write quality against cost: a line of plots for each metric, a column for each cost.

    Args:
        path: of the PNG file; a PDF stands beside it.
        rows: a line for each decoder that was measured, with `label`, the metrics with their `_stderr`, and the costs.
        costs: names of columns, and how they are called.
        qualities: names of metrics.
    """
    figure = Figure(figsize=(3.3 * len(costs), 2.6 * len(qualities) + 0.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(qualities), len(costs), squeeze=False)
    for line, metric in zip(axes, qualities, strict=True):
        for place, (name, title) in zip(line, costs.items(), strict=True):
            for label, group in rows.dropna(subset=[name, metric]).groupby("label", sort=False):
                errors = group.get(f"{metric}_stderr")
                place.errorbar(group[name], group[metric], yerr=errors, fmt="o", markersize=4, label=str(label))
            place.set_xlabel(title, fontsize=8)
            place.set_ylabel(metric, fontsize=8, parse_math=False)
            place.tick_params(labelsize=7)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7)
    _save(figure, path)


def _as_uint8(picture: Tensor) -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = ((picture + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return pixels
