"""Features of many items, in pieces that are read when they are wanted: memory does not grow with the items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "Features", "Piece"]

Array = npt.NDArray[Any]

BLOCK = 4096
"""Items at once, at most."""
HELD = 16 * 2**20
"""Bytes up to which features stay in memory once they were read."""


@dataclass(frozen=True)
class Piece:
    """The features of some items in a row."""

    count: int
    load: Callable[[], Array]
    """Gives count×d values, the same each time."""


@dataclass
class _Source:
    pieces: Sequence[Piece]
    width: int
    held: Array | None = None
    starts: npt.NDArray[np.int_] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = np.cumsum([0, *(piece.count for piece in self.pieces)])

    def read(self, places: npt.NDArray[np.int_]) -> Array:
        """Rows in ascending order, float64, for the caller to keep."""
        if self.held is None and 4 * self.starts[-1] * self.width <= HELD:
            self.held = np.concatenate([piece.load() for piece in self.pieces])
        if self.held is not None:
            whole = len(places) == len(self.held) and (np.diff(places) == 1).all()
            return (self.held if whole else self.held[places]).astype(np.float64)
        found = np.empty((len(places), self.width))
        bounds = np.searchsorted(places, self.starts)
        for index, piece in enumerate(self.pieces):
            first, last = bounds[index : index + 2]
            if first < last:
                found[first:last] = piece.load()[places[first:last] - self.starts[index]]
        return found


class Features:
    """N×d features, or some of them: `features[chosen]` reads nothing yet."""

    ndim = 2

    def __init__(self, pieces: Sequence[Piece], width: int) -> None:
        """Take the pieces, in the items' order.

        Args:
            pieces: of all items together.
            width: d.
        """
        self._source = _Source(pieces, width)
        self._places = np.arange(self._source.starts[-1])

    @classmethod
    def of(cls, features: npt.ArrayLike | Features, name: str = "features") -> Features:
        """The same, of features in memory.

        Raises:
            ValueError: they have another shape than N×d.
        """
        if isinstance(features, Features):
            return features
        array = np.asarray(features)
        if array.ndim != 2 or array.shape[1] < 1:
            raise ValueError(f"{name} must have shape N×d: found {array.shape}")
        made = cls([Piece(len(array), lambda: array)], array.shape[1])
        made._source.held = array
        return made

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._places), self._source.width

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, chosen: npt.ArrayLike) -> Features:
        """Some of the items.

        Args:
            chosen: N booleans, or places in ascending order.

        Raises:
            IndexError: there are no such items.
            ValueError: places in another order.
        """
        places = self._places[np.asarray(chosen)]
        if (np.diff(places) < 0).any():
            raise ValueError("features are read in ascending order: found places in another")
        view = object.__new__(Features)
        view._source, view._places = self._source, places
        return view

    def blocks(self) -> Iterator[Array]:
        """All of them in order, at most `BLOCK` at once, as float64 arrays that the caller may change."""
        for start in range(0, len(self), BLOCK):
            yield self._source.read(self._places[start : start + BLOCK])

    def array(self) -> Array:
        """All of them in memory, as float64."""
        return self._source.read(self._places)

    def sum(self) -> Array:
        """Over the items: d values."""
        return np.asarray(np.sum([block.sum(0) for block in self.blocks()], axis=0))

    def not_finite(self) -> int:
        """How many values are not finite."""
        return sum(int(np.count_nonzero(~np.isfinite(block))) for block in self.blocks())
