"""Networks compiled by `torch.compile`: whether a mode can be had here, and which modes reuse their output."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from bench.errors import BadInputError

__all__ = ["GRAPHS", "check_compiler", "check_mode", "compile_network"]

GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes with CUDA graphs, whose next call writes over the output of the one before."""
KEY = "compile"
ALONE = {"isolate_recompiles": True}
"""Every network has compiled forms of its own. Else they count for its class, and after eight PyTorch compiles none."""


def check_mode(mode: str | None, device: torch.device) -> None:
    """See that a mode is one for a device.

    Args:
        mode: one of `bench.schema.COMPILE`; None for not compiled.
        device: where networks run.

    Raises:
        BadInputError: it needs a GPU.
    """
    if mode == "reduce-overhead" and device.type != "cuda":
        raise BadInputError(f"{KEY}: {mode} is CUDA graphs: expected a GPU, found the device {device}")


def check_compiler(mode: str, device: torch.device) -> None:
    """See that what it takes to compile for a device is installed, by compiling the least network.

    Args:
        mode: for the message.
        device: where networks run.

    Raises:
        BadInputError: it is not, such as a C++ compiler.
    """
    unlike = float(time.time_ns() % 10**9)  # or what an earlier process compiled would be taken, without any compiler
    try:
        least = torch.compile(lambda x: torch.cos(x) + unlike, **ALONE)  # type: ignore[call-overload]  # its stub is older
        least(torch.ones(5, device=device))
    except Exception as error:  # whatever is missing, each back end has an error of its own
        raise BadInputError(f"{KEY}: {mode} does not work on {device} here: {_reason(error)}") from error


def compile_network(network: nn.Module, mode: str, **options: Any) -> None:
    """Have a network compiled at its first call; it stays the module that it is.

    Args:
        network: changed in place.
        mode: one of `bench.schema.COMPILE`.
        options: further ones of `torch.compile`.
    """
    network.compile(mode=mode, **ALONE, **options)


def _reason(error: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith("raised:")), lines[0] if lines else type(error).__name__)
