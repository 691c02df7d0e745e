"""Loading of diffusers' inpainting pipelines of SDXL and FLUX.1 Fill, and the differences between these two classes.

The classes are those of diffusers 0.38 and later. The file `model_index.json` of a pipeline's folder names its class.
A further class needs an entry in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import FluxTransformer2DModel, SchedulerMixin, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from bench.errors import BadInputError
from bench.generation.inpainting_pipeline import FluxPipeline, XLPipeline
from bench.generation.local_files import KEY, locate
from bench.generation.pipelines import check_folder, load_network, load_tokenizer, part_settings, placed
from bench.generation.schedulers import AUTOCAST, precision_of
from bench.models import load_autoencoder
from bench.models.autoencoders import Autoencoder, LatentSpace
from bench.models.autoencoders.loading import require_finite, require_whole_shards
from bench.runtime.libraries import quiet
from bench.runtime.strict_json import read_json

__all__ = ["KINDS", "Kind", "LoadedPipeline", "load_pipeline"]

INDEX = "model_index.json"
VAE = "AutoencoderKL"
"""Class of the first stage in all supported pipelines."""


@dataclass(frozen=True)
class Kind:
    """The description of a class of pipelines: its parts, and the form of its latents."""

    pipeline: Any
    """Class that runs the pipeline."""
    denoiser: str
    """Name of the part that removes noise."""
    network: Any
    """Class of the part `denoiser`."""
    encoders: Mapping[str, Any]
    """Class of each text encoder, by the name of its part."""
    tokenizers: Mapping[str, Any]
    """Class of each tokenizer, by the name of its part. The number in the name is that of the text encoder."""
    inputs: Callable[[LatentSpace], int]
    """Function that returns the number of the denoising network's input channels for a latent space."""
    half: torch.dtype
    """Type in which the denoising network computes under autocast."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Default value of each setting in `model_index.json` that the pipeline reads."""
    patch: int = 1
    """Side of the square of positions whose channels are joined to one token; 1 if latents have the form B×C×h×w."""

    def grid(self, latents: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Return the output of a pipeline as latents B×C×h×w.

        Args:
            latents: output of the pipeline. If `patch` is above 1, these are tokens B×N×(C·patch²), row by row.
            shape: shape C×h×w of one item's latents.
        """
        if self.patch == 1:
            return latents
        count, _, channels = latents.shape
        rows = latents.transpose(1, 2).reshape(count, channels, shape[1] // self.patch, shape[2] // self.patch)
        return torch.pixel_shuffle(rows, self.patch)


@dataclass(frozen=True)
class LoadedPipeline:
    """A pipeline with its first stage, on the device."""

    kind: Kind
    run: Any
    """The pipeline of diffusers."""
    first_stage: Autoencoder
    """The first stage, in float32."""
    folder: Path
    """Folder of the pipeline."""

    @property
    def denoiser(self) -> Any:
        """The network of the pipeline that removes noise."""
        return getattr(self.run, self.kind.denoiser)


def _xl_inputs(space: LatentSpace) -> int:
    """Return the number of input channels of SDXL's denoising network.

    The input consists of noisy latents, latents of the known pixels, and a mask with one channel.
    """
    return 2 * space.channels + 1


def _flux_inputs(space: LatentSpace) -> int:
    """Return the number of input channels of FLUX.1 Fill's denoising network, which reads tokens.

    Each token joins four positions of the latents. It has the noisy latents and the latents of the known pixels at
    these positions, and the mask of all pixels that belong to these positions.
    """
    return 4 * (2 * space.channels + space.factor**2)


KINDS: Mapping[str, Kind] = {
    "StableDiffusionXLInpaintPipeline": Kind(
        XLPipeline,
        "unet",
        UNet2DConditionModel,
        encoders={"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection},
        tokenizers={"tokenizer": CLIPTokenizer, "tokenizer_2": CLIPTokenizer},
        inputs=_xl_inputs,
        half=torch.float16,
        options={"force_zeros_for_empty_prompt": True, "requires_aesthetics_score": False},
    ),
    "FluxFillPipeline": Kind(
        FluxPipeline,
        "transformer",
        FluxTransformer2DModel,
        encoders={"text_encoder": CLIPTextModel, "text_encoder_2": T5EncoderModel},
        tokenizers={"tokenizer": CLIPTokenizer, "tokenizer_2": T5TokenizerFast},
        inputs=_flux_inputs,
        half=torch.bfloat16,
        patch=2,
    ),
}
"""The supported classes of pipelines, by the name in `model_index.json`."""


def load_pipeline(pipeline: str, *, precision: str, device: torch.device) -> LoadedPipeline:
    """Load a pipeline for inpainting. Its first stage is in float32, and its other parts are in the given precision.

    Args:
        pipeline: folder or hub id of the pipeline, see `bench.generation.local_files.locate`.
        precision: `float32`, `float16`, `bfloat16` or `autocast`.
        device: device on which the networks run.

    Raises:
        BadInputError: the class is not one of `KINDS`; a part is missing, incomplete or of another kind; or a weight is
            NaN or infinite.
    """
    dtype, folder = precision_of(precision, device), locate(pipeline)
    check_folder(folder)
    index = read_json(folder / INDEX)
    name = str(index.get("_class_name"))
    if name not in KINDS:
        raise BadInputError(f"{KEY}: {folder / INDEX}: _class_name: expected one of {', '.join(KINDS)}, found {name}")
    kind = KINDS[name]
    first_stage = _first_stage(folder)
    parts = {part: _network(folder / part, network, dtype) for part, network in kind.encoders.items()}
    for part, tokenizer in kind.tokenizers.items():
        encoder = parts[part.replace("tokenizer", "text_encoder")]
        parts[part] = load_tokenizer(folder / part, encoder.config, tokenizer)
    parts[kind.denoiser] = _network(folder / kind.denoiser, kind.network, dtype)
    _check_inputs(folder / kind.denoiser, parts[kind.denoiser], kind.inputs(first_stage.space))
    parts |= {"vae": first_stage.network, "scheduler": _scheduler(folder)}
    placed(parts, dtype, device, autocast=precision == AUTOCAST, denoiser=kind.denoiser, half=kind.half)
    options = {option: index.get(option, default) for option, default in kind.options.items()}
    with quiet():
        run = kind.pipeline(**parts, **options)
    run.set_progress_bar_config(disable=True)
    return LoadedPipeline(kind, run, first_stage, folder)


def _first_stage(folder: Path) -> Autoencoder:
    found = part_settings(folder, "vae").get("_class_name")
    if found != VAE:
        raise BadInputError(f"{KEY}: {folder / 'vae' / 'config.json'}: _class_name: expected {VAE}, found {found}")
    return load_autoencoder(folder / "vae")


def _network(folder: Path, network: Any, dtype: torch.dtype) -> Any:
    """Load a network, and require that all its weights exist and are finite."""
    loaded = load_network(folder, network, dtype)
    require_whole_shards(folder)
    require_finite(loaded.state_dict(), folder)
    return loaded


def _check_inputs(folder: Path, network: Any, expected: int) -> None:
    found = network.config.in_channels
    if found != expected:
        raise BadInputError(
            f"{KEY}: {folder / 'config.json'}: in_channels: expected {expected}, which is the number of channels for "
            f"inpainting with the latents of the pipeline's autoencoder, found {found}"
        )


def _scheduler(folder: Path) -> Any:
    """Return the scheduler that a pipeline's folder describes."""
    settings = part_settings(folder, "scheduler", "scheduler_config.json")
    place, name = folder / "scheduler" / "scheduler_config.json", str(settings.get("_class_name"))
    scheduler = getattr(diffusers, name, None)
    if not isinstance(scheduler, type) or not issubclass(scheduler, SchedulerMixin):
        raise BadInputError(f"{KEY}: {place}: _class_name: expected a scheduler of diffusers, found {name}")
    try:
        with quiet():
            return getattr(diffusers, name).from_config(settings)
    except Exception as error:  # a scheduler checks its settings in many ways
        raise BadInputError(f"{KEY}: {place}: expected settings of {name}, found an error: {error}") from error
