"""Functions that choose and describe the device on which a run computes, wait for its work, and switch TF32."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from bench.errors import BadInputError

__all__ = ["choose_device", "describe", "finish", "tf32", "without_tf32"]


def choose_device(name: str) -> torch.device:
    """Return the PyTorch device with a given name, and turn TF32 off.

    Without TF32, products of float32 values are computed in float32. TF32 would change the third digit of every metric.
    TF32 is allowed only inside a `with` block of the function `tf32`.

    If `torchrun` started this process and the device is CUDA without an index, the index is the local rank of the
    process.

    Args:
        name: name of a PyTorch device, such as `cpu`, `cuda` or `cuda:1`; or `auto` for CUDA if it is available, and
            for the CPU otherwise.

    Raises:
        BadInputError: the device does not exist on this machine.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise BadInputError(f"device: expected auto, cpu or a device that exists, found {name} ({reason})") from error
    return device


def finish(device: torch.device) -> None:
    """Wait until a device has finished all its work, so that a clock that is read afterwards includes this work.

    This is necessary because work on CUDA runs in the background.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(device: torch.device) -> str:
    """Describe a device in words, such as the name of the GPU, or the processor type and the number of threads.

    Two devices have the same description if they are expected to give equal results.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads"


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let CUDA use TF32 during the `with` block if `allowed` is True. If it is False, no setting is changed."""
    with _tf32_set_to(True) if allowed else nullcontext():
        yield


@contextmanager
def without_tf32() -> Iterator[None]:
    """Keep CUDA from using TF32 during the `with` block, even if other code in this process has allowed TF32."""
    with _tf32_set_to(False):
        yield


@contextmanager
def _tf32_set_to(allowed: bool) -> Iterator[None]:
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = allowed
    try:
        yield
    finally:
        for backend, kept in zip(backends, before, strict=True):
            backend.allow_tf32 = kept
