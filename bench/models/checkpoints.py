"""Functions that read and write networks.

This project stores a network as a folder with `config.json` and a safetensors file. A decoder can also be read from the
folders of some classes of diffusers and from single files, which `load_decoder` lists, and be written in diffusers'
format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.feature_network import FeatureNetwork
from bench.models.layouts import StoredDecoder, find_decoder
from bench.models.tensor_files import mismatch, read_tensors
from bench.models.weight_headers import read_header
from bench.runtime.strict_json import read_json

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

__all__ = [
    "OWN",
    "check_decoder",
    "load_decoder",
    "load_feature_network",
    "load_weights",
    "network_settings",
    "note_lineage",
    "note_training",
    "save_decoder",
    "save_feature_network",
    "save_network",
]

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
PICKLED_WEIGHTS = "diffusion_pytorch_model.bin"
TRAINING = "_training"
"""Key in our own `config.json` under which the length of the network's training is recorded."""
LINEAGE = "_lineage"
"""Key in our own `config.json` under which the origin of a decoder's weights is recorded."""

OWN = "Decoder"
"""Class in the `config.json` of a decoder that `save_decoder` wrote in the layout `own`."""
SCALED = ("AutoencoderKL", "AsymmetricAutoencoderKL")
"""Classes of diffusers whose scaling factor tells to which latent space the decoder belongs."""
USUAL_SCALE = 0.18215
"""Scaling factor of these classes if `config.json` has none. It is diffusers' default, and that of Stable Diffusion 1.
"""
_DIFFUSERS = {
    "AsymmetricAutoencoderKL": ("up_block_out_channels", "layers_per_up_block", True),
    "AutoencoderKL": ("block_out_channels", "layers_per_block", False),
    "AutoencoderKLFlux2": ("block_out_channels", "layers_per_block", False),
    "VQModel": ("block_out_channels", "layers_per_block", False),
}
"""Classes of diffusers from which `load_decoder` reads a decoder.

Each value has the key of the widths in `config.json`, the key of the depth, and True if the class has a branch.
"""


def load_decoder(path: str | Path) -> Decoder:
    """Read a decoder from a folder or a file, in float32. The description of `path` lists the supported formats.

    The width, the depth, the channels of the latents, the presence of a branch and the way of blending follow from the
    weights. If `config.json` states one of them, it must agree with the weights. The number of normalisation groups,
    the branch's type of convolution, the training note, the lineage and the name of the latent space follow from
    `config.json`.

    Args:
        path: a folder or a single file. A folder was written by `save_decoder`, or contains diffusers'
            `AsymmetricAutoencoderKL`, `AutoencoderKL`, `AutoencoderKLFlux2` or `VQModel`. A file is a `.safetensors`
            file or was written by `torch.save`, such as the authors' Lightning `.ckpt`. A file contains a decoder, a
            first stage or a whole diffusion model, with the authors' or diffusers' tensor names. It is read with 32
            groups and plain convolutions, even if a `config.json` is next to it.

    Raises:
        BadInputError: the file or folder is missing or broken, contains code or contains no decoder; or the weights and
            the configuration disagree. The message names what is missing, unexpected or different.
    """
    stored, decoder, settings = _described(Path(path), read_tensors)
    stored.fill(decoder)
    decoder.training_note = str(settings.get(TRAINING, ""))
    decoder.lineage = _lineage(settings, Path(path) / CONFIG)
    decoder.space_name = _space_name(settings, decoder)
    return decoder.eval()


