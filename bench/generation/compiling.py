"""Networks compiled by `torch.compile`: whether a mode can be had here, and which modes reuse their output."""

from __future__ import annotations

import torch

from bench.errors import BadInputError

__all__ = ["GRAPHS", "check_compile"]

GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes with CUDA graphs, whose next call writes over the output of the one before."""
KEY = "compile"


def check_compile(mode: str | None, device: torch.device) -> None:
    """See that networks can be compiled on a device, by compiling the least one.

    Args:
        mode: one of `bench.schema.COMPILE`; None for not, of which nothing is seen to.
        device: where they run.

    Raises:
        BadInputError: the mode needs a GPU, or what it takes to compile is not installed, such as a C++ compiler.
    """
    if mode is None:
        return
    if mode == "reduce-overhead" and device.type != "cuda":
        raise BadInputError(f"{KEY}: {mode} is CUDA graphs: expected a GPU, found the device {device}")
    try:
        # A shape and a constant of its own, so that no earlier result of the process is taken for it.
        torch.compile(lambda x: torch.cos(x) * 3 + 7)(torch.ones(5, device=device))
    except Exception as error:  # whatever is missing, each back end has an error of its own
        raise BadInputError(f"{KEY}: {mode} does not work on {device} here: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith("raised:")), lines[0] if lines else type(error).__name__)
