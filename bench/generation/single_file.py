"""Reading of Stable Diffusion 1 from one checkpoint file in the original layout (CompVis/stable-diffusion).

The tensor names are converted as in diffusers' `from_single_file` (`diffusers/loaders/single_file_utils.py`). That
function would download the settings of every part, but this module reads them from `bench/models/configs`. A file may
also contain a moving average of the UNet's weights (`model_ema.*`). This average is ignored and the raw weights are
used, as in the released scripts for inpainting and for text to image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights  # type: ignore[import-untyped]  # has no types
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

import bench.models
from bench.errors import BadInputError
from bench.generation.unet_weights import of_file
from bench.models.first_stage import autoencoder_of
from bench.models.tensor_files import mismatch, read_tensors
from bench.runtime.libraries import quiet

__all__ = ["single_file_parts"]

CONFIGS = Path(bench.models.__file__).parent / "configs" / "sd15"
FIRST_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
TEXT = "cond_stage_model.transformer."


def single_file_parts(path: Path, key: str, check_channels: Callable[[int], None]) -> dict[str, Any]:
    """Load the parts of Stable Diffusion 1 from a file onto the CPU.

    The keys are the names that diffusers' pipelines use. The parts are the first stage `vae`, the networks `unet` and
    `text_encoder`, and the configuration `scheduler`. The value of `unet_weights` is a text that tells whether the UNet
    has raw weights, see `bench.generation.unet_weights.of_file`.

    Args:
        path: path that ends in `.safetensors`, or in one of `bench.models.tensor_files.PICKLED`.
        key: key of the path in the configuration, for messages.
        check_channels: function that is called with the UNet's number of input channels. It must raise an error if
            this number is wrong.

    Raises:
        BadInputError: the file is missing or broken, or contains another model than Stable Diffusion 1.
    """
    tensors = read_tensors(path)
    if FIRST_CONVOLUTION not in tensors:
        raise BadInputError(
            f"{key}: {path}: expected Stable Diffusion 1 in the original layout, found no tensor {FIRST_CONVOLUTION}"
        )
    channels = tensors[FIRST_CONVOLUTION].shape[1]
    check_channels(channels)
    settings = {name: _settings(name) for name in ("unet", "text_encoder")}
    settings["unet"]["in_channels"] = channels
    with quiet():
        autoencoder = autoencoder_of(tensors, f"{key}: {path}")
        with init_empty_weights():
            networks = {
                "unet": UNet2DConditionModel.from_config(settings["unet"]),
                "text_encoder": CLIPTextModel(CLIPTextConfig.from_dict(settings["text_encoder"])),
            }
        try:
            found = {
                "unet": convert_ldm_unet_checkpoint(tensors, settings["unet"], extract_ema=False),
                "text_encoder": _text_tensors(tensors, networks["text_encoder"]),
            }
        except Exception as error:  # another model's tensors can fail anywhere in the conversion
            raise BadInputError(
                f"{key}: {path}: expected Stable Diffusion 1, found another model ({error!r})"
            ) from error
    for name, network in networks.items():
        differences = mismatch(network.state_dict(), found[name])
        if differences:
            raise BadInputError(
                f"{key}: {path}: expected the {name} of Stable Diffusion 1, found one with {'; '.join(differences)}"
            )
        network.load_state_dict(found[name], assign=True)
    return {
        "vae": autoencoder,
        **networks,
        "scheduler": _settings("scheduler", "scheduler_config.json"),
        "unet_weights": of_file(tensors),
    }


def _settings(part: str, file: str = "config.json") -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((CONFIGS / part / file).read_text(encoding="utf-8"))
    return settings


def _text_tensors(tensors: Mapping[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    # Transformers 5.6 removed the level `text_model`; earlier versions removed position ids from the weights.
    names = {name.removeprefix("text_model."): name for name in encoder.state_dict()}
    stripped = {
        name.removeprefix(TEXT).removeprefix("text_model."): tensor
        for name, tensor in tensors.items()
        if name.startswith(TEXT) and not name.endswith(".position_ids")
    }
    return {names.get(name, name): tensor for name, tensor in stripped.items()}
