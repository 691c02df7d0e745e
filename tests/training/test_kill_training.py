"""Tests of a decoder's training that is stopped after thirty updates and repeated."""

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

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

STEPS, STOP = 50, 30


def command(folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=train_decoder", "device=cpu", f"training.steps={STEPS}",
        "training.save_every=20", "training.validate_every=25", "training.validation_items=16",
        "training.objective.adversary=hinge", "training.objective.adversary_from=10",
        "profile.datasets.imagenet_train.per_class=1", "profile.datasets.imagenet_dev.per_class=1",
        f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / 'out'}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(command(folder), check=True, capture_output=True)
    return folder / "out"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_an_interrupted_training_resumes_to_equal_losses(
    whole: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    process = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not any(losses.read_text().count("\n") >= STOP for losses in (tmp_path / "store").rglob("losses.jsonl")):
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, number)
    assert process.wait() == status
    assert not (tmp_path / "out").exists()
    saved = [int(path.stem.removeprefix("step_")) for path in (tmp_path / "store").rglob("step_*.pt")]
    expected = {20} if number == signal.SIGKILL else set(range(STOP, STEPS))
    assert max(saved) in expected
    subprocess.run(command(tmp_path), check=True, capture_output=True)
    for name in ("losses.csv", "validation.csv"):
        pandas.testing.assert_frame_equal(
            pandas.read_csv(tmp_path / "out" / name), pandas.read_csv(whole / name), check_exact=True
        )
    first, second = (load_decoder(out / "decoder").state_dict() for out in (whole, tmp_path / "out"))
    assert all(torch.equal(first[name], second[name]) for name in first)
