"""Starts a larger decoder from a smaller one without changing what it computes.

After Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer" (2016), but with fresh new
channels instead of copied ones: they stand in normalisation groups of their own and nothing old reads them yet, so old
channels keep their values, and the new ones are free to become something else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.decoder import Decoder, DecoderConfig

__all__ = ["check_widening", "widen"]


@torch.no_grad()
def widen(small: Decoder, large: Decoder) -> None:
    """Give `large` weights with which it decodes as `small` does.

    Additional residual blocks start as the identity. A condition branch that only `large` has keeps its fresh weights.

    Args:
        small: the decoder to start from.
        large: at least as wide and deep, changed in place; its new channels keep their fresh incoming weights.

    Raises:
        ValueError: as `check_widening`.
    """
    check_widening(small.config, large.config)
    source = small.state_dict()
    for name, target in large.state_dict().items():
        old = source.get(name)
        if old is None:
            if name.startswith("up_blocks.") and ".conv2." in name:
                target.zero_()
            elif name.startswith("blends."):
                _pass_on(target)
            continue
        if name.startswith("blends.") and old.ndim > 1:
            _place(old, target)
            continue
        if old.ndim > 1:
            target[: len(old), old.shape[1] :] = 0
            target[: len(old), : old.shape[1]] = old
        else:
            target[: len(old)] = old
        if ".to_q." in name:
            # The attention's logits are divided by the root of the width, and new queries must not add to them.
            target[: len(old)] *= (len(target) / len(old)) ** 0.5
            target[len(old) :] = 0


def _pass_on(target: Tensor) -> None:
    """Of a fresh concatenation's convolution: give the decoder's own features on, and nothing of the others yet."""
    target.zero_()
    if target.ndim > 1:
        target[:, : len(target), 0, 0] = torch.eye(len(target))


def _place(old: Tensor, target: Tensor) -> None:
    """Of a concatenation's convolution: its inputs are the decoder's features, as many of the branch, and the mask."""
    before, after = len(old), len(target)
    target[:before] = 0
    target[:before, :before] = old[:, :before]
    target[:before, after : after + before] = old[:, before : 2 * before]
    target[:before, -1] = old[:, -1]


def check_widening(old: DecoderConfig, new: DecoderConfig) -> None:
    """See that a decoder of the new sizes can decode as one of the old sizes does.

    Raises:
        ValueError: fewer levels, channels, layers, or another number of channels in a normalisation group.
    """
    if len(old.channels) != len(new.channels):
        raise ValueError(f"widening keeps the levels: found {len(old.channels)} and {len(new.channels)}")
    if new.layers < old.layers or (old.conditioned and not new.conditioned):
        raise ValueError(f"the larger decoder lacks a part of the smaller: {old} and {new}")
    for before, after in zip(old.channels, new.channels, strict=True):
        if after < before or after * old.groups != before * new.groups:
            raise ValueError(
                f"widening keeps the channels in a normalisation group: found {before} in {old.groups} groups and "
                f"{after} in {new.groups}"
            )
