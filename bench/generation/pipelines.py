"""Loading of the parts of diffusers' pipelines, without any download.

The parts come from a folder, from the hub's local cache, or from one checkpoint file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, T5TokenizerFast

from bench.config.opened_files import only_pickled
from bench.errors import BadInputError
from bench.generation.clip_vocabulary import clip_tokenizer
from bench.generation.local_files import KEY, TOKENIZER_KEY, VAE_KEY, locate
from bench.generation.schedulers import AUTOCAST, precision_of, under_autocast
from bench.generation.single_file import single_file_parts
from bench.generation.unet_weights import of_folder
from bench.runtime.libraries import quiet
from bench.runtime.strict_json import read_json

__all__ = [
    "INPAINTING",
    "TEXT_TO_IMAGE",
    "check_folder",
    "exemplar_parts",
    "load_network",
    "load_tokenizer",
    "part_settings",
    "placed",
    "text_parts",
]

TEXT_TO_IMAGE, INPAINTING = 4, 9
"""Number of input channels of a UNet.

For text to image, they are the noisy latents (4). For inpainting, they are the noisy latents (4), the mask (1) and the
latents of the known pixels (4).
"""
KINDS = {TEXT_TO_IMAGE: "text to image", INPAINTING: "inpainting"}
TOKENIZER_FILES = {
    CLIPTokenizer: (("tokenizer.json",), ("vocab.json", "merges.txt")),
    T5TokenizerFast: (("tokenizer.json",), ("spiece.model",)),
}
"""Files of each class of tokenizers: one of the groups of files must be complete."""
SHOWN = 3
"""Largest number of names that a message shows, because there may be hundreds."""


def text_parts(
    pipeline: str,
    tokenizer: str | None,
    *,
    channels: int,
    precision: str,
    device: torch.device,
    vae: str | None = None,
) -> dict[str, Any]:
    """Load the parts of a pipeline that reads text, and return them by the names that diffusers' pipelines use.

    The networks are on the device. The first stage is in float32; the UNet and the text encoder are in the given
    precision. The value of `scheduler` is a configuration, not an object. The value of `unet_weights` is a text that
    tells whether the UNet has raw weights or their moving average.

    Args:
        pipeline: path or hub id, see `locate`. A file must be a Stable Diffusion 1 checkpoint in the original layout.
        tokenizer: folder or hub id of CLIP's tokenizer. If it is None, the tokenizer in the pipeline's folder is used,
            or the tokenizer of `clip_tokenizer` if the pipeline is a checkpoint file.
        channels: expected number of the UNet's input channels, `TEXT_TO_IMAGE` or `INPAINTING`.
        precision: `float32`, `float16`, `bfloat16` or `autocast`.
        device: device on which the networks run.
        vae: folder or hub id of an autoencoder that replaces the pipeline's autoencoder; None to keep the latter.

    Raises:
        BadInputError: the model is missing, incomplete or of another kind.
    """
    dtype, path = precision_of(precision, device), locate(pipeline)
    vocabulary = None if tokenizer is None else locate(tokenizer, TOKENIZER_KEY)
    if path.is_file():
        parts = single_file_parts(path, KEY, lambda found: _check_channels(path, found, channels))
    else:
        check_folder(path)
        _check_channels(path, part_settings(path, "unet").get("in_channels"), channels)
        vocabulary = vocabulary or path / "tokenizer"
        parts = {
            "scheduler": part_settings(path, "scheduler", "scheduler_config.json"),
            "unet": load_network(path / "unet", UNet2DConditionModel),
            "text_encoder": load_network(path / "text_encoder", CLIPTextModel),
            "unet_weights": of_folder(path / "unet"),
        }
        if vae is None:
            parts["vae"] = load_network(path / "vae", AutoencoderKL)
    if vae is not None:
        parts["vae"] = load_network(locate(vae, VAE_KEY), AutoencoderKL)
    parts["tokenizer"] = load_tokenizer(vocabulary, parts["text_encoder"].config)
    return placed(parts, dtype, device, autocast=precision == AUTOCAST)


def exemplar_parts(
    pipeline: str, encoder: Any, processor: Any, *, precision: str, device: torch.device, vae: str | None = None
) -> dict[str, Any]:
    """Load the parts of Paint-by-Example, a pipeline that reads an exemplar instead of text.

    The result has the same keys as the result of `text_parts`, except two: `image_encoder` and `feature_extractor` are
    in place of `text_encoder` and `tokenizer`.

    Args:
        pipeline: folder or hub id of the pipeline, see `locate`.
        encoder: class of the part `image_encoder`.
        processor: class of the part `feature_extractor`.
        precision: `float32`, `float16`, `bfloat16` or `autocast`.
        device: device on which the networks run.
        vae: folder or hub id of an autoencoder that replaces the pipeline's autoencoder; None to keep the latter.

    Raises:
        BadInputError: the model is missing, incomplete or of another kind.
    """
    dtype, path = precision_of(precision, device), locate(pipeline)
    check_folder(path)
    _check_channels(path, part_settings(path, "unet").get("in_channels"), INPAINTING)
    settings = part_settings(path, "feature_extractor", "preprocessor_config.json")
    parts = {
        "scheduler": part_settings(path, "scheduler", "scheduler_config.json"),
        "image_encoder": load_network(path / "image_encoder", encoder),
        "vae": load_network(path / "vae" if vae is None else locate(vae, VAE_KEY), AutoencoderKL),
        "unet": load_network(path / "unet", UNet2DConditionModel),
        "feature_extractor": processor.from_dict(settings),
        "unet_weights": of_folder(path / "unet"),
    }
    return placed(parts, dtype, device, autocast=precision == AUTOCAST)


def check_folder(path: Path) -> None:
    """Require that a folder is the folder of a pipeline.

    Raises:
        BadInputError: the folder has no `model_index.json`.
    """
    if not (path / "model_index.json").is_file():
        raise BadInputError(f"{KEY}: expected a pipeline's folder, found no model_index.json in {path}")


def _check_channels(path: Path, found: Any, expected: int) -> None:
    if found != expected:
        raise BadInputError(
            f"{KEY}: {path}: expected a UNet with {expected} input channels ({KINDS[expected]}), "
            f"found a UNet with {found} ({KINDS.get(found, 'another model')})"
        )


def part_settings(folder: Path, part: str, file: str = "config.json") -> dict[str, Any]:
    """Return the settings of one part of a pipeline.

    Args:
        folder: folder of the pipeline.
        part: name of the part's folder.
        file: name of the file in this folder.

    Raises:
        BadInputError: the file is missing, or is not a JSON object.
    """
    path = folder / part / file
    if not path.is_file():
        raise BadInputError(f"{KEY}: {folder}: expected the file {part}/{file}, found no such file")
    try:
        return read_json(path)
    except BadInputError as error:
        raise BadInputError(f"{KEY}: {error}") from None


def load_network(part: Path, model: Any, dtype: torch.dtype | None = None) -> Any:
    """Load the network in a folder, and raise an error if a weight is missing.

    Without this check, the libraries would set missing weights to random values.

    Args:
        part: folder of the network.
        model: class of the network.
        dtype: type in which the weights are loaded; None lets the library choose it.

    Raises:
        BadInputError: the folder does not load, or a weight is missing.
    """
    part_settings(part.parent, part.name)
    try:
        with quiet():
            network, info = model.from_pretrained(
                part,
                local_files_only=True,
                variant=_variant(part),
                use_safetensors=False if only_pickled(part) else None,
                output_loading_info=True,
                **({} if dtype is None else {"torch_dtype": dtype}),
            )
    except Exception as error:  # both libraries raise many types of errors for a missing, truncated or mismatched file
        raise BadInputError(f"{KEY}: {part} does not load ({error})") from error
    missing = sorted(info["missing_keys"])
    if missing:
        names = f"{', '.join(missing[:SHOWN])}{', ...' if len(missing) > SHOWN else ''}"
        raise BadInputError(
            f"{KEY}: {part}: expected every weight of {model.__name__}, found that {len(missing)} are missing ({names})"
        )
    return network


def _variant(part: Path) -> str | None:
    """Return `fp16` if a folder has weights in half precision only, otherwise None."""
    weights = [file.name for file in part.iterdir() if file.suffix in (".safetensors", ".bin")]
    return "fp16" if weights and all(".fp16" in name for name in weights) else None


def load_tokenizer(folder: Path | None, encoder: Any, kind: Any = CLIPTokenizer) -> Any:
    """Return the tokenizer in a folder, or CLIP's own tokenizer if the folder is None.

    The tokenizer's limit for the length of a text is lowered if the text encoder reads fewer tokens.

    Args:
        folder: folder of the tokenizer, or None.
        encoder: configuration of the text encoder.
        kind: class of the tokenizer, one of the keys of `TOKENIZER_FILES`.

    Raises:
        BadInputError: the tokenizer has more tokens than the text encoder knows, or the tokenizer does not load.
    """
    tokenizer = clip_tokenizer() if folder is None else _tokenizer_in(folder, kind)
    if len(tokenizer) > encoder.vocab_size:
        raise BadInputError(
            f"{TOKENIZER_KEY}: {folder or 'null, which stands for the vocabulary of CLIP'}: expected at most "
            f"{encoder.vocab_size} tokens, as many as the text encoder knows, found {len(tokenizer)} tokens"
        )
    # A text encoder with relative positions, such as T5, reads texts of any length.
    longest = getattr(encoder, "max_position_embeddings", tokenizer.model_max_length)
    tokenizer.model_max_length = min(tokenizer.model_max_length, longest)
    return tokenizer


def _tokenizer_in(folder: Path, kind: Any) -> Any:
    if not any(all((folder / file).is_file() for file in files) for files in TOKENIZER_FILES[kind]):
        wanted = ", or ".join(" and ".join(files) for files in TOKENIZER_FILES[kind])
        raise BadInputError(f"{TOKENIZER_KEY}: {folder}: expected {wanted}, found neither")
    try:
        with quiet():
            tokenizer = kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # a broken vocabulary can raise any error
        raise BadInputError(f"{TOKENIZER_KEY}: {folder} does not load ({error})") from error
    return tokenizer


def placed(
    parts: dict[str, Any],
    dtype: torch.dtype,
    device: torch.device,
    *,
    autocast: bool,
    denoiser: str = "unet",
    half: torch.dtype = torch.float16,
) -> dict[str, Any]:
    """Move the networks of a pipeline to the device and set their precision; return the parts.

    On a GPU, the weights of the denoising network have the layout `channels_last`, which the fast kernels for half
    precision need.

    Args:
        parts: parts of the pipeline. The keys are the names that diffusers' pipelines use. The networks are changed in
            place.
        dtype: type of the weights of all networks except the first stage, which is in float32.
        device: device on which the networks run.
        autocast: True to make the denoising network compute under autocast. This has no effect on the CPU.
        denoiser: name of the part that is the denoising network.
        half: type in which the denoising network computes under autocast.
    """
    # PyTorch's own methods are used, because diffusers' versions print warnings.
    for name, part in parts.items():
        if isinstance(part, torch.nn.Module):
            torch.nn.Module.to(part, device=device, dtype=torch.float32 if name == "vae" else dtype)
            part.eval().requires_grad_(False)
    if device.type == "cuda":
        torch.nn.Module.to(parts[denoiser], memory_format=torch.channels_last)
        if autocast:
            under_autocast(parts[denoiser], device.type, half)
    return parts
