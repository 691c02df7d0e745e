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
from typing import TYPE_CHECKING, Any

import pandas

from bench.errors import BadInputError
from bench.whole import whole_file

if TYPE_CHECKING:
    from bench.metrics.summary import Summary

__all__ = [
    "REPORT",
    "SCHEMA_VERSION",
    "Results",
    "check_writable",
    "environment",
    "free_folder",
    "open_out",
    "portable",
    "read_if_there",
    "writable_folder",
    "write_atomically",
    "write_json",
]

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
    "opencv-python-headless",
    "pillow",
    "scikit-image",
)
RUN = "run.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Results:
    """The outcome of an experiment."""

    path: Path
    """The folder of the run's files."""
    status: int
    """0 done, 1 failed, 2 bad input, 3 worse than before, 4 nobody can tell whether, 130 interrupted."""
    message: str = ""
    """Why, unless it is done."""
    table: pandas.DataFrame | None = None
    """One line for each row."""
    records: pandas.DataFrame | None = None
    """One line for each item and row."""
    summary: tuple[int, Summary] | None = None
    """The table's number, and its estimates to compare with other tables'."""
    headline: tuple[str, ...] = ()
    """Its most telling numbers in words, for an index of several runs."""


def open_out(out: str | None, experiment: str) -> Path:
    """Make the folder of a run, never one that another run of the default name has; an earlier `run.json` and page go.

    Raises:
        BadInputError: it cannot be written, or holds another experiment.
    """
    try:
        if out is None:
            return free_folder(Path("outputs") / experiment, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    except OSError as error:
        raise BadInputError(f"out: expected a folder that can be written, found {error}") from error
    folder = writable_folder(out, "out")
    _refuse_other(folder, experiment)
    for name in (RUN, REPORT):
        (folder / name).unlink(missing_ok=True)
    return folder


def writable_folder(path: str, key: str) -> Path:
    """Make a folder and see that it can be written.

    Raises:
        BadInputError: it cannot; the message names the key.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{key}: expected a folder that can be written, found {error}") from error
    check_writable(path, key)
    return folder


def check_writable(path: str, key: str) -> None:
    """See that a folder can be written, or made where there is none; nothing is left behind.

    Raises:
        BadInputError: it cannot; the message names the key.
    """
    folder = Path(path).absolute()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise BadInputError(f"{key}: expected a folder that can be written, found {error}") from error


def free_folder(parent: Path, name: str) -> Path:
    """Make a folder of that name, or with a number behind it where another process was faster."""
    parent.mkdir(parents=True, exist_ok=True)
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
    with whole_file(path) as partial:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """The same for JSON; a number that is not finite is refused."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_if_there(path: Path) -> dict[str, Any]:
    """What a run has written as JSON; empty where there is none, or what lies there is no JSON object."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def portable(node: Any, assets: str) -> Any:
    """Plain data in which what travels with the package has the same name on every machine.

    Args:
        node: keys and values may be paths below the assets.
        assets: the folder of `paths.assets`.
    """
    if isinstance(node, dict):
        return {portable(key, assets): portable(value, assets) for key, value in node.items()}
    if isinstance(node, list):
        return [portable(value, assets) for value in node]
    return node.replace(assets, "${paths.assets}") if isinstance(node, str) else node


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
        "hardware": {
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "system": platform.system(),
            **_gpu(),
        },
        "source": _source(),
    }


def _gpu() -> dict[str, str]:
    import torch

    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


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
    changes = git("status", "--porcelain", "--", ".", ":!reports")  # where results lie, not code
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}
