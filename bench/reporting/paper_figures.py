"""The paper's comparisons of pictures (Figures 1 and 4 to 7), made from this run's images.

A rule and a seed choose the items. The file `figures.json` beside the figures says for each figure which rule was used,
which items were chosen, and which window of each item is shown. A window is saved as four numbers: its first row, its
first column, the row after its last row, and the column after its last column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.config.schema import FigureSpec
from bench.data.items import Item
from bench.data.prepared import Items
from bench.data.words import Word, words_of
from bench.metrics.legibility import REGIONS, as_compared
from bench.reporting.choice import drawn_places
from bench.reporting.figures import Line, ReadLine, draw_lines, draw_readings
from bench.reporting.pixels import framed, masked
from bench.reporting.windows import Window, border_window, known_window, word_window
from bench.results.run_folder import SCHEMA_VERSION
from bench.runtime.files import write_json
from bench.runtime.seeding import numpy_generator

__all__ = ["ERROR", "OF_WORDS", "RULES", "PaperFigures"]

Images = Callable[[Sequence[str], Sequence[int]], tuple[list[Item], Mapping[str, npt.NDArray[np.uint8]]]]
"""Function that takes keys of rows and indices of items. It returns the items, and the images N×S×S×3 of each row."""
ReadText = Callable[[Sequence[npt.NDArray[np.uint8]]], list[str]]
"""Function that takes crops h×w×3 and returns the text that a recogniser reads in each of them."""
SHOWN = 6
"""Number of items in a figure."""
TRIED = 200
"""Largest number of items among which the words of a figure are chosen."""
OF_WORDS: Mapping[str, str] = {f"words_{region}": region for region in REGIONS}
"""Region of the words in a figure, by the kind of figure."""
ERROR = "pre_error"
"""Metric by which the items of a figure of the kind `details` are chosen."""
SELECTED = (
    " and are read right in the true image, as many of each height as possible. The text that was read in a crop is "
    "below it, and pixels of the hole are white in the masked input."
)
RULES = {
    "details": "The {count} items with the largest error of {first} over known pixels, one item of each source; each "
    "picture shows the square with the largest error of {first} among those that are fully known and have a quarter of "
    "the image's side.",
    "borders": "{count} items drawn with seed {seed}; each picture is the square of a third of the side whose inner "
    "half contains most of the hole's border.",
    "captions": "{count} items drawn with seed {seed}.",
    "words_outside": "{count} random words (seed {seed}) among those that lie wholly outside the hole" + SELECTED,
    "words_crossing": "{count} random words (seed {seed}) among those that cross the border of the hole" + SELECTED,
}
"""Text that explains the choice of items and windows, by the kind of figure; parts in braces are filled in later."""


class _Placed(NamedTuple):
    """A word, and the index of its item."""

    place: int
    word: Word


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
    read: ReadText | None = None
    """Function that reads text; None if the run does not measure text."""

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
                draw = self._draw_words if spec.kind in OF_WORDS else self._draw
                records[name] = draw(folder / f"{name}.png", spec, rows)
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
        return _described(spec, rule, rows, shown, windows)

    def _draw_words(self, path: Path, spec: FigureSpec, rows: Sequence[str]) -> dict[str, Any]:
        """Write one figure of words, and return the data that `figures.json` contains about this figure.

        If no word can be shown, no figure is written, and the data contain the reason.
        """
        if self.read is None:
            return {"of": spec.of, "reason": "no measure of this run reads text"}
        chosen = self._words(OF_WORDS[spec.kind], self.read)
        if not chosen:
            return {"of": spec.of, "reason": "no item has a known word of this kind that is read right"}
        shown, made = self.images(rows, [one.place for one in chosen])
        words, side = [one.word for one in chosen], len(shown[0].mask)
        windows = [word_window(word, side) for word in words]
        lines = [ReadLine("masked input", [masked(item)[at] for item, at in zip(shown, windows, strict=True)])]
        pictures = {"input": [item.image for item in shown], **{row: [*made[row]] for row in rows}}
        texts = {}
        for name, images in pictures.items():
            crops = [word.cut(image) for word, image in zip(words, images, strict=True)]
            texts[name] = self.read(crops)
            right = [as_compared(text) == as_compared(word.text) for text, word in zip(texts[name], words, strict=True)]
            cut = [image[at] for image, at in zip(images, windows, strict=True)]
            lines.append(ReadLine(self.labels.get(name, name), cut, texts[name], right))
        rule = RULES[spec.kind].format(count=len(chosen), seed=self.seed)
        draw_readings(
            path,
            lines,
            title=f"{spec.of} of the paper, with words: {self.title}\n{rule}",
            heads=[f"“{word.text}”, {word.height} px" for word in words],
        )
        return {
            **_described(spec, rule, rows, shown, windows),
            "words": [{"text": word.text, "height": word.height} for word in words],
            "read": texts,
        }

    def _words(self, region: str, read: ReadText) -> list[_Placed]:
        """Return at most `SHOWN` words of a region, in the order of their heights, as many of each height as possible.

        Each word belongs to another item. The order in which items are considered is drawn with the seed.

        Args:
            region: one of `bench.metrics.legibility.REGIONS`.
            read: function that reads text.
        """
        by_height: dict[int, list[_Placed]] = {}
        for place in numpy_generator(self.seed, "words", region).permutation(len(self.items))[:TRIED]:
            (line,) = self.items.lines(int(place), int(place) + 1)
            (mask,) = self.items.masks(int(place), int(place) + 1)
            for word in words_of(line.get("words"), line["id"]) or ():
                if word.is_outside(mask > 0) if region == "outside" else word.crosses(mask > 0):
                    by_height.setdefault(word.height, []).append(_Placed(int(place), word))
                    break
        found: list[_Placed] = []
        for height in sorted(by_height):
            wanted = -(-SHOWN // len(by_height))
            for one in by_height[height]:
                (item,) = self.items.pick([one.place])
                (text,) = read([one.word.cut(item.image)])
                if as_compared(text) == as_compared(one.word.text):
                    found.append(one)
                    wanted -= 1
                if not wanted:
                    break
        return found[:SHOWN]

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


def _described(
    spec: FigureSpec, rule: str, rows: Sequence[str], shown: Sequence[Item], windows: Sequence[Window]
) -> dict[str, Any]:
    """Return the data about a figure that `figures.json` contains for every kind of figure.

    Args:
        spec: specification of the figure.
        rule: text that explains the choice of items and windows.
        rows: names of the rows.
        shown: items in the order of the figure.
        windows: window of each item.
    """
    return {
        "of": spec.of,
        "rule": rule,
        "rows": list(rows),
        "items": [item.id for item in shown],
        "windows": [[at.start, across.start, at.stop, across.stop] for at, across in windows],
    }
