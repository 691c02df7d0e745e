"""Batches that fit the device: a probe finds their size, and a batch that runs out of memory is halved."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from bench.store import Fact

__all__ = ["Batches", "probe_batch_size"]

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

LARGEST = 64
"""Largest batch size that a probe tries."""
CPU_SIZE = 8
"""Batch size on a CPU, where larger batches are no faster."""
LEAST_GAIN = 1.05
"""Smallest speedup in items per second for which the batch size is doubled; a smaller one may be timing noise."""


class Batches:
    """Batches that fit the device. If one does not fit, it and all later batches have half its size.

    A probe of the first work can choose the size. The store remembers the size that the probe finds, and each smaller
    size that later turns out to fit, for later runs on the same device.
    """

    def __init__(self, size: int | None, *, known: Fact | None = None, device: torch.device | None = None) -> None:
        """Set the size of the first batch.

        Args:
            size: batch size, 1 or more; None to use the remembered size, or else the size that a probe finds.
            known: place in the store that remembers the size; it is read only if `size` is None.
            device: device that does the work, as in `probe_batch_size`.
        """
        self.size = size
        """Number of items in a batch; None before a size was tried."""
        self._known, self._device = None if size else known, device
        if self._known is not None:
            remembered = (self._known.recall() or {}).get("size")
            self.size = remembered if isinstance(remembered, int) and remembered >= 1 else None
        self._warned = False

    @property
    def most(self) -> int:
        """Upper limit of the batch size, also for a size that a probe is still to find."""
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
            call: function that processes one batch. It may be called again on items of a batch that did not fit.
            probe: function with which batch sizes are tried; None for `call` itself.

        Yields:
            The result of `call` for each batch, in the order of the items.

        Raises:
            torch.OutOfMemoryError: a single item does not fit.
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
                log.warning("%d items at once do not fit the device's memory; going on with fewer", len(batch))
                self._warned = True

    def _set_size(self, size: int) -> None:
        self.size = size
        if self._known is not None:
            self._known.remember({"size": size})


def probe_batch_size(
    call: Callable[[Sequence[T]], object],
    items: Sequence[T],
    largest: int = LARGEST,
    *,
    device: torch.device | None = None,
) -> int:
    """Return the largest batch size, a power of two, up to which each doubling fits and makes the work faster.

    Args:
        call: function that processes one batch; the less time it takes, the better.
        items: items to try it on, at least as many as the largest batch that is tried.
        largest: largest batch size to try.
        device: device on which `call` computes; None for CUDA if it is available, and else the CPU. On the CPU nothing
            is tried.

    Raises:
        torch.OutOfMemoryError: a single item does not fit.
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
    """Return the number of items that a call processes per second."""
    _wait()
    start = time.perf_counter()
    call(batch)
    _wait()
    return len(batch) / max(time.perf_counter() - start, 1e-9)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
