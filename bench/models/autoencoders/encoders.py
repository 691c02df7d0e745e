"""A function that compares the encoders of two autoencoders by the weights in their files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.config.opened_files import opened_weights
from bench.models.tensor_files import read_tensors

__all__ = ["ENCODING_PARTS", "same_encoder"]

ENCODING_PARTS = ("bn", "encoder", "quant_conv", "quantize")
"""Beginnings of the names of those weights of diffusers' autoencoders that decide which latents an encoder makes."""
EARLIER = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""Parts of names of attention layers in files of old versions of diffusers, with those of the present version."""
ROUNDING = 0.01
"""Relative difference up to which weights count as equal. Rounding to bfloat16 changes a weight by at most 0.4 %."""


def same_encoder(one: Path, other: Path) -> bool:
    """Return True if the encoders of two autoencoders have the same weights, up to rounding to half precision.

    Args:
        one: folder of an autoencoder that diffusers wrote.
        other: another such folder.

    Raises:
        BadInputError: a weight file cannot be read.
    """
    if one.resolve() == other.resolve():
        return True
    first, second = _encoding(one), _encoding(other)
    if {name: values.shape for name, values in first.items()} != {
        name: values.shape for name, values in second.items()
    }:
        return False
    squares = [
        torch.stack([(values.float() - second[name].float()).square().sum(), values.float().square().sum()])
        for name, values in first.items()
    ]
    changed, whole = torch.stack(squares).double().sum(0).tolist() if squares else (0.0, 0.0)
    return bool(changed <= ROUNDING**2 * whole)


def _encoding(folder: Path) -> dict[str, Tensor]:
    """Return the weights that determine the latents of the autoencoder in a folder.

    The keys are the names of the weights in the present version of diffusers.
    """
    found = {}
    for file in opened_weights(folder):
        if file.suffix == ".json":  # the index of weights in several files
            continue
        for name, values in read_tensors(file).items():
            if name.split(".")[0] in ENCODING_PARTS:
                found[_present(name)] = values
    return found


def _present(name: str) -> str:
    for old, new in EARLIER.items():
        name = name.replace(old, new)
    return name
