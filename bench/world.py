"""The processes that work on one run together, as `torchrun` starts them."""

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
    """This process among those that work together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def here(cls) -> World:
        """What `torchrun` says of this process, whether or not it has joined the others."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    @classmethod
    def join(cls, device: torch.device) -> World:
        """The world that `torchrun` started, or a process alone; its backend is NCCL on CUDA and gloo elsewhere."""
        if "WORLD_SIZE" not in os.environ or not distributed.is_available():
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes results."""
        return self.rank == 0

    def share(self, whole: Sequence[T]) -> list[T]:
        """This process's part: every `size`-th, so that the parts differ by one at most."""
        return list(whole[self.rank :: self.size])

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What is done within it the leading process does alone, and the others once it is through."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            with self.together():
                distributed.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within it, a process that is not there any more is said in one message.

        Raises:
            RunFailedError: another process ended before it got here.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or (not isinstance(error, distributed.DistError) and "losed by peer" not in str(error)):
                raise
            raise RunFailedError(
                f"process {self.rank} of {self.size}: another one is gone; what ended it stands above, unless the "
                "kernel killed it, as for want of memory. The same command goes on from here, with any number of them"
            ) from None

    def told(self, value: T, device: torch.device) -> T:
        """What the leading process has for this."""
        if self.size == 1:
            return value
        values = [value]
        with self.together():
            distributed.broadcast_object_list(values, src=0, device=device)
        return values[0]

    def mean(self, values: Tensor) -> Tensor:
        """Of a tensor over all processes."""
        if self.size > 1:
            with self.together():
                distributed.all_reduce(values)
        return values / self.size

    def total(self, count: int, device: torch.device) -> int:
        """Of a count over all processes."""
        counts = torch.tensor(count, device=device)
        if self.size > 1:
            with self.together():
                distributed.all_reduce(counts)
        return int(counts)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is true in any process."""
        return self.total(int(flag), device) > 0
