"""The folder into which a run writes; it is created and claimed, and a finished run of anything else is not replaced.

A hidden file, `STARTED`, records which configuration started to write into a folder; `run.json` records which one
finished. This module does not import torch.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.config.experiment_configs import RunConfig
from bench.errors import BadInputError
from bench.runtime.atomic import whole_file
from bench.runtime.strict_json import read_json

__all__ = [
    "STARTED",
    "check_claimed",
    "check_folder",
    "check_out",
    "check_writable",
    "claim",
    "claim_of",
    "free_folder",
    "open_out",
    "writable_folder",
    "writing_into",
]

RUN, REPORT, JOB = "run.json", "report.html", "job.json"
STARTED = ".started.json"
FINISHED = (RUN, "sweep.csv")
WRITTEN = (RUN, STARTED, JOB, "*/job.json", "*/part.json")
"""Patterns of files by which a folder that this program wrote is recognised."""
ALIKE = (
    "out", "overwrite", "stage", "device", "batch_size", "strip_rows", "compile", "save_images", "keep_features",
    "features_dtype", "costs", "verbose", "fresh", "paths", "gate", "part", "description", "workers", "wandb",
    "seeds",
)  # fmt: skip
"""Keys that may differ between two runs of one configuration; no value of an item or network depends on them."""


def open_out(config: RunConfig) -> Path:
    """Create and claim the folder of a run, and remove an earlier `run.json` and page of the same configuration.

    If `out` is not set, the folder is a new one that no other run has.

    Raises:
        BadInputError: the folder cannot be written, or the run must not write into it; see `check_out`.
    """
    if config.out is None:
        try:
            folder = free_folder(Path("outputs") / config.name, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
        except OSError as error:
            raise BadInputError(f"out: expected a folder that can be written, found {error}") from error
    else:
        check_out(config)
        folder = writable_folder(config.out, "out")
    for name in (RUN, REPORT):
        (folder / name).unlink(missing_ok=True)
    claim(folder, claim_of(config))
    return folder


def claim_of(config: RunConfig) -> dict[str, Any]:
    """Return the part of the configuration that two runs of the same experiment share, as JSON returns it.

    The path of the package's own assets is replaced, so that it is the same on every machine.
    """
    compared = {key: value for key, value in config.resolved.items() if key not in ALIKE}
    text = json.dumps(compared).replace(json.dumps(config.paths.assets)[1:-1], "${paths.assets}")
    return {"experiment": config.name, "config": json.loads(text)}


def claim(folder: Path, content: Mapping[str, Any]) -> None:
    """Record in a folder which run writes into it."""
    with whole_file(folder / STARTED) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def check_claimed(folder: Path) -> None:
    """Check that a folder is still the one that this run claimed.

    Raises:
        BadInputError: the folder was removed or replaced during the run.
    """
    if not (folder / STARTED).is_file():
        raise BadInputError(
            f"out: expected the folder {folder} that this run made, found that it was removed or replaced; the same "
            "command continues from the results in the store"
        )


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Check that the folder of the run still exists, before the block runs and after it fails.

    Raises:
        BadInputError: the folder was removed or replaced during the run.
    """
    check_claimed(folder)
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, FileExistsError):
        check_claimed(folder)
        raise


def check_out(config: RunConfig) -> None:
    """Check that a run may write into the folder `out`, without creating it.

    Raises:
        BadInputError: the run must not write into the folder; see `check_folder`.
    """
    if config.out is not None:
        check_folder(config.out, claim_of(config), overwrite=config.overwrite)


def check_folder(out: str, content: Mapping[str, Any], *, overwrite: bool) -> None:
    """Check that a run may write into an existing folder, or that a new folder can be created.

    Args:
        out: path of the folder.
        content: content that `claim` would record; its `experiment` and `config` are compared.
        overwrite: whether the folder may contain a finished run of anything else, or files of other programs.

    Raises:
        BadInputError: the path is a file, it cannot be written, it contains a finished run of anything else, or it
            contains only files of other programs.
    """
    check_writable(out, "out")
    folder = Path(out)
    if overwrite or not folder.is_dir() or not any(folder.iterdir()):
        return
    if not any(any(folder.glob(pattern)) for pattern in WRITTEN):
        first = min(path.name for path in folder.iterdir())
        raise BadInputError(
            f"out: expected an empty folder, an earlier run's, or overwrite=true; found {first} in {folder}, which no "
            "run has written"
        )
    if not any((folder / name).exists() for name in FINISHED):
        return
    earlier, expected = _read(folder / STARTED) or _read(folder / RUN), content["experiment"]
    if earlier.get("experiment") != expected:
        found = earlier.get("experiment") or "an unreadable run.json"
        raise BadInputError(
            f"out: expected an empty folder, one of {expected}, or overwrite=true; found {found} in {folder}"
        )
    other = next(_differences(earlier.get("config"), content["config"]), None)
    if other is not None:
        raise BadInputError(
            f"out: expected an empty folder, a run of the same configuration, or overwrite=true; found a finished run "
            f"of another {other} in {folder}"
        )


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if it cannot be read."""
    try:
        return read_json(path)
    except (FileNotFoundError, BadInputError):
        return {}


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Yield the keys in which two configurations differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key or "configuration"


def writable_folder(path: str, key: str) -> Path:
    """Create a folder and check that it can be written.

    Raises:
        BadInputError: the folder cannot be created or written; the message names the key.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{key}: expected a folder that can be written, found {error}") from error
    check_writable(path, key)
    return folder


def check_writable(path: str, key: str) -> None:
    """Check that a folder can be written, or created if it does not exist, without leaving any file.

    Raises:
        BadInputError: the folder cannot be written or created; the message names the key.
    """
    if not path:
        raise BadInputError(f"{key}: expected a folder, found an empty text")
    if path.startswith("~"):
        raise BadInputError(f"{key}: expected a folder, found {path}; ~ is not expanded here, use $HOME/NAME")
    folder = Path(path).absolute()
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not there.is_dir():
            raise BadInputError(f"{key}: expected a folder, found the file {there}")
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, ValueError) as error:
        raise BadInputError(f"{key}: expected a folder that can be written, found {error}") from error


def free_folder(parent: Path, name: str) -> Path:
    """Create a folder with a name; if it exists already, a number is added to the name."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
