"""A function and a class that copy tensors between the memory of the CPU and a device.

A GPU computes in the background: the CPU queues work in a stream, and does not wait for the work. All copies from and
to CUDA use pinned memory and separate streams, so that neither the CPU nor the work that is already queued waits for
the copies. The only function that waits is `ReadBack.wait`.

Copies to a device have one stream, and copies from the device have another stream. In one common stream, the inputs of
the next batch could be copied only after the results of the current batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["ReadBack", "moved"]

Array = npt.NDArray[Any]
K = TypeVar("K", bound=Hashable)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device. If the tensor is not on this device yet, copy it to the device.

    A copy from the CPU to CUDA runs at the same time as the work that is already queued. Work that is queued later
    waits for the copy.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    side, current = _to_device(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(side):
        copy = tensor.pin_memory().to(device, non_blocking=True)
    current.wait_stream(side)
    copy.record_stream(current)  # the memory is not reused before the work that is queued now is finished
    return copy


class ReadBack(Generic[K]):
    """An object that copies tensors from a device to the memory of the CPU, while the CPU does other work.

    All tensors of equal type on one device are joined on this device, and copied in one step. The copies are queued
    when the object is created. They begin when the work that was queued before them is finished.
    """

    def __init__(self, values: Mapping[K, Tensor | Array]) -> None:
        """Start to copy the tensors.

        Args:
            values: tensors of any shape on any device, and NumPy arrays, which `wait` returns unchanged.
        """
        self._order = list(values)
        self._arrays = {key: value for key, value in values.items() if not isinstance(value, Tensor)}
        groups: dict[tuple[torch.device, torch.dtype], dict[K, Tensor]] = {}
        for key, value in values.items():
            if isinstance(value, Tensor):
                groups.setdefault((value.device, value.dtype), {})[key] = value.detach()
        self._parts = [{key: tensor.shape for key, tensor in group.items()} for group in groups.values()]
        joined = [torch.cat([tensor.reshape(-1) for tensor in group.values()]) for group in groups.values()]
        self._copies = [_copied_to_cpu(tensor) for tensor in joined]

    def wait(self) -> dict[K, Array]:
        """Wait until all copies are finished, and return the values as NumPy arrays, in the order of the inputs."""
        found = dict(self._arrays)
        for parts, (copy, finished) in zip(self._parts, self._copies, strict=True):
            if finished is not None:
                finished.synchronize()
            pieces = torch.split(copy, [shape.numel() for shape in parts.values()])
            found |= {key: one.view(shape).numpy() for (key, shape), one in zip(parts.items(), pieces, strict=True)}
        return {key: found[key] for key in self._order}


def _copied_to_cpu(tensor: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Copy a tensor to the CPU.

    Returns:
        The copy and an event. If the tensor is on CUDA, the copy is in pinned memory, and may be used only after the
            event. Otherwise the copy may be used at once, and the event is None.
    """
    if tensor.device.type != "cuda":
        return tensor.cpu(), None
    side = _from_device(tensor.device)
    side.wait_stream(torch.cuda.current_stream(tensor.device))
    with torch.cuda.stream(side):
        copy = tensor.to("cpu", non_blocking=True)
        tensor.record_stream(side)  # the memory is not reused before the copy is finished
        return copy, side.record_event()


@cache
def _to_device(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@cache
def _from_device(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
