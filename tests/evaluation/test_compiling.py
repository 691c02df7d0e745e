"""Tests of a run with `compile`: the sampler is compiled, and its latents are kept apart from those of other runs."""

from pathlib import Path

import pytest

from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import TableConfig
from bench.evaluation import setup as evaluation_setup
from bench.evaluation.setup import Setup
from bench.generation import generator

pytestmark = pytest.mark.blackbox


def prepared(tmp_path: Path, *more: str) -> Setup:
    rows = "row=[stablediffusion,large_mask]"
    words = ["experiment=table2_inpaint_imagenet", rows, "controls=[]", f"paths.store={tmp_path}", "device=cpu", *more]
    return Setup(TableConfig.of(*typed(compose_config(words))), words)


@pytest.mark.slow
def test_a_compiled_sampler_has_its_own_latents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    compiled: list[str] = []
    monkeypatch.setattr(evaluation_setup, "check_compiler", lambda mode, _: checked.append(mode))
    monkeypatch.setattr(generator, "compile_forward", lambda _, mode: compiled.append(mode))
    plain, other = prepared(tmp_path), prepared(tmp_path, "compile=default")
    lines = [{"id": "item"}]
    keys = [one.sampling._key(lines, "latents") for one in (plain, other)]
    assert keys[0] != keys[1]
    assert (checked, compiled) == (["default"], ["default"])
