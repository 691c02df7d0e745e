"""A decoder's image in horizontal strips: the same values to rounding, in less memory.

A whole image holds several copies of its largest feature maps at once: normalised, activated, convolved, blended. Here
a map is read and written a few rows at a time, each strip with one row more on either side, which is as far as a
convolution sees; what that row's false border spoils is cut off. A normalisation's statistics are those of the whole
map. So a residual block holds its input and its result and no third map, and the branch's two maps of full size are
never held at all: their rows are computed each time that they are wanted.

The middle block is computed whole: it is the smallest, and its attention sees every position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.decoder import ConditionBranch, Decoder
from bench.models.layers import ResBlock, UpBlock, Upsample, resize_mask

__all__ = ["decode_in_strips"]

Rows = Callable[[int, int], Tensor]
"""Rows `start` to `stop` of a feature map, computed when they are asked for."""
KEPT_FROM = 2
"""First of the branch's maps that are kept: those before are of full size and cheap to compute again."""


@torch.no_grad()
def decode_in_strips(
    decoder: Decoder, z: Tensor, image: Tensor | None = None, mask: Tensor | None = None, *, rows: int
) -> Tensor:
    """Decode latents as `decoder(z, image, mask)` does, without gradients.

    Args:
        decoder: in evaluation.
        z: B×4×h×w, as the decoder takes it.
        image: B×3×H×W, likewise.
        mask: B×1×H×W, likewise.
        rows: of a feature map that are computed at once, 1 or more; two more are computed in vain.

    Returns:
        B×3×H×W, roughly in [-1, 1], not clamped.

    Raises:
        ValueError: as the decoder does.
    """
    known = decoder.known(z, image, mask)
    features: list[Rows] = []
    if known is not None and decoder.condition_encoder is not None:
        features = _branch(decoder.condition_encoder, *known, rows=rows)

    def blend(x: Tensor) -> Tensor:
        if known is None:
            return x
        join, feature, hole = decoder.join(len(features) - 1), features.pop(), resize_mask(known[1], x)
        return _filled(
            lambda start, stop: join(x[:, :, start:stop], feature(start, stop), hole[:, :, start:stop]),
            x.shape[-2],
            rows,
            out=x,
        )

    x = decoder.mid_block(decoder.conv_in(z))
    for up_block in cast(Iterable[UpBlock], decoder.up_blocks):
        x = blend(x)
        for block in cast(Iterable[ResBlock], up_block.resnets):
            x = _residual(block, x, rows)
        for layer in cast(Iterable[Upsample], up_block.upsamplers):
            x = _filled(_upsampled(layer, x), 2 * x.shape[-2], rows)
    x = blend(x)
    last = _convolved(decoder.conv_out, _activated(decoder.conv_norm_out, x, rows), height=x.shape[-2])
    return _filled(last, x.shape[-2], rows)


def _filled(read: Rows, height: int, rows: int, out: Tensor | None = None) -> Tensor:
    """A whole map, strip by strip.

    Args:
        read: gives its rows.
        height: of the map.
        rows: of a strip.
        out: where to put it, which may be the very map that `read` reads up to a row beyond what it gives; None for a
            new one.
    """
    late: list[tuple[int, Tensor]] = []
    for start in range(0, height, rows):
        strip = read(start, min(start + rows, height))
        if out is None:
            out = _empty(strip, height)
        # A strip is written when the next one has been read, which still wants the last row that it replaces.
        _write(out, late)
        late = [(start, strip)]
    assert out is not None  # a map has rows
    _write(out, late)
    return out


def _write(out: Tensor, strips: list[tuple[int, Tensor]]) -> None:
    for start, strip in strips:
        out[:, :, start : start + strip.shape[2]] = strip


def _empty(strip: Tensor, height: int) -> Tensor:
    """Room for a map of a strip's width, type and order in memory."""
    batch, channels, _, width = strip.shape
    order = torch.channels_last if strip.stride(1) == 1 else torch.contiguous_format
    return torch.empty((batch, channels, height, width), dtype=strip.dtype, device=strip.device, memory_format=order)


def _of(x: Tensor) -> Rows:
    """Rows of a map that is there."""
    return lambda start, stop: x[:, :, start:stop]


def _convolved(layer: nn.Module, *inputs: Rows, height: int, stride: int = 1) -> Rows:
    """Rows of a convolution that is as high as its input, or half as high with a stride of 2.

    Args:
        layer: called with rows of each input; pads by one.
        inputs: as high as each other.
        height: of the output.
        stride: the layer's.
    """

    def read(start: int, stop: int) -> Tensor:
        first, last = max(start - 1, 0), min(stop + 1, height)
        made = layer(*(rows(first * stride, last * stride) for rows in inputs))
        return made[:, :, start - first : stop - first]  # type: ignore[no-any-return]

    return read


def _upsampled(layer: Upsample, x: Tensor) -> Rows:
    """Rows of an upsampling layer's output."""

    def read(start: int, stop: int) -> Tensor:
        first, last = max((start - 1) // 2, 0), stop // 2 + 1
        return layer(x[:, :, first:last])[:, :, start - 2 * first : stop - 2 * first]  # type: ignore[no-any-return]

    return read


def _activated(norm: nn.GroupNorm, x: Tensor, rows: int) -> Rows:
    """Rows of a map after a group normalisation by the statistics of the whole of it, and SiLU."""
    exact = torch.promote_types(x.dtype, torch.float32)

    def of_groups(values: Tensor) -> Tensor:
        grouped = values.reshape(len(values), norm.num_groups, -1)
        return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1, 2)[:, :, None, None]

    mean = of_groups(x.mean((2, 3), dtype=exact))
    squares = torch.stack([(part - mean).square_().sum((2, 3)) for part in torch.split(x, rows, dim=2)]).sum(0)
    deviation = (of_groups(squares / x[0, 0].numel()) + norm.eps).sqrt()
    scale = norm.weight[:, None, None] / deviation
    shift = norm.bias[:, None, None] - mean * scale
    return lambda start, stop: functional.silu((x[:, :, start:stop] * scale).add_(shift), inplace=True)


def _residual(block: ResBlock, x: Tensor, rows: int) -> Tensor:
    """A residual block's result, which takes the place of the one map that it needs beside its input."""
    height = x.shape[-2]
    h = _filled(_convolved(block.conv1, _activated(block.norm1, x, rows), height=height), height, rows)
    second = _convolved(block.conv2, _activated(block.norm2, h, rows), height=height)
    shortcut = nn.Identity() if block.conv_shortcut is None else block.conv_shortcut
    return _filled(
        lambda start, stop: torch.add(second(start, stop), shortcut(x[:, :, start:stop])), height, rows, out=h
    )


def _branch(branch: ConditionBranch, image: Tensor, mask: Tensor, *, rows: int) -> list[Rows]:
    """Rows of the condition branch's maps before their ReLU, finest first."""
    features: list[Rows] = []
    hole, height = mask, image.shape[-2]
    before = _of((1 - mask) * image)
    for index, layer in enumerate(cast(Iterable[nn.Conv2d], branch.layers)):
        stride = layer.stride[0]
        inputs = (before, _of(1 - hole)) if branch.partial else (before,)
        height, hole = height // stride, hole[:, :, ::stride, ::stride]
        made = _convolved(layer, *inputs, height=height, stride=stride)
        if index >= KEPT_FROM:
            made = _of(_filled(made, height, max(1, rows // stride)))
        features.append(made)
        before = _rectified(made)
    return features


def _rectified(read: Rows) -> Rows:
    return lambda start, stop: functional.relu(read(start, stop))
