"""What a run hands back and leaves on disk."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas

from bench.errors import BadInputError

__all__ = ["SCHEMA_VERSION", "Results", "environment", "open_out", "write_atomically", "write_json"]

SCHEMA_VERSION = 1
PACKAGES = (
    "asymbench",
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "hydra-core",
    "datasets",
    "numpy",
    "pandas",
)
RUN = "run.json"


@dataclass(frozen=True)
class Results:
    """The outcome of an experiment."""

    path: Path
    """The folder of the run's files."""
    status: int
    """0 done, 1 failed, 2 bad input, 130 interrupted."""
    message: str = ""
    """Why, unless it is done."""
    table: pandas.DataFrame | None = None
    """One line for each row."""
    records: pandas.DataFrame | None = None
    """One line for each item and row."""


def open_out(out: str | None, experiment: str) -> Path:
    """Make the folder of a run, never one that another run of the default name has.

    Raises:
        BadInputError: it cannot be written, or holds another experiment.
    """
    try:
        if out is None:
            parent = Path("outputs") / experiment
            parent.mkdir(parents=True, exist_ok=True)
            return _fresh(parent, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInputError(f"out: expected a folder that can be written, found {error}") from error
    _refuse_other(folder, experiment)
    return folder


def _fresh(parent: Path, name: str) -> Path:
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _refuse_other(folder: Path, experiment: str) -> None:
    try:
        earlier = json.loads((folder / RUN).read_text()).get("experiment")
    except FileNotFoundError:
        return
    except (ValueError, AttributeError):
        earlier = "an unreadable run.json"
    if earlier != experiment:
        raise BadInputError(f"out: expected an empty folder or one of {experiment}, found {earlier} in {folder}")


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """The same for JSON; a number that is not finite is refused."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def environment() -> dict[str, Any]:
    """Versions, hardware and the commit of the source, as far as they are known."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "versions": {"python": platform.python_version(), **versions},
        "hardware": {"machine": platform.machine(), "processors": os.cpu_count(), "system": platform.system()},
        "source": _source(),
    }


def _source() -> dict[str, Any]:
    root = Path(__file__).parents[1]

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
