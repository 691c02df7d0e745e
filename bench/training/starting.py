"""What decoders start from; for small ones, last layers that are linear and a branch that copies through them.

The last normalisation divides by statistics of the whole picture, hole included; with a handful of channels in a group
they move with every picture, and known pixels cannot be copied through it. Two facts give a start at which they can.
silu(u) - silu(-u) = u: channels in pairs of opposite sign are read linearly. And a pair of large constants in a group
fixes its variance, whatever the other channels hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from bench.data.imagenet_train import TrainingItem
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.first_stage import FirstStage
from bench.models.widen import widen
from bench.training.decoder_training import posterior_noise
from bench.training.trainer import seeded

__all__ = ["examples_of", "start_branch", "start_readout", "started_decoder"]

COLOURS = 3
EXAMPLES, EXAMPLES_AT_ONCE = 512, 64
"""Pictures from which the branch's start is computed."""


def started_decoder(
    sizes: DecoderConfig,
    start: Decoder | None,
    *,
    seed: int,
    device: torch.device,
    examples: Iterable[tuple[Tensor, Tensor]] = (),
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
    if decoder.condition_encoder is not None and start.condition_encoder is None:
        start_branch(decoder, examples)
    return decoder, frozenset(start.state_dict())


def examples_of(
    data: Dataset[TrainingItem], first_stage: FirstStage, *, seed: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Latents of the first pictures of a run, and the pictures."""
    for first in range(0, EXAMPLES, EXAMPLES_AT_ONCE):
        positions = range(first, first + EXAMPLES_AT_ONCE)
        images = torch.stack([data[position]["image"] for position in positions]).to(device)
        yield first_stage.latents(images, posterior_noise(first_stage.noise_shape(images), seed, positions)), images


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


@torch.no_grad()
def start_branch(decoder: Decoder, examples: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Let the branch's finest convolution predict the decoder's own finest features from the picture.

    It is set to the least-squares solution over all pixels of the examples; the other layers stay as they are.

    Args:
        decoder: with a branch; `condition_encoder.layers[0]` is changed in place.
        examples: latents B×4×h×w and the pictures B×3×H×W in [-1, 1] that they stand for.
    """
    assert decoder.condition_encoder is not None
    layer = decoder.condition_encoder.layers[0]
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    features: list[Tensor] = []
    hook = decoder.conv_norm_out.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    inner, outer = torch.zeros(()), torch.zeros(())
    for z, picture in examples:
        decoder(z)
        patches = functional.unfold(picture, 3, padding=1)
        inputs = torch.cat([patches, torch.ones_like(patches[:, :1])], 1).transpose(1, 2).flatten(0, 1).double()
        wanted = features.pop().flatten(2).transpose(1, 2).flatten(0, 1).double()
        inner, outer = inner.to(inputs) + inputs.T @ inputs, outer.to(inputs) + inputs.T @ wanted
    hook.remove()
    if inner.ndim == 0:
        return
    solution = torch.linalg.lstsq(inner, outer).solution.T.to(layer.weight.dtype)
    layer.weight.copy_(solution[:, :-1].reshape(layer.weight.shape))
    layer.bias.copy_(solution[:, -1])
