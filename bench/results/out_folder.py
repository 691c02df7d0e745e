"""Functions that create, check and claim the folder into which a run writes.

To claim a folder, a run writes the hidden file `STARTED`, which contains the run's configuration. A run that finishes
writes `run.json`. With these two files, the functions prevent a run from replacing a finished run with a different
configuration, unless the setting `overwrite` allows it. This module does not import torch.
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
    "refuse_another_run",
    "refuse_foreign_files",
    "writable_folder",
    "writing_into",
]

RUN, REPORT, JOB = "run.json", "report.html", "job.json"
STARTED = ".started.json"
FINISHED = (RUN, "sweep.csv")
WRITTEN = (RUN, STARTED, JOB, "*/job.json", "*/part.json")
"""Patterns of file names. If a folder contains a file with such a name, this program has written the folder."""
ALIKE = (
    "out", "overwrite", "stage", "device", "batch_size", "strip_rows", "compile", "save_images", "keep_features",
    "features_dtype", "costs", "verbose", "fresh", "paths", "gate", "part", "description", "workers", "wandb",
    "seeds", "tex",
)  # fmt: skip
"""Keys of the configuration that are ignored when two configurations are compared. No value of an
item and no trained network depends on them."""


def open_out(config: RunConfig) -> Path:
    """Create and claim the folder of a run, and return its path.

    If `out` is not set, the function creates a new folder in `outputs/EXPERIMENT`, and names it after the current time.
    If the folder contains the `run.json` or the report of an earlier run, these files are removed.

    Raises:
        BadInputError: the folder cannot be written, or `check_out` refuses it.
    """
    if config.out is None:
        try:
            folder = free_folder(Path("outputs") / config.name, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
        except OSError as error:
            raise BadInputError(f"out: expected a folder that can be written, found an error: {error}") from error
    else:
        check_out(config)
        folder = writable_folder(config.out, "out")
    for name in (RUN, REPORT):
        (folder / name).unlink(missing_ok=True)
    claim(folder, claim_of(config))
    return folder


def claim_of(config: RunConfig) -> dict[str, Any]:
    """Return the data with which the function `claim` marks a folder as the folder of a run.

    The data are the experiment's name and configuration, without the keys in `ALIKE`. A fixed text replaces the path of
    the package's assets, so that equal runs have equal data on every machine.
    """
    compared = {key: value for key, value in config.resolved.items() if key not in ALIKE}
    text = json.dumps(compared).replace(json.dumps(config.paths.assets)[1:-1], "${paths.assets}")
    return {"experiment": config.name, "config": json.loads(text)}


def claim(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the file `STARTED`, which records which run writes into a folder.

    Args:
        folder: folder of the run.
        content: result of `claim_of`.
    """
    with whole_file(folder / STARTED) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def check_claimed(folder: Path) -> None:
    """Check that the folder of this run still contains `STARTED`.

    Raises:
        BadInputError: the folder was removed or replaced during the run.
    """
    if not (folder / STARTED).is_file():
        raise BadInputError(
            f"out: expected the folder {folder} in which this run started, found that this folder was removed or "
            "replaced; run the same command again to continue from the results in the store"
        )


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Check before the `with` block that the run's folder still exists, and check this again if the block fails.

    If the block fails because the folder was removed, the error names the removed folder instead of the missing file.

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
    """Check that a run may write into the folder that its configuration sets as `out`. The folder is not created.

    If `out` is not set, nothing is checked, because `open_out` then creates a new folder.

    Raises:
        BadInputError: `check_folder` refuses the folder.
    """
    if config.out is not None:
        check_folder(config.out, claim_of(config), overwrite=config.overwrite)


