"""Items read ahead: the next block comes from the disk while the networks work on the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Self

from bench.data.items import Item
from bench.data.manifest import Items

__all__ = ["ReadAhead"]

Span = tuple[int, int]


class ReadAhead:
    """Blocks of items in an order that is known beforehand; whoever asks in another order only waits longer."""

    def __init__(self, items: Items, spans: Sequence[Span]) -> None:
        """Read nothing yet: where all is in the store, no item is wanted.

        Args:
            items: what to read.
            spans: first and last-but-one place of each block, in the order in which they are likely to be wanted.
        """
        self._items = items
        self._next = dict(pairwise(spans))
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._reading: dict[Span, Future[list[Item]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def read(self, span: Span) -> list[Item]:
        """A block, after which its successor is being read; one that was read in vain is forgotten.

        Raises:
            DamagedItemsError: an item is not what the manifest says.
        """
        waiting, self._reading = self._reading.pop(span, None), {}
        block = self._items.read(*span) if waiting is None else waiting.result()
        following = self._next.get(span)
        if following is not None:
            self._reading[following] = self._thread.submit(self._items.read, *following)
        return block
