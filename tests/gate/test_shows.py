"""Tests of the gate on real runs: equal code, a worse decoder, and everything that must not pass."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import bench
from bench.gate.margins import margin_of
from tests.helpers.gate import ends

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASSETS = Path(bench.__file__).parent / "assets" / "mini"
WEIGHTS = "diffusion_pytorch_model.safetensors"
ITEMS = 128
PASS, REGRESSION, CANNOT_TELL = 0, 3, 4
BUSY = "time_ratio=any"
"""Unlimited margin of time ratios for tests that run beside others."""


def command(folder: Path, out: str, *extra: str, store: str = "store") -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "device=cpu",
        "controls=[]", "row=[stablediffusion,base_mask,large_mask,paste_back]", f"paths.store={folder / store}",
        f"paths.data={folder / 'data'}", f"out={folder / out}", *extra,
    ]  # fmt: skip


def run(folder: Path, out: str, *extra: str, store: str = "store") -> Path:
    subprocess.run(command(folder, out, *extra, store=store), check=True, capture_output=True)
    return folder / out


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("gate"), "old")


def noisy(weights: Path, target: Path) -> Path:
    """Copy a model with random deviations of 5 % in every weight."""
    shutil.copytree(weights, target)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(weights / WEIGHTS)
    moved = {
        name: value * (1 + 0.05 * torch.randn(value.shape, generator=generator)) if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    save_file(moved, target / WEIGHTS)
    return target


@pytest.mark.blackbox
def test_two_runs_of_the_same_code_pass(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = run(old.parent, "new", store="another_store")  # so that everything is made again
    strict = [f"{name}=0.01%" for name in ("fid", "lpips", "pre_error")]
    status, shown = ends(capsys, new, old, "--margin", *strict, BUSY, "--json", old.parent / "gate.json")
    assert status == PASS, shown
    comparisons = json.loads((old.parent / "gate.json").read_text())["comparisons"]
    assert len([found for found in comparisons if found["paired"]]) == 12
    assert {"parameters", "tera_flop", "peak_activation_bytes"} <= {found["metric"] for found in comparisons}


@pytest.mark.blackbox
def test_a_decoder_with_five_percent_noise_is_a_regression(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decoder = noisy(ASSETS / "base", old.parent / "noisy")
    status, shown = ends(capsys, run(old.parent, "worse", f"profile.decoders.base={decoder}"), old, "--margin", BUSY)
    assert status == REGRESSION
    for metric in ("lpips", "pre_error"):
        assert f"regression base_mask {metric}" in shown
    for row in ("stablediffusion", "large_mask", "paste_back"):
        assert f"regression {row}" not in shown


@pytest.mark.blackbox
def test_other_feature_weights_change_the_protocol(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = noisy(ASSETS / "metric_features", old.parent / "noisy_features")
    status, shown = ends(
        capsys, run(old.parent, "protocol", f"profile.features.images={network}"), old, "--margin", BUSY
    )
    assert status == CANNOT_TELL
    for metric in ("fid", "lpips"):
        assert f"protocol of {metric}: measure.weights: expected" in shown
    assert "protocol of pre_error" not in shown


@pytest.mark.blackbox
def test_half_the_items_are_inconclusive(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = ends(capsys, run(old.parent, "half", f"limit={ITEMS // 2}"), old, "--margin", BUSY)
    assert status == CANNOT_TELL
    assert "manifest: expected" in shown
    assert f"the old run has {ITEMS} items and the new run has {ITEMS // 2}" in shown


@pytest.mark.blackbox
def test_a_killed_run_is_inconclusive(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen(
        command(old.parent, "killed", "row=[stablediffusion,base_nomask]", store="killed_store"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not any((old.parent / "killed_store" / "latents").rglob("*.safetensors")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    status, shown = ends(capsys, old.parent / "killed", old)
    assert status == CANNOT_TELL
    assert "found neither" in shown
    run_json = old.parent / "new_partial"
    shutil.copytree(old, run_json)
    (run_json / "run.json").unlink()  # which is written last
    status, shown = ends(capsys, run_json, old)
    assert status == CANNOT_TELL
    assert "run.json: expected this file, which every complete run has, found no such file" in shown


@pytest.mark.blackbox
def test_an_empty_folder_is_inconclusive(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old.parent / "empty").mkdir()
    assert ends(capsys, old.parent / "empty", old)[0] == CANNOT_TELL


@pytest.mark.golden
def test_table_2_agrees_with_the_committed_reports(tmp_path: Path) -> None:
    """A new run of Table 2 is within the gate's margins of the committed one in `reports/`."""
    new = tmp_path / "new"
    words = [
        "experiment=table2_inpaint_imagenet",
        f"paths.store={tmp_path / 'store'}",
        f"paths.data={tmp_path / 'data'}",
    ]
    subprocess.run([sys.executable, "-m", "bench", *words, f"out={new}"], check=True, capture_output=True)
    ours, reported = (headline_values(run) for run in (new, ROOT / "reports" / "table2_inpaint_imagenet"))
    assert len(reported) == 42
    assert ours.keys() == reported.keys()
    far = {
        cell: (ours[cell], value)
        for cell, value in reported.items()
        if abs(ours[cell] - value) > margin_of(cell[1], {}).at(value)
    }
    assert not far


def headline_values(run: Path) -> dict[tuple[str, str], float]:
    """Return values by row and column of a run's table."""
    results = json.loads((run / "results.json").read_text())
    columns = [column["metric"] for column in results["columns"]]
    return {
        (row["method"], metric): row["metrics"][metric]["value"]
        for row in results["rows"]
        if row["origin"] != "published"
        for metric in columns
    }
