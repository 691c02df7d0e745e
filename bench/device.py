"""Where a run computes."""

from __future__ import annotations

import torch

from bench.errors import BadInputError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """The device of that name, `auto` being CUDA where there is one and the CPU elsewhere.

    Raises:
        BadInputError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise BadInputError(f"device: expected auto, cpu or a device that is there, found {name} ({reason})") from error
    return device
