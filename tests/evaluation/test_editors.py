"""Tests of runs of Table 2 with pipelines of other latent spaces, whose decoders get the latents of these pipelines."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.models import Decoder, DecoderConfig, save_decoder
from tests.generation.tiny_editors import CHANNELS, FLUX, WRITERS, XL
from tests.helpers.commands import refused

pytestmark = pytest.mark.blackbox

COUNT = 4
OPTIONS = {XL: "sdxl_inpainting", FLUX: "flux_fill"}
"""Name of the generator in the configuration, by the class of the pipeline."""


def words(folder: Path, name: str, *extra: str) -> list[str]:
    """Return the words of a command in `folder`, which runs the pipeline in the folder `pipeline` in float32."""
    pipeline = folder / "pipeline"
    return [
        "experiment=table2_inpaint_imagenet", f"generator={OPTIONS[name]}", f"generator.pipeline={pipeline}",
        "generator.steps=2", "generator.precision=float32", f"profile.decoders.vanilla={pipeline / 'vae'}",
        "device=cpu", "controls=[]", "stage=tabulate", f"limit={COUNT}", f"paths.store={folder / 'store'}",
        f"paths.data={folder / 'data'}", f"out={folder / 'out'}", *extra,
    ]  # fmt: skip


def own_pictures(folder: Path) -> list[str]:
    """Write pictures of noise, and return the words that choose them."""
    draw = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(COUNT):
        picture = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{number}.png")
    return ["dataset=folder", f"dataset.root={folder / 'pictures'}"]


@pytest.mark.slow  # the networks of the metrics alone take seconds
@pytest.mark.parametrize("name", [XL, FLUX])
def test_table_2_is_measured_with_the_latents_of_the_pipeline(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / "pipeline")
    torch.manual_seed(0)
    config = DecoderConfig(channels=(8, 8, 8), layers=1, groups=4, latent_channels=CHANNELS[name])
    save_decoder(Decoder(config), tmp_path / "base")
    rows = ["row=[stablediffusion,base_mask,base_nomask,paste_back]", f"profile.decoders.base={tmp_path / 'base'}"]
    records = bench.run(words(tmp_path, name, *rows, *own_pictures(tmp_path))).records
    assert records is not None
    errors = {row: found["pre_error"].to_numpy() for row, found in records.groupby("row")}
    assert {row: len(found) for row, found in errors.items()} == dict.fromkeys(
        ("stablediffusion", "base_mask", "base_nomask", "paste_back"), COUNT
    )
    assert all(np.isfinite(found).all() for found in errors.values())
    assert (errors["paste_back"] == 0).all()
    assert not np.allclose(errors["base_mask"], errors["base_nomask"])
    assert not np.allclose(errors["base_nomask"], errors["stablediffusion"])


@pytest.mark.slow
def test_a_decoder_of_another_number_of_channels_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    WRITERS[FLUX](tmp_path / "pipeline")
    mini = "row=[stablediffusion]", "profile.decoders.vanilla=${profile.pipeline}/vae"
    shown = refused(words(tmp_path, FLUX, *mini, *own_pictures(tmp_path)), capfd)
    assert "rows.stablediffusion" in shown
    assert "to have 4 channels, but got 16 channels" in shown
    assert not (tmp_path / "out").exists()
