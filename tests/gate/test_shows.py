"""The gate on real runs: the same code, a decoder gone wrong, and everything that must not pass."""

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
from bench.compare import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASSETS = Path(bench.__file__).parent / "assets" / "mini"
WEIGHTS = "diffusion_pytorch_model.safetensors"
ITEMS = 128
PASS, REGRESSION, CANNOT_TELL = 0, 3, 4
BUSY = "time_ratio=any"
"""For tests that run beside others."""


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
    """A copy of a model of which every weight is off by 5 %, at random."""
    shutil.copytree(weights, target)
    generator = torch.Generator().manual_seed(0)
    tensors = load_file(weights / WEIGHTS)
    moved = {
        name: value * (1 + 0.05 * torch.randn(value.shape, generator=generator)) if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    save_file(moved, target / WEIGHTS)
    return target


def gate(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    status = main([str(word) for word in words])
    return status, " ".join(capsys.readouterr().out.split())


def test_the_same_code_twice_passes(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = run(old.parent, "new", store="another_store")  # so that everything is made again
    strict = [f"{name}=0.01%" for name in ("fid", "lpips", "pre_error")]
    status, shown = gate(capsys, new, old, "--margin", *strict, BUSY, "--json", old.parent / "gate.json")
    assert status == PASS, shown
    comparisons = json.loads((old.parent / "gate.json").read_text())["comparisons"]
    assert len([found for found in comparisons if found["paired"]]) == 12
    assert {"parameters", "tera_flop", "peak_activation_bytes"} <= {found["metric"] for found in comparisons}


def test_a_decoder_with_five_percent_noise_is_a_regression(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decoder = noisy(ASSETS / "base", old.parent / "noisy")
    status, shown = gate(capsys, run(old.parent, "worse", f"profile.decoders.base={decoder}"), old)
    assert status == REGRESSION
    for metric in ("lpips", "pre_error"):
        assert f"regression base_mask {metric}" in shown
    for row in ("stablediffusion", "large_mask", "paste_back"):
        assert f"regression {row}" not in shown


def test_other_feature_weights_are_another_protocol(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = noisy(ASSETS / "metric_features", old.parent / "noisy_features")
    status, shown = gate(capsys, run(old.parent, "protocol", f"profile.features.images={network}"), old)
    assert status == CANNOT_TELL
    for metric in ("fid", "lpips"):
        assert f"protocol of {metric}: measure.weights: expected" in shown
    assert "protocol of pre_error" not in shown


def test_half_the_items_decide_nothing(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = gate(capsys, run(old.parent, "half", f"limit={ITEMS // 2}"), old)
    assert status == CANNOT_TELL
    assert "manifest: expected" in shown
    assert f"({ITEMS} and {ITEMS // 2} items)" in shown


def test_a_killed_run_decides_nothing(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    status, shown = gate(capsys, old.parent / "killed", old)
    assert status == CANNOT_TELL
    assert "found neither" in shown
    run_json = old.parent / "new_partial"
    shutil.copytree(old, run_json)
    (run_json / "run.json").unlink()  # which is written last
    status, shown = gate(capsys, run_json, old)
    assert status == CANNOT_TELL
    assert "run.json: expected the file of a whole run, found none" in shown


def test_an_empty_folder_decides_nothing(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old.parent / "empty").mkdir()
    assert gate(capsys, old.parent / "empty", old)[0] == CANNOT_TELL


def test_table_2_is_what_the_reports_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`reports/` belongs to this code: Table 2, made from nothing, lies within the gate's margins of it."""
    new = tmp_path / "new"
    words = [
        "experiment=table2_inpaint_imagenet",
        f"paths.store={tmp_path / 'store'}",
        f"paths.data={tmp_path / 'data'}",
    ]
    subprocess.run([sys.executable, "-m", "bench", *words, f"out={new}"], check=True, capture_output=True)
    words = ["--margin", BUSY, "--json", tmp_path / "gate.json"]
    status, shown = gate(capsys, new, ROOT / "reports" / "table2_inpaint_imagenet", *words)
    assert status == PASS, shown
    comparisons = json.loads((tmp_path / "gate.json").read_text())["comparisons"]
    assert len([found for found in comparisons if found["metric"] in ("fid", "lpips", "pre_error")]) == 42
