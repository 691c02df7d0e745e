"""Schedulers of diffusion models with the settings of the released scripts, and checks of the sampling settings.

The released scripts use the samplers `ldm/models/diffusion/{ddim,plms}.py` of CompVis/stable-diffusion, with evenly
spaced steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from bench.config.schema import AUTOCAST
from bench.errors import BadInputError
from bench.runtime.libraries import quiet

__all__ = ["AUTOCAST", "check_sampling", "ddim", "one_of", "plms", "precision_of", "under_autocast"]

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def check_sampling(*, steps: int, guidance_scale: float, eta: float = 0.0) -> None:
    """Check that the sampling settings are in their ranges.

    Args:
        steps: number of sampling steps, a whole number of 1 or more.
        guidance_scale: scale of the classifier-free guidance, 0 or more.
        eta: amount of noise in the steps, in [0, 1].

    Raises:
        BadInputError: a value is out of its range. The message names the setting's key.
    """
    if not (isinstance(steps, int) and steps >= 1):
        raise BadInputError(f"generator.steps: expected a whole number of 1 or more, found {steps}")
    if not (isinstance(guidance_scale, int | float) and guidance_scale >= 0):
        raise BadInputError(f"generator.guidance_scale: expected a number of 0 or more, found {guidance_scale}")
    if not (isinstance(eta, int | float) and 0 <= eta <= 1):
        raise BadInputError(f"generator.eta: expected a number in [0, 1], found {eta}")


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Check that the value of a setting is one of the allowed words.

    Args:
        key: name of the setting below `generator`, for the message.
        value: the value of the setting.
        allowed: all allowed values.

    Raises:
        BadInputError: the value is not allowed.
    """
    if value not in allowed:
        raise BadInputError(f"generator.{key}: expected one of {', '.join(allowed)}, found {value}")


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """Return the type in which weights are loaded for a precision. The type is float32 for `autocast`.

    Args:
        name: `float32`, `float16`, `bfloat16` or `autocast`.
        device: device on which the networks run.

    Raises:
        BadInputError: the precision is unknown, or is float16 on the CPU.
    """
    one_of("precision", name, (*PRECISIONS, AUTOCAST))
    if name == AUTOCAST:
        return torch.float32
    if name == "float16" and device.type == "cpu":
        raise BadInputError("generator.precision: expected float32, bfloat16 or autocast on the CPU, found float16")
    return PRECISIONS[name]


def ddim(config: Mapping[str, Any]) -> Any:
    """Create a DDIM scheduler that does not clip samples and does not rescale the noise schedule.

    Args:
        config: configuration of any diffusers scheduler. Its noise schedule and prediction type are used.
    """
    from diffusers import DDIMScheduler  # imported here, because it takes seconds

    with quiet():
        return DDIMScheduler.from_config(
            config, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
            rescale_betas_zero_snr=False,
        )  # fmt: skip


def plms(config: Mapping[str, Any]) -> Any:
    """Create a PLMS scheduler. Its steps add no noise, and its first step uses the improved Euler method.

    Args:
        config: see `ddim`.
    """
    from diffusers import PNDMScheduler

    with quiet():
        return PNDMScheduler.from_config(
            config, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading"
        )


def under_autocast(network: Any, kind: str, dtype: torch.dtype = torch.float16) -> None:
    """Make a denoising network compute under autocast but return float32, so that the scheduler computes in float32.

    Autocast would round the weights of convolutions and linear layers anew in each step. This function rounds these
    weights once, which does not change any bit of the results. The weights of the first layer stay in float32, because
    diffusers takes the type of a UNet's input from these weights.

    Args:
        network: a denoising network of diffusers, such as a UNet. It is changed in place.
        kind: type of the device, such as `cuda`.
        dtype: type in which convolutions and matrix products are computed.
    """
    _, *layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    for layer in layers:
        layer.to(dtype)
    forward = network.forward

    def half(*arguments: Any, **options: Any) -> Any:
        with torch.autocast(kind, dtype):
            output = forward(*arguments, **options)
        if isinstance(output, tuple):
            return tuple(part.float() for part in output)
        output.sample = output.sample.float()
        return output

    network.forward = half
