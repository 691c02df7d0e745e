"""Part: an inpainting diffusion model with its text encoder, as a folder of diffusers' inpainting pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bench.data.masks import preset
from bench.seeding import numpy_generator
from bench.training.images import TrainingImages, training_masks
from bench.training.trainer import Schedule, fit, seeded, torch_generator
from bench.training.workshop import Outcome, Workshop

__all__ = ["InpaintingPart"]

START, END = "<|startoftext|>", "<|endoftext|>"
ENCODED_AT_ONCE = 64


@dataclass(frozen=True)
class InpaintingPart:
    """A UNet of nine input channels (noisy latents, mask, latents of the known pixels) that predicts the velocity."""

    channels: Sequence[int]
    layers: int
    groups: int
    head_channels: int
    text_width: int
    text_layers: int
    text_length: int
    vocabulary: int
    schedule: Schedule
    masks: str
    masks_per_image: int
    full_share: float
    """Share of masks that are full."""
    prompt: str
    """The prompt of the benchmark, which a share of the training pictures has instead of its caption."""
    prompt_share: float
    empty_share: float
    """Share of pictures without any prompt, for guidance."""
    smallest_crop: float = 0.75

    @property
    def needs(self) -> tuple[str, ...]:
        return ("first_stage",)

    @property
    def steps(self) -> int:
        return self.schedule.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).to(workshop.device).requires_grad_(False)
        captions = _captions(workshop.train)
        tokenizer = self._tokenizer(sorted(set(captions.values())), folder)
        fixed = _tokenize(tokenizer, [self.prompt, ""], self.text_length)
        with seeded(workshop.seed, name, "weights"):
            unet, text_encoder = self._unet(workshop.resolution // 4), self._text_encoder(tokenizer)
        model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})
        model.to(workshop.device).to(memory_format=torch.channels_last)
        scheduler = DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="v_prediction",
        )

        def velocity(cache: _Cache, *seeds: int | str) -> Tensor:
            generator = numpy_generator(workshop.seed, name, *seeds)
            size = self.schedule.batch_size
            pictures = torch.from_numpy(generator.integers(len(cache.latents), size=size))
            masks = torch.from_numpy(generator.integers(self.masks_per_image, size=size))
            times = torch.from_numpy(generator.integers(scheduler.config.num_train_timesteps, size=size))
            choice = torch.from_numpy(generator.random(size))
            ids = cache.tokens[pictures]
            ids[choice < self.prompt_share] = fixed[0]
            ids[choice >= 1 - self.empty_share] = fixed[1]
            latents, known, mask = cache.batch(pictures, masks)
            noise = torch.randn(latents.shape, generator=torch_generator(workshop.seed, name, *seeds))
            noisy = scheduler.add_noise(latents, noise, times)
            target = scheduler.get_velocity(latents, noise, times)
            inputs = torch.cat([noisy, mask, known], 1).to(workshop.device, memory_format=torch.channels_last)
            with workshop.autocast():
                context = text_encoder(ids.to(workshop.device)).last_hidden_state
                output = unet(inputs, times.to(workshop.device), context).sample
            return functional.mse_loss(output.float(), target.to(workshop.device))

        def encode(images: TrainingImages, root: Path, split: str) -> _Cache:
            return _Cache.encode(self, images, root, tokenizer, vae, workshop, name, split)

        train = encode(workshop.images(smallest_crop=self.smallest_crop), workshop.train, "train")
        seconds = fit(
            model,
            lambda step: {"velocity": velocity(train, step)},
            self.schedule,
            checkpoint=workshop.checkpoint(name),
            settings=settings,
        )
        pipeline = StableDiffusionInpaintPipeline(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(folder)
        dev = encode(workshop.dev_images(smallest_crop=self.smallest_crop), workshop.dev, "dev")
        with torch.no_grad():
            figures = {
                "velocity_mse": float(torch.stack([velocity(dev, "dev", batch) for batch in range(50)]).mean()),
                "velocity_mse_train": float(torch.stack([velocity(train, "end", batch) for batch in range(50)]).mean()),
            }
        return Outcome(figures, seconds)

    def _unet(self, side: int) -> UNet2DConditionModel:
        plain = len(self.channels) - 1
        return UNet2DConditionModel(
            sample_size=side,
            in_channels=9,
            out_channels=4,
            down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * plain,
            block_out_channels=tuple(self.channels),
            layers_per_block=self.layers,
            norm_num_groups=self.groups,
            cross_attention_dim=self.text_width,
            attention_head_dim=self.head_channels,
        )

    def _text_encoder(self, tokenizer: CLIPTokenizer) -> CLIPTextModel:
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

    def _tokenizer(self, captions: Sequence[str], folder: Path) -> CLIPTokenizer:
        """Byte pairs learned from the captions and the prompt, in CLIP's manner."""
        bytes_ = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
        bytes_.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            special_tokens=[START, END],
            end_of_word_suffix="</w>",
            initial_alphabet=[chr(code) for code in range(33, 127)],
            show_progress=False,
        )
        bytes_.train_from_iterator([self.prompt] * len(captions) + list(captions), trainer)
        learned: dict[str, Any] = json.loads(bytes_.to_str())["model"]
        vocabulary = learned["vocab"]
        for code in range(33, 127):
            vocabulary.setdefault(chr(code) + "</w>", len(vocabulary))
        merges = [tuple(pair) for pair in learned["merges"]]
        return CLIPTokenizer(
            vocab=vocabulary, merges=merges, bos_token=START, eos_token=END, unk_token=END, pad_token=END,
            model_max_length=self.text_length,
        )  # fmt: skip


