"""Tests of the pages with axe-core in a real browser: no violation of WCAG 2.1 AA or of axe-core's best practices.

Every kind of page is opened in a window of a desktop and of a phone, in light and in dark colours. All closed parts of
the page are opened first, because axe-core does not look at what is hidden.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

import bench
from bench.sweeps.expand import run_sweep
from tests.edits.test_score import scored
from tests.experiments.test_collection import collection, fake
from tests.experiments.test_turns import turns
from tests.helpers.browser import DESKTOP, PHONE
from tests.history.test_history import history, run_at
from tests.sweeps.test_expand import run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
"""Tags of axe-core's rules that are checked."""
OPTIONS = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
OPEN = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
SETTLED = "() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => undefined)))"


def of_score(folder: Path) -> Path:
    return scored(measures=["known_region", "similarity", "diagnostics"]).save(folder / "score") / "report.html"


def of_turns(folder: Path) -> Path:
    return bench.run(turns(folder, "turns", "turns=2")).path / "report.html"


def of_layers(folder: Path) -> Path:
    return bench.run(["experiment=table7_architecture_base", f"out={folder / 'layers'}"]).path / "report.html"


def of_collection(folder: Path) -> Path:
    return collection(folder / "collection", fake).run().path / "index.html"


def of_sweep(folder: Path) -> Path:
    run_sweep(["a=1,2,3,4", f"out={folder / 'sweep'}"], run)
    return folder / "sweep" / "sweep.html"


def of_history(folder: Path) -> Path:
    for experiment in ("table2_inpaint_imagenet", "table10_size_coco"):
        for day, factors in enumerate(({}, {("mine", "lpips"): 1.1}, {("mine", "lpips"): 0.9}), 1):
            run_at(folder / experiment, day, factors, experiment=experiment)
    history(folder)
    return folder / "history.html"


MADE: dict[str, Callable[[Path], Path]] = {
    "score": of_score,
    "turns": of_turns,
    "layers": of_layers,
    "collection": of_collection,
    "sweep": of_sweep,
    "history": of_history,
}
"""Function that makes a page of each kind in a folder, and returns the page's path."""


@pytest.fixture(scope="module")
def made() -> dict[str, Path]:
    """Return the pages that were made so far, by kind."""
    return {}


@pytest.fixture
def path(
    kind: str, made: dict[str, Path], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the path of a page of one kind, which all tests of this kind share."""
    if kind not in made:
        if kind == "table":
            made[kind] = request.getfixturevalue("out") / "report.html"
        else:
            made[kind] = MADE[kind](tmp_path_factory.mktemp(kind))
    return made[kind]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", ["table", *MADE])
def test_a_page_has_no_violation(path: Path, size: dict[str, int], scheme: str, browser: "Browser") -> None:
    context = browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        is_mobile=size is PHONE,
        offline=True,
        bypass_csp=True,  # the page's policy forbids all scripts but its own, and axe-core is a script
    )
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate(OPEN)
        page.evaluate(SETTLED)
        found = Axe().run(page, options=OPTIONS).response
    finally:
        context.close()
    assert found["passes"], "axe-core checked nothing"
    wrong = [
        f"{violation['id']}: {node['target']}: {node['html'][:200]}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    assert not wrong, "\n".join(wrong)


def test_a_violation_is_found(browser: "Browser", tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><html><title>A page</title><p style='color: #aaa'>grey</p>")
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    found = Axe().run(page, options=OPTIONS).response["violations"]
    context.close()
    assert {"color-contrast", "html-has-lang"} <= {violation["id"] for violation in found}
