"""Prefetching of items: the next block is read from the disk while the networks process the current one."""

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
    """The blocks of items in a known order; requests in another order only wait longer."""

    def __init__(self, items: Items, spans: Sequence[Span]) -> None:
        """Set the items and the order; nothing is read yet, because no item is needed if all results are stored.

        Args:
            items: the items to read.
            spans: start and (exclusive) end of each block, in the order in which they are likely to be requested.
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
        """Return a block and start to read its successor; a block that was read ahead but not requested is dropped.

        Raises:
            DamagedItemsError: an item differs from the manifest.
        """
        waiting, self._reading = self._reading.pop(span, None), {}
        block = self._items.read(*span) if waiting is None else waiting.result()
        following = self._next.get(span)
        if following is not None:
            self._reading[following] = self._thread.submit(self._items.read, *following)
        return block
