"""Batches that fit the device: halved where memory runs out, and a size found by trying."""

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
"""Items at once that a probe tries."""
CPU_SIZE = 8
"""On the CPU larger batches are no faster."""
LEAST_GAIN = 1.05
"""Ratio of items a second by which a doubled batch must be faster to be taken: below it lies the clock's noise."""


class Batches:
    """Work in batches that fit the device: one that does not is halved, and so are all that follow.

    The size may be left to a probe of the first work. What it finds, and what turns out to fit, is remembered for later
    runs on the same device.
    """

    def __init__(self, size: int | None, *, known: Fact | None = None, device: torch.device | None = None) -> None:
        """Begin with batches of that size.

        Args:
            size: 1 or more; None for the one that is known, or for what a probe finds.
            known: where the size is remembered; asked only where none is given.
            device: where the work is done, as `probe_batch_size` has it.
        """
        self.size = size
        """Items at once; None before anything was tried."""
        self._known, self._device = None if size else known, device
        if self._known is not None:
            found = (self._known.recall() or {}).get("size")
            self.size = found if isinstance(found, int) and found >= 1 else None
        self._warned = False

    @property
    def most(self) -> int:
        """Items at once at most, whatever a probe may find."""
        return self.size or (LARGEST if _may_probe(self._device) else CPU_SIZE)

    def over(
        self,
        items: Sequence[T],
        call: Callable[[Sequence[T]], R],
        *,
        probe: Callable[[Sequence[T]], object] | None = None,
    ) -> Iterator[R]:
        """Work on items.

        Args:
            items: in order.
            call: the work on one batch. It may be called again on items of a batch that did not fit.
            probe: that which a size is tried with; None for `call` itself.

        Yields:
            What `call` returned, batch by batch, in the order of the items.

        Raises:
            torch.OutOfMemoryError: one item alone does not fit.
        """
        if self.size is None:
            found = probe_batch_size(probe or call, items, device=self._device)
            if len(items) < 2 * found <= self.most:  # so few say nothing of larger batches
                yield from Batches(found).over(items, call)
                return
            self._fits(found)
        assert self.size is not None
        start = 0
        while start < len(items):
            batch = items[start : start + self.size]
            try:
                made = call(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
            else:
                yield made
                start += len(batch)
                continue
            # Only here is the exception gone, and with it the frames that hold what filled the memory.
            self._fits(len(batch) // 2)
            torch.cuda.empty_cache()
            if not self._warned:
                log.warning("%d items at once do not fit the device's memory; going on with fewer", len(batch))
                self._warned = True

    def _fits(self, size: int) -> None:
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
    """The batch size, a power of two, beyond which work is no faster or does not fit.

    Args:
        call: the work on one batch; the shorter, the better.
        items: to try it on, at least as many as the largest batch that is tried.
        largest: batch size.
        device: where `call` computes; None for CUDA where there is one and the CPU elsewhere. On the CPU nothing is
            tried.

    Raises:
        torch.OutOfMemoryError: one item alone does not fit.
    """
    if not _may_probe(device):
        return max(1, min(CPU_SIZE, largest))
    call(items[:1])  # the first call of all also chooses kernels
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
    """Items a second."""
    _wait()
    start = time.perf_counter()
    call(batch)
    _wait()
    return len(batch) / max(time.perf_counter() - start, 1e-9)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
