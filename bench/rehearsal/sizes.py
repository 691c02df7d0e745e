"""The two sizes of a rehearsal: `full` and `small`.

With `full`, all networks have their true sizes. With `small`, the networks are small, but the code uses the same
classes and the same file formats as with `full`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench.models

__all__ = ["SIZES", "Counts", "Sizes"]

RELEASED = Path(bench.models.__file__).parent / "configs" / "sd15"


def _released(part: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((RELEASED / part / "config.json").read_text(encoding="utf-8"))
    return settings


@dataclass(frozen=True)
class Counts:
    """Numbers of pictures and classes in the data sets of a rehearsal."""

    places: int
    classes: int
    """Number of ImageNet classes, for training and for validation."""
    per_class: int
    cocoee: int
    coco: int
    """Number of images in the split `val`; each has five captions."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a rehearsal's networks and data sets, and the settings that these sizes need."""

    resolution: int
    """Side of the items in pixels."""
    autoencoder: Mapping[str, Any]
    """Arguments of diffusers' `AutoencoderKL`."""
    unet: Mapping[str, Any]
    """Arguments of diffusers' `UNet2DConditionModel`, except the number of input channels."""
    text: Mapping[str, Any]
    """Arguments of transformers' `CLIPTextConfig`."""
    exemplar: Mapping[str, Any]
    """Arguments of transformers' `CLIPVisionConfig` for the image encoder of Paint-by-Example."""
    baselines: Mapping[str, Mapping[str, int]]
    """Arguments of the networks in `baselines/`, by the name of the asset."""
    dinov2: Mapping[str, int]
    """Width and number of blocks of DINOv2."""
    clip_336: str
    """Name in open_clip of the architecture that is written in place of CLIP ViT-L/14 for 336×336 pixels."""
    counts: Counts
    profile: Mapping[str, Any]
    """Keys of the profile that differ from the paper profile."""
    training: tuple[str, ...]
    """Overrides of the training recipes."""
    one_file: bool
    """True if there is also one checkpoint file in the original layout, whose networks must have the true sizes."""
    classifier: bool
    """True if the files of VGG16 and AlexNet contain their classifiers, which no metric uses."""
    gigabytes: float
    """Disk space that all files need together, in 10⁹ bytes."""


_CLIP_IDS = {"vocab_size": 49408, "max_position_embeddings": 77, "bos_token_id": 49406, "eos_token_id": 49407}

SIZES: Mapping[str, Sizes] = {
    "full": Sizes(
        resolution=512,
        autoencoder=_released("vae"),
        unet=_released("unet"),
        text=_released("text_encoder"),
        exemplar={
            "hidden_size": 1024, "intermediate_size": 4096, "projection_dim": 768, "num_hidden_layers": 24,
            "num_attention_heads": 16, "image_size": 224, "patch_size": 14, "hidden_act": "quick_gelu",
        },
        baselines={
            "lama": {"channels": 64, "blocks": 18}, "comodgan": {"size": 512}, "deepfill_v2": {"channels": 48},
            "edgeconnect": {"channels": 64, "blocks": 8},
        },
        dinov2={"width": 1024, "blocks": 24},
        clip_336="ViT-L-14-336-quickgelu",
        counts=Counts(places=30_000, classes=1000, per_class=3, cocoee=3500, coco=5000),
        profile={},
        training=(),
        one_file=True,
        classifier=True,
        gigabytes=28.0,
    ),
    "small": Sizes(
        resolution=32,
        autoencoder={
            **_released("vae"), "block_out_channels": [32, 64, 128, 128],
            "norm_num_groups": 16, "sample_size": 32,
        },
        unet={
            **_released("unet"), "block_out_channels": [32, 64], "layers_per_block": 1, "sample_size": 4,
            "cross_attention_dim": 32, "attention_head_dim": 2,
            "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        },
        text={
            **_released("text_encoder"), "hidden_size": 32, "intermediate_size": 64, "projection_dim": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, **_CLIP_IDS,
        },
        exemplar={
            "hidden_size": 32, "intermediate_size": 64, "projection_dim": 32, "num_hidden_layers": 5,
            "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        },
        baselines={
            "lama": {"channels": 8, "blocks": 2}, "comodgan": {"size": 32, "latent": 32, "base": 512, "widest": 32},
            "deepfill_v2": {"channels": 8}, "edgeconnect": {"channels": 8, "blocks": 2},
        },
        dinov2={"width": 64, "blocks": 2},
        clip_336="ViT-S-32",
        counts=Counts(places=12, classes=4, per_class=3, cocoee=8, coco=4),
        profile={
            "resolution": 32,
            "masks": "thick_512@32",
            "batch_size": 4,
            "decoder_sizes": {"channels": [32, 64, 128, 128], "layers": 2, "groups": 16, "widen_groups": False},
        },
        training=("training.resolution=32", "training.masks=thick_256@32"),
        one_file=False,
        classifier=False,
        gigabytes=0.8,
    ),
}  # fmt: skip
"""The sizes of a rehearsal by name: `full` and `small`."""
