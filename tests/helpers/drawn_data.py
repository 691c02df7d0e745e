"""Draw each miniature data set once for all tests, since drawing one takes as long as a small run."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.data.mini.writing import written_once

__all__ = ["copied_data", "shared_folder"]

WRITERS = ("cocoee", "imagenet", "karpathy", "places")


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """Make a folder that all processes of the session share, unless it exists already, and return it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def copied_data(shared: Path) -> Iterator[None]:
    """Let runs of this process copy a miniature data set from `shared`, in which the first run draws it.

    The names of a data set's two folders contain all that determines its pictures. Each copy can be changed.
    """

    def copied_once(target: Path, write: Callable[[Path], None]) -> Path:
        if target.is_dir():
            return target
        drawn = written_once(shared / target.parent.name / target.name, write)
        return written_once(target, lambda folder: shutil.copytree(drawn, folder, dirs_exist_ok=True))

    with pytest.MonkeyPatch.context() as patch:
        for writer in WRITERS:
            patch.setattr(f"bench.data.mini.{writer}.written_once", copied_once)
        yield
