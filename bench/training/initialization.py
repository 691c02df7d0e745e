"""Initial weights of decoders; for small ones, last layers that are linear and a branch that copies through them.

The last normalisation divides by statistics of the whole picture, including the hole. If a group has few channels,
these vary with every picture, and known pixels cannot be copied through it. Two facts give a start at which they can.
silu(u) - silu(-u) = u, so channels in pairs of opposite sign are read linearly. A pair of large constants in a
group fixes its variance, independent of the other channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from bench.training.mini.fit import seeded
from bench.training.trainer import posterior_noise

__all__ = ["check_start", "examples_of", "start_branch", "start_readout", "started_decoder"]

COLOURS = 3
EXAMPLES, EXAMPLES_AT_ONCE = 512, 64
"""Number of pictures from which the branch's start is computed, and number per batch."""
COPY_STEPS, COPY_RATE, COPY_AT_ONCE = 1000, 0.2, 16
"""Steps, rate and batch size for fitting the branch's finest convolution; only the last layers run, within seconds."""

Example = tuple[Tensor, Tensor, Tensor]
"""Latents B×4×h×w, pictures B×3×H×W in [-1, 1], masks B×1×H×W, 1 = hole."""


def check_start(start: DecoderConfig, sizes: DecoderConfig) -> None:
    """Require that a decoder can start from another one.

    Args:
        start: sizes of the other decoder.
        sizes: sizes of the decoder.

    Raises:
        BadInputError: the sizes do not allow it.
    """
    try:
        check_widening(start, sizes)
    except ValueError as error:
        raise BadInputError(f"start: {error}; start=null trains from fresh weights") from error


@dataclass(frozen=True)
class StartedDecoder:
    """A decoder before its first update."""

    decoder: Decoder
    pretrained: frozenset[str] = frozenset()
    """Names of the parameters that it took from another decoder."""


def started_decoder(
    sizes: DecoderConfig,
    start: Decoder | None,
    *,
    seed: int,
    device: torch.device,
    examples: Iterable[Example] = (),
) -> StartedDecoder:
    """Return a decoder before its first update.

    Args:
        sizes: sizes of the decoder.
        start: the decoder whose images it makes at first, at most as large; None for fresh weights.
        seed: seed of the fresh weights.
        device: device of the decoder.
        examples: examples for `start_branch`; without any, a fresh branch keeps its random weights.

    Raises:
        BadInputError: the decoder cannot start from the other one.
    """
    with seeded(seed, "decoder", "weights"):
        decoder = Decoder(sizes)
    if start is None:
        return StartedDecoder(decoder.to(device))
    check_start(start.config, sizes)
    widen(start, decoder)
    decoder.training_note = start.training_note
    decoder.to(device)
    if decoder.condition_encoder is not None and start.condition_encoder is None and sizes.blending == "add":
        start_branch(decoder, examples)
    return StartedDecoder(decoder, frozenset(start.state_dict()))


def examples_of(
    data: Dataset[TrainingItem], first_stage: FirstStage, *, seed: int, device: torch.device
) -> Iterator[Example]:
    """Yield the first items of a run."""
    for first in range(0, EXAMPLES, EXAMPLES_AT_ONCE):
        positions = range(first, first + EXAMPLES_AT_ONCE)
        items = [data[position] for position in positions]
        images = torch.stack([item["image"] for item in items]).to(device)
        masks = torch.stack([item["mask"] for item in items]).to(device)
        noise = posterior_noise(first_stage.noise_shape(images), seed, positions)
        yield first_stage.latents(images, noise), images, masks


@torch.no_grad()
def start_readout(decoder: Any, *, constant: float) -> None:
    """Set the last layers of a new decoder to read three pairs of channels in each group linearly, as the colours.

    Args:
        decoder: decoder with diffusers' names; its last residual block, `conv_norm_out` and `conv_out` are changed
            in place.
        constant: size of the two constants in each group; far larger than the features, which are about 1.

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
    """Initialise a new branch so that it copies known pixels through the decoder's last layers.

    The last convolution becomes pointwise, with the sum of its taps, so that values in the hole have no effect across
    the mask's edge; flat colours are unchanged, and the joint training may restore the taps. Then the branch's finest
    convolution is set to the least-squares prediction of the decoder's own features, and is fitted from there to
    reproduce the known pixels.

    Args:
        decoder: decoder with a branch; `conv_out` and `condition_encoder.layers[0]` are changed in place.
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
    _fit_copy(
        decoder, layer, torch.cat(pictures), torch.cat(masks), torch.cat([with_mask for _, with_mask in features])
    )


@torch.no_grad()
def _finest_features(decoder: Decoder, z: Tensor, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output of the decoder's finest level without a mask, and with one before it is blended."""
    found: list[Tensor] = []
    hook = decoder.up_blocks[-1].register_forward_hook(lambda _, inputs, output: found.append(output))
    decoder(z)
    decoder(z, picture, mask)
    hook.remove()
    return found[0], found[1]


def _predict(layer: nn.Conv2d, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Set a layer to the least-squares map from 3×3 patches of pictures to features, over all pixels."""
    inner = outer = torch.zeros((), dtype=torch.float64)
    for picture, features in pairs:
        patches = functional.unfold(picture, 3, padding=1)
        inputs = torch.cat([patches, torch.ones_like(patches[:, :1])], 1).transpose(1, 2).flatten(0, 1).double()
        target = features.flatten(2).transpose(1, 2).flatten(0, 1).double()
        inner, outer = inner + inputs.T @ inputs, outer + inputs.T @ target
    solution = torch.linalg.lstsq(inner, outer).solution.T.to(layer.weight.dtype)
    layer.weight.copy_(solution[:, :-1].reshape(layer.weight.shape))
    assert layer.bias is not None
    layer.bias.copy_(solution[:, -1])


def _fit_copy(decoder: Decoder, layer: nn.Conv2d, pictures: Tensor, masks: Tensor, features: Tensor) -> None:
    """Fit the layer to reproduce the known pixels, while the decoder's features in the hole stay fixed."""
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
