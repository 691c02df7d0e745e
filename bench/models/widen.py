"""Initialisation of a larger decoder from a smaller one, so that both decoders compute the same result before training.

The method follows Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer" (2016), but new
channels get random weights instead of copied ones. Old channels keep their values for two reasons: new channels are in
separate normalisation groups, and the weights from new channels to old channels are zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.decoder import Decoder, DecoderConfig

__all__ = ["check_widening", "widen"]


@torch.no_grad()
def widen(small: Decoder, large: Decoder) -> None:
    """Set the weights of `large` so that both decoders compute the same images.

    Additional residual blocks of `large` start as the identity. If only `large` has a branch, the branch keeps its
    random weights, and the images can differ if known pixels are given. The images can also differ if both decoders
    have a branch, but with different convolutions or different ways of blending.

    Args:
        small: the decoder to start from.
        large: a decoder that is at least as wide and as deep as `small`. It is changed in place. Most weights that
            compute its new channels stay random.

    Raises:
        ValueError: see `check_widening`.
    """
    check_widening(small.config, large.config)
    source = small.state_dict()
    for name, target in large.state_dict().items():
        old = source.get(name)
        if old is None:
            if name.startswith("up_blocks.") and ".conv2." in name:
                target.zero_()
            elif name.startswith("blends."):
                _copy_features(target)
            continue
        if name.startswith("blends.") and old.ndim > 1:
            _copy_weights(old, target)
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


def _copy_features(target: Tensor) -> None:
    """Set a new concatenation's convolution to copy the decoder's features and to ignore the branch and the mask."""
    target.zero_()
    if target.ndim > 1:
        target[:, : len(target), 0, 0] = torch.eye(len(target))


def _copy_weights(old: Tensor, target: Tensor) -> None:
    """Copy the weights of a concatenation's convolution into a wider one.

    The input channels of both convolutions are the decoder's features, the branch's features and the mask, in this
    order.
    """
    before, after = len(old), len(target)
    target[:before] = 0
    target[:before, :before] = old[:, :before]
    target[:before, after : after + before] = old[:, before : 2 * before]
    target[:before, -1] = old[:, -1]


def check_widening(old: DecoderConfig, new: DecoderConfig) -> None:
    """Require that a decoder with the sizes `new` can compute the same images as a decoder with the sizes `old`.

    The branches' convolutions and the ways of blending are not compared.

    Raises:
        ValueError: the two decoders differ in the number of levels, in the channels of their latents or in the size of
            the normalisation groups; the new one has fewer channels or layers than the old one; or only the old one has
            a branch.
    """
    if old.latent_channels != new.latent_channels:
        raise ValueError(
            f"expected two decoders of latents with equally many channels, found {old.latent_channels} and "
            f"{new.latent_channels}"
        )
    if len(old.channels) != len(new.channels):
        raise ValueError(
            f"expected as many levels as the decoder to start from has ({len(old.channels)}), found {len(new.channels)}"
        )
    if new.layers < old.layers or (old.conditioned and not new.conditioned):
        raise ValueError(
            f"expected at least {old.layers} layers, and a branch if the decoder to start from has one "
            f"({'it has one' if old.conditioned else 'it has none'}), found {new.layers} layers and "
            f"{'a' if new.conditioned else 'no'} branch"
        )
    for before, after in zip(old.channels, new.channels, strict=True):
        if after < before or after * old.groups != before * new.groups:
            raise ValueError(
                f"expected at least {before} channels in normalisation groups of {before // old.groups} channels, as "
                f"in the decoder to start from, found {after} channels in {new.groups} groups"
            )
