"""`kill -9` in the middle, the same command again, and the values of a run that nobody disturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ITEMS = 128


def command(folder: Path, out: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=4",
        "device=cpu", "profile.fid_minimum=64", f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}",
        f"out={folder / out}",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["items", "latents", "scores"])
def test_killed_and_run_again(tmp_path: Path, kind: str) -> None:
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


def test_an_interrupt_ends_with_130_and_the_next_run_goes_on(tmp_path: Path) -> None:
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
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in errors
    subprocess.run(command(tmp_path, "out"), check=True, capture_output=True)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["latents"] == {"sampled": ITEMS // 2, "stored": ITEMS // 2}
