"""Start a sweep of three decoders as a user does, look at its store while it runs, and read its table."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas

__all__ = [
    "DECODERS",
    "ITEMS",
    "environment",
    "latents_of",
    "shards",
    "started",
    "starts",
    "sweep",
    "table",
    "wait_for",
]

ROOT = Path(__file__).parents[2]
DECODERS = ("base", "large", "large_x2")
ITEMS = 256
"""Four blocks, so that one is left when three jobs have sampled one each."""
PATIENCE = 600.0


def sweep(folder: Path, *words: str) -> list[str]:
    """Return the command of a sweep that writes into `folder`; the data sets are shared by folders of one parent."""
    return [
        sys.executable, "-m", "bench", "-m", *words, "experiment=sweep_decoder_size", f"decoder={','.join(DECODERS)}",
        "row=[stablediffusion,decoder_nomask]", f"limit={ITEMS}", "generator.steps=4", "profile.fid_minimum=64",
        "costs=false", "device=cpu", "stage=tabulate", f"paths.store={folder / 'store'}",
        f"paths.data={folder.parent / 'data'}", f"out={folder / 'out'}",
    ]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    """Return an environment with this checkout and one thread for each process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


@contextmanager
def started(line: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a session of its own, and kill it if it still runs after the block."""
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a function returns something true, while the process, if there is one, still runs."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process is None or process.poll() is None, f"it ended too early: {process and process.communicate()}"
        assert time.monotonic() < deadline, f"nothing happened in {PATIENCE:.0f} s"
        time.sleep(0.1)


def shards(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return times and inode numbers of the blocks of latents in the store; a rewritten block has others."""
    found = (folder / "store" / "latents").rglob("*.safetensors")
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def starts(log: str) -> int:
    """Return how often a job has started to run, from its log."""
    return log.count("the numbers of the profile mini can be compared only with each other\n")


def latents_of(folder: Path, job: int) -> dict[str, int]:
    """Return how many latents a job has sampled, and how many it has found in the store."""
    found: dict[str, int] = json.loads((folder / "out" / str(job) / "run.json").read_text())["latents"]
    return found


def table(folder: Path) -> pandas.DataFrame:
    """Return the table of all jobs."""
    return pandas.read_csv(folder / "out" / "sweep.csv")
