"""How diffusion models are sampled: schedulers as the released scripts set them, and checks of what a user may choose.

The scripts' samplers are `ldm/models/diffusion/{ddim,plms}.py` of CompVis/stable-diffusion, with evenly spaced steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDIMScheduler, PNDMScheduler

from bench.errors import BadInputError
from bench.generation.quiet import quiet
from bench.schema import AUTOCAST

__all__ = ["AUTOCAST", "check_sampling", "ddim", "one_of", "plms", "precision_of", "under_autocast"]

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def check_sampling(*, steps: int, guidance_scale: float, eta: float = 0.0) -> None:
    """Refuse numbers that no sampler takes.

    Args:
        steps: 1 or more.
        guidance_scale: 0 or more.
        eta: in [0, 1].

    Raises:
        BadInputError: the message names the key.
    """
    if not (isinstance(steps, int) and steps >= 1):
        raise BadInputError(f"generator.steps: expected a whole number of 1 or more, found {steps}")
    if not (isinstance(guidance_scale, int | float) and guidance_scale >= 0):
        raise BadInputError(f"generator.guidance_scale: expected a number of 0 or more, found {guidance_scale}")
    if not (isinstance(eta, int | float) and 0 <= eta <= 1):
        raise BadInputError(f"generator.eta: expected a number in [0, 1], found {eta}")


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among the allowed ones.

    Raises:
        BadInputError: the message names the key, which stands below `generator`.
    """
    if value not in allowed:
        raise BadInputError(f"generator.{key}: expected one of {', '.join(allowed)}, found {value}")


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """The type of weights for a precision of that name; `autocast` keeps them in float32.

    Raises:
        BadInputError: there is none, or it is half precision, in which the CPU does not sample.
    """
    one_of("precision", name, (*PRECISIONS, AUTOCAST))
    if name == AUTOCAST:
        return torch.float32
    if name == "float16" and device.type == "cpu":
        raise BadInputError("generator.precision: expected float32 or bfloat16 on the CPU, found float16")
    return PRECISIONS[name]


def ddim(config: Mapping[str, Any]) -> Any:
    """DDIM, neither clipped nor rescaled to zero terminal signal.

    Args:
        config: of any scheduler, for the noise schedule and for what the UNet predicts.
    """
    with quiet():
        return DDIMScheduler.from_config(
            config, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
            rescale_betas_zero_snr=False,
        )  # fmt: skip


def plms(config: Mapping[str, Any]) -> Any:
    """PLMS, which is deterministic and starts with a step of the improved Euler method. Takes what `ddim` does."""
    with quiet():
        return PNDMScheduler.from_config(
            config, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading"
        )


def under_autocast(network: Any, kind: str, dtype: torch.dtype = torch.float16) -> None:
    """Let a network compute under autocast and hand back float32, so that what the scheduler adds up stays exact.

    Args:
        network: one of diffusers' UNets, changed in place.
        kind: of device, such as `cuda`.
        dtype: of convolutions and products.
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
