"""Tests of a decoder's training on a full disk and with a killed worker, which gives one message and resumes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
import torch

from bench.models import load_decoder
from tests.experiments.test_train_mini import short
from tests.helpers.disks import FULL, READ_ONLY, messages, mounted

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

STEPS, SAVED, VALIDATED = 12, 4, 3


def command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=train_decoder", "device=cpu", f"training.steps={STEPS}",
        f"training.save_every={SAVED}", f"training.validate_every={VALIDATED}", "training.validation_items=8",
        "training.batch_size=4", "training.at_once=4",
        "profile.datasets.imagenet_train.per_class=1", "profile.datasets.imagenet_dev.per_class=1",
        f"paths.store={folder / 'store'}", f"paths.data={folder.parent / 'data'}", f"out={folder / 'out'}", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an undisturbed run; the pictures lie beside it."""
    folder = tmp_path_factory.mktemp("faults") / "whole"
    subprocess.run(command(folder), check=True, capture_output=True)
    return folder


def same(out: Path, whole: Path) -> None:
    for name in ("losses.csv", "validation.csv"):
        pandas.testing.assert_frame_equal(
            pandas.read_csv(out / name), pandas.read_csv(whole / "out" / name), check_exact=True
        )
    for name in ("decoder", "best"):
        first, second = (load_decoder(folder / name).state_dict() for folder in (out, whole / "out"))
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("full", ["best", "checkpoints", "out"])
def test_a_training_resumes_after_a_full_disk(whole: Path, full: str) -> None:
    """The disk is full when the first decoder, the second checkpoint or the report is half written."""
    folder = whole.parent / full
    decoder = sum(path.stat().st_size for path in (whole / "out" / "best").iterdir())
    (checkpoint, _) = (path.stat().st_size for path in (whole / "store").rglob("step_*.pt"))
    sizes = {"best": decoder // 2, "checkpoints": 2 * decoder + checkpoint, "out": decoder + decoder // 2}
    disk = folder / ("out" if full == "out" else "store")
    disk.mkdir(parents=True)
    done = mounted(FULL, str(disk), str(sizes[full]), *command(folder))
    assert done.stdout.split() == ["1", "0"], done.stderr  # and nothing half-written between
    (said,) = messages(done.stderr)
    assert str(disk) in said
    assert "no space left on the disk; make room" in said
    if full != "out":  # which is gone with its disk
        same(folder / "out", whole)


def test_a_read_only_store_is_refused(whole: Path) -> None:
    done = mounted(READ_ONLY, str(whole / "store"), *command(whole, "seed=1", f"out={whole.parent / 'unwritten'}"))
    assert done.returncode == 2
    (said,) = messages(done.stderr)
    assert "paths.store: expected a folder that can be written" in said


def test_a_training_resumes_after_a_worker_is_killed(whole: Path) -> None:
    folder = whole.parent / "killed"
    line = command(folder, "workers=2")
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 300
        while not any((folder / "store").rglob("step_*.pt")):
            assert process.poll() is None, "it ended before a worker could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    (said,) = messages(errors)
    assert "a process that loads pictures ended" in said
    assert "fewer processes (workers=N)" in said
    assert not list((folder / "store").rglob("*.lease"))
    subprocess.run(line, check=True, capture_output=True)
    same(folder / "out", whole)


def workers(process: int) -> list[int]:
    """Return the child processes that run the same program."""
    children = map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    program = Path(f"/proc/{process}/cmdline").read_bytes()
    return [child for child in children if Path(f"/proc/{child}/cmdline").read_bytes() == program]


@pytest.mark.parametrize("size", [700_000, 1_700_000], ids=["checkpoint", "folder"])
def test_a_part_of_the_mini_profile_resumes_after_a_full_disk(tmp_path: Path, size: int) -> None:
    """The weights take 0.49 MB, and three times that with the optimiser's state; one file is half written."""
    out = tmp_path / "out"
    out.mkdir()
    words = short(out, tmp_path / "data", "part=loss_features")
    done = mounted(FULL, str(out), str(size), sys.executable, "-m", "bench", *words)
    assert done.stdout.split() == ["1", "0"], done.stderr
    (said,) = messages(done.stderr)
    assert f"{out / ('checkpoints/loss_features.pt' if size < 1_000_000 else 'loss_features')}" in said
    assert "no space left on the disk; make room" in said
