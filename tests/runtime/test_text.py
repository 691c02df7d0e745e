"""Tests that strings from data start no line, contain no command and do not break the format of any output."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.gate.decision import Verdict
from bench.gate.read_run import Problem
from bench.gate.report import github_commands, junit, print_outcome, to_markdown
from bench.reporting.index import Entry, Index, index_page
from bench.runtime.files import write_atomically, write_json
from bench.runtime.strict_json import read_json
from bench.runtime.text import as_line, csv_text, one_line, printable
from bench.tables import grid, render
from bench.tables.latex import latex
from tests.gate.test_report import comparison, outcome
from tests.tables.test_render import table

NASTY = (
    "a\nb", "a\r\n::error::b", "::error title=x::y", "##[error]x", ":::::", "\x1b[2J\x1b]0;title\x07", "\x00", "\x85x",
    "\u2028x", "\u202egnp.exe", "\ud800", "\udcff", "[red]x[/red]", "[/]", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1",
    "<script>alert(1)</script>", "]]>", "&lt;", "'\"><img src=x>", "|a|b|", "</pre>", "{{ 7*7 }}", "\\x1b",
    "%0A::error::x", "\ufeff=1", " =1", "\u200b", "\U000e0041", "\uffff", "\x7f", "`code`", "# heading", "![x](y)",
    "##vso[task]",
)  # fmt: skip
nasty = st.one_of(
    st.sampled_from(NASTY), st.lists(st.sampled_from(NASTY), max_size=4).map("".join), st.text(max_size=12)
)


def with_examples(test: object) -> object:
    for text in NASTY:
        test = example(text)(test)  # type: ignore[arg-type,type-var]
    return settings(max_examples=25, deadline=None)(given(nasty)(test))  # type: ignore[arg-type]


def printed(show: object) -> str:
    console = Console(file=io.StringIO(), width=100)
    show(console)  # type: ignore[operator]
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def is_harmless(text: str) -> bool:
    lines = [line.lstrip() for line in text.split("\n")]
    return (
        all(character.isprintable() or character == "\n" for character in text)
        and not any(line.startswith("::") for line in lines)
        and not re.search(r"##\w*\[", text)
        and text.encode() is not None
    )


@pytest.mark.property
@with_examples
def test_text_made_into_one_line_is_harmless(text: str) -> None:
    shown = one_line(text)
    assert "\n" not in shown
    assert is_harmless(shown)
    assert one_line(shown) == shown
    assert printable(text).count("\n") == text.count("\n")
    assert "\n" not in as_line(text)
    assert is_harmless(as_line(text))


@pytest.mark.blackbox
@pytest.mark.parametrize("text", ["Ours (base) w/ mask", "naïve – ÷ 2 [1, 3] †", "日本語", "a: b", "# 1", ""])
def test_common_words_are_kept(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.property
@with_examples
def test_a_label_adds_no_line_to_a_printed_table(text: str) -> None:
    label = f"x{text}"[:20]
    shown = printed(lambda console: grid.print_grid(grid.Grid(["Method", "FID"], [[label, "1.0"]]), text, console))
    assert is_harmless(shown)
    plain = printed(lambda console: grid.print_grid(grid.Grid(["Method", "FID"], [["x", "1.0"]]), "t", console))
    assert len(shown.split("\n")) <= len(plain.split("\n")) + len(one_line(text)) // 50 + 1


@pytest.mark.property
@with_examples
def test_markdown_keeps_its_lines(text: str) -> None:
    usual = render.to_markdown(table("x", "y", "z"))
    found = render.to_markdown(table(text, text, text))
    assert found.count("\n") == usual.count("\n")
    assert is_harmless(found)


@pytest.mark.property
@with_examples
def test_a_written_table_contains_no_formula(text: str) -> None:
    frame = pandas.DataFrame({"label": pandas.Series([text], dtype=object), "value": [-1.5]})
    (_, line) = csv.reader(io.StringIO(csv_text(frame)))
    assert not line[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert line[1] == "-1.5"
    assert is_harmless(csv_text(frame))


@pytest.mark.property
@with_examples
def test_pages_are_encoded_and_contain_no_markup_from_data(text: str) -> None:
    found = render.to_html(table(text, text, text))
    index = index_page(Index(text, text, [Entry(text, text, failed=True, about=text)]))
    for page in (found, index):
        assert page.encode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert all(character.isprintable() or character in "\n" for character in page)
    assert latex(text, [grid.Grid([text], [[text]])], [text]).encode()


@pytest.mark.property
@with_examples
def test_the_gate_writes_whole_xml_and_single_commands(text: str) -> None:
    found = outcome(
        replace(comparison(Verdict.REGRESSION, text), experiment=text, metric=text), problems=(Problem(text, text),)
    )
    root = ElementTree.fromstring(junit(found))
    assert len(list(root.iter("testcase"))) == 2
    commands = github_commands(found)
    assert len(commands) == 2
    for line in commands:
        assert len(line.splitlines()) == 1
        assert line.startswith(("::error title=", "::warning title="))
        assert line.count("::") == 2
        assert line.encode()
    assert is_harmless(to_markdown(found))
    assert is_harmless(printed(lambda console: print_outcome(found, console)))


@pytest.mark.blackbox
def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "\ud800"})
    assert read_json(tmp_path / "a.json") == {"name": "\\ud800"}
    write_atomically(tmp_path / "a.md", "\udcff")
    assert (tmp_path / "a.md").read_bytes() == b"\\udcff"
