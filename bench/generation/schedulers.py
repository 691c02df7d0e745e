"""Schedulers of diffusion models with the released scripts' settings, and checks of a user's settings.

The scripts' samplers are `ldm/models/diffusion/{ddim,plms}.py` of CompVis/stable-diffusion, with evenly spaced steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDIMScheduler, PNDMScheduler

from bench.config.schema import AUTOCAST
from bench.errors import BadInputError
from bench.generation.quiet import quiet

__all__ = ["AUTOCAST", "check_sampling", "ddim", "one_of", "plms", "precision_of", "under_autocast"]

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def check_sampling(*, steps: int, guidance_scale: float, eta: float = 0.0) -> None:
    """Refuse values that no sampler accepts.

    Args:
        steps: 1 or more.
        guidance_scale: 0 or more.
        eta: in [0, 1].

    Raises:
        BadInputError: a value is out of range; the message names the key.
    """
    if not (isinstance(steps, int) and steps >= 1):
        raise BadInputError(f"generator.steps: expected a whole number of 1 or more, found {steps}")
    if not (isinstance(guidance_scale, int | float) and guidance_scale >= 0):
        raise BadInputError(f"generator.guidance_scale: expected a number of 0 or more, found {guidance_scale}")
    if not (isinstance(eta, int | float) and 0 <= eta <= 1):
        raise BadInputError(f"generator.eta: expected a number in [0, 1], found {eta}")


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not allowed.

    Raises:
        BadInputError: the word is not allowed; the message names the key, which is below `generator`.
    """
    if value not in allowed:
        raise BadInputError(f"generator.{key}: expected one of {', '.join(allowed)}, found {value}")


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """Return the type of weights for a precision; `autocast` keeps them in float32.

    Raises:
        BadInputError: the precision is unknown, or is float16 on the CPU.
    """
    one_of("precision", name, (*PRECISIONS, AUTOCAST))
    if name == AUTOCAST:
        return torch.float32
    if name == "float16" and device.type == "cpu":
        raise BadInputError("generator.precision: expected float32 or bfloat16 on the CPU, found float16")
    return PRECISIONS[name]


def ddim(config: Mapping[str, Any]) -> Any:
    """Create a DDIM scheduler, neither clipped nor rescaled to zero terminal signal.

    Args:
        config: configuration of any scheduler, for the noise schedule and the prediction type.
    """
    with quiet():
        return DDIMScheduler.from_config(
            config, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
            rescale_betas_zero_snr=False,
        )  # fmt: skip


def plms(config: Mapping[str, Any]) -> Any:
    """Create a PLMS scheduler, which is deterministic and starts with a step of the improved Euler method.

    Args:
        config: see `ddim`.
    """
    with quiet():
        return PNDMScheduler.from_config(
            config, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading"
        )


def under_autocast(network: Any, kind: str, dtype: torch.dtype = torch.float16) -> None:
    """Make a network compute under autocast and return float32, so that the scheduler's sums stay exact.

    Args:
        network: one of diffusers' UNets, which is changed in place.
        kind: type of the device, such as `cuda`.
        dtype: type for convolutions and products.
    """
    forward = network.forward

    def half(*arguments: Any, **options: Any) -> Any:
        with torch.autocast(kind, dtype):
            output = forward(*arguments, **options)
        if isinstance(output, tuple):
            return tuple(part.float() for part in output)
        output.sample = output.sample.float()
        return output

    network.forward = half
