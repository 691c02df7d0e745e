"""Writes a data set of photographs with drawn words, some of them outside the hole and some across its border.

Each picture is a square crop of a photograph, with a mask by LaMa's rule. The photographs are those of the split `val` of
`bench.data.mini.photos` and those of `bench.data.photographs`, which no training used. Words are drawn on the crop in
pairs of equal height. No pixel of the first word's box lies in the hole, and a part of the second word's box does.
Letters are black or white, whichever differs more from the pixels behind them.

The fonts belong to matplotlib, which contains their files:

| font | author | licence |
|---|---|---|
| DejaVu Sans, Sans Bold, Serif Bold, Sans Mono Bold | DejaVu project, on Bitstream Vera | Bitstream Vera, additions in the public domain |
| STIX General Bold | STI Pub companies | SIL Open Font License 1.1 |
| Computer Modern Sans (cmss10) | Donald Knuth; Basil K. Malyshev (BaKoMa) | BaKoMa Fonts Licence |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bench.data.drawn_words import IMAGES, MASKS, NOTES
from bench.data.encoding import write_picture
from bench.data.masks import MaskPreset, accept_masks, preset
from bench.data.mini.photos import PHOTOS, crop_of, photo_crop
from bench.data.mini.writing import write_notes, written_once
from bench.data.photographs import photographs
from bench.data.words import Word, words_as_lines
from bench.runtime.seeding import numpy_generator

__all__ = ["VERSION", "background", "write_drawn_words"]

Pixels = npt.NDArray[np.uint8]

VERSION = 2
"""Version of the rules. It is raised when the same arguments would give other pictures."""
FONTS = (
    "DejaVuSans-Bold",
    "DejaVuSans",
    "DejaVuSerif-Bold",
    "DejaVuSansMono-Bold",
    "STIXGeneralBol",
    "cmss10",
)
"""Names of the fonts, which are names of matplotlib's files without their suffix."""
WORDS = (
    "bird", "blue", "boat", "book", "bread", "city", "clay", "cloud", "coal", "coin", "corn", "dawn", "desk", "door",
    "east", "farm", "field", "fish", "flag", "fruit", "gate", "glass", "gold", "grain", "green", "hill", "horse",
    "house", "iron", "king", "lake", "lamp", "leaf", "light", "milk", "moon", "mouse", "music", "night", "north",
    "ocean", "paper", "plant", "port", "rain", "river", "road", "rock", "salt", "sand", "ship", "shoe", "snow", "south",
    "star", "stone", "table", "time", "train", "tree", "watch", "water", "wave", "west", "wind", "wolf", "wood",
)  # fmt: skip
"""English words of four and five letters, which are drawn in lower case."""
MARGIN = 2
"""Number of pixels between the letters and each edge of a word's box."""
SHARES = (0.2, 0.6)
"""Smallest and largest part of a crossing word's box that lies in the hole."""
TRIED = 24
"""Number of random places among which the one with the highest contrast is chosen."""
ATTEMPTS = 500
"""Largest number of masks and words that are drawn for one picture until all words have a place."""


class Crop(NamedTuple):
    """A crop of a photograph, and the name of this photograph as a source."""

    pixels: Pixels
    source: str


@dataclass(frozen=True)
class Drawing:
    """The settings of a data set of drawn words."""

    resolution: int
    """Side of the pictures in pixels."""
    masks: MaskPreset
    heights: Sequence[int]
    """Sizes of the fonts in pixels."""
    pairs: int
    """Number of pairs of words in each picture."""


def background(index: int, resolution: int, generator: np.random.Generator) -> Crop:
    """Cut the square crop of a photograph on which the words of one picture are drawn.

    Args:
        index: index of the picture, which chooses the photograph.
        resolution: side of the result in pixels.
        generator: random generator for the place of the crop.
    """
    further = _further()
    name = (*PHOTOS["val"], *further)[index % (len(PHOTOS["val"]) + len(further))]
    crop = crop_of(further[name], generator) if name in further else photo_crop(name, generator)
    side = crop.shape[0]
    left = int(generator.integers(crop.shape[1] - side, endpoint=True))
    filter_ = cv2.INTER_AREA if resolution <= side else cv2.INTER_CUBIC
    scaled = cv2.resize(crop[:, left : left + side], (resolution, resolution), interpolation=filter_)
    return Crop(scaled.astype(np.uint8), f"photo {name}")


@cache
def _further() -> dict[str, Pixels]:
    """Return the photographs of `bench.data.photographs` that are not in `PHOTOS`, by name."""
    return {one.name: one.pixels() for one in photographs() if one.name not in PHOTOS["val"]}


def write_drawn_words(
    parent: str | Path,
    *,
    pictures: int,
    resolution: int = 64,
    masks: str = "thick_512@64",
    heights: Sequence[int] = (10, 12, 16),
    pairs: int = 1,
    seed: int = 0,
) -> Path:
    """Write the data set, and return its folder. An existing folder is not written again.

    Args:
        parent: folder in which data sets are written. The folder appears completely or not at all.
        pictures: number of pictures.
        resolution: side of the pictures in pixels.
        masks: family of masks; see `bench.data.masks.preset`.
        heights: sizes of the fonts in pixels. Equally many pairs have each of them, in random order.
        pairs: number of pairs of words in each picture.
        seed: seed of all random values.
    """
    drawing = Drawing(resolution, preset(masks), tuple(heights), pairs)
    sizes = "-".join(map(str, drawing.heights))
    name = f"words-v{VERSION}-seed{seed}-{pictures}at{resolution}-{masks}-{pairs}of{sizes}"
    return written_once(Path(parent) / name, lambda folder: _write(folder, drawing, pictures, seed))


