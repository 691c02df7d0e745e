"""What decoders start from; for small ones, last layers that are linear and a branch that copies through them.

The last normalisation divides by statistics of the whole picture, hole included; with a handful of channels in a group
they move with every picture, and known pixels cannot be copied through it. Two facts give a start at which they can.
silu(u) - silu(-u) = u: channels in pairs of opposite sign are read linearly. And a pair of large constants in a group
fixes its variance, whatever the other channels hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from bench.data.imagenet_train import TrainingItem
from bench.errors import BadInputError
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.first_stage import FirstStage
from bench.models.layers import PartialConv2d, mask_guided_blend
from bench.models.widen import check_widening, widen
from bench.training.decoder_training import DecoderTraining, posterior_noise
from bench.training.objective import Perceptual
from bench.training.recipe import DecoderRecipe
from bench.training.trainer import seeded
from bench.world import World

__all__ = ["begun_training", "check_start", "examples_of", "start_branch", "start_readout", "started_decoder"]

COLOURS = 3
EXAMPLES, EXAMPLES_AT_ONCE = 512, 64
"""Pictures from which the branch's start is computed."""
COPY_STEPS, COPY_RATE, COPY_AT_ONCE = 1000, 0.2, 16
"""Of fitting the branch's finest convolution by itself; only the last layers run, so that it takes seconds."""

Example = tuple[Tensor, Tensor, Tensor]
"""Latents B×4×h×w, pictures B×3×H×W in [-1, 1], masks B×1×H×W, 1 = hole."""


def check_start(start: DecoderConfig, sizes: DecoderConfig) -> None:
    """See that a decoder can begin as another one.

    Args:
        start: the other's sizes.
        sizes: of the decoder.

    Raises:
        BadInputError: it cannot.
    """
    try:
        check_widening(start, sizes)
    except ValueError as error:
        raise BadInputError(f"start: {error}; start=null trains from fresh weights") from error


def started_decoder(
    sizes: DecoderConfig,
    start: Decoder | None,
    *,
    seed: int,
    device: torch.device,
    examples: Iterable[Example] = (),
) -> tuple[Decoder, frozenset[str]]:
    """A decoder before its first update, and the names of its parameters that were there before.

    Args:
        sizes: of the decoder.
        start: what it decodes like at first, at most as large; None for fresh weights.
        seed: of the fresh weights.
        device: where it is to be.
        examples: for `start_branch`; without any, a fresh branch stays as it is.

    Raises:
        ValueError: the two do not fit together.
    """
    with seeded(seed, "decoder", "weights"):
        decoder = Decoder(sizes)
    if start is None:
        return decoder.to(device), frozenset()
    widen(start, decoder)
    decoder.training_note = start.training_note
    decoder.to(device)
    if decoder.condition_encoder is not None and start.condition_encoder is None and sizes.blending == "add":
        start_branch(decoder, examples)
    return decoder, frozenset(start.state_dict())


def begun_training(
    sizes: DecoderConfig,
    start: Decoder | None,
    first_stage: FirstStage,
    data: Dataset[TrainingItem],
    perceptual: Perceptual,
    recipe: DecoderRecipe,
    *,
    seed: int,
    device: torch.device,
    folder: Path,
    settings: str,
    predict_branch: bool = True,
    world: World | None = None,
    workers: int = 0,
) -> DecoderTraining:
    """The training of a decoder, from its start or from its last checkpoint.

    Args:
        sizes: of the decoder.
        start: as for `started_decoder`; a fresh recipe does without.
        first_stage: frozen, on the device.
        data: to train on.
        perceptual: on the device.
        recipe: of the training.
        seed: of the fresh weights and of everything drawn.
        device: where to train.
        folder: of the checkpoints.
        settings: what must agree for a checkpoint to be taken up.
        predict_branch: whether a fresh branch starts as `start_branch` has it.
        world: the processes; None for one alone.
        workers: of the data.

    Raises:
        BadInputError: the decoder cannot start from there, or a checkpoint was made with other settings.
    """
    start = None if recipe.fresh else start
    if start is not None:
        check_start(start.config, sizes)
    examples = examples_of(data, first_stage, seed=seed, device=device) if predict_branch else ()
    decoder, pretrained = started_decoder(sizes, start, seed=seed, device=device, examples=examples)
    return DecoderTraining(
        decoder,
        first_stage,
        data,
        perceptual,
        recipe,
        seed=seed,
        device=device,
        folder=folder,
        settings=settings,
        pretrained=pretrained,
        world=world or World(),
        workers=workers,
    )


def examples_of(
    data: Dataset[TrainingItem], first_stage: FirstStage, *, seed: int, device: torch.device
) -> Iterator[Example]:
    """The first items of a run."""
    for first in range(0, EXAMPLES, EXAMPLES_AT_ONCE):
        positions = range(first, first + EXAMPLES_AT_ONCE)
        items = [data[position] for position in positions]
        images = torch.stack([item["image"] for item in items]).to(device)
        masks = torch.stack([item["mask"] for item in items]).to(device)
        noise = posterior_noise(first_stage.noise_shape(images), seed, positions)
        yield first_stage.latents(images, noise), images, masks


