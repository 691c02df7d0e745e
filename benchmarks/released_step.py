"""The training step of the released code, written in the simplest way, as a reference for our own step.

The step is that of buxiangzhiren/Asymmetric_VQGAN at 406c5cd for each batch (ldm/models/autoencoder.py and
ldm/modules/losses/contperceptual.py). It computes everything once for each of the two optimisers. Two further backward
passes to the last layer give the adaptive weight. The discriminator is computed from the first step on, although it
has an effect only later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Networks:
    """The networks of one training step."""

    encode: Callable[[], Tensor]
    """Function that returns the latents of the batch."""
    decoder: nn.Module
    discriminator: nn.Module
    perceptual: Callable[[Tensor, Tensor], Tensor]
    """Function that returns the perceptual distance of two batches of images."""


def released_step(
    networks: Networks,
    image: Tensor,
    mask: Tensor,
    *,
    active: bool,
    autocast: Callable[[], Any],
) -> dict[str, Tensor]:
    """Return the losses and the gradients of both networks for sums over pixels, hinge losses and factor 0.8."""
    decoder, discriminator = networks.decoder, networks.discriminator

    def forward() -> tuple[Tensor, Tensor]:
        with autocast():
            output = decoder(networks.encode(), image, mask)
            elementwise = (image - output).abs() + networks.perceptual(output, image).view(-1, 1, 1, 1)
        return output, elementwise.float().sum() / len(image)

    factor = 1.0 if active else 0.0
    output, reconstruction = forward()
    with autocast():
        adversarial = -discriminator(output).float().mean()
    last = decoder.conv_out.weight
    (first,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (second,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    weight = (first.norm() / (second.norm() + 1e-4)).clamp(0, 1e4).detach() * 0.8
    torch.autograd.backward(reconstruction + weight * factor * adversarial, inputs=list(decoder.parameters()))
    output, _ = forward()
    with autocast():
        real, fake = discriminator(image.detach()).float(), discriminator(output.detach()).float()
    against = factor * 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())
    torch.autograd.backward(against, inputs=list(discriminator.parameters()))
    return {
        "reconstruction": reconstruction.detach(),
        "adversarial": adversarial.detach(),
        "adaptive_weight": weight,
        "discriminator": against.detach(),
    }
