"""Tests of runs that are killed with `kill -9` and repeated, against an undisturbed run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ITEMS = 128
KILLS = 10
FEW = "row=[stablediffusion,base_mask,large_mask]"


def command(folder: Path, out: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=4",
        "device=cpu", "profile.fid_minimum=64", f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}",
        f"out={folder / out}", *more,
    ]  # fmt: skip


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", ["items", "latents", "scores"])
def test_a_killed_run_gives_equal_values_when_run_again(tmp_path: Path, kind: str) -> None:
    subprocess.run(command(tmp_path / "whole", "out"), check=True, capture_output=True)
    broken = tmp_path / "broken"
    process = subprocess.Popen(
        command(broken, "out"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    # Killed as soon as the first file of its kind begins to appear: in the middle of the next one.
    deadline = time.monotonic() + 300
    while not (broken / "store" / kind).exists() or not any((broken / "store" / kind).rglob("*")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "out" / "run.json").exists()
    subprocess.run(command(broken, "out"), check=True, capture_output=True)
    for name in ("records.parquet", "results.json", "table.csv"):
        assert (broken / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()


@pytest.mark.property
def test_a_run_killed_at_ten_random_moments_gives_equal_values(tmp_path: Path) -> None:
    """Each start runs until it is killed, and the next one continues from its files."""
    chosen = random.Random(8)
    with working(command(tmp_path / "whole", "out", FEW)) as process:
        started = time.monotonic()
        process.communicate(timeout=600)
        assert process.returncode == 0
    work, kills = time.monotonic() - started, 0
    broken = tmp_path / "broken"
    while kills < KILLS:
        with working(command(broken, "out", FEW)) as process:
            time.sleep(chosen.uniform(0, work / 6))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                kills += 1
                assert not (broken / "out" / "run.json").exists()
            else:  # it was through: there is to be work again
                shutil.rmtree(broken / "store" / "scores")
    subprocess.run(command(broken, "out", FEW), check=True, capture_output=True)
    for name in ("records.parquet", "results.json", "table.csv"):
        assert (broken / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()


@contextmanager
def working(line: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a run, and wait until it begins to work."""
    process = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    while "can be compared only with each other" not in (said := process.stderr.readline()):
        assert said, "it ended before it began"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "asked to end (SIGTERM)")]
)
def test_a_signal_ends_the_run_with_its_status_and_the_next_one_resumes(
    tmp_path: Path, number: signal.Signals, status: int, said: str
) -> None:
    process = subprocess.Popen(
        command(tmp_path, "out"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell that started the tests in its background lets interrupts be ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    latents = tmp_path / "store" / "latents"
    while not latents.exists() or not any(latents.rglob("*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == status
    assert f"bench: {said}; run the same command again to continue from here" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "store").rglob("*.lease"))
    subprocess.run(command(tmp_path, "out"), check=True, capture_output=True)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["latents"] == {"sampled": ITEMS // 2, "stored": ITEMS // 2}
