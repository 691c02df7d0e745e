"""Make tiny pipelines with random weights as folders of diffusers and as a file in the original layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PaintByExamplePipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from bench.data.items import Item
from bench.rehearsal.original_layout import original_autoencoder, original_text_encoder, original_unet
from bench.runtime.libraries import quiet

RESOLUTION = 32
FACTOR = 4
"""Factor of the first stage from pixels to latents."""
LENGTH = 12
"""Largest number of tokens of a caption."""
WIDTH = 8
"""Dimension of the condition."""
START, END = "<|startoftext|>", "<|endoftext|>"


def items(count: int = 3, **changes: Any) -> list[Item]:
    """Return items of noise with different masks, captions and exemplars."""
    made = []
    for number in range(count):
        draw = np.random.default_rng(number)
        mask = np.zeros((RESOLUTION, RESOLUTION), np.uint8)
        mask[6 : 20 + number, 3:17] = 1  # an edge in the middle of a latent
        settings: dict[str, Any] = {
            "id": f"item {number}",
            "source": f"item {number}",
            "image": draw.integers(0, 256, (RESOLUTION, RESOLUTION, 3), np.uint8),
            "mask": mask,
            "caption": ("a red square", "two dogs", "a tree on a hill")[number % 3],
            "exemplar": draw.integers(0, 256, (20 + number, 31, 3), np.uint8),
        }
        made.append(Item(**{**settings, **changes}))
    return made


def first_stage() -> AutoencoderKL:
    torch.manual_seed(1)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 8, 8),
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=RESOLUTION,
        scaling_factor=0.5,
    )


def unet(channels: int) -> UNet2DConditionModel:
    torch.manual_seed(2)
    return UNet2DConditionModel(
        sample_size=RESOLUTION // FACTOR,
        in_channels=channels,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )


def tokenizer() -> CLIPTokenizer:
    """Return a tokenizer of single bytes and a few pairs."""
    words = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=120,
        special_tokens=[START, END],
        end_of_word_suffix="</w>",
        initial_alphabet=[chr(code) for code in range(97, 123)],
        show_progress=False,
    )
    words.train_from_iterator([item.caption for item in items()], trainer)
    learned = json.loads(words.to_str())["model"]
    vocabulary = learned["vocab"]
    for code in range(97, 123):
        vocabulary.setdefault(chr(code) + "</w>", len(vocabulary))
    return CLIPTokenizer(
        vocab=vocabulary, merges=[tuple(pair) for pair in learned["merges"]], bos_token=START, eos_token=END,
        unk_token=END, pad_token=END, model_max_length=LENGTH,
    )  # fmt: skip


def text_encoder() -> CLIPTextModel:
    torch.manual_seed(3)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=120, hidden_size=WIDTH, intermediate_size=16, projection_dim=WIDTH, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=LENGTH, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip


def image_encoder() -> PaintByExampleImageEncoder:
    torch.manual_seed(4)
    return PaintByExampleImageEncoder(
        CLIPVisionConfig(
            hidden_size=WIDTH, intermediate_size=16, projection_dim=WIDTH, num_hidden_layers=5, num_attention_heads=2,
            image_size=16, patch_size=8,
        )
    )  # fmt: skip


def scheduler() -> DDIMScheduler:
    """Return a scheduler with other settings than the released scripts, which a generator must correct."""
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", set_alpha_to_one=True)


def write_text(folder: Path, channels: int) -> Path:
    """Write a folder of text to image (4 channels) or inpainting (9 channels)."""
    kind = {4: StableDiffusionPipeline, 9: StableDiffusionInpaintPipeline}[channels]
    with quiet():
        kind(
            vae=first_stage(), text_encoder=text_encoder(), tokenizer=tokenizer(), unet=unet(channels),
            scheduler=scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        ).save_pretrained(folder)  # fmt: skip
    return folder


def write_exemplar(folder: Path) -> Path:
    """Write a folder of Paint-by-Example."""
    with quiet():
        processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
        PaintByExamplePipeline(
            vae=first_stage(), image_encoder=image_encoder(), unet=unet(9), scheduler=scheduler(),
            safety_checker=None, feature_extractor=processor,
        ).save_pretrained(folder)  # fmt: skip
    return folder


def write_configs(folder: Path, channels: int = 4) -> Path:
    """Write the settings of every part except the tokenizer in the layout of the package for Stable Diffusion 1."""
    parts = {"vae": first_stage(), "unet": unet(channels), "text_encoder": text_encoder(), "scheduler": scheduler()}
    for name, part in parts.items():
        save = part.save_config if hasattr(part, "save_config") else part.config.save_pretrained
        save(folder / name)
    return folder


def original_layout(channels: int) -> dict[str, Tensor]:
    """Return the weights by the names of CompVis/stable-diffusion, with the other tensors of real files."""
    network, stage = unet(channels), first_stage()
    state = original_unet(network.state_dict(), network.config.layers_per_block)
    state |= original_autoencoder(stage.state_dict(), len(stage.config.block_out_channels))
    state |= original_text_encoder(text_encoder().state_dict())
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(LENGTH)[None]
    state["alphas_cumprod"] = torch.ones(1000)
    return {name: tensor.detach().contiguous() for name, tensor in state.items()}
