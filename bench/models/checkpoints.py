"""Weights on disk: a folder with `config.json` and one safetensors file, as diffusers lays them out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.feature_network import FeatureNetwork

__all__ = [
    "load_decoder",
    "load_feature_network",
    "load_weights",
    "note_training",
    "save_decoder",
    "save_feature_network",
]

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
TRAINING = "_training"
"""Key of the configuration under which our own files say how long the network was trained."""


def save_decoder(decoder: Decoder, folder: Path) -> None:
    """Write a decoder's sizes and weights; tensors are named as in diffusers' `AsymmetricAutoencoderKL.decoder`."""
    _save(decoder, folder, {"_class_name": "Decoder", TRAINING: decoder.training_note, **asdict(decoder.config)})


def note_training(folder: Path, words: str) -> None:
    """Say in a folder's `config.json` how long its network was trained."""
    settings = _settings(folder)
    (folder / CONFIG).write_text(json.dumps({**settings, TRAINING: words}, indent=2) + "\n")


def load_decoder(folder: str | Path) -> Decoder:
    """Read a decoder, in float32: what `save_decoder` wrote, or the decoder in a folder that diffusers wrote.

    Args:
        folder: with `config.json` (of a `Decoder`, `AutoencoderKL` or `AsymmetricAutoencoderKL`) and one safetensors
            file.

    Raises:
        BadInputError: the folder, its sizes or its weights are missing, broken or do not fit together.
    """
    folder = Path(folder)
    settings = _settings(folder)
    kind = settings.get("_class_name")
    if kind not in _SIZES:
        raise BadInputError(f"{folder / CONFIG}: expected a {', '.join(_SIZES)}, found {kind}")
    try:
        decoder = Decoder(_SIZES[kind](settings))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{folder / CONFIG}: expected a decoder's sizes ({type(error).__name__}: {error})"
        ) from None
    load_weights(decoder, folder / WEIGHTS, prefix="" if kind == "Decoder" else "decoder.")
    decoder.training_note = str(settings.get(TRAINING, ""))
    return decoder.eval()


def _own(settings: dict[str, Any]) -> DecoderConfig:
    fields = {name: value for name, value in settings.items() if not name.startswith("_")}
    return DecoderConfig(**{**fields, "channels": tuple(fields["channels"])})


def _vanilla(settings: dict[str, Any]) -> DecoderConfig:
    return DecoderConfig(
        tuple(settings["block_out_channels"]), settings["layers_per_block"], False, settings["norm_num_groups"],
        settings["latent_channels"],
    )  # fmt: skip


def _asymmetric(settings: dict[str, Any]) -> DecoderConfig:
    return DecoderConfig(
        tuple(settings["up_block_out_channels"]), settings["layers_per_up_block"], True, settings["norm_num_groups"],
        settings["latent_channels"],
    )  # fmt: skip


_SIZES = {"Decoder": _own, "AutoencoderKL": _vanilla, "AsymmetricAutoencoderKL": _asymmetric}


def save_feature_network(network: FeatureNetwork, folder: Path) -> None:
    """Write a feature network's sizes and weights."""
    _save(network, folder, {"_class_name": "FeatureNetwork", "widths": network.widths, "heads": network.head_sizes})


def load_feature_network(folder: str | Path) -> FeatureNetwork:
    """Read what `save_feature_network` wrote, in float32.

    Raises:
        BadInputError: the folder, its sizes or its weights are missing, broken or do not fit together.
    """
    folder = Path(folder)
    settings = _settings(folder)
    try:
        network = FeatureNetwork(settings["widths"], settings["heads"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{folder / CONFIG}: expected a feature network's sizes ({error})") from None
    load_weights(network, folder / WEIGHTS)
    return network.eval()


def load_weights(module: nn.Module, path: Path, *, prefix: str = "") -> None:
    """Fill a module from a safetensors file, any float type becoming the module's own.

    Args:
        module: changed in place.
        path: of the file.
        prefix: of the module's tensors in the file; others are passed over.

    Raises:
        BadInputError: the file is missing or broken, or its tensors are not the module's; the message names them.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected a safetensors file, found none")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInputError(f"{path}: expected a whole safetensors file, found a broken one ({error})") from None
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    problems = _mismatch(module.state_dict(), tensors)
    if problems:
        raise BadInputError(f"{path}: weights of another network: {'; '.join(problems)}")
    module.load_state_dict(tensors)


def _mismatch(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    problems = []
    for word, names in (("missing", expected.keys() - found.keys()), ("unexpected", found.keys() - expected.keys())):
        if names:
            problems.append(f"{len(names)} {word}, such as {min(names)}")
    shapes = [
        f"{name} should be {tuple(expected[name].shape)} and is {tuple(found[name].shape)}"
        for name in sorted(expected.keys() & found.keys())
        if expected[name].shape != found[name].shape
    ]
    if shapes:
        problems.append(f"{len(shapes)} of another shape, such as {shapes[0]}")
    return problems


def _save(module: nn.Module, folder: Path, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
    with torch.no_grad():
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a network's sizes, found no file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: expected JSON, found something else ({error})") from None
    if not isinstance(settings, dict):
        raise BadInputError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    return settings
