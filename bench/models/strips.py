"""Decoding of images in horizontal strips. This needs less memory, and the images change only by rounding errors.

The usual decoding of a whole image keeps several versions of the largest feature maps in memory at once: normalised,
activated, convolved and blended. In this module, a map is computed a few rows at a time. A row function is a function
that computes given rows of a map. Each strip has one extra row above and below, because a 3x3 convolution reads one row
beyond each result. Rows that the strip's edges make wrong are cut off. Normalisations use the statistics of the whole
map. A residual block therefore keeps only its input and its result in memory. The branch's two maps of full size are
not stored: rows of these maps are computed whenever they are needed.

The middle block is computed as a whole, because its maps are the smallest, and its attention uses every position.
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
"""A row function: called with `start` and `stop`, it computes these rows of a feature map (`stop` is not included)."""
STORED_FROM = 2
"""Index of the first of the branch's maps that is stored. The maps before it are large, but cheap to compute again."""


@torch.no_grad()
def decode_in_strips(
    decoder: Decoder, z: Tensor, image: Tensor | None = None, mask: Tensor | None = None, *, rows: int
) -> Tensor:
    """Compute `decoder(z, image, mask)` in strips and without gradients. The result differs only by rounding errors.

    Args:
        decoder: the decoder in evaluation mode.
        z: latents B×C×h×w, see `Decoder.forward`.
        image: images B×3×H×W or None, see `Decoder.forward`.
        mask: masks B×1×H×W or None, see `Decoder.forward`.
        rows: number of rows of a feature map that are computed at once, 1 or more. Two further rows are computed for
            each strip and then cut off.

    Returns:
        Images B×3×H×W, roughly in [-1, 1], not clamped.

    Raises:
        ValueError: see `Decoder.forward`.
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
    """Compute a whole map, strip by strip.

    Args:
        read: row function of the map.
        height: height of the map.
        rows: height of a strip.
        out: tensor that receives the result; None for a new tensor. It may be the tensor from which `read` computes
            its rows, if `read` needs at most one row above and below the rows that it returns.
    """
    pending: list[tuple[int, Tensor]] = []
    for start in range(0, height, rows):
        strip = read(start, min(start + rows, height))
        if out is None:
            out = _empty(strip, height)
        # A strip is written after the next one is read, because the next one needs the last row of the old values.
        _write(out, pending)
        pending = [(start, strip)]
    assert out is not None  # a map has rows
    _write(out, pending)
    return out


def _write(out: Tensor, strips: list[tuple[int, Tensor]]) -> None:
    for start, strip in strips:
        out[:, :, start : start + strip.shape[2]] = strip


def _empty(strip: Tensor, height: int) -> Tensor:
    """Allocate a map of the given height, with the width, type and memory format of a strip."""
    batch, channels, _, width = strip.shape
    order = torch.channels_last if strip.stride(1) == 1 else torch.contiguous_format
    return torch.empty((batch, channels, height, width), dtype=strip.dtype, device=strip.device, memory_format=order)


def _rows_of(x: Tensor) -> Rows:
    """Return the row function of a map that is in memory."""
    return lambda start, stop: x[:, :, start:stop]


def _convolved(layer: nn.Module, *inputs: Rows, height: int, stride: int = 1) -> Rows:
    """Return the row function of a convolution's output.

    Args:
        layer: the convolution, which is called with rows of each input and pads them by one row and column.
        inputs: row functions of the inputs, which are maps of equal height.
        height: height of the output: the inputs' height divided by the stride.
        stride: stride of the layer, 1 or 2.
    """

    def read(start: int, stop: int) -> Tensor:
        first, last = max(start - 1, 0), min(stop + 1, height)
        feature = layer(*(rows(first * stride, last * stride) for rows in inputs))
        return feature[:, :, start - first : stop - first]  # type: ignore[no-any-return]

    return read


def _upsampled(layer: Upsample, x: Tensor) -> Rows:
    """Return the row function of an upsampling layer's output."""

    def read(start: int, stop: int) -> Tensor:
        first, last = max((start - 1) // 2, 0), stop // 2 + 1
        return layer(x[:, :, first:last])[:, :, start - 2 * first : stop - 2 * first]  # type: ignore[no-any-return]

    return read


def _activated(norm: nn.GroupNorm, x: Tensor, rows: int) -> Rows:
    """Return the row function of a map after a group normalisation and SiLU.

    The normalisation uses the statistics of the whole map. To compute them, the map is read `rows` rows at a time.
    """
    exact = torch.promote_types(x.dtype, torch.float32)

    def group_mean(values: Tensor) -> Tensor:
        grouped = values.reshape(len(values), norm.num_groups, -1)
        return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1, 2)[:, :, None, None]

    mean = group_mean(x.mean((2, 3), dtype=exact))
    squares = torch.stack([(part - mean).square_().sum((2, 3)) for part in torch.split(x, rows, dim=2)]).sum(0)
    deviation = (group_mean(squares / x[0, 0].numel()) + norm.eps).sqrt()
    scale = norm.weight[:, None, None] / deviation
    shift = norm.bias[:, None, None] - mean * scale
    return lambda start, stop: functional.silu((x[:, :, start:stop] * scale).add_(shift), inplace=True)


def _residual(block: ResBlock, x: Tensor, rows: int) -> Tensor:
    """Compute a residual block's output with only one whole map in memory in addition to the input `x`.

    This map first receives the output of the first convolution. The block's output then overwrites this map.
    """
    height = x.shape[-2]
    h = _filled(_convolved(block.conv1, _activated(block.norm1, x, rows), height=height), height, rows)
    second = _convolved(block.conv2, _activated(block.norm2, h, rows), height=height)
    shortcut = nn.Identity() if block.conv_shortcut is None else block.conv_shortcut
    return _filled(
        lambda start, stop: torch.add(second(start, stop), shortcut(x[:, :, start:stop])), height, rows, out=h
    )


def _branch(branch: ConditionBranch, image: Tensor, mask: Tensor, *, rows: int) -> list[Rows]:
    """Return the row functions of the branch's feature maps before their ReLU, finest map first."""
    features: list[Rows] = []
    hole, height = mask, image.shape[-2]
    previous = _rows_of((1 - mask) * image)
    for index, layer in enumerate(cast(Iterable[nn.Conv2d], branch.layers)):
        stride = layer.stride[0]
        inputs = (previous, _rows_of(1 - hole)) if branch.partial else (previous,)
        height, hole = height // stride, hole[:, :, ::stride, ::stride]
        feature = _convolved(layer, *inputs, height=height, stride=stride)
        if index >= STORED_FROM:
            feature = _rows_of(_filled(feature, height, max(1, rows // stride)))
        features.append(feature)
        previous = _rectified(feature)
    return features


def _rectified(read: Rows) -> Rows:
    return lambda start, stop: functional.relu(read(start, stop))
