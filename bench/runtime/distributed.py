"""Functions with which the processes that `torchrun` started for one run wait for each other and exchange values."""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, distributed

from bench.errors import RunFailedError

__all__ = ["World"]

T = TypeVar("T")

_sessions: list[str] = []
"""The session of this process, if it has joined other processes."""


@dataclass(frozen=True)
class World:
    """The rank of this process, and the number of processes that work on one run together.

    `rank` is the index of this process, from 0 on, and `size` is the number of processes.
    """

    rank: int = 0
    size: int = 1
    session: str = ""
    """Text that is equal in all processes that `torchrun` started together, and different in each other start.

    It names files by which these processes wait for each other. It is empty if this is the only process.
    """

    @classmethod
    def here(cls) -> World:
        """Return the rank and the size that `torchrun` sets, without a connection to the other processes.

        Without `torchrun`, the rank is 0 and the size is 1.
        """
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    @classmethod
    def join(cls, device: torch.device) -> World:
        """Connect this process to the other processes that `torchrun` started.

        The connection uses NCCL on CUDA and gloo on other devices.

        Returns:
            Rank, size and session of this process. Without `torchrun`, this is the only process: the rank is 0 and the
            size is 1.
        """
        if "WORLD_SIZE" not in os.environ or not distributed.is_available():
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            _sessions.clear()
            if distributed.get_backend() == "gloo":
                atexit.register(cls.leave)
        world = cls(distributed.get_rank(), distributed.get_world_size())
        if not _sessions:  # all processes join for the first time together
            _sessions.append(str(world.all_reduce_sum(secrets.randbits(62) if world.is_main_process else 0, device)))
        return replace(world, session=_sessions[0] if world.size > 1 else "")

    @classmethod
    def leave(cls) -> None:
        """End the connection to the other processes. If this process has no connection, do nothing.

        A process that exits while it is connected by gloo is sometimes aborted, because threads of gloo still run. With
        NCCL, this function must not be called after a failure, because it could wait for a process that has ended.
        """
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()

    @property
    def is_main_process(self) -> bool:
        """True if this is the main process (rank 0), which writes the results."""
        return self.rank == 0

    def rotated(self, whole: Sequence[T]) -> list[T]:
        """Return the elements of `whole` in the order in which this process should try to take them.

        Every process gets all elements, but each process starts with a different element. If each process tries the
        elements one after another, two processes seldom try to take the same element at the same time.
        """
        start = self.rank * len(whole) // self.size
        return [*whole[start:], *whole[:start]]

    def wait(self) -> None:
        """Wait until all processes have reached this call."""
        if self.size > 1:
            with self.together():
                distributed.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise an error with a clear message if another process ends while the `with` block exchanges data with it.

        Raises:
            RunFailedError: another process has ended, so that the block cannot finish.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or (not isinstance(error, distributed.DistError) and "losed by peer" not in str(error)):
                raise
            raise RunFailedError(
                f"process {self.rank} of {self.size}: another process ended. Its error is above, unless the system "
                "killed it, possibly for lack of memory. Run the same command again to continue; the number of "
                "processes may be different"
            ) from None

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """Return the mean, element by element, of the tensors that all processes pass as `values`.

        If there are several processes, the sum of the tensors overwrites `values`.
        """
        if self.size > 1:
            with self.together():
                distributed.all_reduce(values)
        return values / self.size

    def all_reduce_sum(self, count: int, device: torch.device) -> int:
        """Return the sum of the numbers that all processes pass as `count`."""
        counts = torch.tensor(count, device=device)
        if self.size > 1:
            with self.together():
                distributed.all_reduce(counts)
        return int(counts)

    def any_process(self, flag: bool, device: torch.device) -> bool:
        """Return True in every process if at least one process passes True as `flag`."""
        return self.all_reduce_sum(int(flag), device) > 0
