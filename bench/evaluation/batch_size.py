"""Divides items into batches that fit into the memory of the device.

A probe finds a good batch size. If a batch later runs out of memory, the batch size is halved.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

from bench.store import Fact

__all__ = ["Batches", "finished_one_later", "probe_batch_size"]

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

LARGEST = 64
"""Largest batch size that a probe tries on a GPU."""
CPU_SIZE = 8
"""Batch size on every device except CUDA. On a CPU, larger batches would not be faster."""
LEAST_GAIN = 1.05
"""Smallest factor by which the number of items per second must grow if the batch size is doubled. If the factor is
smaller, the probe stops, because the gain may be timing noise."""


class Batches:
    """A division of items into batches that fit into the memory of the device.

    If a batch does not fit, its items are processed again in batches of half the size, and all later batches also have
    this smaller size.

    The caller can give the size of the first batch; then no size is saved. Without a given size, the size that an
    earlier run saved in the file `known` of the store is used. If no size is saved there, a probe on the first items
    chooses the size. The probed size and each later reduction are saved in this file, for later runs on the same
    device. A size that was probed with too few items is not saved.
    """

    def __init__(self, size: int | None, *, known: Fact | None = None, device: torch.device | None = None) -> None:
        """Set the size of the first batch.

        Args:
            size: batch size, 1 or more. None to use the size that is saved in `known`. If no size is saved, a probe
                finds the size.
            known: file of the store for the size; None to save no size. This argument is ignored if `size` is given.
            device: device that processes the batches, as in `probe_batch_size`.
        """
        self.size = size
        """Number of items in a batch; None as long as no size was given, remembered or found by a probe."""
        self._known, self._device = None if size else known, device
        if self._known is not None:
            remembered = (self._known.recall() or {}).get("size")
            self.size = remembered if isinstance(remembered, int) and remembered >= 1 else None
        self._warned = False

    @property
    def most(self) -> int:
        """Largest number of items in a batch. Before the size is known, this is the largest size that is possible."""
        return self.size or (LARGEST if _may_probe(self._device) else CPU_SIZE)

    def over(
        self,
        items: Sequence[T],
        call: Callable[[Sequence[T]], R],
        *,
        probe: Callable[[Sequence[T]], object] | None = None,
    ) -> Iterator[R]:
        """Process items batch by batch.

        Args:
            items: items in the order in which they are processed.
            call: function that processes one batch. If a batch does not fit, the function is called again with fewer
                items of the batch.
            probe: function with which a probe tries batch sizes; None to try them with `call`.

        Yields:
            The result of `call` for each batch, in the order of the items.

        Raises:
            torch.OutOfMemoryError: even a batch of one item does not fit.
        """
        if self.size is None:
            probed = probe_batch_size(probe or call, items, device=self._device)
            if len(items) < 2 * probed <= self.most:  # too few items to try larger batches: do not remember the size
                yield from Batches(probed).over(items, call)
                return
            self._set_size(probed)
        assert self.size is not None
        start = 0
        while start < len(items):
            batch = items[start : start + self.size]
            try:
                result = call(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
            else:
                yield result
                start += len(batch)
                continue
            # Outside the `except` block, the exception no longer keeps alive the frames whose tensors fill the memory.
            self._set_size(len(batch) // 2)
            torch.cuda.empty_cache()
            if not self._warned:
                log.warning(
                    "a batch of %d items does not fit into the device's memory; the run continues with smaller batches",
                    len(batch),
                )
                self._warned = True

    def _set_size(self, size: int) -> None:
        self.size = size
        if self._known is not None:
            self._known.remember({"size": size})


def finished_one_later(queued: Iterable[Callable[[], R]]) -> Iterator[R]:
    """Finish each batch after the next one is queued, so that a GPU has work while the CPU waits for results.

    Args:
        queued: for each batch, a function that waits for the results of the batch and returns them. The work of a batch
            is queued when its function is taken from this iterable.

    Yields:
        The results of the batches, in the same order.
    """
    waiting: Callable[[], R] | None = None
    for finish in queued:
        if waiting is not None:
            yield waiting()
        waiting = finish
    if waiting is not None:
        yield waiting()


def probe_batch_size(
    call: Callable[[Sequence[T]], object],
    items: Sequence[T],
    largest: int = LARGEST,
    *,
    device: torch.device | None = None,
) -> int:
    """Find the fastest batch size that fits into the memory of the device.

    The probe starts with 1 item. It doubles the size as long as the batch fits and the number of items per second grows
    by at least the factor `LEAST_GAIN`. On any other device than CUDA, nothing is tried, and the result is the smaller
    one of `CPU_SIZE` and `largest`.

    Args:
        call: function that processes one batch. The time of this function is measured.
        items: items for the trials. A batch size larger than the number of these items is not tried.
        largest: largest batch size to try.
        device: device on which `call` computes. None means CUDA if it is available, and otherwise the CPU.

    Returns:
        Number of items in a batch; on CUDA a power of two.

    Raises:
        torch.OutOfMemoryError: even a batch of one item does not fit.
    """
    if not _may_probe(device):
        return max(1, min(CPU_SIZE, largest))
    call(items[:1])  # the first call also chooses kernels, so it is not timed
    size, speed = 1, _speed(call, items[:1])
    while 2 * size <= min(largest, len(items)):
        try:
            faster = _speed(call, items[: 2 * size])
        except torch.OutOfMemoryError:
            faster = 0.0
        if faster < LEAST_GAIN * speed:
            break
        size, speed = 2 * size, faster
    torch.cuda.empty_cache()
    return size


def _may_probe(device: torch.device | None) -> bool:
    return torch.cuda.is_available() if device is None else device.type == "cuda"


def _speed(call: Callable[[Sequence[T]], object], batch: Sequence[T]) -> float:
    """Call the function once with a batch, and return the number of items that it processed per second."""
    _wait()
    start = time.perf_counter()
    call(batch)
    _wait()
    return len(batch) / max(time.perf_counter() - start, 1e-9)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
