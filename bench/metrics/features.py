"""Features of many items, which are read from files piece by piece.

A program that reads the features with `Features.blocks` needs about the same memory for any number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "Features", "Piece"]

Array = npt.NDArray[Any]

BLOCK = 4096
"""Largest number of items whose features `Features.blocks` reads into memory at the same time."""
HELD = 16 * 2**20
"""Limit in bytes for the features of all items together, as float32. Features within this limit are read once and stay
in memory. Larger features are read again each time."""


@dataclass(frozen=True)
class Piece:
    """A group of consecutive items: their number, and a function that reads their features."""

    count: int
    load: Callable[[], Array]
    """Function that reads the features, count×d. Every call must return the same values."""


@dataclass
class _Source:
    pieces: Sequence[Piece]
    width: int
    held: Array | None = None
    starts: npt.NDArray[np.int_] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = np.cumsum([0, *(piece.count for piece in self.pieces)])

    def read(self, places: npt.NDArray[np.int_]) -> Array:
        """Return the features of some items as a new float64 array, which the caller may change.

        Args:
            places: indices of the items, in ascending order.
        """
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
    """Features N×d that are read only when they are needed.

    `features[chosen]` selects some of the items without reading anything.
    """

    ndim = 2

    def __init__(self, pieces: Sequence[Piece], width: int) -> None:
        """Set the pieces.

        Args:
            pieces: pieces of all items, in the items' order.
            width: number d of features of each item.
        """
        self._source = _Source(pieces, width)
        self._places = np.arange(self._source.starts[-1])

    @classmethod
    def of(cls, features: npt.ArrayLike | Features, name: str = "features") -> Features:
        """Return a `Features` object with the given features. A given `Features` object is returned unchanged.

        Args:
            features: array N×d in memory, or a `Features` object.
            name: name of the features in error messages.

        Raises:
            ValueError: the shape is not N×d.
        """
        if isinstance(features, Features):
            return features
        array = np.asarray(features)
        if array.ndim != 2 or array.shape[1] < 1:
            raise ValueError(f"{name} must have shape N×d with d >= 1: found {array.shape}")
        made = cls([Piece(len(array), lambda: array)], array.shape[1])
        made._source.held = array
        return made

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._places), self._source.width

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, chosen: npt.ArrayLike) -> Features:
        """Return the features of some of the items, without reading them.

        Args:
            chosen: N booleans, or indices in ascending order.

        Raises:
            IndexError: an index is out of range.
            ValueError: the indices are not in ascending order.
        """
        places = self._places[np.asarray(chosen)]
        if (np.diff(places) < 0).any():
            raise ValueError("indices of features must be in ascending order: found another order")
        view = object.__new__(Features)
        view._source, view._places = self._source, places
        return view

    def blocks(self) -> Iterator[Array]:
        """Yield the features of all items, in the items' order, as float64 arrays n×d with n <= `BLOCK`.

        The caller may change the arrays.
        """
        for start in range(0, len(self), BLOCK):
            yield self._source.read(self._places[start : start + BLOCK])

    def array(self) -> Array:
        """Read all features into memory, and return them as one float64 array N×d."""
        return self._source.read(self._places)

    def sum(self) -> Array:
        """Return the sum of the N feature vectors, d values."""
        return np.asarray(np.sum([block.sum(0) for block in self.blocks()], axis=0))

    def not_finite(self) -> int:
        """Return how many of the N×d values are NaN or infinite."""
        return sum(int(np.count_nonzero(~np.isfinite(block))) for block in self.blocks())
