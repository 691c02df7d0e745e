"""Tests of the tensor names of the original layout, against the converters of diffusers."""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import Tensor, nn

from bench.rehearsal.original_layout import original_autoencoder, original_unet
from bench.rehearsal.sizes import SIZES

pytestmark = pytest.mark.reference


def on_meta(kind: type, settings: dict[str, object]) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = kind.from_config(settings)  # type: ignore[attr-defined]
    return network


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.mark.parametrize("size", SIZES)
def test_diffusers_converts_the_names_of_a_unet_back(size: str) -> None:
    settings = dict(SIZES[size].unet)
    state = on_meta(UNet2DConditionModel, settings).state_dict()
    written = original_unet(state, settings["layers_per_block"])
    assert shapes(convert_ldm_unet_checkpoint(written, settings)) == shapes(state)
    assert len(written) == len(state)


@pytest.mark.parametrize("size", SIZES)
def test_diffusers_converts_the_names_of_an_autoencoder_back(size: str) -> None:
    settings = dict(SIZES[size].autoencoder)
    state = on_meta(AutoencoderKL, settings).state_dict()
    written = original_autoencoder(state, len(settings["block_out_channels"]))
    assert shapes(convert_ldm_vae_checkpoint(written, settings)) == shapes(state)
