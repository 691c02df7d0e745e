"""Make tiny pipelines of SDXL inpainting and FLUX.1 Fill with random weights, as folders of diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxTransformer2DModel,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from bench.runtime.libraries import quiet
from tests.generation import tiny
from tests.generation.tiny import LENGTH, WIDTH

XL, FLUX = "StableDiffusionXLInpaintPipeline", "FluxFillPipeline"
CHANNELS = {XL: 4, FLUX: 16}
"""Number of channels of the latents, by the class of the pipeline."""
CLIP = {
    "vocab_size": 120, "hidden_size": WIDTH, "intermediate_size": 16, "projection_dim": WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": LENGTH, "bos_token_id": 0, "eos_token_id": 1,
    "pad_token_id": 1,
}  # fmt: skip


def first_stage(**settings: Any) -> AutoencoderKL:
    """Return an autoencoder with the factor 4, whose latents have gains and shifts that differ from the default."""
    torch.manual_seed(1)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=tiny.RESOLUTION,
        **settings,
    )


def t5_tokenizer() -> T5TokenizerFast:
    """Return a tokenizer of single letters."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("▁", -2.0), *((letter, -3.0) for letter in letters)]
    return T5TokenizerFast(vocab=pieces, extra_ids=0)


def write_xl(folder: Path, **scheduler: Any) -> Path:
    """Write a folder of SDXL inpainting. `scheduler` changes the settings of its scheduler."""
    vae = first_stage(scaling_factor=0.13025)
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=tiny.RESOLUTION // tiny.FACTOR, in_channels=9, out_channels=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=2 * WIDTH, attention_head_dim=2,
        addition_embed_type="text_time", addition_time_embed_dim=4, use_linear_projection=True,
        projection_class_embeddings_input_dim=6 * 4 + WIDTH,
    )  # fmt: skip
    with quiet():
        StableDiffusionXLInpaintPipeline(
            vae=vae, unet=unet, text_encoder=CLIPTextModel(CLIPTextConfig(**CLIP)),
            text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**CLIP)),
            tokenizer=tiny.tokenizer(), tokenizer_2=tiny.tokenizer(),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **scheduler
            ),
        ).save_pretrained(folder)  # fmt: skip
    return folder


def write_flux(folder: Path, **scheduler: Any) -> Path:
    """Write a folder of FLUX.1 Fill. `scheduler` changes the settings of its scheduler."""
    vae = first_stage(
        latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False
    )
    torch.manual_seed(2)
    transformer = FluxTransformer2DModel(
        in_channels=4 * (2 * 16 + tiny.FACTOR**2), out_channels=64, num_layers=1, num_single_layers=1,
        attention_head_dim=16, num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
        guidance_embeds=True, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    t5 = T5Config(vocab_size=32, d_model=WIDTH, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    with quiet():
        FluxFillPipeline(
            vae=vae, transformer=transformer, text_encoder=CLIPTextModel(CLIPTextConfig(**CLIP)),
            text_encoder_2=T5EncoderModel(t5), tokenizer=tiny.tokenizer(), tokenizer_2=t5_tokenizer(),
            scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, **scheduler),
        ).save_pretrained(folder)  # fmt: skip
    return folder


WRITERS = {XL: write_xl, FLUX: write_flux}
"""Function that writes a tiny pipeline, by the class of the pipeline."""
