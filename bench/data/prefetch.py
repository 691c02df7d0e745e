"""Reads items ahead of time: a thread reads the next block from disk while networks process the current one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Self

from bench.data.items import Item
from bench.data.prepared import Items

__all__ = ["ReadAhead"]

Span = tuple[int, int]


class ReadAhead:
    """A reader of blocks of items that knows the order of the blocks. It reads the next block while one block is used.

    A caller may also request the blocks in another order, but must then wait until each block is read.
    """

    def __init__(self, items: Items, spans: Sequence[Span]) -> None:
        """Set the items and the expected order of the blocks.

        Nothing is read before the first request, because no item is needed if the store has all results.

        Args:
            items: the items to read.
            spans: for each block, the index of its first item and the index after its last item. The blocks are in the
                order in which they are likely to be requested.
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
        """Return the items of a block, and start to read the next block in the background.

        If a block other than `span` was read ahead, its items are discarded.

        Args:
            span: the index of the block's first item and the index after its last item.

        Raises:
            DamagedItemsError: an item differs from the manifest.
        """
        waiting, self._reading = self._reading.pop(span, None), {}
        block = self._items.read(*span) if waiting is None else waiting.result()
        following = self._next.get(span)
        if following is not None:
            self._reading[following] = self._thread.submit(self._items.read, *following)
        return block
