"""Processes that work on one run together, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from bench.errors import RunFailedError

__all__ = ["World"]

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process and the number of processes that work together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def here(cls) -> World:
        """Return the rank and size that `torchrun` sets, without joining the other processes."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    @classmethod
    def join(cls, device: torch.device) -> World:
        """Join the processes that `torchrun` started (NCCL on CUDA, gloo elsewhere); without `torchrun`, be the only
        one.
        """
        if "WORLD_SIZE" not in os.environ or not distributed.is_available():
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_main_process(self) -> bool:
        """True if this is the main process (rank 0), which writes the results."""
        return self.rank == 0

    def share(self, whole: Sequence[T]) -> list[T]:
        """Return this process's share: every `size`-th element, so that the lengths of the shares differ by 1 at
        most.
        """
        return list(whole[self.rank :: self.size])

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the block in the main process first, and in the other processes after that."""
        if not self.is_main_process:
            self.wait()
        yield
        if self.is_main_process:
            self.wait()

    def wait(self) -> None:
        """Wait until all processes have reached this call."""
        if self.size > 1:
            with self.together():
                distributed.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise one clear message if another process ends during the block.

        Raises:
            RunFailedError: another process ended before it reached this point.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or (not isinstance(error, distributed.DistError) and "losed by peer" not in str(error)):
                raise
            raise RunFailedError(
                f"process {self.rank} of {self.size}: another process ended. Its error is above, unless the system "
                "killed it, possibly for lack of memory. The same command continues, with any number of processes"
            ) from None

    def broadcast(self, value: T, device: torch.device) -> T:
        """Broadcast the main process's value to all processes and return it."""
        if self.size == 1:
            return value
        values = [value]
        with self.together():
            distributed.broadcast_object_list(values, src=0, device=device)
        return values[0]

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes."""
        if self.size > 1:
            with self.together():
                distributed.all_reduce(values)
        return values / self.size

    def all_reduce_sum(self, count: int, device: torch.device) -> int:
        """Return the sum of a count over all processes."""
        counts = torch.tensor(count, device=device)
        if self.size > 1:
            with self.together():
                distributed.all_reduce(counts)
        return int(counts)

    def any_process(self, flag: bool, device: torch.device) -> bool:
        """Return True if the flag is true in any process."""
        return self.all_reduce_sum(int(flag), device) > 0
