"""Provide a small decoder training for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from bench.data.imagenet_train import ImageNetTrain
from bench.models import Decoder, DecoderConfig
from bench.models.first_stage import AdaptedFirstStage, first_stage_of
from bench.runtime.distributed import World
from bench.training.objective import Objective
from bench.training.recipe import DecoderRecipe
from bench.training.trainer import DecoderTraining

CHANNELS = (8, 16)
RESOLUTION = 32


class PixelDistance(nn.Module):
    """Stand in for a perceptual distance by squared differences of neighbours."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        difference = image - target
        return (difference[..., 1:] - difference[..., :-1]).square().mean((1, 2, 3))


def write_pictures(root: Path, count: int = 6) -> Path:
    """Write pictures of noise in one synset folder."""
    (root / "n1").mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(root / "n1" / f"{number}.png")
    return root


def first_stage() -> AdaptedFirstStage:
    torch.manual_seed(1)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=RESOLUTION,
    )
    return first_stage_of(vae)


def decoder(*, conditioned: bool = True) -> Decoder:
    torch.manual_seed(2)
    return Decoder(DecoderConfig(CHANNELS, layers=1, conditioned=conditioned, groups=4))


def recipe(**changes: Any) -> DecoderRecipe:
    settings: dict[str, Any] = {
        "steps": 6,
        "batch_size": 4,
        "at_once": 4,
        "learning_rate": 1e-3,
        "warmup": 2,
        "resolution": RESOLUTION,
        "masks": "thick_256@32",
        "save_every": 2,
        "objective": Objective(reduction="mean", adversary="hinge", adversary_from=2),
    }
    return DecoderRecipe(**{**settings, **changes})


def training(
    root: Path, folder: Path, *, settings: str = "same", world: World | None = None, **changes: Any
) -> DecoderTraining:
    """Return a training on the pictures under `root` with checkpoints in `folder`."""
    chosen = recipe(**changes)
    data = ImageNetTrain(root, resolution=RESOLUTION, masks=chosen.masks, full_share=chosen.full_share)
    return DecoderTraining(
        decoder(),
        first_stage(),
        data,
        PixelDistance(),
        chosen,
        seed=0,
        device=torch.device("cpu"),
        folder=folder,
        settings=settings,
        pretrained=frozenset(name for name, _ in decoder().named_parameters() if "condition" not in name),
        world=world or World(),
    )
