"""The loss of decoders: pixels, perceptual distance, and a discriminator (paper, section 3.2 and appendix A).

If paper and released code differ, the code is followed and the paper's way is an option (buxiangzhiren/
Asymmetric_VQGAN at 406c5cd, ldm/modules/losses/contperceptual.py). A step of the code decodes and compares twice, once
for each optimiser, and computes the two gradients of the adaptive weight through everything. Here each loss's gradient
with respect to the image is computed once; the last layer's gradients and the decoder's single backward pass follow
from it.
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
"""Function that returns the distances B of reconstructions B×3×H×W to pictures B×3×H×W, both in [-1, 1]."""


@dataclass(frozen=True)
class Objective:
    """The terms of the loss and their weights; the defaults are the released code's."""

    perceptual_weight: float = 1.0
    reduction: str = "sum"
    """Reduction of the losses: `sum` over channels and pixels, adding the perceptual distance at each (the code); or
    `mean`.
    """
    adversary: str = "hinge"
    """Adversarial loss: `hinge` (the code), `log` (the paper's eq. 7), or `none`."""
    adversary_from: int = 50_001
    """First step with a discriminator."""
    adversary_weight: float = 0.8
    """Factor on the adaptive weight (in the code; the paper has none)."""
    adaptive_numerator: str = "rec"
    """Numerator of eq. 9: the gradient of pixels and perceptual distance (`rec`, the code), or of `pixel` (the
    paper).
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
        """Tell whether the discriminator takes part in a step."""
        return self.adversary != "none" and step >= self.adversary_from


class FeatureDistance(nn.Module):
    """The perceptual distance of a feature network of this project, for the mini profile."""

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            target_maps = [level.float() for level in self.network.maps(target)]
        return perceptual_distance([level.float() for level in self.network.maps(image)], target_maps)


def feature_distance(path: str) -> FeatureDistance:
    """Return the perceptual distance of the feature network in a folder."""
    return FeatureDistance(load_feature_network(path))


def reconstruction_loss(
    image: Tensor, target: Tensor, perceptual: Perceptual, *, weight: float, reduction: str = "mean"
) -> dict[str, Tensor]:
    """Return the mean absolute error (`l1`; appendix A) and the weighted perceptual distance (eq. 5), each a scalar.

    Args:
        image: reconstructions B×3×H×W in [-1, 1].
        target: the pictures.
        perceptual: function that returns B distances.
        weight: weight of the perceptual distance.
        reduction: `mean`, or `sum`: both terms times 3·H·W.
    """
    scale = image[0].numel() if reduction == "sum" else 1
    terms = {"l1": scale * (image.float() - target).abs().mean()}
    if weight:
        terms["perceptual"] = scale * weight * perceptual(image, target).mean()
    return terms


def adversarial_loss(logits: Tensor, kind: str) -> Tensor:
    """Return the decoder's loss: -mean D (hinge; the code), or mean log(1 - D) (eq. 7), where D is the logits'
    sigmoid.
    """
    return -logits.mean() if kind == "hinge" else -functional.softplus(logits).mean()


def discriminator_loss(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """Return the discriminator's loss from logits of pictures and reconstructions: half the sum of both (the code)."""
    if kind == "hinge":
        return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())
    return 0.5 * (functional.softplus(-real).mean() + functional.softplus(fake).mean())


def adaptive_weight(
    objective: Objective, reconstruction: Tensor, adversarial: Tensor, inputs: Tensor, layer: nn.Conv2d
) -> Tensor:
    """Return the ratio of both gradients' norms at the decoder's last layer, limited and scaled (eq. 9).

    Args:
        objective: objective with the constants.
        reconstruction: gradient of the reconstruction loss with respect to the image, B×3×H×W.
        adversarial: gradient of the adversarial loss with respect to the image.
        inputs: input of the last layer, B×C×H×W.
        layer: the last layer.
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
    """The forward pass of decoder and discriminator, and the gradients of both."""

    decoder: nn.Module
    """Module with the interface of `Decoder`, possibly wrapped for several processes."""
    last_layer: nn.Conv2d
    """Last layer of the decoder."""
    discriminator: nn.Module | None
    perceptual: Perceptual
    objective: Objective
    autocast: Callable[[], AbstractContextManager[Any]]

    def __call__(
        self, z: Tensor, image: Tensor, mask: Tensor | None, *, step: int, share: float = 1.0
    ) -> dict[str, Tensor]:
        """Add the gradients of one pass to the parameters', and return the losses, each a scalar without graph.

        Args:
            z: latents B×4×h×w, as the decoder's input.
            image: pictures B×3×H×W in [-1, 1].
            mask: B×1×H×W, 1 = hole; None for a decoder without a branch.
            step: step of the run, which decides whether the discriminator takes part.
            share: factor on all gradients.
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
