"""Tests of the structure of the source: few modules at the top, and docstrings that are sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.property

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("bench", "baselines") for path in (ROOT / folder).rglob("*.py"))
FRAGMENT = re.compile(r"(Of|Their|Its|By|As|Such|With|Without|Within|What|Where|How|The same|One of)\b|[a-z]")
"""Beginnings of docstrings that need the code around them to be understood."""
AT_MOST = 10
"""Largest number of modules directly in `bench/`."""


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring of modules, classes, functions, constants and fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for statement in body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip()


def test_few_modules_stand_directly_in_the_package() -> None:
    assert len(list((ROOT / "bench").glob("*.py"))) <= AT_MOST


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_docstring_begins_with_a_fragment(path: Path) -> None:
    assert [f"{path.name}:{line}: {text[:60]}" for line, text in docstrings(path) if FRAGMENT.match(text)] == []