@torch.no_grad()
def start_readout(decoder: Any, *, constant: float) -> None:
    """Let the last layers of a fresh decoder read three pairs of channels in each group linearly, as the colours.

    Args:
        decoder: with diffusers' names; its last residual block, `conv_norm_out` and `conv_out` are changed in place.
        constant: size of the pair of constants in each group; far larger than the features, which are about 1.

    Raises:
        ValueError: a group has fewer than eight channels.
    """
    norm, readout, last = decoder.conv_norm_out, decoder.conv_out, decoder.up_blocks[-1].resnets[-1].conv2
    size = norm.num_channels // norm.num_groups
    if size < 2 * COLOURS + 2:
        raise ValueError(f"a linear readout needs groups of {2 * COLOURS + 2} channels or more, found {size}")
    deviation = constant * (2 / size) ** 0.5
    nn.init.zeros_(readout.weight)
    nn.init.zeros_(readout.bias)
    for first in range(0, norm.num_channels, size):
        for colour in range(COLOURS):
            for channel, sign in ((first + 2 * colour, 1), (first + 2 * colour + 1, -1)):
                readout.weight[colour, channel, 1, 1] = sign * deviation / norm.num_groups
        last.bias[first + 2 * COLOURS], last.bias[first + 2 * COLOURS + 1] = constant, -constant


def start_branch(decoder: Decoder, examples: Iterable[Example]) -> None:
    """Let a fresh branch copy known pixels through the decoder's last layers.

    The last convolution is made pointwise, its taps summed up, so that what lies in the hole cannot reach across the
    mask's border; flat colours keep their values, and the joint training may bring the taps back. Then the branch's
    finest convolution is set to the least-squares prediction of the decoder's own features, and from there fitted by
    itself to give back the known pixels.

    Args:
        decoder: with a branch; `conv_out` and `condition_encoder.layers[0]` are changed in place.
        examples: latents, pictures and masks; without any, nothing is changed.
    """
    assert decoder.condition_encoder is not None
    layer = decoder.condition_encoder.layers[0]
    assert isinstance(layer, nn.Conv2d)
    seen = [(*example, _finest_features(decoder, *example)) for example in examples]
    if not seen:
        return
    with torch.no_grad():
        taps = decoder.conv_out.weight.sum((2, 3))
        nn.init.zeros_(decoder.conv_out.weight)
        decoder.conv_out.weight[:, :, 1, 1] = taps
        _predict(layer, [(picture, own) for _, picture, _, (own, _) in seen])
    _, pictures, masks, features = zip(*seen, strict=True)
    _fit_copy(decoder, layer, torch.cat(pictures), torch.cat(masks), torch.cat([beside for _, beside in features]))


@torch.no_grad()
def _finest_features(decoder: Decoder, z: Tensor, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What the decoder's finest level gives without a mask, and with one before it is blended."""
    found: list[Tensor] = []
    hook = decoder.up_blocks[-1].register_forward_hook(lambda _, inputs, output: found.append(output))
    decoder(z)
    decoder(z, picture, mask)
    hook.remove()
    return found[0], found[1]


def _predict(layer: nn.Conv2d, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Least squares over all pixels, from 3×3 patches of pictures to features."""
    inner = outer = torch.zeros((), dtype=torch.float64)
    for picture, features in pairs:
        patches = functional.unfold(picture, 3, padding=1)
        inputs = torch.cat([patches, torch.ones_like(patches[:, :1])], 1).transpose(1, 2).flatten(0, 1).double()
        wanted = features.flatten(2).transpose(1, 2).flatten(0, 1).double()
        inner, outer = inner + inputs.T @ inputs, outer + inputs.T @ wanted
    solution = torch.linalg.lstsq(inner, outer).solution.T.to(layer.weight.dtype)
    layer.weight.copy_(solution[:, :-1].reshape(layer.weight.shape))
    assert layer.bias is not None
    layer.bias.copy_(solution[:, -1])


def _fit_copy(decoder: Decoder, layer: nn.Conv2d, pictures: Tensor, masks: Tensor, features: Tensor) -> None:
    """Fit the layer alone to the known pixels, the decoder's features in the hole being what they are."""
    known = 1 - masks
    parameters = list(layer.parameters())
    optimizer = torch.optim.Adam(parameters, lr=COPY_RATE)
    for step in range(COPY_STEPS):
        optimizer.param_groups[0]["lr"] = COPY_RATE * (1 - step / COPY_STEPS)
        chosen = [(step * COPY_AT_ONCE + index) % len(pictures) for index in range(COPY_AT_ONCE)]
        picture, mask, seen = pictures[chosen], masks[chosen], known[chosen]
        copied = layer(picture * seen, seen) if isinstance(layer, PartialConv2d) else layer(picture * seen)
        blended = mask_guided_blend(features[chosen], copied, mask)
        output = decoder.conv_out(functional.silu(decoder.conv_norm_out(blended)))
        loss = ((output - picture) * seen).square().sum() / seen.sum().clamp(min=1)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
    layer.zero_grad(set_to_none=True)
