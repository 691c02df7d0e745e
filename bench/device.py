"""Where a run computes."""

from __future__ import annotations

import os

import torch

from bench.errors import BadInputError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """The device of that name, `auto` being CUDA where there is one and the CPU elsewhere.

    Products in float32 stay float32: TF32 would move every metric in its third digit. Where `torchrun` started several
    processes on this machine, CUDA is for each the device of its own number.

    Raises:
        BadInputError: there is no such device here.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise BadInputError(f"device: expected auto, cpu or a device that is there, found {name} ({reason})") from error
    return device
