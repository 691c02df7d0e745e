"""The paper's comparisons of pictures (its Figures 1 and 4 to 7), of items that are chosen by rule and seed.

`figures.json` beside them says of each which rule chose which items, and where in them it looks: windows are first row,
first column, and the row and column behind the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.items import Item
from bench.data.manifest import Items
from bench.reporting.figures import Line, draw_lines
from bench.reporting.gallery import drawn_places
from bench.reporting.pixels import framed, masked
from bench.reporting.windows import Window, border_window, known_window
from bench.results import SCHEMA_VERSION, write_json
from bench.schema import FigureSpec

__all__ = ["ERROR", "RULES", "PaperFigures"]

Images = Callable[[Sequence[str], Sequence[int]], tuple[list[Item], Mapping[str, npt.NDArray[np.uint8]]]]
"""From rows and places to the items there and each row's images of them, uint8 N×S×S×3."""
SHOWN = 6
"""Items in a figure."""
ERROR = "pre_error"
"""By which the items of a figure of details are chosen."""
RULES = {
    "details": "The {count} items on which {first} errs most over known pixels, one of a source; of each the wholly "
    "known square of a quarter of the side in which {first} errs most.",
    "borders": "{count} items drawn with seed {seed}; of each the square of a third of the side in whose inner half "
    "most of the hole's border lies.",
    "captions": "{count} items drawn with seed {seed}.",
}
"""How items are chosen, by the kind of figure."""


@dataclass(frozen=True)
class PaperFigures:
    """What the figures of one table are drawn from."""

    items: Items
    images: Images
    labels: Mapping[str, str]
    """Of the measured rows."""
    errors: Mapping[str, npt.NDArray[np.float64]]
    """By row, one a known region's error of each item, NaN where nothing is known."""
    seed: int
    title: str

    def write(self, folder: Path, specs: Mapping[str, FigureSpec]) -> None:
        """Write the figures, as PNG and PDF, as far as their rows were measured; and `figures.json`."""
        said = {}
        for name, spec in specs.items():
            rows = [row for row in spec.rows if row in self.labels]
            if rows and (spec.kind != "details" or rows[0] == spec.rows[0]):
                said[name] = self._draw(folder / f"{name}.png", spec, rows)
        write_json(folder / "figures.json", {"schema_version": SCHEMA_VERSION, "figures": said})

    def _draw(self, path: Path, spec: FigureSpec, rows: Sequence[str]) -> dict[str, Any]:
        """One figure; returns what is said of it."""
        first = rows[0]
        places = self._worst(first) if spec.kind == "details" else drawn_places(len(self.items), self.seed)
        if not places:
            return {"of": spec.of, "reason": "no item has a wholly known square of a quarter of its side"}
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
            title=f"{spec.of} of the paper, as here: {self.title}\n{rule}",
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
        """Items by the row's error, the largest first, one of a source, with a square to look at."""
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
        assert window is not None  # as it was chosen
        return window

    def _given(self, kind: str, shown: Sequence[Item], windows: Sequence[Window]) -> list[Line]:
        """What the rows were given."""
        if kind == "captions":
            return []
        pairs = list(zip(shown, windows, strict=True))
        lines: list[Line] = [("masked input", [framed(masked(item), window) for item, window in pairs])]
        exemplars = [item.exemplar for item in shown if item.exemplar is not None]
        if len(exemplars) == len(shown):
            lines.append(("to be painted", exemplars))
        return [*lines, ("input", [item.image[window] for item, window in pairs])]
