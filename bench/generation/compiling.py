"""Compilation of networks by `torch.compile`, and checks that a compile mode and the compiler work on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.errors import BadInputError

__all__ = ["GRAPHS", "check_compiler", "check_mode", "compile_forward", "compile_network"]

GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes with CUDA graphs. With these modes, each call of a network overwrites the output of its previous call."""
KEY = "compile"
ISOLATED = {"isolate_recompiles": True}
"""Option of `torch.compile` that counts compiled variants for each network separately.

Otherwise all networks of a class share one count, and PyTorch stops compiling after eight variants.
"""


def check_mode(mode: str | None, device: torch.device) -> None:
    """Check that a mode of `torch.compile` works on a device.

    Args:
        mode: one of `bench.config.schema.COMPILE`; None if networks are not compiled.
        device: device of the networks.

    Raises:
        BadInputError: the mode needs a GPU, and the device is not one.
    """
    if mode == "reduce-overhead" and device.type != "cuda":
        raise BadInputError(f"{KEY}={mode}: expected a GPU, which CUDA graphs need, found the device {device}")


def check_compiler(mode: str, device: torch.device) -> None:
    """Check that the compiler works for a device, by compiling a tiny function.

    Args:
        mode: the requested mode, for the error message only.
        device: device of the networks.

    Raises:
        BadInputError: the compilation failed, for example because there is no C++ compiler.
    """
    unique = float(time.time_ns() % 10**9)  # unique, so that no cached result of an earlier process is used
    try:
        tiny = torch.compile(lambda x: torch.cos(x) + unique, **ISOLATED)  # type: ignore[call-overload]  # old stub
        tiny(torch.ones(5, device=device))
    except Exception as error:  # each back end has its own error for whatever is missing
        raise BadInputError(
            f"{KEY}={mode}: expected that PyTorch can compile for the device {device}, found the error {_reason(error)}"
        ) from error


def compile_network(network: nn.Module, mode: str, **options: Any) -> None:
    """Make a network compile itself at its first call. The network stays the same object.

    Args:
        network: the network, which is changed in place.
        mode: one of `bench.config.schema.COMPILE`.
        options: further options of `torch.compile`.
    """
    network.compile(mode=mode, **ISOLATED, **options)


def compile_forward(network: Any, mode: str, **options: Any) -> None:
    """Make the current `forward` of a network compile itself at its first call. The network stays the same object.

    With CUDA graphs, the outputs are copied, so that they stay valid after later calls.

    Args:
        network: a denoising network of diffusers, such as a UNet. It is changed in place.
        mode: one of `bench.config.schema.COMPILE`.
        options: further options of `torch.compile`.
    """
    settings: dict[str, Any] = {**ISOLATED, **options}
    compiled = torch.compile(network.forward, mode=mode, **settings)
    network.forward = _copying(compiled) if mode in GRAPHS else compiled


def _copying(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls the `forward` of a denoising network, and returns a copy of its output.

    The output is a tuple of tensors, or an object with the tensor `sample`.
    """

    def copied(*arguments: Any, **named: Any) -> Any:
        output = forward(*arguments, **named)
        if isinstance(output, tuple):
            return tuple(part.clone() for part in output)
        output.sample = output.sample.clone()
        return output

    return copied


def _reason(error: BaseException) -> str:
    """Return the first line of an error's message. Lines that end with "raised:" are skipped if there are other lines.

    If the message is empty, return the name of the error's type.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith("raised:")), lines[0] if lines else type(error).__name__)
