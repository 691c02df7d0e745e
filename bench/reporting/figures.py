"""Figures for tables and for trainings.

A figure for a table shows images of the rows and their errors, or quality and cost of decoders. A figure for a training
shows curves or pictures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas
from torch import Tensor

from bench.data.items import Item
from bench.reporting.pixels import ERROR_GAIN, error_outside, masked
from bench.reporting.windows import border_window
from bench.runtime.files import write_atomically
from bench.runtime.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Line",
    "ReadLine",
    "TurnsLine",
    "TurnsPanel",
    "draw_borders",
    "draw_curves",
    "draw_grid",
    "draw_lines",
    "draw_readings",
    "draw_rows",
    "draw_tradeoff",
    "draw_turns",
]

Line = tuple[str, Sequence[npt.NDArray[np.uint8]]]
"""One line of a figure: its label and its pictures, which are arrays H×W×3."""

INCH = 1.25
"""Side of one picture in the figure, in inches."""
WORD_INCH = 1.55
"""Width of the picture of a word, in inches."""


COLOURS = 10
"""Number of colours that Matplotlib uses before it repeats them."""
MARKS = "osD^v"
"""Marks of points. Each mark is used for `COLOURS` rows, so that up to 50 rows all look different."""


def draw_rows(
    path: Path, items: Sequence[Item], rows: Sequence[tuple[str, npt.NDArray[np.uint8]]], *, title: str
) -> None:
    """Write a figure that shows the inputs of some items, and the images that each row made of these items.

    The inputs are the true pictures, the masked pictures and the exemplars. An input that some of the items do not have
    is left out. If any pixels are known, the figure also shows the error of each image over the known pixels.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        items: items that are shown, one in each column. If no pixels are known, the caption of each item is the heading
            of the item's column.
        rows: label of each row, and the row's images N×S×S×3 of the N items.
        title: title of the figure.
    """
    known = any((item.mask == 0).any() for item in items)
    lines: list[tuple[str, list[npt.NDArray[np.uint8]]]] = []
    if all(item.pictured for item in items):
        lines.append(("input" if known else "the captions' own picture", [item.image for item in items]))
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
    """Write a figure that shows in detail the border between the hole and the known region.

    For each item, the figure shows only the window that `border_window` chooses.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        items: items that are shown, one in each column. Each item has known pixels.
        rows: label of each row, and the row's images N×S×S×3 of the N items.
        title: title of the figure.
    """
    windows = [border_window(item.mask) for item in items]

    def cut(pictures: Iterable[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
        return [picture[window] for picture, window in zip(pictures, windows, strict=True)]

    lines = [("input", cut(item.image for item in items)), ("masked", cut(map(masked, items)))]
    draw_lines(path, lines + [(label, cut(made)) for label, made in rows], title=title)


def draw_lines(path: Path, lines: Sequence[Line], *, title: str, heads: Sequence[str] = ()) -> None:
    """Write a figure that consists of lines of pictures, with a label at the left of each line.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        lines: label and pictures of each line; all lines have the same number of pictures.
        title: title of the figure. The text after the first line break is wrapped to the width of the figure.
        heads: headings of the columns; empty for none.
    """
    columns = len(lines[0][1])
    figure = _new_figure(INCH * columns + 2.2, INCH * len(lines) + 0.6)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for (label, images), places in zip(lines, axes, strict=True):
        for place, picture in zip(places, images, strict=True):
            place.imshow(picture, interpolation="none")
            place.set_xticks([])
            place.set_yticks([])
        places[0].set_ylabel(_wrapped(label), rotation=0, ha="right", va="center", fontsize=7, parse_math=False)
    for place, words in zip(axes[0], heads, strict=False):
        place.set_title(_wrapped(words), fontsize=6, parse_math=False)
    _set_title(figure, title)
    _save(figure, path)


@dataclass(frozen=True)
class ReadLine:
    """One line of a figure of words: pictures of the same words, with the text that was read in each of them."""

    label: str
    pictures: Sequence[npt.NDArray[np.uint8]]
    """Pictures H×W×3."""
    texts: Sequence[str] = ()
    """Text below each picture; empty for none."""
    right: Sequence[bool] = ()
    """For each text, whether it is the word."""


def draw_readings(path: Path, lines: Sequence[ReadLine], *, title: str, heads: Sequence[str]) -> None:
    """Write a figure of words, with the text that a recogniser read below each picture.

    A text that is the word is green and has a check mark. Any other text is red and has a cross. A character that the
    figure's font does not have is shown as an empty box.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        lines: lines of the figure; all have the same number of pictures.
        title: title of the figure. The text after the first line break is wrapped to the width of the figure.
        heads: headings of the columns.
    """
    columns = len(lines[0].pictures)
    figure = _new_figure(WORD_INCH * columns + 1.9, sum(0.93 if line.texts else 0.75 for line in lines) + 1.0)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for line, places in zip(lines, axes, strict=True):
        for number, (place, picture) in enumerate(zip(places, line.pictures, strict=True)):
            place.imshow(picture, interpolation="none")
            place.set_xticks([])
            place.set_yticks([])
            if line.texts:
                mark, colour = ("✓", "#1a7f37") if line.right[number] else ("✗", "#b3261e")
                said = _drawable(one_line(line.texts[number])) or "(nothing)"
                place.set_xlabel(f"{mark} {said}", fontsize=9, color=colour, labelpad=2, parse_math=False)
        places[0].set_ylabel(_wrapped(line.label), rotation=0, ha="right", va="center", fontsize=8, parse_math=False)
    for place, words in zip(axes[0], heads, strict=True):
        place.set_title(words, fontsize=8, parse_math=False)
    _set_title(figure, title)
    _save(figure, path)


def _drawable(text: str) -> str:
    """Return a text with an empty box in place of each character that the font of the figures does not have.

    A recogniser of several scripts may read a blurred word as a Chinese character.
    """
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    return "".join(letter if ord(letter) in known else "□" for letter in text)


def _set_title(figure: Figure, title: str) -> None:
    """Set the title of a figure. The text after the first line break is wrapped to the width of the figure."""
    first, *others = (one_line(line) for line in title.split("\n"))
    wide = int(16 * figure.get_figwidth())
    figure.suptitle("\n".join([first, *textwrap.wrap(" ".join(others), wide)]), fontsize=8, parse_math=False)


def _new_figure(width: float, height: float) -> Figure:
    """Return an empty figure with the given width and height in inches."""
    # Imported here, because it takes a second, and a run whose figures are stored does not need it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    """Save a figure as a PNG file and as a PDF file. In the PDF file, labels are text and not drawings.

    Args:
        figure: figure to save.
        path: path of the PNG file; the PDF file has the same name with the suffix `.pdf`.
    """
    import matplotlib

    png, pdf = BytesIO(), BytesIO()
    figure.savefig(png, format="png")
    figure.set_layout_engine("none")  # the PDF file keeps the positions that were found for the PNG file
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    write_atomically(path, png.getvalue())
    write_atomically(path.with_suffix(".pdf"), pdf.getvalue())


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(one_line(label), 22))


def draw_curves(path: Path, losses: pandas.DataFrame, validations: pandas.DataFrame, *, title: str) -> None:
    """Write a figure with one plot for each training loss and one for each validation value, over the training steps.

    Training losses are smoothed: each point is the mean loss over 2 % of the training's steps, or over one step if
    there are fewer than 100 steps.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        losses: table with one line for each training step. It has a column `step`, and a column for each loss.
        validations: table with one line for each validation. It has a column `step`, and a column for each
            validation value.
        title: title of the figure.
    """
    stretch = max(1, len(losses) // 50)
    means = losses.groupby((losses["step"] - 1) // stretch).mean()
    plots = [(f"{name} (training)", means["step"], means[name]) for name in losses if name != "step"]
    plots += [
        (f"{name} (validation)", validations["step"], validations[name]) for name in validations if name != "step"
    ]
    columns = 3
    figure = _new_figure(10, 2.4 * -(-len(plots) // columns) + 0.4)
    axes = figure.subplots(-(-len(plots) // columns), columns, squeeze=False)
    for place in axes.flat[len(plots) :]:
        place.set_axis_off()
    for place, (name, steps, values) in zip(axes.flat, plots, strict=False):
        place.plot(steps, values, linewidth=1)
        place.set_title(name, fontsize=8, parse_math=False)
        place.tick_params(which="both", labelsize=7)
        if (values > 0).all():
            place.set_yscale("log")
    figure.suptitle(title, fontsize=9, parse_math=False)
    _save(figure, path)


@dataclass(frozen=True)
class TurnsLine:
    """The values of one row in all turns of repeated edits, as a figure prints them."""

    label: str
    values: Sequence[float | None]
    """Value of each turn, starting with turn 1; None where there is none."""
    bands: Sequence[tuple[float, float] | None]
    """Lower and upper end of the interval in each turn; None where there is none."""


@dataclass(frozen=True)
class TurnsPanel:
    """One plot of a figure of repeated edits: one metric of every row."""

    title: str
    lines: Sequence[TurnsLine]
    logarithmic: bool = False
    """True if the axis of the values is logarithmic; values and ends of bands at 0 or below are then left out."""


def draw_turns(path: Path, panels: Sequence[TurnsPanel], *, title: str) -> None:
    """Write a figure of repeated edits with one plot for each metric: a line with its interval for each row.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        panels: plots, from left to right. All of them have the same rows.
        title: title of the figure.
    """
    from matplotlib.ticker import MaxNLocator

    figure = _new_figure(4.2 * len(panels), 4.0)
    figure.suptitle(one_line(title), fontsize=10, parse_math=False)
    (axes,) = figure.subplots(1, len(panels), squeeze=False)
    for place, panel in zip(axes, panels, strict=True):
        for number, line in enumerate(panel.lines):
            colour, mark = f"C{number % COLOURS}", MARKS[number % len(MARKS)]
            ends = [(np.nan, np.nan) if band is None else band for band in line.bands]
            points = np.array(
                [[np.nan if value is None else value, *end] for value, end in zip(line.values, ends, strict=True)]
            )
            if panel.logarithmic:
                points[points[:, 0] <= 0] = np.nan
                points[:, 1] = np.maximum(points[:, 1], points[:, 0] / 10)  # an end at 0 has no place on the axis
            turns = np.arange(1, len(points) + 1)
            label = line.label if np.isfinite(points[:, 0]).any() else f"{line.label} (error exactly 0)"
            place.fill_between(turns, points[:, 1], points[:, 2], color=colour, alpha=0.13, linewidth=0)
            place.plot(turns, points[:, 0], color=colour, marker=mark, markersize=4, linewidth=1.4, label=label)
        if panel.logarithmic:
            place.set_yscale("log")
        place.set_title(panel.title, fontsize=9, parse_math=False)
        place.set_xlabel("turn", fontsize=9)
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
        place.tick_params(which="both", labelsize=8)
        place.grid(alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), fontsize=8)
    _save(figure, path)


def draw_grid(path: Path, rows: Sequence[tuple[str, Tensor]], *, title: str) -> None:
    """Write a figure that consists of rows of pictures, with a label at the left of each row.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        rows: label of each row, and the row's pictures N×3×R×R with values in [-1, 1].
        title: title of the figure.
    """
    draw_lines(
        path,
        [(label, [_as_uint8(picture) for picture in pictures]) for label, pictures in rows],
        title=title,
    )


def draw_tradeoff(
    path: Path, rows: pandas.DataFrame, *, costs: Mapping[str, str], qualities: Sequence[str], title: str = ""
) -> None:
    """Write a figure that shows the quality and the cost of decoders, with one plot for each metric and cost.

    The plots of one metric are in one line of the figure, and the plots of one cost are in one column.

    Args:
        path: path of the PNG file; a PDF is written beside it.
        rows: table with one line for each measured decoder. It has a column `label`, a column for each cost, and a
            column for each metric. The column `METRIC_stderr`, if it exists, has the metric's standard error.
        costs: title of each cost, by the name of its column in `rows`.
        qualities: names of the metrics that are drawn.
        title: title of the figure; empty for none.
    """
    figure = _new_figure(3.3 * len(costs), 2.6 * len(qualities) + 0.6)
    if title:
        figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(qualities), len(costs), squeeze=False)
    for line, metric in zip(axes, qualities, strict=True):
        for place, (name, title) in zip(line, costs.items(), strict=True):
            groups = rows.dropna(subset=[name, metric]).groupby("label", sort=False)
            for number, (label, group) in enumerate(groups):
                errors = group.get(f"{metric}_stderr")
                mark = MARKS[number // COLOURS % len(MARKS)]
                place.errorbar(group[name], group[metric], yerr=errors, fmt=mark, markersize=4, label=str(label))
            place.set_xlabel(title, fontsize=8)
            place.set_ylabel(metric, fontsize=8, parse_math=False)
            place.tick_params(which="both", labelsize=7)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7)
    _save(figure, path)


def _as_uint8(picture: Tensor) -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = ((picture + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return pixels