def _tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str], length: int) -> Tensor:
    ids: Tensor = tokenizer(
        list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def _captions(root: Path) -> dict[str, str]:
    """What a split's pictures show, by file."""
    lines = [json.loads(line) for line in (root / "scenes.jsonl").read_text().splitlines()]
    return {line["file"]: line["caption"] for line in lines}


@dataclass(frozen=True)
class _Cache:
    """Latents of crops of pictures and of what several masks leave of each, scaled for the UNet; and the captions."""

    tokens: Tensor
    latents: Tensor
    known: Tensor
    masks: Tensor

    @classmethod
    def encode(
        cls,
        part: InpaintingPart,
        images: TrainingImages,
        root: Path,
        tokenizer: CLIPTokenizer,
        vae: AutoencoderKL,
        workshop: Workshop,
        *seeds: str,
    ) -> _Cache:
        """As many crops as there are pictures, drawn with repetition, as everywhere in training."""
        kind, captions = preset(part.masks), _captions(root)
        texts: list[str] = []
        latents, known, small = [], [], []
        for number in range(-(-len(images) // ENCODED_AT_ONCE)):
            draw: tuple[int | str, ...] = (workshop.seed, *seeds, "latents", number)
            pictures, indices = images.batch(ENCODED_AT_ONCE, *draw)
            texts += [captions[images.paths[index].relative_to(root).as_posix()] for index in indices]
            latents.append(cls._mean(vae, pictures, workshop))
            for variant in range(part.masks_per_image):
                mask = training_masks(
                    kind, ENCODED_AT_ONCE, workshop.resolution, *draw, variant, full_share=part.full_share
                )
                known.append(cls._mean(vae, pictures * (1 - mask), workshop))
                small.append(functional.interpolate(mask, size=latents[0].shape[-2:]))

        def by_picture(parts: list[Tensor]) -> Tensor:
            # From batch after batch of one variant each to all variants of a picture side by side.
            variants = [torch.cat(parts[variant :: part.masks_per_image]) for variant in range(part.masks_per_image)]
            return torch.stack(variants, 1)

        tokens = _tokenize(tokenizer, texts, part.text_length)
        return cls(tokens, torch.cat(latents), by_picture(known), by_picture(small))

    @staticmethod
    @torch.no_grad()
    def _mean(vae: AutoencoderKL, pictures: Tensor, workshop: Workshop) -> Tensor:
        x = pictures.to(workshop.device, memory_format=torch.channels_last)
        with workshop.autocast():
            mean = vae.encode(x).latent_dist.mean
        scaled: Tensor = mean.float() * vae.config.scaling_factor
        return scaled.cpu().contiguous()

    def batch(self, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.latents[pictures], self.known[pictures, masks], self.masks[pictures, masks]
