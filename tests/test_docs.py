"""The pages: every link leads somewhere, and every command is one that composes."""

import re
import shlex
from pathlib import Path

import pytest

from bench.config import compose_config, experiments, typed

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "baselines" / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
]
BLOCKS = [
    (page.name, kind, text)
    for page in PAGES
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.S)
]


def commands() -> list[str]:
    """Overrides of the pages' commands that run one experiment with files of the project alone."""
    lines = [line for _, kind, text in BLOCKS if kind == "bash" for line in text.replace("\\\n", " ").splitlines()]
    words = {line.partition(" -m bench ")[2].partition(" #")[0].strip() for line in lines}
    return sorted(line for line in words if "experiment=" in line and not re.search(r"-m |--config-dir|…|NAME", line))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
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
