"""Common parts of the mini profile's diffusion models: UNet, text encoder, scheduler, and the loss on velocities.

Velocities are defined as in Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models",
appendix D. The noise schedule is the one of Stable Diffusion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bench.training.mini.build import Workshop
from bench.training.mini.fit import Schedule, fit

__all__ = [
    "ENCODED_AT_ONCE",
    "SAMPLED_AT_ONCE",
    "TextRecipe",
    "UNetRecipe",
    "encode_means",
    "noise_scheduler",
    "plain_attention",
    "text_pipeline",
    "tokenize",
    "velocity_figures",
    "velocity_loss",
]

Pictures = TypeVar("Pictures")
TextPipeline = TypeVar("TextPipeline", StableDiffusionPipeline, StableDiffusionInpaintPipeline)

START, END = "<|startoftext|>", "<|endoftext|>"
ENCODED_AT_ONCE = 64
"""Number of pictures that the first stage encodes in one pass."""
SAMPLED_AT_ONCE = 48
"""Number of pictures that a pipeline samples in one run."""
MEASURED_BATCHES = 50


@dataclass(frozen=True, kw_only=True)
class UNetRecipe:
    """The sizes of a UNet for the first stage's latents, and the settings of its training."""

    channels: Sequence[int]
    layers: int
    groups: int
    head_channels: int
    schedule: Schedule
    empty_share: float
    """Fraction of training pictures without their condition, such as a caption. Classifier-free guidance needs them."""
    attended: int = 1
    """Number of levels with attention to the condition, counted from the coarsest level."""

    def fit_velocity(self, model: nn.Module, loss: Callable[[int], Tensor], checkpoint: Path, settings: str) -> float:
        """Train a UNet, together with other modules such as an encoder, according to the field `schedule`.

        Args:
            model: module that contains the UNet and all other modules that are trained.
            loss: function that returns the `velocity_loss` of a step's random batch. Its argument is the step's number.
            checkpoint: file from which an interrupted training is resumed.
            settings: hash of the settings; only a checkpoint with an equal hash is resumed.

        Returns:
            Seconds that the steps took, as `fit` returns them.
        """
        return fit(
            model, lambda step: {"velocity": loss(step)}, self.schedule, checkpoint=checkpoint, settings=settings
        )

    def unet(self, *, inputs: int, condition_width: int, side: int) -> UNet2DConditionModel:
        """Return a UNet that has random weights and predicts four channels.

        Args:
            inputs: number of input channels.
            condition_width: number of values in each token of the condition.
            side: height and width of the latents.
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
    """The recipe of a diffusion model that includes a text encoder, which is trained as well."""

    text_width: int
    text_layers: int
    text_length: int
    vocabulary: int

    def text_encoder(self, tokenizer: CLIPTokenizer) -> CLIPTextModel:
        """Return a text encoder with random weights, for the tokens of `tokenizer`."""
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
        """Learn a byte-pair tokenizer from the given texts, and return it in CLIP's format."""
        bytes_ = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
        bytes_.pre_tokenizer = pre_tokenizers.Whitespace()
        words = {word for text in set(texts) for word, _ in bytes_.pre_tokenizer.pre_tokenize_str(text)}
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            # The trainer gives symbols that end a word arbitrary numbers; as special tokens, they keep this order.
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
    """Make a UNet use plain attention instead of PyTorch's fused attention.

    On a CPU, the backward pass of fused attention takes longer than all convolutions together.
    """
    unet.set_attn_processor(AttnProcessor())


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Return texts as token indices B×L. Each text is padded or cut off to the tokenizer's length L."""
    ids: Tensor = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def noise_scheduler() -> DDIMScheduler:
    """Create Stable Diffusion's noise schedule, for a model that predicts velocities."""
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
    """Encode pictures without noise, and return their latents B×4×h×w on the CPU, in the scale of the UNet.

    The latents of a picture are the mean of the first stage's posterior for this picture.

    Args:
        vae: the first stage.
        pictures: B×3×H×W in [-1, 1].
        workshop: settings with the device and the precision of the encoding.
    """
    x = pictures.to(workshop.device, memory_format=torch.channels_last)
    with workshop.autocast():
        mean = vae.encode(x).latent_dist.mean
    scaled: Tensor = mean.float() * vae.config.scaling_factor
    return scaled.cpu().contiguous()


@dataclass(frozen=True)
class Noised:
    """A batch of latents, the noise that is added to them, and the time steps that determine the amount of noise."""

    latents: Tensor
    """Latents B×4×h×w, in the scale of the UNet."""
    times: Tensor
    """Index of the scheduler's time step for each item, B values. A larger index means more noise."""
    noise: Tensor
    """Standard normal noise, in the shape of the latents."""


def velocity_loss(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    batch: Noised,
    *,
    beside: Sequence[Tensor] = (),
    condition: Tensor,
    workshop: Workshop,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Return the mean squared error of the velocity that a UNet predicts, a scalar.

    Args:
        unet: the UNet.
        scheduler: the noise schedule, from `noise_scheduler`.
        batch: the latents, the noise that is added to them, and the time steps.
        beside: further inputs B×C×h×w. Their channels follow the channels of the noisy latents.
        condition: tokens of the condition, B×L×d, on the workshop's device.
        workshop: settings with the device and the precision of the training.
        memory_format: PyTorch's memory format of the UNet's input.
    """
    device = workshop.device
    noisy = scheduler.add_noise(batch.latents, batch.noise, batch.times)
    target = scheduler.get_velocity(batch.latents, batch.noise, batch.times)
    inputs = torch.cat([noisy, *beside], 1).to(device, memory_format=memory_format)
    with workshop.autocast():
        output = unet(inputs, batch.times.to(device), condition).sample
    return functional.mse_loss(output.float(), target.to(device))


def text_pipeline(kind: type[TextPipeline], **parts: Any) -> TextPipeline:
    """Return a pipeline of Stable Diffusion without a safety checker.

    Args:
        kind: class of the pipeline.
        parts: the models, the tokenizer and the noise schedule, by the names that diffusers uses.
    """
    return kind(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


@torch.no_grad()
def velocity_figures(loss: Callable[[Pictures, str, int], Tensor], train: Pictures, dev: Pictures) -> dict[str, float]:
    """Measure the loss of a finished model on pictures of the development split and on training pictures.

    Args:
        loss: function that returns the loss of one random batch. Its arguments are the pictures from which the batch is
            drawn, and two seeds of the draw: a word and the number of the batch.
        train: the training pictures.
        dev: the pictures of the development split.

    Returns:
        `velocity_mse`, the mean loss of fifty batches of the development split, and `velocity_mse_train`, the mean loss
        of fifty batches of training pictures.
    """

    def mean(pictures: Pictures, purpose: str) -> float:
        return float(torch.stack([loss(pictures, purpose, batch) for batch in range(MEASURED_BATCHES)]).mean())

    return {"velocity_mse": mean(dev, "dev"), "velocity_mse_train": mean(train, "end")}