def _write(folder: Path, drawing: Drawing, pictures: int, seed: int) -> None:
    for part in (IMAGES, MASKS):
        (folder / part).mkdir()
    lines = []
    turns = np.arange(pictures * drawing.pairs) % len(drawing.heights)
    heights = np.asarray(drawing.heights)[numpy_generator(seed, "drawn words", "heights").permutation(turns)]
    for index, sizes in enumerate(heights.reshape(pictures, drawing.pairs)):
        name, generator = f"{index:04d}.png", numpy_generator(seed, "drawn words", index)
        crop = background(index, drawing.resolution, generator)
        pixels, mask, words = _drawn(crop.pixels, drawing, sizes, generator)
        write_picture(folder / IMAGES / name, pixels)
        write_picture(folder / MASKS / name, 255 * mask)
        lines.append({"file": f"{IMAGES}/{name}", "source": crop.source, "words": words_as_lines(words)})
    write_notes(folder / NOTES, lines)


def _drawn(
    crop: Pixels, drawing: Drawing, heights: npt.NDArray[np.int_], generator: np.random.Generator
) -> tuple[Pixels, Pixels, list[Word]]:
    """Draw the words of one picture, and return the picture, its mask and its words.

    Masks and words are drawn again until every word has a place.

    Args:
        crop: crop S×S×3 of a photograph, which stays unchanged.
        drawing: settings of the data set.
        heights: height of the letters of each pair of words.
        generator: random generator for the mask, the words and their places.

    Raises:
        ValueError: the words have no place in any of `ATTEMPTS` masks.
    """
    for _ in range(ATTEMPTS):
        accepted = accept_masks(drawing.masks, drawing.resolution, drawing.resolution, generator)
        if accepted is None:
            continue
        mask, words, pixels = accepted[0], list[Word](), crop.copy()
        free = np.ones(mask.shape, np.bool_)
        for number in range(2 * len(heights)):
            letters = _letters(int(heights[number // 2]), generator)
            corner = _corner(pixels, mask, free, letters.ink.shape, crossing=number % 2 == 1, generator=generator)
            if corner is None:
                break
            words.append(_write_word(pixels, letters, corner))
            words[-1].cut(free)[...] = False
        if len(words) == 2 * len(heights):
            return pixels, mask, words
    raise ValueError(
        f"{len(heights)} pairs of words of {', '.join(map(str, drawing.heights))} pixels have no place in a picture "
        f"with a side of {drawing.resolution} pixels"
    )


class Letters(NamedTuple):
    """A word in a font: its text, its height, and how much of each pixel of its box is covered by ink."""

    text: str
    height: int
    ink: npt.NDArray[np.float64]
    """Values h×w in [0, 1]."""


def _letters(height: int, generator: np.random.Generator) -> Letters:
    """Draw a random word in a random font of a given size."""
    text = WORDS[int(generator.integers(len(WORDS)))]
    font = _font(FONTS[int(generator.integers(len(FONTS)))], height)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    sheet = Image.new("L", (right - left + 2 * MARGIN, bottom - top + 2 * MARGIN))
    ImageDraw.Draw(sheet).text((MARGIN - left, MARGIN - top), text, font=font, fill=255)
    return Letters(text, height, np.asarray(sheet) / 255)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def _corner(
    pixels: Pixels,
    mask: Pixels,
    free: npt.NDArray[np.bool_],
    shape: tuple[int, ...],
    *,
    crossing: bool,
    generator: np.random.Generator,
) -> tuple[int, int] | None:
    """Return the row and the column of the first pixel of a word's box; None if there is no place for the box.

    Args:
        pixels: picture S×S×3.
        mask: mask S×S, 1 = hole.
        free: S×S booleans, False where another word is.
        shape: height and width of the box.
        crossing: True if a part of the box must lie in the hole; False if no pixel of the box may lie there.
        generator: random generator for the choice of the place.
    """
    inside, area = _sums(mask, shape), shape[0] * shape[1]
    fitting = (inside >= SHARES[0] * area) & (inside <= SHARES[1] * area) if crossing else inside == 0
    corners = np.argwhere(fitting & (_sums(~free, shape) == 0))
    if not len(corners):
        return None
    tried = corners[generator.choice(len(corners), size=min(TRIED, len(corners)), replace=False)]
    row, column = max(tried, key=lambda corner: _contrast(_part(pixels, corner, shape)))
    return int(row), int(column)


def _sums(values: npt.NDArray[np.generic], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the sum of 0 and 1 over each box of the given height and width, by the box's first pixel."""
    height, width = shape
    if height > values.shape[0] or width > values.shape[1]:
        return np.zeros((0, 0), np.int64)
    whole = np.pad(values.astype(np.int64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = whole[height:, width:] - whole[:-height, width:] - whole[height:, :-width] + whole[:-height, :-width]
    return np.asarray(sums, np.int64)


def _part(pixels: Pixels, corner: Sequence[int], shape: tuple[int, ...]) -> Pixels:
    return pixels[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]


def _contrast(behind: Pixels) -> float:
    """Return the contrast of letters with the pixels behind them: the difference of the means minus the deviation."""
    return float(abs(_level(behind) - behind.mean()) - behind.std())


def _level(behind: Pixels) -> int:
    """Return the grey level of letters on these pixels: black on a light background, white on a dark one."""
    return 0 if behind.mean() > 127.5 else 255


def _write_word(pixels: Pixels, letters: Letters, corner: tuple[int, int]) -> Word:
    """Draw a word into a picture, and return the word with its box."""
    behind, ink = _part(pixels, corner, letters.ink.shape), letters.ink[..., None]
    behind[...] = np.round(ink * _level(behind) + (1 - ink) * behind).astype(np.uint8)
    (top, left), (height, width) = corner, letters.ink.shape
    return Word(letters.text, left, top, left + width, top + height, letters.height)
