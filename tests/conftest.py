"""Provide fixtures that many tests share, and check that every test states its kind by one marker."""

import os
from pathlib import Path

import pytest

# Tests run in several processes. Threads of PyTorch that wait for each other on shared cores make each of them slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench
from bench.runtime import progress
from tests.helpers.kinds import without_one_kind


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fail the collection if a test carries none or several of the four markers for kinds of tests."""
    wrong = without_one_kind({item.nodeid: [mark.name for mark in item.iter_markers()] for item in items})
    if wrong:
        raise pytest.UsageError(wrong)


@pytest.fixture(autouse=True)
def no_progress_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suppress progress messages of stages, since tests read messages line by line."""
    monkeypatch.setattr(progress, "FIRST", 3600.0)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of Table 2 on eight items, which are too few for an FID, with all files of a run."""
    folder = tmp_path_factory.mktemp("small_run")
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