def check_folder(out: str, content: Mapping[str, Any], *, overwrite: bool, allowing: str = "overwrite=true") -> None:
    """Check that a run may write into an existing folder, or that a new folder can be created.

    Args:
        out: path of the folder.
        content: experiment and configuration of the present run, as `claim_of` returns them. They are compared with
            those of the earlier run in the folder.
        overwrite: True to allow a folder that contains a finished run with a different experiment or configuration, or
            only files of other programs.
        allowing: setting that messages name as the way to allow the folder.

    Raises:
        BadInputError: `check_writable` refuses the path; or `overwrite` is False, and the folder contains a finished
            run with a different experiment or configuration, or only files of other programs.
    """
    check_writable(out, "out")
    folder = Path(out)
    if overwrite or not folder.is_dir() or not any(folder.iterdir()):
        return
    refuse_foreign_files(folder, allowing)
    if not any((folder / name).exists() for name in FINISHED):
        return
    refuse_another_run(folder, _read(folder / STARTED) or _read(folder / RUN), content, allowing)


def refuse_foreign_files(folder: Path, allowing: str = "overwrite=true") -> None:
    """Require that an existing folder is empty or contains a file that this program has written.

    Args:
        folder: the folder.
        allowing: setting that the message names as the way to allow the folder.

    Raises:
        BadInputError: the folder has only files of other programs.
    """
    names = sorted(path.name for path in folder.iterdir())
    if names and not any(any(folder.glob(pattern)) for pattern in WRITTEN):
        raise BadInputError(
            f"out: expected an empty folder or the folder of an earlier run, found other files in {folder}, such as "
            f"{names[0]}; {allowing} allows this folder"
        )


def refuse_another_run(
    folder: Path, earlier: Mapping[str, Any], content: Mapping[str, Any], allowing: str = "overwrite=true"
) -> None:
    """Require that the earlier run in a folder has the experiment and the configuration of the present run.

    Args:
        folder: path of the folder, for the message.
        earlier: data of the earlier run, as `claim_of` returns them; empty if they could not be read.
        content: data of the present run, as `claim_of` returns them.
        allowing: setting that the message names as the way to allow the folder.

    Raises:
        BadInputError: the two runs have different experiments or configurations, or `earlier` is empty.
    """
    expected = content["experiment"]
    if earlier.get("experiment") != expected:
        found = earlier.get("experiment") or "a missing or unreadable run.json"
        raise BadInputError(
            f"out: expected an empty folder or an earlier run of {expected}, found {found} in {folder}; "
            f"{allowing} allows this folder"
        )
    other = next(_differences(earlier.get("config"), content["config"]), None)
    if other is not None:
        raise BadInputError(
            f"out: expected an empty folder or an earlier run with the same configuration, found a finished run with "
            f"another value of {other} in {folder}; {allowing} allows this folder"
        )


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty dictionary if the file is missing or cannot be read."""
    try:
        return read_json(path)
    except (FileNotFoundError, BadInputError):
        return {}


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Yield the dotted name of each key whose values differ in two configurations.

    Args:
        old: first configuration, or a value in it.
        new: second configuration, or a value in it.
        key: dotted name of the part of the configuration that is compared.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key or "configuration"


def writable_folder(path: str, key: str) -> Path:
    """Create a folder if it does not exist, check that files can be written into it, and return its path.

    Args:
        path: path of the folder.
        key: key of the configuration that sets the path. The message begins with this key.

    Raises:
        BadInputError: the folder cannot be created or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{key}: expected a folder that can be written, found an error: {error}") from error
    check_writable(path, key)
    return folder


def check_writable(path: str, key: str) -> None:
    """Check that files can be written into a folder, or that the folder could be created.

    The check leaves no file and creates no folder.

    Args:
        path: path of the folder.
        key: key of the configuration that sets the path. The message begins with this key.

    Raises:
        BadInputError: the folder cannot be written or created, or the path is a file, is empty or begins with `~`.
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
        raise BadInputError(f"{key}: expected a folder that can be written, found an error: {error}") from error


def free_folder(parent: Path, name: str) -> Path:
    """Create a new folder, and return its path.

    If the name exists already, a number is added to the name: `NAME_2`, `NAME_3` and so on.

    Args:
        parent: folder in which the new folder is created. It is created if it does not exist.
        name: name of the new folder.
    """
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
