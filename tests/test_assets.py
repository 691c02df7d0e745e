"""The shipped weights: their size, and the card that says what they are."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

import bench
from bench.config import compose_config
from bench.store import file_sha256

MINI = Path(bench.__file__).parent / "assets" / "mini"


def test_all_weights_together_stay_under_40_megabytes_in_half_precision() -> None:
    files = list(MINI.rglob("*.safetensors"))
    assert 0 < sum(path.stat().st_size for path in files) < 40e6
    kinds = {tensor.dtype for path in files for tensor in load_file(path).values() if tensor.is_floating_point()}
    assert kinds == {torch.float16}


def test_the_card_is_that_of_these_files() -> None:
    card = json.loads((MINI / "card.json").read_text())
    found = {path.relative_to(MINI).as_posix(): file_sha256(path) for path in MINI.rglob("*.safetensors")}
    assert card["sha256"] == found
    assert set(card["recipes_tried"]) == set(card["parts"])
    assert {part["seed"] for part in card["parts"].values()} == {card["seed"]}


def test_training_the_vanilla_decoder_on_hardly_changes_it() -> None:
    """Otherwise every decoder of the table would look better than it for its training alone."""
    card = json.loads((MINI / "card.json").read_text())
    limit = compose_config(["experiment=train_mini"]).parts.convergence
    assert abs(card["parts"][limit.part]["figures"][limit.figure]) < limit.largest <= 0.02
