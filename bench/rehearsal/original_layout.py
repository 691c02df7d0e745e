"""The tensor names of Stable Diffusion 1 in its original layout (CompVis/stable-diffusion, ldm/modules).

`bench.generation.single_file` reads this layout with diffusers' converter. The functions here convert in the opposite
direction, from diffusers' names to the original names, so that a rehearsal can write a file in this layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["original_autoencoder", "original_text_encoder", "original_unet"]

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
AUTOENCODER = {
    "mid_block.attentions.0": "mid.attn_1", "group_norm": "norm", "to_out.0": "proj_out", "attn_1.to_": "attn_1.",
    "resnets": "block", "samplers.0": "sample", "conv_shortcut": "nin_shortcut", "conv_norm_out": "norm_out",
}  # fmt: skip
ATTENTION = re.compile(r"attentions.*(to_\w|to_out\.0)\.weight")
"""Pattern of the names of an autoencoder's attention weights, which are 1×1 convolutions in the original layout."""


def original_unet(tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return the tensors of a UNet, renamed to the original layout.

    Args:
        tensors: state dict of diffusers' `UNet2DConditionModel`.
        layers: value of `layers_per_block` in the UNet's configuration.
    """
    return {f"model.diffusion_model.{_unet_name(name, tensors, layers)}": tensor for name, tensor in tensors.items()}


def original_autoencoder(tensors: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """Return the tensors of an autoencoder, renamed to the original layout.

    The attention's weights become 1×1 convolutions, as in the original layout.

    Args:
        tensors: state dict of diffusers' `AutoencoderKL`.
        levels: number of the autoencoder's levels.
    """
    return {
        f"first_stage_model.{_autoencoder_name(name, levels)}": tensor[:, :, None, None]
        if ATTENTION.search(name)
        else tensor
        for name, tensor in tensors.items()
    }


def original_text_encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of transformers' `CLIPTextModel`, renamed to the original layout."""
    return {
        f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in tensors.items()
    }


def _unet_name(name: str, tensors: Mapping[str, Tensor], layers: int) -> str:
    for new, old in ENDS.items():
        if name.startswith(f"{new}."):
            return name.replace(new, old, 1)
    if name.startswith("mid_block"):
        _, kind, number, *rest = name.split(".")
        place = f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}"
        return ".".join([place, *_layer_name(kind, rest)])
    side, block, kind, number, *rest = name.split(".")
    first = (layers + 1) * int(block)
    if side == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{first + layers + 1}.0.op.{rest[-1]}"
        place = f"input_blocks.{first + int(number) + 1}.{0 if kind == 'resnets' else 1}"
    else:
        if kind == "upsamplers":
            attends = any(other.startswith(f"up_blocks.{block}.attentions.") for other in tensors)
            return f"output_blocks.{first + layers}.{2 if attends else 1}.conv.{rest[-1]}"
        place = f"output_blocks.{first + int(number)}.{0 if kind == 'resnets' else 1}"
    return ".".join([place, *_layer_name(kind, rest)])


def _layer_name(kind: str, rest: list[str]) -> list[str]:
    return [RESNET[rest[0]], *rest[1:]] if kind == "resnets" else rest


def _autoencoder_name(name: str, levels: int) -> str:
    name = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{levels - 1 - int(found[1])}", name)
    name = name.replace("down_blocks", "down")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    for new, old in AUTOENCODER.items():
        name = name.replace(new, old)
    return name
