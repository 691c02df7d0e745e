"""Features of many items in pieces that are read when needed, so that memory does not grow with the number of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "Features", "Piece"]

Array = npt.NDArray[Any]

BLOCK = 4096
"""Largest number of items that are in memory at the same time."""
HELD = 16 * 2**20
"""Largest size in bytes, as float32, of features that stay in memory after they were read."""


@dataclass(frozen=True)
class Piece:
    """The features of some consecutive items."""

    count: int
    load: Callable[[], Array]
    """Function that returns count×d values, which are equal in each call."""


@dataclass
class _Source:
    pieces: Sequence[Piece]
    width: int
    held: Array | None = None
    starts: npt.NDArray[np.int_] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = np.cumsum([0, *(piece.count for piece in self.pieces)])

    def read(self, places: npt.NDArray[np.int_]) -> Array:
        """Return the features at places in ascending order, as a new float64 array that the caller may change."""
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
    """N×d features that are read when needed; `features[chosen]` selects items and reads nothing."""

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
        """Wrap features that are already in memory.

        Raises:
            ValueError: the shape is not N×d.
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
        """Return some of the items.

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
        """Yield all features in order as float64 arrays of at most `BLOCK` items, which the caller may change."""
        for start in range(0, len(self), BLOCK):
            yield self._source.read(self._places[start : start + BLOCK])

    def array(self) -> Array:
        """Return all features as one float64 array in memory."""
        return self._source.read(self._places)

    def sum(self) -> Array:
        """Return the sum over the items, d values."""
        return np.asarray(np.sum([block.sum(0) for block in self.blocks()], axis=0))

    def not_finite(self) -> int:
        """Return the number of values that are not finite."""
        return sum(int(np.count_nonzero(~np.isfinite(block))) for block in self.blocks())