def _lineage(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the description of a decoder's training in its settings; empty if they contain none.

    Raises:
        BadInputError: the description is not an object of JSON.
    """
    lineage = settings.get(LINEAGE) or {}
    if not isinstance(lineage, Mapping):
        raise BadInputError(f"{path}: {LINEAGE}: expected an object, found {lineage!r}")
    return dict(lineage)


def _space_name(settings: Mapping[str, Any], decoder: Decoder) -> str:
    """Return the name of the known latent space to which a decoder belongs; "" if no known space is found.

    For a decoder of this project, the lineage contains the name. For diffusers' `AutoencoderKL` and
    `AsymmetricAutoencoderKL`, the name follows from the scaling and the sizes of the latents. For all other classes,
    and for a single file, the result is "".
    """
    from bench.models.autoencoders.space import KNOWN, LatentSpace, known_name  # imported here, because it imports us

    if settings.get("_class_name") == OWN:
        space = decoder.lineage.get("space")
        name = space.get("name") if isinstance(space, Mapping) else None
        return str(name) if name in KNOWN else ""
    if settings.get("_class_name") not in SCALED:
        return ""
    scale, shift = settings.get("scaling_factor", USUAL_SCALE), settings.get("shift_factor") or 0.0
    if not isinstance(scale, int | float) or not isinstance(shift, int | float):
        return ""
    sizes = decoder.config
    return known_name(LatentSpace("", sizes.latent_channels, sizes.factor, scale=scale, shift=shift))


def check_decoder(path: str | Path) -> DecoderConfig:
    """Check that `load_decoder` can read the decoder in a file or folder, without reading the weights' values.

    Args:
        path: a folder or a single file, as for `load_decoder`.

    Returns:
        The decoder's sizes.

    Raises:
        BadInputError: `load_decoder` would refuse the file or folder. Damaged values are not found.
    """
    stored, decoder, _ = _described(Path(path), read_header)
    stored.fitted(decoder)
    return decoder.config


def _described(path: Path, read: Callable[[Path], dict[str, Tensor]]) -> tuple[StoredDecoder, Decoder, dict[str, Any]]:
    """Find the decoder that is stored at a path, and create a `Decoder` of the same sizes on the meta device.

    Args:
        path: a folder or a single file, as for `load_decoder`.
        read: function that reads the tensors of a file, with or without their values.

    Returns:
        The stored decoder, the `Decoder` without values, and the content of `config.json`, which is empty for a single
        file.

    Raises:
        BadInputError: there is no decoder, or its weights and its configuration disagree.
    """
    settings: dict[str, Any] = {}
    stated: dict[str, Any] = {}
    file = path
    if path.is_dir():
        settings = network_settings(path)
        stated = _decoder_settings(settings, path / CONFIG)
        file = _weights_of(path)
    stored = find_decoder(read(file), file)
    sizes = stored.sizes()
    contradictions = [
        f"{name}={size} instead of {stated[name]}"
        for name, size in sizes.items()
        if name in stated and stated[name] != size
    ]
    if contradictions:
        raise BadInputError(
            f"{file}: expected weights that fit {path / CONFIG}, found weights with {'; '.join(contradictions)}"
        )
    try:
        with torch.device("meta"):
            decoder = Decoder(DecoderConfig(**{**stated, **sizes}))
    except (TypeError, ValueError) as error:
        where = path / CONFIG if path.is_dir() else f"{path}, read with {DecoderConfig.groups} groups"
        raise BadInputError(f"{where}: {error}") from None
    return stored, decoder, settings


def _weights_of(folder: Path) -> Path:
    pickled = folder / PICKLED_WEIGHTS
    return pickled if pickled.is_file() and not (folder / WEIGHTS).is_file() else folder / WEIGHTS


def _decoder_settings(settings: dict[str, Any], config: Path) -> dict[str, Any]:
    """Convert a decoder's `config.json` to fields of `DecoderConfig`.

    Raises:
        BadInputError: the configuration is not that of a decoder, or contains unknown values.
    """
    kind = settings.get("_class_name")
    if kind == OWN:
        stated = {name: value for name, value in settings.items() if not name.startswith("_")}
        unknown = stated.keys() - {field.name for field in fields(DecoderConfig)}
        if unknown:
            raise BadInputError(
                f"{config}: expected only keys of a decoder's configuration, found also the keys "
                f"{', '.join(sorted(unknown))}"
            )
    elif kind in _DIFFUSERS:
        channels, layers, conditioned = _DIFFUSERS[kind]
        if settings.get("act_fn", "silu") != "silu":
            raise BadInputError(f"{config}: act_fn: expected silu, found {settings['act_fn']}")
        theirs = {
            "channels": channels, "layers": layers, "groups": "norm_num_groups", "latent_channels": "latent_channels",
        }  # fmt: skip
        stated = {ours: settings[name] for ours, name in theirs.items() if name in settings}
        stated["conditioned"] = conditioned
        if settings.get("decoder_block_out_channels"):  # an AutoencoderKLFlux2 may have a narrower decoder
            stated["channels"] = settings["decoder_block_out_channels"]
    else:
        raise BadInputError(f"{config}: _class_name: expected one of {', '.join((OWN, *_DIFFUSERS))}, found {kind}")
    if not isinstance(stated.get("groups", 1), int):
        raise BadInputError(f"{config}: expected a whole number of normalisation groups, found {stated['groups']!r}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}


def save_decoder(
    decoder: Decoder, path: str | Path, *, layout: str = "own", first_stage: AutoencoderKL | None = None
) -> None:
    """Write a decoder as a folder, with its training note and lineage.

    Args:
        decoder: decoder on any device, in any float type.
        path: the folder to write.
        layout: `own` writes only the decoder and its sizes. `diffusers` writes a folder that diffusers loads as an
            `AsymmetricAutoencoderKL`, or as an `AutoencoderKL` if the decoder has no branch.
        first_stage: autoencoder whose encoder, `quant_conv` and `post_quant_conv` are written too. The layout
            `diffusers` requires this argument, and the layout `own` ignores it.

    Raises:
        ValueError: the layout is unknown. With the layout `diffusers`, this error is also raised if `first_stage` is
            missing or does not fit the decoder, or if diffusers has no class for such a decoder.
    """
    path = Path(path)
    notes = {TRAINING: decoder.training_note, LINEAGE: decoder.lineage}
    if layout == "own":
        save_network(decoder, path, {"_class_name": OWN, **notes, **asdict(decoder.config)})
    elif layout == "diffusers":
        if first_stage is None:
            raise ValueError(
                "the argument first_stage: expected an autoencoder, because layout='diffusers' saves a whole "
                "autoencoder, found None"
            )
        _save_for_diffusers(decoder, path, first_stage)
        _note(path, notes)
    else:
        raise ValueError(f"the argument layout: expected 'own' or 'diffusers', found {layout!r}")


def _save_for_diffusers(decoder: Decoder, folder: Path, first_stage: AutoencoderKL) -> None:
    import diffusers  # imported here, because it takes seconds and reading a decoder does not need it

    ours, theirs = decoder.config, first_stage.config
    if ours.conditioned and (ours.blending, ours.branch) != ("add", "plain"):
        raise ValueError(
            "the argument decoder: expected blending=add and branch=plain, because diffusers reads no other decoder "
            f"that has a branch, found blending={ours.blending} and branch={ours.branch}"
        )
    if ours.groups != theirs.norm_num_groups:
        raise ValueError(
            "the arguments decoder and first_stage: expected equal numbers of normalisation groups, because diffusers "
            f"stores one number for both, found {ours.groups} and {theirs.norm_num_groups}"
        )
    if ours.conditioned:
        kind = diffusers.AsymmetricAutoencoderKL
        settings = {
            "in_channels": theirs.in_channels,
            "down_block_types": theirs.down_block_types,
            "down_block_out_channels": theirs.block_out_channels,
            "layers_per_down_block": theirs.layers_per_block,
            "up_block_types": ("UpDecoderBlock2D",) * len(ours.channels),
            "up_block_out_channels": ours.channels,
            "layers_per_up_block": ours.layers,
            "latent_channels": theirs.latent_channels,
            "norm_num_groups": ours.groups,
            "sample_size": theirs.sample_size,
            "scaling_factor": theirs.scaling_factor,
        }
    else:
        kind = diffusers.AutoencoderKL
        settings = {name: value for name, value in theirs.items() if not name.startswith("_")}
    with torch.device("meta"):
        model = kind(**settings)
    tensors = {name: tensor for name, tensor in first_stage.state_dict().items() if not name.startswith("decoder.")}
    tensors |= {f"decoder.{name}": tensor for name, tensor in decoder.state_dict().items()}
    problems = mismatch(model.state_dict(), tensors)
    if problems:
        raise ValueError(
            "the arguments decoder and first_stage: expected sizes that an autoencoder of diffusers can have, found "
            f"differences: {'; '.join(problems)}"
        )
    model.load_state_dict(tensors, assign=True)
    model.save_pretrained(folder)


def note_training(folder: Path, words: str) -> None:
    """Record in a folder's `config.json` the text `words`, which says how long the folder's network was trained."""
    _note(folder, {TRAINING: words})


def training_note(folder: Path) -> str:
    """Return the text that `note_training` recorded in a folder, or an empty text if no text was recorded."""
    return str(network_settings(folder).get(TRAINING, ""))


def note_lineage(folder: Path, lineage: dict[str, Any]) -> None:
    """Record in a folder's `config.json` the origin of the folder's weights."""
    _note(folder, {LINEAGE: lineage})


def _note(folder: Path, notes: dict[str, Any]) -> None:
    (folder / CONFIG).write_text(json.dumps({**network_settings(folder), **notes}, indent=2) + "\n", encoding="utf-8")


def save_feature_network(network: FeatureNetwork, folder: Path) -> None:
    """Write a feature network's sizes and weights to a folder."""
    save_network(
        network, folder, {"_class_name": "FeatureNetwork", "widths": network.widths, "heads": network.head_sizes}
    )


def load_feature_network(folder: str | Path) -> FeatureNetwork:
    """Read a feature network that `save_feature_network` wrote, in float32.

    Raises:
        BadInputError: the folder, its sizes or its weights are missing, broken or inconsistent.
    """
    folder = Path(folder)
    settings = network_settings(folder)
    try:
        network = FeatureNetwork(settings["widths"], settings["heads"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{folder / CONFIG}: expected the sizes of a feature network, found missing or wrong values ({error})"
        ) from None
    load_weights(network, folder / WEIGHTS)
    return network.eval()


def load_weights(module: nn.Module, path: Path, *, prefix: str = "") -> None:
    """Load a weight file into a module, and convert floating-point values to the module's type.

    Args:
        module: the module, which is changed in place.
        path: path of the file.
        prefix: text with which the names of the module's tensors begin in the file; other tensors are ignored.

    Raises:
        BadInputError: the file is missing or broken, or its tensors do not fit the module. The message names the
            tensors that do not fit.
    """
    tensors = read_tensors(path)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    problems = mismatch(module.state_dict(), tensors)
    if problems:
        raise BadInputError(f"{path}: expected weights that fit the network, found differences: {'; '.join(problems)}")
    module.load_state_dict(tensors)


def save_network(module: nn.Module, folder: Path, settings: dict[str, Any]) -> None:
    """Write a module's weights to a folder, and `settings` as `config.json` next to them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    with torch.no_grad():
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)


def network_settings(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's `config.json`.

    Raises:
        BadInputError: the file does not exist, or is not a JSON object.
    """
    path = folder / CONFIG
    try:
        return read_json(path)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a file with the settings of a network, found no such file") from None
