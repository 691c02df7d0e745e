"""The legibility of text: how many words a recogniser reads right, and how far its other readings are from the words.

The two numbers are those of TokBench (Wu et al., "TokBench: Evaluating Your Visual Tokenizer before Visual Generation",
arXiv 2505.18142): T-ACC is the share of words that are read right, and T-NED is one minus the edit distance of word and
reading, divided by the length of the longer of the two. Unlike TokBench, this module reads the true image as well, and
leaves out a word that the recogniser does not read right there. It also separates the words outside the hole, which an
editor should keep, from the words that cross the border of the hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.words import Word
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.text_reader import Reading, TextReader

__all__ = ["REGIONS", "LegibilityMeasure", "as_compared", "counted", "edit_distance", "likeness"]

Pixels = npt.NDArray[np.uint8]

REGIONS = ("outside", "crossing")
"""Kinds of words: `outside` has no pixel of its box in the hole, and the box of `crossing` has pixels on both sides of
the border."""
LEAST_SCORE = 0.5
"""Smallest score with which the reading of the true image counts as the word, if the word is not known otherwise."""
LEAST_LETTERS = 3
"""Smallest number of letters and digits of such a reading. Detectors take an eye or a round stone for one letter."""


def as_compared(text: str) -> str:
    """Return the letters and digits of a text in lower case, because only these are compared.

    Case is ignored, because the case of letters such as o, s and w shows only in their size.
    """
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def edit_distance(first: str, second: str) -> int:
    """Return the smallest number of letters to insert, remove or replace that turns one text into the other.

    The number is Levenshtein's distance, computed row by row (Wagner and Fischer, 1974).
    """
    row = list(range(len(second) + 1))
    for count, letter in enumerate(first, 1):
        previous, row = row, [count]
        for place, (other, (before, above)) in enumerate(zip(second, pairwise(previous), strict=True)):
            row.append(min(above + 1, row[place] + 1, before + (letter != other)))
    return row[-1]


def likeness(first: str, second: str) -> float:
    """Return one minus the edit distance of two texts, divided by the length of the longer one, in [0, 1].

    Two empty texts are equal, so their value is 1.
    """
    longer = max(len(first), len(second))
    return 1 - edit_distance(first, second) / longer if longer else 1.0


class _Expected(NamedTuple):
    """A word that counts: its index in the batch, its box, its region and its text as it is compared."""

    item: int
    word: Word
    region: str
    text: str


@dataclass
class _Read:
    """The words of a batch, and the readings of all crops of the batch that were read before."""

    words: list[_Expected]
    left_out: npt.NDArray[np.float64]
    """Number of drawn words of each item that the recogniser does not read right in the true image."""
    readings: dict[bytes, Reading]
    """Readings by the bytes of the crop, so that equal crops of several rows are read only once."""


class LegibilityMeasure(Measure):
    """A measure of the words that a recogniser reads right outside the hole and across its border.

    If the words of an item are known, because they were drawn, their boxes are read. Otherwise the boxes are those that
    the detector finds in the true image, and a word is what the recogniser reads there, if its score is at least 0.5
    and it has at least three letters or digits. Words that lie in the hole altogether are not read.

    A name such as `text_accuracy_outside` belongs to all words of the region, and `text_accuracy_outside_10px` to those
    whose letters are at least 10 pixels high, but lower than the next height of the measure. Each value of an item is
    the mean over the item's words, and NaN if it has none. `text_words_outside`, `text_words_crossing` and
    `text_left_out` count the words that are read, and those that are left out.
    """

    sees_hole = False

    def __init__(self, reader: TextReader, heights: Sequence[int] = (10, 12, 16)) -> None:
        """Set the recogniser.

        Args:
            reader: program that finds and reads text.
            heights: lowest height of the letters of each class, in pixels, in ascending order.

        Raises:
            ValueError: the heights are not whole positive numbers in ascending order.
        """
        if not heights or any(low >= high for low, high in pairwise([0, *heights])):
            raise ValueError(f"heights: expected positive heights in ascending order, found {list(heights)}")
        self.reader, self.heights = reader, tuple(heights)
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated, crops of the items' own size",
            "text": "letters and digits, case ignored",
            "words": f"drawn, or detected in the true image and read there with a score of {LEAST_SCORE} or more "
            f"and {LEAST_LETTERS} letters or more",
            "left_out": "words that are not read right in the true image",
            "heights": list(heights),
            "reader": dict(reader.protocol),
            "version": 2,
        }

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, dict[str, _Read]]:
        return {}, {}

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: dict[str, _Read], extra: Extra) -> Arrays:
        if "read" not in kept:
            holes = (mask[:, 0] > 0).cpu().numpy() if extra.holes is None else extra.holes
            kept["read"] = self._truth(_pixels(truth), holes, extra.words)
        read, pixels = kept["read"], _pixels(to_uint8(image, rounding="truncate"))
        crops = [one.word.cut(pixels[one.item]) for one in read.words]
        texts = [as_compared(reading.text) for reading in self._readings(crops, read.readings)]
        return {name: torch.from_numpy(values) for name, values in self._values(read, texts, len(pixels))}

    def _truth(self, truth: Pixels, holes: npt.NDArray[np.bool_], known: Sequence[tuple[Word, ...] | None]) -> _Read:
        """Read the true images B×H×W×3, and return the words that count."""
        words: list[tuple[int, Word, str]] = []
        for item, (pixels, hole) in enumerate(zip(truth, holes, strict=True)):
            drawn = known[item] if known else None
            for word in self.reader.find(pixels) if drawn is None else drawn:
                region = "outside" if word.is_outside(hole) else "crossing" if word.crosses(hole) else ""
                if region:
                    words.append((item, word, region))
        readings: dict[bytes, Reading] = {}
        found = self._readings([word.cut(truth[item]) for item, word, _ in words], readings)
        expected, left_out = [], np.zeros(len(truth))
        for (item, word, region), reading in zip(words, found, strict=True):
            seen = as_compared(reading.text)
            if word.text:
                counts = bool(seen) and seen == as_compared(word.text)
            else:
                counts = reading.score >= LEAST_SCORE and len(seen) >= LEAST_LETTERS
            if counts:
                expected.append(_Expected(item, word, region, seen))
            elif word.text:  # a detection that is no word is not counted, as in a picture without text
                left_out[item] += 1
        return _Read(expected, left_out, readings)

    def _readings(self, crops: Sequence[Pixels], known: dict[bytes, Reading]) -> list[Reading]:
        """Return the readings of crops, and add those of new crops to `known`."""
        keys = [repr(crop.shape).encode() + crop.tobytes() for crop in crops]
        new = {key: crop for key, crop in zip(keys, crops, strict=True) if key not in known}
        known.update(zip(new, self.reader.read([*new.values()]), strict=True))
        return [known[key] for key in keys]

    def _values(self, read: _Read, texts: Sequence[str], count: int) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
        """Yield each array of the measure, by name.

        Args:
            read: words of the batch.
            texts: reading of each word in the image of a row, as it is compared.
            count: number of items of the batch.
        """
        right = [float(one.text == text) for one, text in zip(read.words, texts, strict=True)]
        like = [likeness(one.text, text) for one, text in zip(read.words, texts, strict=True)]
        classes = {"": (0.0, np.inf)}
        classes |= {f"_{low}px": (low, high) for low, high in pairwise([*self.heights, np.inf])}
        for region in REGIONS:
            for ending, (low, high) in classes.items():
                chosen = [
                    place
                    for place, one in enumerate(read.words)
                    if one.region == region and low <= one.word.height < high
                ]
                items = np.array([read.words[place].item for place in chosen], np.int_)
                words = np.bincount(items, minlength=count).astype(np.float64)
                if not ending:
                    yield f"text_words_{region}", words
                for kind, values in (("accuracy", right), ("ned", like)):
                    sums = np.bincount(items, [values[place] for place in chosen], minlength=count)
                    means = np.divide(sums, words, out=np.full(count, np.nan), where=words > 0)
                    yield f"text_{kind}_{region}{ending}", means
        yield "text_left_out", read.left_out


def _pixels(images: Tensor) -> Pixels:
    """Return images B×3×H×W uint8 as an array B×H×W×3 in the memory of the CPU."""
    found: Pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return found


def counted(values: Mapping[str, Any]) -> str | None:
    """Return a sentence on the words that were read, from the arrays of one row; None if no words were counted."""
    if "text_left_out" not in values:
        return None
    outside, crossing = (np.asarray(values[f"text_words_{region}"]) for region in REGIONS)
    left_out = np.asarray(values["text_left_out"])
    without = int(((outside + crossing + left_out) == 0).sum())
    return (
        f"Text: {int(outside.sum()):,} words outside the hole and {int(crossing.sum()):,} words across its border are "
        f"read; {int(left_out.sum()):,} words are left out, because the recogniser does not read them right in the "
        f"true image; there are {without:,} of {len(outside):,} pictures without such a word."
    )
