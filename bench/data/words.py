"""Words that are written in a picture: the text of each word, and the box of pixels that contains it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from bench.runtime.strict_json import checked

__all__ = ["Word", "WordLine", "words_as_lines", "words_of"]


class WordLine(TypedDict):
    """A word as plain data, in the file of a data set and in the manifest."""

    text: Annotated[str, Field(min_length=1)]
    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    right: Annotated[int, Field(ge=1)]
    bottom: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Word:
    """A word in a picture, and its box in pixels of this picture."""

    text: str
    """The word as it was drawn; empty if it is not known, because a program found the word."""
    left: int
    top: int
    right: int
    """Column after the last column of the box."""
    bottom: int
    """Row after the last row of the box."""
    height: int
    """Height of the letters in pixels: the size of the font of a drawn word, which is the height of a line from the top
    of tall letters to the bottom of descending ones; the height of the box of a word that a program found."""

    def fits(self, shape: Sequence[int]) -> bool:
        """Return True if the box has at least one pixel and lies inside a picture with this height and width."""
        return 0 <= self.left < self.right <= shape[1] and 0 <= self.top < self.bottom <= shape[0]

    def cut(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the part of an array H×W or H×W×C that lies in the box."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def is_outside(self, hole: npt.NDArray[np.bool_]) -> bool:
        """Return True if no pixel of the box lies in the hole.

        Args:
            hole: H×W booleans, True in the hole.
        """
        return not self.cut(hole).any()

    def crosses(self, hole: npt.NDArray[np.bool_]) -> bool:
        """Return True if some pixels of the box lie in the hole and others are known.

        Args:
            hole: H×W booleans, True in the hole.
        """
        inside = self.cut(hole)
        return bool(inside.any() and not inside.all())


def words_of(lines: Any, place: str) -> tuple[Word, ...] | None:
    """Return the words that plain data describes; None if the data is None, because no words are known.

    Args:
        lines: list of words, each with the keys of `WordLine`; or None.
        place: origin of the data for error messages, such as the path of a file.

    Raises:
        BadInputError: the data does not describe words.
    """
    return None if lines is None else tuple(Word(**line) for line in checked(lines, list[WordLine], place))


def words_as_lines(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Return words as plain data, from which `words_of` makes equal words."""
    return [asdict(word) for word in words]
