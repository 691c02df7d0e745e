"""Tests of the documentation as a site: its pages, its links, and that it needs no network."""

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from bench.tables.definitions import measure_pages
from tests.helpers.browser import chromium
from tests.test_docs import PAGES
from tests.test_network import REFUSING

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "site"
SITE: dict[str, Any] = runpy.run_path(str(FOLDER / "pages.py"))
CHECK: dict[str, Any] = runpy.run_path(str(FOLDER / "check.py"))
HEAD = "<!doctype html><title>x</title><link rel='stylesheet' href='site.css'>"


def small_site(folder: Path, body: str) -> list[str]:
    """Return the problems of a site with one page and one style sheet."""
    (folder / "site.css").write_text("a {color: red}")
    (folder / "other.html").write_text(f"{HEAD}<h2 id='part'>Part</h2>")
    (folder / "index.html").write_text(HEAD + body)
    return list(CHECK["problems"](folder))


def test_the_check_accepts_links_with_a_target(tmp_path: Path) -> None:
    body = "<h1 id='top'>x</h1><a href='#top'></a><a href='other.html#part'></a><a href='https://arxiv.org/abs/1'></a>"
    assert small_site(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<a href='missing.html'></a>", "index.html: missing.html has no target"),
        ("<a href='other.html#nowhere'></a>", "index.html: other.html#nowhere has no anchor"),
        ("<a href='#nowhere'></a>", "index.html: #nowhere has no anchor"),
        ("<a href='../README.md'></a>", "index.html: ../README.md leads out of the site"),
        ("<img src='missing.png'>", "index.html: missing.png has no target"),
        ("<script src='https://cdn.example/x.js'></script>", "index.html: loads https://cdn.example/x.js"),
        ("<p style='background: url(//cdn.example/x.png)'>", "index.html: loads //cdn.example/x.png"),
        ("<style>@import 'https://fonts.example/x.css';</style>", "index.html: loads https://fonts.example/x.css"),
        ("<meta name='description'><a href='#description'></a>", "index.html: #description has no anchor"),
    ],
)
def test_the_check_finds_a_fault(body: str, problem: str, tmp_path: Path) -> None:
    assert small_site(tmp_path, body) == [problem]


def test_the_check_finds_a_font_that_a_style_sheet_loads(tmp_path: Path) -> None:
    small_site(tmp_path, "")
    (tmp_path / "site.css").write_text("@import 'https://fonts.example/x.css';")
    assert list(CHECK["problems"](tmp_path)) == ["site.css: loads https://fonts.example/x.css"]


def test_the_check_ends_with_a_status_that_says_if_anything_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_site(tmp_path, "<a href='other.html#part'></a>")
    assert CHECK["main"]([str(tmp_path)]) == 0
    small_site(tmp_path, "<a href='other.html#nowhere'></a>")
    assert CHECK["main"]([str(tmp_path)]) == 1
    assert "index.html: other.html#nowhere has no anchor" in capsys.readouterr().out
    assert CHECK["main"]([str(tmp_path / "missing")]) == 1
    assert CHECK["main"]([]) == 2


def test_links_lead_to_pages_of_the_site() -> None:
    text = (
        "[a](../README.md#install) [b](score.md) [c](../bench/cli.py) [d](../reports/table2_inpaint_imagenet) "
        "[e](#here) [f](https://arxiv.org) `[g](x.md)`\n```text\n[h](y.md)\n```\n"
    )
    assert SITE["rewritten"](text, "docs/start.md", "start.md") == (
        "[a](project.md#install) [b](score.md) [c](source/bench/cli.py.md) [d](tables/table2_inpaint_imagenet.md) "
        "[e](#here) [f](https://arxiv.org) `[g](x.md)`\n```text\n[h](y.md)\n```\n"
    )
    assert SITE["rewritten"]("[a](docs/score.md)", "README.md", "project.md") == "[a](score.md)"


@pytest.mark.parametrize("name", measure_pages())
def test_the_page_of_a_measure_has_each_text_of_its_metrics(name: str) -> None:
    measure = measure_pages()[name]
    page = SITE["measure_page"](measure)
    assert page.startswith(f"# {measure.title}\n\n{measure.about}\n")
    for metric, found in measure.metrics.items():
        assert f"{{: #{metric} }}" in page
        for text in (found.definition, found.range, found.sees, found.misses, found.sure):
            assert text in page
    assert "```" not in page


def test_a_text_that_most_metrics_share_stands_once() -> None:
    measure = measure_pages()["known_region"]
    page = SITE["measure_page"](measure)
    assert page.count(measure.metrics["pre_error"].sure) == 1


def test_every_page_of_the_site_with_code_is_a_tested_page() -> None:
    entries = {entry.address: entry for entry in SITE["entries"]()}
    written = {address for address, entry in entries.items() if entry.text and not address.startswith("source/")}
    with_code = {entries[address].origin for address in written if "```" in entries[address].text}
    assert with_code <= {page.relative_to(ROOT).as_posix() for page in PAGES}


def test_every_table_of_the_reports_has_a_page_with_its_numbers() -> None:
    entries = {entry.address: entry for entry in SITE["entries"]()}
    tables = sorted(ROOT.glob("reports/*/table.md"))
    assert tables
    for table in tables:
        page = entries[f"tables/{table.parent.name}.md"].text
        assert page is not None
        assert table.read_text().partition("\n")[2].strip() in page
        assert (f"tables/{table.parent.name}.png" in entries) == (table.parent / "figures" / "rows.png").is_file()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, which was built while every call of the network was refused and noted."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(REFUSING)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'hook'}{os.pathsep}{ROOT}",
        "CALLS_NOTED_IN": str(folder / "calls.txt"),
        "NO_MKDOCS_2_WARNING": "1",
    }
    words = ["-m", "mkdocs", "build", "--config-file", str(FOLDER / "mkdocs.yml"), "--site-dir", str(folder / "out")]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, encoding="utf-8", env=environment, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "calls.txt").exists()
    return folder / "out"


@pytest.mark.slow
def test_the_built_site_has_no_broken_link_and_loads_nothing(built: Path) -> None:
    assert list(CHECK["problems"](built)) == []


@pytest.mark.slow
def test_the_built_site_has_every_page(built: Path) -> None:
    pages = [f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md") if path.stem != "README"]
    pages += [f"measures/{name}.html" for name in measure_pages()]
    pages += [f"tables/{path.parent.name}.html" for path in ROOT.glob("reports/*/table.md")]
    assert [page for page in pages if not (built / page).is_file()] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.slow
def test_the_search_works_when_the_site_is_opened_as_files(built: Path, browser: Browser) -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"file://{built}/index.html")
    page.click(".md-search__input")
    page.type(".md-search__input", "half-life of the known region", delay=20)
    page.wait_for_selector(".md-search-result__link[href*='half_life.html']", state="attached", timeout=60_000)
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "reading", "tables/table2_inpaint_imagenet", "measures/known_region", "api"])
def test_no_page_is_wider_than_a_phone(name: str, built: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"file://{built}/{name}.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
