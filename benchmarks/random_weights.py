"""Make random weights of networks, and random pictures, for comparisons with other packages.

Two programs that should compute the same can be compared with random weights, so no published weights are needed.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from bench.generation.clip_vocabulary import clip_tokenizer
from bench.generation.single_file import CONFIGS
from bench.metrics.networks.inception import InceptionNetwork
from bench.metrics.networks.inception_input import lama
from bench.rehearsal.metric_networks import backbone_weights
from bench.rehearsal.metric_networks import inception_weights as plain_inception_weights
from bench.runtime.libraries import quiet

__all__ = ["backbone_weights", "inception_weights", "random_images", "stable_diffusion"]

SMALL = {
    "vae": {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1},
    "unet": {"block_out_channels": [32, 32, 64, 64], "cross_attention_dim": 32, "layers_per_block": 1},
    "text_encoder": {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2},
}
"""Settings of a tiny Stable Diffusion, in place of the true ones."""

SPREAD = 20.0
"""Factor of the classes' weights, with which `random_images` have an Inception Score between 2 and 50."""


def inception_weights(seed: int = 0) -> dict[str, Tensor]:
    """Return the weights of a rehearsal's Inception, with classes in which random images differ."""
    tensors = plain_inception_weights(seed)
    # The common part of all images has no information on classes.
    with torch.inference_mode():
        common = InceptionNetwork(tensors)(lama(random_images(8, 64, 64, seed=1))).mean(0)
    classes = tensors["fc.weight"]
    tensors["fc.weight"] = SPREAD * (classes - torch.outer(classes @ common / common.square().sum(), common))
    return tensors


def random_images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Return B×3×H×W uint8 with soft patches of colour of many sizes and contrasts, and some noise."""
    generator = torch.Generator().manual_seed(seed)
    images = []
    for _ in range(count):
        cells = int(torch.randint(2, 17, (), generator=generator))
        patches = torch.randn(1, 3, cells, cells, generator=generator)
        levels, contrast, noise = torch.rand(3, generator=generator).tolist()
        image = functional.interpolate(patches, (height, width), mode="bicubic") * (20 + 80 * contrast)
        image += 64 + 128 * levels + 20 * noise * torch.randn(image.shape, generator=generator)
        images.append(image)
    return torch.cat(images).round().clamp(0, 255).to(torch.uint8)


def stable_diffusion(device: torch.device, *, channels: int, small: bool = False) -> dict[str, Any]:
    """Return the parts of Stable Diffusion 1.5 with random weights in float32, by the names of diffusers' pipelines.

    Args:
        device: device on which the networks are made.
        channels: number of the UNet's input channels, 9 for inpainting.
        small: whether the networks have the tiny sizes of `SMALL`.
    """
    settings: dict[str, dict[str, Any]] = {
        name: json.loads((CONFIGS / name / "config.json").read_text(encoding="utf-8")) for name in SMALL
    }
    for name, changes in SMALL.items():
        settings[name] |= changes if small else {}
    settings["unet"]["in_channels"] = channels
    scheduler = json.loads((CONFIGS / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    with quiet(), torch.device(device):
        return {
            "vae": AutoencoderKL.from_config(settings["vae"]),
            "unet": UNet2DConditionModel.from_config(settings["unet"]),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_dict(settings["text_encoder"])),
            "tokenizer": clip_tokenizer(),
            "scheduler": scheduler,
            "unet_weights": "random",
        }
