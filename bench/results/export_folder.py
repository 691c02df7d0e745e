"""Functions that check and fill the folder of an export. An export saves the items of an experiment as files.

An export removes only files that an earlier export wrote. The last file of each export is `export.json`, which lists
all other files of this export. A later export may replace these files only if the folder contains no further files.
This module does not import torch.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from bench.config.experiment_configs import RunConfig
from bench.errors import BadInputError
from bench.results.out_folder import check_writable, claim_of, refuse_another_run, writable_folder
from bench.runtime.atomic import named_disk_errors
from bench.runtime.files import write_json
from bench.runtime.strict_json import read_json_as

__all__ = ["EXPORTED", "check_export", "export_folder"]

EXPORTED = "export.json"
"""Name of the file that lists the files of an export."""
PARTIAL = ".export-"
"""Beginning of the names of two hidden folders in the folder of an export.

The new files are prepared in one of them, and an earlier export is moved into the other one before it is deleted.
"""


class _Export(TypedDict):
    experiment: str
    config: dict[str, Any]
    manifest: str
    files: list[str]


def check_export(config: RunConfig) -> None:
    """Check that an export may write into the folder `out`. The check does not create the folder.

    Raises:
        BadInputError: `out` is not set or cannot be written; or the folder contains a file that does not belong to an
            earlier export; or `overwrite` is not set, and the earlier export has another experiment or configuration
            than `config`.
    """
    if config.out is None:
        raise BadInputError("out: expected the folder for the files of stage=export, found no value; set out=DIR")
    check_writable(config.out, "out")
    folder = Path(config.out)
    earlier = _earlier(folder)
    own = {EXPORTED, *earlier["files"]} if earlier is not None else set()
    other = next((name for name in _names(folder) if name not in own), None)
    if other is not None:
        raise BadInputError(
            "out: expected a new folder, an empty folder, or a folder that holds nothing but an earlier export, found "
            f"{other} in {folder}; an export removes no other files, so choose another folder"
        )
    if earlier is not None and not config.overwrite:
        refuse_another_run(folder, earlier, claim_of(config))


@contextmanager
def export_folder(config: RunConfig, manifest: str) -> Iterator[Path]:
    """Yield an empty hidden folder inside `out`. The `with` block writes the exported files into this hidden folder.

    If the block succeeds, the files are moved into `out`, where they replace an earlier export, and `export.json` is
    written. If the block fails, the hidden folder is deleted, and an earlier export is not changed.

    Args:
        config: configuration of the run.
        manifest: hash of the manifest of the exported items.

    Raises:
        BadInputError: `check_export` refuses the folder, before or after the block.
        OSError: the disk is full or read-only.
    """
    check_export(config)
    folder = Path(str(config.out))
    is_new = not folder.exists()
    writable_folder(str(config.out), "out")
    with named_disk_errors(folder):
        partial, earlier = (Path(tempfile.mkdtemp(dir=folder, prefix=PARTIAL)) for _ in range(2))
        try:
            yield partial
            names = sorted(_names(partial))
            check_export(config)
            for source, target in ((folder, earlier), (partial, folder)):  # quick, unlike the deletion of many files
                for path in sorted(source.iterdir()):
                    if path not in (partial, earlier):
                        os.replace(path, target / path.name)
            write_json(folder / EXPORTED, {**claim_of(config), "manifest": manifest, "files": names})
        finally:
            for path in (partial, earlier):
                shutil.rmtree(path, ignore_errors=True)
            if is_new:
                with suppress(OSError):  # a folder that holds the export cannot be removed by `rmdir`
                    folder.rmdir()


def _earlier(folder: Path) -> _Export | None:
    try:
        return read_json_as(folder / EXPORTED, _Export)
    except (FileNotFoundError, NotADirectoryError, BadInputError):
        return None


def _names(folder: Path) -> Iterator[str]:
    """Yield the path of each file and each link below a folder, relative to this folder.

    Folders of unfinished exports are left out. Links are not followed.
    """
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(top) != folder or not name.startswith(PARTIAL))
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        for name in [*sorted(files), *links]:
            yield (Path(top) / name).relative_to(folder).as_posix()
