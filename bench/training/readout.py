"""Where a small decoder's last layers, and the branch that copies through them, start from.

The last normalisation divides by statistics of the whole picture, hole included; with a handful of channels in a group
they move with every picture, and known pixels cannot be copied through it. Two facts give a start at which they can.
silu(u) - silu(-u) = u: channels in pairs of opposite sign are read linearly. And a pair of large constants in a group
fixes its variance, whatever the other channels hold.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.decoder import Decoder

__all__ = ["start_branch", "start_readout"]

COLOURS = 3


@torch.no_grad()
def start_readout(decoder: nn.Module, *, constant: float) -> None:
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
    features: list[Tensor] = []
    hook = decoder.conv_norm_out.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    inner, outer = 0.0, 0.0
    for z, picture in examples:
        decoder(z)
        patches = functional.unfold(picture, 3, padding=1)
        inputs = torch.cat([patches, torch.ones_like(patches[:, :1])], 1).transpose(1, 2).flatten(0, 1).double()
        wanted = features.pop().flatten(2).transpose(1, 2).flatten(0, 1).double()
        inner, outer = inner + inputs.T @ inputs, outer + inputs.T @ wanted
    hook.remove()
    solution = torch.linalg.lstsq(inner, outer).solution.T.to(layer.weight.dtype)
    layer.weight.copy_(solution[:, :-1].reshape(layer.weight.shape))
    layer.bias.copy_(solution[:, -1])
