"""Functions that write decoders with random weights, in the layouts of published decoders or in this project's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.models.checkpoints import save_decoder
from bench.models.decoder import Decoder, sized
from bench.models.layouts import official_name
from bench.rehearsal.pipelines import autoencoder
from bench.rehearsal.sizes import Sizes

__all__ = ["DECODERS", "write_decoder"]

DECODERS: Mapping[str, Mapping[str, Any]] = {
    "decoder_base": {"width": 1.0, "depth": 1.0},
    "decoder_large": {"width": 1.5, "depth": 1.5},
    "decoder_large_x2": {"width": 2.0, "depth": 2.5},
    "decoder_vanilla_finetuned": {"width": 1.0, "depth": 1.0, "conditioned": False},
    "decoder_base_concat": {"width": 1.0, "depth": 1.0, "blending": "concat", "branch": "partial"},
    "decoder_large_concat": {"width": 1.5, "depth": 1.5, "blending": "concat", "branch": "partial"},
}
"""For the name of each decoder, its sizes as arguments of `bench.models.decoder.sized`."""
DIFFUSERS = ("decoder_large", "decoder_large_x2")
"""Decoders that are published as folders of diffusers."""
SEED = 4


def write_decoder(name: str, path: Path, sizes: Sizes) -> None:
    """Write a decoder with random weights, in the layout in which a user of the real decoder has it.

    `decoder_base` is written in the format of the authors' Lightning file. The decoders in `DIFFUSERS` are written as
    folders of diffusers. All other decoders are not published, so a user must train them. They are written in the
    layout `own` of `save_decoder`, as a training writes them.

    Args:
        name: name of the decoder, a key of `DECODERS`.
        path: file or folder to write.
        sizes: sizes of the networks.
    """
    torch.manual_seed(SEED)
    vanilla = {
        "channels": sizes.autoencoder["block_out_channels"],
        "layers": sizes.autoencoder["layers_per_block"],
        "groups": sizes.autoencoder["norm_num_groups"],
        "widen_groups": False,
    }
    decoder = Decoder(sized(vanilla, **DECODERS[name]))
    if name == "decoder_base":
        _write_lightning(decoder, path)
    elif name in DIFFUSERS:
        save_decoder(decoder, path, layout="diffusers", first_stage=autoencoder(sizes))
    else:
        save_decoder(decoder, path)


def _write_lightning(decoder: Decoder, file: Path) -> None:
    """Write a decoder as a checkpoint of PyTorch Lightning, together with an epoch and a step of the training."""
    tensors: dict[str, Tensor] = {}
    levels = len(decoder.config.channels)
    for name, tensor in decoder.state_dict().items():
        old = official_name(name, levels)
        is_attention = "mid.attn_1." in old and tensor.ndim == 2
        tensors[f"decoder.{old}"] = tensor[:, :, None, None] if is_attention else tensor
    tensors["loss.logvar"] = torch.zeros(())
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 12, "global_step": 172824, "callbacks": {}, "state_dict": tensors}, file)
