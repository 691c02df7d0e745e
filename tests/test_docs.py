"""Tests of the pages: every link has a target, every command composes, and every example in Python runs."""

import doctest
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.config.compose import compose_config, experiments, typed
from bench.edits.command import main as score
from tests.helpers.photographs import photograph, write

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "baselines" / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "bench" / "assets" / "mini" / "CARD.md",
    *sorted(ROOT.glob("docs/*.md")),
]
API: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_api.py"))
BLOCKS = [
    (page.name, kind, text)
    for page in PAGES
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.S)
]


def commands() -> list[str]:
    """Return overrides of the pages' commands that run one experiment with only files of the project."""
    lines = [line for _, kind, text in BLOCKS if kind == "bash" for line in text.replace("\\\n", " ").splitlines()]
    words = {line.partition(" -m bench ")[2].partition(" #")[0].strip() for line in lines}
    return sorted(line for line in words if "experiment=" in line and not re.search(r"-m |--config-dir|…|NAME", line))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S))
    local = [link for link in links if not link.startswith(("http:", "https:"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md" and page.name not in index] == []


@pytest.mark.parametrize("overrides", commands())
def test_every_command_composes(overrides: str) -> None:
    config, _ = typed(compose_config(shlex.split(overrides)))
    assert config.name in experiments()


def test_the_python_of_the_reading_page_runs(small_run: Path) -> None:
    (code,) = (text for page, kind, text in BLOCKS if page == "reading.md" and kind == "python")
    assert 'Path("DIR")' in code
    exec(code.replace('Path("DIR")', f"Path({str(small_run)!r})"), {})


@pytest.fixture(scope="module")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which all examples run, so that they share a store."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def picture_folders(example_folder: Path) -> Path:
    """Folder with the pictures and masks that the pages name."""
    rng = np.random.default_rng(0)
    drawn = {f"p{place}": photograph(rng, 64) for place in range(3)}
    write(example_folder / "truth", {name: one.pixels for name, one in drawn.items()})
    write(example_folder / "masks", {name: one.mask for name, one in drawn.items()})
    for editor in ("mine", "theirs"):
        write(example_folder / "outputs" / editor, {name: one.edited(rng) for name, one in drawn.items()})
    return example_folder


@pytest.mark.parametrize(
    "code", [text for page, kind, text in BLOCKS if page in ("README.md", "score.md") and kind == "python"]
)
def test_the_python_of_the_pages_runs(code: str, picture_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(picture_folders)
    assert len(code.splitlines()) <= 10
    exec(code, {})


@pytest.mark.slow
def test_the_scoring_commands_of_the_pages_run(picture_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(picture_folders)
    lines = [line for _, kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if "bench.score" in line]
    assert lines
    for line in lines:
        assert score(shlex.split(line.partition("-m bench.score")[2])) == 0


def test_the_page_of_the_python_interface_is_up_to_date() -> None:
    message = "run `python docs/make_api.py`"
    assert (ROOT / "docs" / "api.md").read_text() == API["page"](), message


def test_every_example_belongs_to_a_promised_name() -> None:
    names = {f"{section.module}.{name}" for section in API["SECTIONS"] for name in API["promised"](section)}
    assert API["EXAMPLES"].keys() - names == set()


@pytest.mark.parametrize("name", API["EXAMPLES"])
def test_every_example_of_the_python_interface_runs(
    name: str, example_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example_folder)
    example = doctest.DocTestParser().get_doctest(API["EXAMPLES"][name], {}, name, "docs/make_api.py", 0)
    said: list[str] = []
    results = doctest.DocTestRunner().run(example, out=said.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(said)


def test_every_file_that_a_page_names_exists() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(
            r"`((?:bench|baselines|conf|tests|benchmarks)/[\w/]+\.(?:py|yaml|md))`", page.read_text()
        )
    }
    assert named
    assert sorted((page, path) for page, path in named if not (ROOT / path).exists()) == []


def test_folders_import_each_other_in_the_order_that_the_layout_page_gives() -> None:
    text = (
        (ROOT / "docs" / "layout.md").read_text().partition("## Which folder may import which")[2].partition("\n## ")[0]
    )
    order = re.findall(r"^\d+\. `(\w+)`$", text, flags=re.M)
    excused = set(re.findall(r"`(bench/[\w/]+\.py)`", text))
    folders = {path.name for path in (ROOT / "bench").iterdir() if list(path.glob("*.py"))}
    assert sorted(order) == sorted(folders)
    upward = {
        path.relative_to(ROOT).as_posix()
        for place, folder in enumerate(order)
        for path in (ROOT / "bench" / folder).rglob("*.py")
        for imported in re.findall(r"^\s*(?:from|import) bench\.(\w+)", path.read_text(), flags=re.M)
        if imported in order[place + 1 :]
    }
    assert sorted(upward - excused) == []
