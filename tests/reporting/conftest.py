"""Provide a browser, the folder of a small run with a report, and the report opened in the browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

import bench
from tests.helpers.drawn_data import copied_data, shared_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.helpers.browser import View

ROWS = ["stablediffusion", "base_mask", "large_mask", "paste_back"]


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small run whose tables have values of FID. Processes of a session share it."""
    from tests.experiments.test_table import few

    folder = shared_folder(tmp_path_factory, "report")
    with FileLock(folder / "making.lock"):
        if not (folder / "out" / "run.json").exists():
            with copied_data(shared_folder(tmp_path_factory, "drawn")):
                bench.run(few(folder / "store", folder / "out", "stage=report", "profile.fid_minimum=4", rows=ROWS))
    return folder / "out"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Return a started browser."""
    from tests.helpers.browser import chromium

    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(out: Path) -> Path:
    """Return the page that `view` opens. A module replaces this fixture to open another page."""
    return out / "report.html"


@pytest.fixture
def view(browser: "Browser", report: Path, request: pytest.FixtureRequest) -> Iterator["View"]:
    """Return the opened page, and check at the end that no error and no request occurred.

    A test can choose the size of the window, the colour scheme and whether there is a touch screen.
    """
    from tests.helpers.browser import DESKTOP, View

    size, scheme, touch = getattr(request, "param", (DESKTOP, "light", False))
    opened = View(browser, report, size, scheme, touch=touch)
    yield opened
    opened.context.close()
    assert opened.wrong == []
