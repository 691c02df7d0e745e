"""Provide fixtures that many tests share, and check that every test states its kind by one marker."""

import gc
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

# Tests run in several processes. Threads of PyTorch that wait for each other on shared cores make each of them slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench
from bench.runtime import progress
from tests.helpers.composed_options import check_equal_parts_once, merge_equal_options_once
from tests.helpers.drawn_data import copied_data, shared_folder
from tests.helpers.kinds import without_one_kind
from tests.helpers.parsed_texts import parse_equal_texts_once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fail the collection if a test carries none or several of the four markers for kinds of tests."""
    wrong = without_one_kind({item.nodeid: [mark.name for mark in item.iter_markers()] for item in items})
    if wrong:
        raise pytest.UsageError(wrong)


def pytest_collection_finish() -> None:
    """Exempt the objects of all imported modules, which stay to the end, from every later garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def quickly_composed_configurations() -> Iterator[None]:
    """Parse equal texts, merge equal files of options and check equal parts of configurations only once."""
    with pytest.MonkeyPatch.context() as patch:
        parse_equal_texts_once(patch)
        merge_equal_options_once(patch)
        check_equal_parts_once(patch)
        yield


@pytest.fixture(autouse=True, scope="module")
def data_drawn_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy the miniature data sets of runs, except in tests of the drawing itself."""
    about_drawing = request.path.parent.name == "data" or request.path.name == "test_writers.py"
    with nullcontext() if about_drawing else copied_data(shared_folder(tmp_path_factory, "drawn")):
        yield


@pytest.fixture(autouse=True)
def no_progress_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suppress progress messages of stages, since tests read messages line by line."""
    monkeypatch.setattr(progress, "FIRST", 3600.0)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of Table 2 on eight items, which are too few for an FID, with all files of a run.

    The processes of a session share it: the first one that needs it makes it, and the others wait.
    """
    folder = shared_folder(tmp_path_factory, "small_run")
    with FileLock(folder / "making.lock"):
        if not (folder / "run" / "run.json").exists():
            with copied_data(shared_folder(tmp_path_factory, "drawn")):
                bench.run(
                    [
                        "experiment=table2_inpaint_imagenet",
                        "limit=8",
                        "generator.steps=2",
                        "device=cpu",
                        "controls=[hole_only]",
                        "row=[stablediffusion,base_mask,large_mask,paste_back]",
                        "save_images=true",
                        f"paths.store={folder / 'store'}",
                        f"paths.data={folder / 'data'}",
                        f"out={folder / 'run'}",
                    ]
                )
    return folder / "run"


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty folder, in which a run would write if it wrongly started to work."""
    monkeypatch.chdir(tmp_path)
