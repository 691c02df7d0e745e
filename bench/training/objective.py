"""The loss of decoders: pixels, perceptual distance, and a discriminator (paper, section 3.2 and appendix A).

Where the paper and the released code differ, the default follows the released code, and an option follows the paper
(buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/modules/losses/contperceptual.py). In each step, the released code
decodes and compares twice, once for each optimiser. It also runs backward through all networks for each gradient of the
adaptive weight. This module computes the gradient of each loss with respect to the image only once. From these
gradients, it computes the gradients at the last layer and runs a single backward pass of the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from bench.metrics.perceptual import perceptual_distance
from bench.models.checkpoints import load_feature_network
from bench.models.feature_network import FeatureNetwork

__all__ = [
    "DecoderStep",
    "FeatureDistance",
    "Objective",
    "Perceptual",
    "adaptive_weight",
    "adversarial_loss",
    "discriminator_loss",
    "feature_distance",
    "reconstruction_loss",
]

REDUCTIONS = ("sum", "mean")
ADVERSARIES = ("hinge", "log", "none")
NUMERATORS = ("rec", "pixel")

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Function that compares reconstructions B×3×H×W with pictures B×3×H×W, both in [-1, 1].

It returns one perceptual distance for each picture, B values.
"""


@dataclass(frozen=True)
class Objective:
    """The terms of the loss and their weights. The defaults are the values of the released code."""

    perceptual_weight: float = 1.0
    reduction: str = "sum"
    """Reduction of the reconstruction losses.

    `mean` takes the mean over channels and pixels. `sum` multiplies this mean and the perceptual distance by the number
    of values, 3·H·W. The released code does the same, because it adds the perceptual distance to the error of each
    value.
    """
    adversary: str = "hinge"
    """Adversarial loss: `hinge` (as in the released code), `log` (eq. 7 of the paper), or `none`."""
    adversary_from: int = 50_001
    """First step in which the discriminator takes part."""
    adversary_weight: float = 0.8
    """Factor by which the adaptive weight is multiplied. The released code has this factor, the paper does not."""
    adaptive_numerator: str = "rec"
    """Loss whose gradient is the numerator of eq. 9.

    `rec` is the sum of the pixel error and the perceptual distance, as in the released code. `pixel` is the pixel error
    alone, as in the paper.
    """
    adaptive_limit: float = 1e4
    adaptive_epsilon: float = 1e-4

    def __post_init__(self) -> None:
        for name, allowed in (
            ("reduction", REDUCTIONS),
            ("adversary", ADVERSARIES),
            ("adaptive_numerator", NUMERATORS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}")

    def adversarial(self, step: int) -> bool:
        """Return True if the discriminator takes part in a step."""
        return self.adversary != "none" and step >= self.adversary_from


class FeatureDistance(nn.Module):
    """The perceptual distance that the mini profile uses. It compares feature maps of a network of this project."""

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            target_maps = [level.float() for level in self.network.maps(target)]
        return perceptual_distance([level.float() for level in self.network.maps(image)], target_maps)


def feature_distance(path: str) -> FeatureDistance:
    """Return the perceptual distance that compares pictures by the feature network in the folder `path`."""
    return FeatureDistance(load_feature_network(path))


def reconstruction_loss(
    image: Tensor, target: Tensor, perceptual: Perceptual, *, weight: float, reduction: str = "mean"
) -> dict[str, Tensor]:
    """Return the terms of the reconstruction loss by name, each a scalar.

    `l1` is the absolute error (appendix A). `perceptual` is the weighted perceptual distance (eq. 5). If `weight` is 0,
    the term `perceptual` is left out.

    Args:
        image: reconstructions B×3×H×W in [-1, 1].
        target: the true pictures, in the same shape and range.
        perceptual: function that returns one distance for each picture.
        weight: factor by which the perceptual distance is multiplied.
        reduction: `mean` for means over all values; `sum` multiplies both terms by 3·H·W.
    """
    scale = image[0].numel() if reduction == "sum" else 1
    terms = {"l1": scale * (image.float() - target).abs().mean()}
    if weight:
        terms["perceptual"] = scale * weight * perceptual(image, target).mean()
    return terms


def adversarial_loss(logits: Tensor, kind: str) -> Tensor:
    """Return the decoder's adversarial loss, a scalar.

    Args:
        logits: the discriminator's logits of reconstructions, positive for patches that look like true pictures.
        kind: `hinge` for the negative mean of the logits, as in the released code. Any other value selects eq. 7,
            mean log(1 - D), in which D is the sigmoid of the logits.
    """
    return -logits.mean() if kind == "hinge" else -functional.softplus(logits).mean()


def discriminator_loss(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """Return the discriminator's loss, a scalar: the mean of its losses on pictures and on reconstructions.

    Args:
        real: logits of true pictures.
        fake: logits of reconstructions.
        kind: `hinge` for the hinge loss, as in the released code. Any other value selects the cross-entropy.
    """
    if kind == "hinge":
        return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())
    return 0.5 * (functional.softplus(-real).mean() + functional.softplus(fake).mean())


def adaptive_weight(
    objective: Objective, reconstruction: Tensor, adversarial: Tensor, inputs: Tensor, layer: nn.Conv2d
) -> Tensor:
    """Return the factor by which the adversarial loss is multiplied (eq. 9), a scalar.

    The factor is the norm of the reconstruction loss's gradient divided by the norm of the adversarial loss's gradient,
    both with respect to the weights of the decoder's last layer. `adaptive_epsilon` is added to the divisor. The
    quotient is limited to `adaptive_limit`, and then multiplied by `adversary_weight`.

    Args:
        objective: objective with the constants of the formula.
        reconstruction: gradient of the reconstruction loss with respect to the image, B×3×H×W.
        adversarial: gradient of the adversarial loss with respect to the image, B×3×H×W.
        inputs: input of the last layer in the forward pass, B×C×H×W.
        layer: last layer of the decoder.
    """
    norms = []
    for gradient in (reconstruction, adversarial):
        at_layer = conv2d_weight(inputs, list(layer.weight.shape), gradient, padding=layer.padding)  # type: ignore[no-untyped-call]
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(at_layer)
        norms.append(at_layer.float().norm())
    ratio = norms[0] / (norms[1] + objective.adaptive_epsilon)
    limited: Tensor = ratio.clamp(0, objective.adaptive_limit)
    return objective.adversary_weight * limited


@dataclass
class DecoderStep:
    """The computation of one pass: it runs the decoder and the discriminator, and adds up the gradients of both."""

    decoder: nn.Module
    """The decoder, possibly compiled or wrapped for training in several processes."""
    last_layer: nn.Conv2d
    """Last layer of the decoder."""
    discriminator: nn.Module | None
    perceptual: Perceptual
    objective: Objective
    autocast: Callable[[], AbstractContextManager[Any]]

    def __call__(
        self, z: Tensor, image: Tensor, mask: Tensor | None, *, step: int, share: float = 1.0
    ) -> dict[str, Tensor]:
        """Run one pass, and add its gradients to the gradients that the parameters already have.

        Args:
            z: latents B×C×h×w, as the decoder's input.
            image: pictures B×3×H×W in [-1, 1].
            mask: B×1×H×W, 1 = hole; None for a decoder without a branch.
            step: number of the current step. The discriminator takes part from `objective.adversary_from` on.
            share: factor by which all gradients are multiplied, such as 1 / (number of passes of one update).

        Returns:
            The losses by name, each a scalar without gradient. If the discriminator takes part, the result also has
            the adaptive weight and the mean logits of true pictures and of reconstructions.
        """
        inputs: list[Tensor] = []
        hook = self.last_layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0].detach()))
        with self.autocast():
            output = self.decoder(z) if mask is None else self.decoder(z, image, mask)
        hook.remove()
        decoded = output.detach().float().requires_grad_()
        with self.autocast():
            terms = reconstruction_loss(
                decoded,
                image,
                self.perceptual,
                weight=self.objective.perceptual_weight,
                reduction=self.objective.reduction,
            )
        gradients = {name: torch.autograd.grad(term, decoded)[0] for name, term in terms.items()}
        gradient = torch.stack(list(gradients.values())).sum(0)
        losses = {name: term.detach() for name, term in terms.items()}
        if self.discriminator is not None and self.objective.adversarial(step):
            numerator = gradients["l1"] if self.objective.adaptive_numerator == "pixel" else gradient
            with self.autocast():
                real, fake = self.discriminator(image), self.discriminator(decoded)
            adversarial = adversarial_loss(fake.float(), self.objective.adversary)
            (pull,) = torch.autograd.grad(adversarial, decoded, retain_graph=True)
            weight = adaptive_weight(self.objective, numerator, pull, inputs[0].float(), self.last_layer)
            gradient = gradient + weight * pull
            against = discriminator_loss(real.float(), fake.float(), self.objective.adversary)
            torch.autograd.backward(share * against, inputs=list(self.discriminator.parameters()))
            losses |= {
                "adversarial": adversarial.detach(),
                "adaptive_weight": weight,
                "discriminator": against.detach(),
                "logits_real": real.detach().float().mean(),
                "logits_fake": fake.detach().float().mean(),
            }
        output.backward((share * gradient).to(output.dtype))
        return losses
