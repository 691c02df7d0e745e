"""The paper's comparisons of pictures (Figures 1 and 4 to 7), made from this run's images.

A rule and a seed choose the items. The file `figures.json` beside the figures says for each figure which rule was used,
which items were chosen, and which window of each item is shown. A window is saved as four numbers: its first row, its
first column, the row after its last row, and the column after its last column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.config.schema import FigureSpec
from bench.data.items import Item
from bench.data.prepared import Items
from bench.reporting.figures import Line, draw_lines
from bench.reporting.gallery import drawn_places
from bench.reporting.pixels import framed, masked
from bench.reporting.windows import Window, border_window, known_window
from bench.results.run_folder import SCHEMA_VERSION
from bench.runtime.files import write_json

__all__ = ["ERROR", "RULES", "PaperFigures"]

Images = Callable[[Sequence[str], Sequence[int]], tuple[list[Item], Mapping[str, npt.NDArray[np.uint8]]]]
"""Function that takes keys of rows and indices of items. It returns the items, and the images N×S×S×3 of each row."""
SHOWN = 6
"""Number of items in a figure."""
ERROR = "pre_error"
"""Metric by which the items of a figure of the kind `details` are chosen."""
RULES = {
    "details": "The {count} items with the largest error of {first} over known pixels, one item of each source; each "
    "picture shows the square with the largest error of {first} among those that are fully known and have a quarter of "
    "the image's side.",
    "borders": "{count} items drawn with seed {seed}; each picture is the square of a third of the side whose inner "
    "half contains most of the hole's border.",
    "captions": "{count} items drawn with seed {seed}.",
}
"""Text that explains the choice of items and windows, by the kind of figure; parts in braces are filled in later."""


@dataclass(frozen=True)
class PaperFigures:
    """The data from which the figures of one table are drawn, and a method that draws the figures."""

    items: Items
    images: Images
    labels: Mapping[str, str]
    """Label of each measured row, by the key of the row."""
    errors: Mapping[str, npt.NDArray[np.float64]]
    """Array with the error over the known region of each item, by row; NaN for an item without known pixels."""
    seed: int
    title: str

    def write(self, folder: Path, specs: Mapping[str, FigureSpec]) -> None:
        """Write each figure as a PNG and a PDF file, and write `figures.json`.

        A figure shows only the rows that were measured, and a figure without such rows is left out. A figure of the
        kind `details` is also left out if its first row was not measured, because the errors of this row choose the
        items.

        Args:
            folder: folder for the files.
            specs: specification of each figure, by the name of its files.
        """
        records = {}
        for name, spec in specs.items():
            rows = [row for row in spec.rows if row in self.labels]
            if rows and (spec.kind != "details" or rows[0] == spec.rows[0]):
                records[name] = self._draw(folder / f"{name}.png", spec, rows)
        write_json(folder / "figures.json", {"schema_version": SCHEMA_VERSION, "figures": records})

    def _draw(self, path: Path, spec: FigureSpec, rows: Sequence[str]) -> dict[str, Any]:
        """Write one figure, and return the data that `figures.json` contains about this figure.

        If no item can be shown, no figure is written, and the data contain the reason.
        """
        first = rows[0]
        places = self._worst(first) if spec.kind == "details" else drawn_places(len(self.items), self.seed)
        if not places:
            return {"of": spec.of, "reason": "no item has a fully known square of a quarter of its side"}
        shown, made = self.images(rows, places)
        windows = [self._window(spec.kind, item, image) for item, image in zip(shown, made[first], strict=True)]
        rule = RULES[spec.kind].format(count=len(shown), first=self.labels[first], seed=self.seed)
        draw_lines(
            path,
            self._given(spec.kind, shown, windows)
            + [
                (self.labels[row], [picture[at] for picture, at in zip(made[row], windows, strict=True)])
                for row in rows
            ],
            title=f"{spec.of} of the paper, with this run's images: {self.title}\n{rule}",
            heads=[item.caption for item in shown] if spec.kind == "captions" else (),
        )
        return {
            "of": spec.of,
            "rule": rule,
            "rows": list(rows),
            "items": [item.id for item in shown],
            "windows": [[at.start, across.start, at.stop, across.stop] for at, across in windows],
        }

    def _worst(self, row: str) -> list[int]:
        """Return the indices of at most `SHOWN` items: those on which a row has the largest errors.

        Only items with a fully known window are chosen, and at most one item of each source.
        """
        errors, found, sources = self.errors[row], [], set()
        side = self.items.manifest["resolution"]
        for place in np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable"):
            source = self.items.sources[place]
            if source in sources or not errors[place] >= 0:
                continue
            (mask,) = self.items.masks(int(place), int(place) + 1)
            if known_window(mask, np.zeros((side, side))) is None:
                continue
            sources.add(source)
            found.append(int(place))
            if len(found) == SHOWN:
                break
        return found

    def _window(self, kind: str, item: Item, image: npt.NDArray[np.uint8]) -> Window:
        if kind == "captions":
            return slice(0, len(item.mask)), slice(0, len(item.mask))
        if kind == "borders":
            return border_window(item.mask)
        error = np.square(image.astype(np.float64) - item.image).sum(-1)
        window = known_window(item.mask, error)
        assert window is not None  # `_worst` chose only items with such a window
        return window

    def _given(self, kind: str, shown: Sequence[Item], windows: Sequence[Window]) -> list[Line]:
        """Return the lines of pictures that show the inputs, above the rows; an empty list for the kind `captions`."""
        if kind == "captions":
            return []
        pairs = list(zip(shown, windows, strict=True))
        lines: list[Line] = [("masked input", [framed(masked(item), window) for item, window in pairs])]
        exemplars = [item.exemplar for item in shown if item.exemplar is not None]
        if len(exemplars) == len(shown):
            lines.append(("to be painted", exemplars))
        return [*lines, ("input", [item.image[window] for item, window in pairs])]
