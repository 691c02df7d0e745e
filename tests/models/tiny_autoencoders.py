"""Tiny autoencoders of every class of diffusers, with random weights and statistics."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from torch import nn

DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
KL = {
    "down_block_types": (DOWN, DOWN),
    "up_block_types": (UP, UP),
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
}
VIDEO = {"base_dim": 8, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "kl4": ("AutoencoderKL", {**KL, "latent_channels": 4}),
    "kl16": (
        "AutoencoderKL",
        {
            **KL, "latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": False,
            "use_post_quant_conv": False,
        },
    ),
    "kl4_by_channel": (
        "AutoencoderKL",
        {**KL, "latent_channels": 4, "latents_mean": [0.1, -0.2, 0.3, 0.5], "latents_std": [1.5, 2.0, 0.5, 0.8]},
    ),
    "kl32": ("AutoencoderKL", {**KL, "latent_channels": 32, "scaling_factor": 0.5}),
    "asymmetric": (
        "AsymmetricAutoencoderKL",
        {
            "down_block_types": (DOWN,) * 2, "down_block_out_channels": (8, 16), "up_block_types": (UP,) * 2,
            "up_block_out_channels": (16, 16), "layers_per_up_block": 2, "norm_num_groups": 4,
        },
    ),
    "tiny": (
        "AutoencoderTiny",
        {
            "encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
            "num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4,
            "latent_channels": 16, "scaling_factor": 1.5, "shift_factor": 0.2,
        },
    ),
    "consistency": (
        "ConsistencyDecoderVAE",
        {
            "encoder_block_out_channels": (4, 8, 8, 8), "encoder_norm_num_groups": 4, "encoder_layers_per_block": 1,
            "decoder_block_out_channels": (8, 8, 8, 8), "decoder_layers_per_block": 1, "decoder_norm_num_groups": 4,
        },
    ),
    "dc": (
        "AutoencoderDC",
        {
            "latent_channels": 8, "attention_head_dim": 4, "encoder_block_out_channels": (8, 8, 16),
            "decoder_block_out_channels": (8, 8, 16), "encoder_layers_per_block": (1, 1, 1),
            "decoder_layers_per_block": (1, 1, 1), "encoder_qkv_multiscales": ((), (), ()),
            "decoder_qkv_multiscales": ((), (), ()), "scaling_factor": 0.41407,
        },
    ),
    "qwen": ("AutoencoderKLQwenImage", VIDEO),
    "wan": ("AutoencoderKLWan", VIDEO),
    "flux2": ("AutoencoderKLFlux2", {**KL, "latent_channels": 8}),
    "rae": (
        "AutoencoderRAE",
        {
            "encoder_hidden_size": 64, "encoder_patch_size": 14, "encoder_num_hidden_layers": 1,
            "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 16, "patch_size": 16, "encoder_input_size": 28,
            "latents_mean": [[[0.1]]] * 64, "latents_std": [[[2.0]]] * 64, "scaling_factor": 0.7,
        },
    ),
    "vq": ("VQModel", {**KL, "latent_channels": 4, "num_vq_embeddings": 16}),
}  # fmt: skip
"""Class and settings of each tiny autoencoder, by a short name."""


def tiny_autoencoder(name: str, seed: int = 0) -> nn.Module:
    """Return a tiny autoencoder whose weights, gains and statistics all differ from their initial values."""
    return _random(*SETTINGS[name], seed)


def spatial(name: str, channels: int, factor: int, **settings: Any) -> nn.Module:
    """Return a tiny random autoencoder with given latents.

    Args:
        name: `kl` for `AutoencoderKL`, or `dc` for `AutoencoderDC`.
        channels: number of channels of the latents.
        factor: side of the square of pixels that one position of the latents stands for, a power of 2.
        settings: further settings of the class.
    """
    levels = factor.bit_length()
    if name == "kl":
        sizes = {
            "down_block_types": (DOWN,) * levels, "up_block_types": (UP,) * levels, "norm_num_groups": 4,
            "block_out_channels": (8,) * levels,
        }  # fmt: skip
        return _random("AutoencoderKL", {**sizes, "latent_channels": channels, **settings})
    each = {
        "block_out_channels": (*(8,) * (levels - 1), channels), "layers_per_block": (1,) * levels,
        "qkv_multiscales": ((),) * levels, "block_types": "ResBlock",
    }  # fmt: skip
    both = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in each.items()}
    return _random("AutoencoderDC", {**both, "attention_head_dim": 4, "latent_channels": channels, **settings})


def _random(kind: str, settings: dict[str, Any], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = getattr(diffusers, kind)(**settings).eval()
        for key, values in network.state_dict().items():
            if key.endswith("running_var"):
                values.copy_(0.5 + torch.rand(values.shape))
            elif values.is_floating_point() and not key.endswith(("_std", "_mean", "means", "stds")):
                values.add_(0.05 * torch.randn(values.shape))
    return network
