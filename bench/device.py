"""Where a run computes."""

from __future__ import annotations

import os
import platform

import torch

from bench.errors import BadInputError

__all__ = ["choose_device", "describe", "finish", "moved"]


def choose_device(name: str) -> torch.device:
    """The device of that name, `auto` being CUDA where there is one and the CPU elsewhere.

    Products in float32 stay float32: TF32 would move every metric in its third digit. Where `torchrun` started several
    processes on this machine, CUDA is for each the device of its own number.

    Raises:
        BadInputError: there is no such device here.
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
        raise BadInputError(f"device: expected auto, cpu or a device that is there, found {name} ({reason})") from error
    return device


def finish(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that a clock counts it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(device: torch.device) -> str:
    """A device in words, alike for devices that compute alike."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads"


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device; towards CUDA from pinned memory, so that this process need not wait for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
