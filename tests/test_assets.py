"""Tests of the shipped weights: their size and the card that describes them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import bench
from bench.config.compose import compose_config
from bench.store import file_sha256

MINI = Path(bench.__file__).parent / "assets" / "mini"


@pytest.mark.blackbox
def test_all_weights_together_stay_under_60_megabytes_in_half_precision() -> None:
    files = list(MINI.rglob("*.safetensors"))
    assert 0 < sum(path.stat().st_size for path in files) < 60e6
    kinds = {tensor.dtype for path in files for tensor in load_file(path).values() if tensor.is_floating_point()}
    assert kinds == {torch.float16}


@pytest.mark.golden
def test_the_card_describes_the_shipped_files() -> None:
    card = json.loads((MINI / "card.json").read_text())
    found = {path.relative_to(MINI).as_posix(): file_sha256(path) for path in MINI.rglob("*.safetensors")}
    assert card["sha256"] == found
    assert set(card["recipes_tried"]) == set(card["parts"])
    assert {part["seed"] for part in card["parts"].values()} == {card["seed"]}


@pytest.mark.blackbox
def test_further_training_hardly_changes_the_vanilla_decoder() -> None:
    """A poorly trained vanilla decoder would make every other decoder look better."""
    card = json.loads((MINI / "card.json").read_text())
    limit = compose_config(["experiment=train_mini"]).mini_models.convergence
    assert abs(card["parts"][limit.part]["figures"][limit.figure]) < limit.largest <= 0.02
