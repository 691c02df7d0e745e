"""Tests of the check that a row decodes latents of the generator's space."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL

from bench.errors import BadInputError
from bench.evaluation.contracts import check_space
from bench.generation.decoding import Decoded
from bench.generation.generator import LatentDiffusion
from bench.models import load_decoder

DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
LEVELS = {"down_block_types": (DOWN,) * 4, "up_block_types": (UP,) * 4, "norm_num_groups": 4}
SIZES = {**LEVELS, "block_out_channels": (8,) * 4, "latent_channels": 4}
SDXL = 0.13025


def decoder(folder: Path, **settings: object) -> Decoded:
    AutoencoderKL(**{**SIZES, **settings}).save_pretrained(folder)
    return Decoded(load_decoder(folder), conditioned=False)


def generator(space: str) -> SimpleNamespace:
    return SimpleNamespace(space_name=space)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("settings", "space"), [({}, "sd1"), ({"scaling_factor": SDXL}, "sdxl"), ({"scaling_factor": 0.5}, "")]
)
def test_a_decoder_of_diffusers_states_its_space_by_its_scaling(
    tmp_path: Path, settings: dict[str, float], space: str
) -> None:
    assert load_decoder(decoder_folder(tmp_path, **settings)).space_name == space


def decoder_folder(folder: Path, **settings: object) -> Path:
    AutoencoderKL(**{**SIZES, **settings}).save_pretrained(folder)
    return folder


@pytest.mark.blackbox
def test_an_asymmetric_decoder_states_its_space(tmp_path: Path) -> None:
    widths = {"down_block_out_channels": (8,) * 4, "up_block_out_channels": (8,) * 4, "layers_per_up_block": 2}
    AsymmetricAutoencoderKL(**LEVELS, **widths).save_pretrained(tmp_path)
    assert load_decoder(tmp_path).space_name == "sd1"


@pytest.mark.blackbox
def test_latents_of_another_space_are_refused_by_name(tmp_path: Path) -> None:
    row = decoder(tmp_path)
    with pytest.raises(BadInputError, match=r"rows.mine: expected a decoder for the latent space sdxl, .* sd1"):
        check_space("mine", row, generator("sdxl"))  # type: ignore[arg-type]


@pytest.mark.blackbox
@pytest.mark.parametrize("space", ["sd1", ""])
def test_equal_and_unknown_spaces_are_accepted(tmp_path: Path, space: str) -> None:
    check_space("mine", decoder(tmp_path), generator(space))  # type: ignore[arg-type]
    check_space("mine", decoder(tmp_path / "other", scaling_factor=0.5), generator("sdxl"))  # type: ignore[arg-type]


@pytest.mark.blackbox
@pytest.mark.parametrize(("scale", "space"), [(0.18215, "sd1"), (SDXL, "sdxl"), (0.5, "")])
def test_a_latent_diffusion_model_names_the_space_of_its_first_stage(scale: float, space: str) -> None:
    vae = AutoencoderKL(**SIZES, scaling_factor=scale)
    assert LatentDiffusion.space_name.fget(SimpleNamespace(vae=vae)) == space  # type: ignore[attr-defined]
