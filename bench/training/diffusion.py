"""What the mini profile's diffusion models share: their UNet, text encoder and scheduler, and the loss on velocities.

Velocities are those of Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models", appendix
D, on Stable Diffusion's noise schedule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bench.training.trainer import Schedule
from bench.training.workshop import Workshop

__all__ = [
    "ENCODED_AT_ONCE",
    "SAMPLED_AT_ONCE",
    "TextRecipe",
    "UNetRecipe",
    "encode_means",
    "noise_scheduler",
    "plain_attention",
    "tokenize",
    "velocity_figures",
    "velocity_loss",
]

Pictures = TypeVar("Pictures")

START, END = "<|startoftext|>", "<|endoftext|>"
ENCODED_AT_ONCE = 64
"""Pictures of one pass through the first stage."""
SAMPLED_AT_ONCE = 48
"""Pictures of one run of a pipeline."""
MEASURED_BATCHES = 50


@dataclass(frozen=True, kw_only=True)
class UNetRecipe:
    """The sizes of a UNet for the first stage's latents, and how it is trained."""

    channels: Sequence[int]
    layers: int
    groups: int
    head_channels: int
    schedule: Schedule
    empty_share: float
    """Share of pictures whose condition is taken away, for guidance."""
    attended: int = 1
    """Levels that look at the condition, the coarsest first."""

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def unet(self, *, inputs: int, condition_width: int, side: int) -> UNet2DConditionModel:
        """With fresh weights.

        Args:
            inputs: channels that it sees; it predicts four.
            condition_width: of each token of the condition.
            side: of the latents.
        """
        plain = len(self.channels) - self.attended
        return UNet2DConditionModel(
            sample_size=side,
            in_channels=inputs,
            out_channels=4,
            down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D",) * self.attended,
            up_block_types=("CrossAttnUpBlock2D",) * self.attended + ("UpBlock2D",) * plain,
            block_out_channels=tuple(self.channels),
            layers_per_block=self.layers,
            norm_num_groups=self.groups,
            cross_attention_dim=condition_width,
            attention_head_dim=self.head_channels,
        )


@dataclass(frozen=True, kw_only=True)
class TextRecipe(UNetRecipe):
    """The same with a text encoder, which is trained along."""

    text_width: int
    text_layers: int
    text_length: int
    vocabulary: int

    def text_encoder(self, tokenizer: CLIPTokenizer) -> CLIPTextModel:
        """With fresh weights."""
        return CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=self.text_width,
                intermediate_size=2 * self.text_width,
                projection_dim=self.text_width,
                num_hidden_layers=self.text_layers,
                num_attention_heads=4,
                max_position_embeddings=self.text_length,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )

    def tokenizer(self, texts: Sequence[str]) -> CLIPTokenizer:
        """Byte pairs learned from the texts, in CLIP's manner."""
        bytes_ = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
        bytes_.pre_tokenizer = pre_tokenizers.Whitespace()
        words = {word for text in set(texts) for word, _ in bytes_.pre_tokenizer.pre_tokenize_str(text)}
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            # The trainer numbers symbols that end a word in no order; those given as special tokens, in this one.
            special_tokens=[START, END, *sorted({word[-1] + "</w>" for word in words})],
            end_of_word_suffix="</w>",
            initial_alphabet=[chr(code) for code in range(33, 127)],
            show_progress=False,
        )
        bytes_.train_from_iterator(texts, trainer)
        learned: dict[str, Any] = json.loads(bytes_.to_str())["model"]
        vocabulary = learned["vocab"]
        for code in range(33, 127):
            vocabulary.setdefault(chr(code) + "</w>", len(vocabulary))
        merges = [tuple(pair) for pair in learned["merges"]]
        return CLIPTokenizer(
            vocab=vocabulary, merges=merges, bos_token=START, eos_token=END, unk_token=END, pad_token=END,
            model_max_length=self.text_length,
        )  # fmt: skip


def plain_attention(unet: UNet2DConditionModel) -> None:
    """Let attention be products and a softmax: on a CPU the fused one takes longer backward than all convolutions."""
    unet.set_attn_processor(AttnProcessor())


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Texts as indices B×L, padded or cut to the tokenizer's length."""
    ids: Tensor = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def noise_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, for a model that predicts velocities."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


@torch.no_grad()
def encode_means(vae: AutoencoderKL, pictures: Tensor, workshop: Workshop) -> Tensor:
    """Pictures B×3×H×W in [-1, 1] as the means of their latents B×4×h×w, scaled for the UNet."""
    x = pictures.to(workshop.device, memory_format=torch.channels_last)
    with workshop.autocast():
        mean = vae.encode(x).latent_dist.mean
    scaled: Tensor = mean.float() * vae.config.scaling_factor
    return scaled.cpu().contiguous()


def velocity_loss(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    latents: Tensor,
    times: Tensor,
    noise: Tensor,
    *,
    beside: Sequence[Tensor] = (),
    condition: Tensor,
    workshop: Workshop,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Mean squared error of the predicted velocity.

    Args:
        unet: the model.
        scheduler: of `noise_scheduler`.
        latents: B×4×h×w, scaled.
        times: B, steps of the scheduler.
        noise: of the latents' shape, standard normal.
        beside: what the UNet sees after the noisy latents, each B×C×h×w.
        condition: B×L×d, on the workshop's device.
        workshop: where it is trained.
        memory_format: of what the UNet sees.
    """
    device = workshop.device
    noisy = scheduler.add_noise(latents, noise, times)
    target = scheduler.get_velocity(latents, noise, times)
    inputs = torch.cat([noisy, *beside], 1).to(device, memory_format=memory_format)
    with workshop.autocast():
        output = unet(inputs, times.to(device), condition).sample
    return functional.mse_loss(output.float(), target.to(device))


@torch.no_grad()
def velocity_figures(loss: Callable[[Pictures, str, int], Tensor], train: Pictures, dev: Pictures) -> dict[str, float]:
    """Mean loss on fifty batches of the development split, and of the pictures that were trained on.

    Args:
        loss: of a batch by the pictures that it is drawn from, and the seeds of the draw.
        train: what was trained on.
        dev: what was not.
    """

    def mean(pictures: Pictures, purpose: str) -> float:
        return float(torch.stack([loss(pictures, purpose, batch) for batch in range(MEASURED_BATCHES)]).mean())

    return {"velocity_mse": mean(dev, "dev"), "velocity_mse_train": mean(train, "end")}
