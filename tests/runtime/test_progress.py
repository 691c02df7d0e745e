"""Tests of progress messages: the remaining time, lines without a terminal, and text from data on one line."""

import io
import time

import pytest
from rich.console import Console

from bench.runtime import progress
from bench.runtime.progress import Progress

pytestmark = pytest.mark.blackbox


def test_the_remaining_time_is_shown_after_the_first_part_of_a_batch() -> None:
    one = Progress("score", 64)
    assert "no rate known yet" in one.words()
    time.sleep(0.01)
    one.begin(2.0)
    assert one.words().endswith("left")
    one.advance(8, note="a\n::error::b")
    assert "8/64" in one.words()
    assert "\n" not in one.words()


def test_items_from_the_store_do_not_affect_the_rate() -> None:
    one = Progress("sample", 64)
    one.skip(64)
    assert one.words().split() == ["sample", "64/64", "from", "the", "store"]


def test_lines_appear_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.02)
    with Progress("prepare"):
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 6
    assert all(line.split()[0] == "prepare" for line in lines)


def test_bars_can_be_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, force_interactive=True, width=80)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    with Progress("report"), Progress("save images", 2) as inner:
        inner.advance(2)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "2/2" in text
    assert "Traceback" not in text
