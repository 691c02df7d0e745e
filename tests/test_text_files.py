"""Tests that text is read and written as UTF-8 in any locale."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
TEXT_METHODS = {"read_text": 0, "write_text": 1}
"""Methods of a path, and the place of their first optional argument."""


def _calls_without_encoding(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        piped = isinstance(given.get("text"), ast.Constant) and given["text"].value is True
        if piped or len(node.args) <= TEXT_METHODS.get(name, -1) or (name == "open" and _opens_text(node)):
            yield node.lineno


def _opens_text(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") in ("Image", "os"):
        return False
    mode = call.args[-1] if call.args else next((word.value for word in call.keywords if word.arg == "mode"), None)
    return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))


def test_every_text_file_and_pipe_names_its_encoding() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ("bench", "baselines", "benchmarks")
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in _calls_without_encoding(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found


def test_the_check_detects_a_missing_encoding() -> None:
    wrong = "path.read_text()\npath.write_text(x)\nopen(p)\npath.open('a')\nsubprocess.run(w, text=True)"
    right = "path.read_text(encoding='utf-8')\npath.open('rb')\nopen(p, 'wb')\nImage.open(p)\nreplace(c, text=t)"
    assert list(_calls_without_encoding(ast.parse(wrong))) == [1, 2, 3, 4, 5]
    assert not list(_calls_without_encoding(ast.parse(right)))
