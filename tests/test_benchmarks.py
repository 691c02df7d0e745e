"""Tests of the calculations of the benchmarks, without timing, and of the script for GPUs on tiny sizes."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.overhead import Clock, busy
from benchmarks.timing import alternate

ROOT = Path(__file__).parents[1]


@pytest.mark.reference
def test_overlapping_spans_are_counted_once() -> None:
    assert busy([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 1.6), (3.0, 4.0)]) == pytest.approx(5.0)
    assert busy([]) == 0.0


@pytest.mark.blackbox
def test_only_the_outer_of_nested_calls_is_counted() -> None:
    clock = Clock()
    inner = clock.around(lambda: time.sleep(0.02))
    outer = clock.around(lambda: inner() or inner())
    started = time.perf_counter()
    outer()
    assert 0.04 <= clock.seconds <= time.perf_counter() - started


def section(rows: Iterator[gpu.Row], seconds: float = 60.0) -> gpu.Section:
    return gpu.Section("Title", "About.", ("name", "a", "b"), lambda _: rows, seconds)


PLACE = gpu.Place(torch.device("cpu"), gpu.SMALL, Path())


@pytest.mark.blackbox
def test_a_section_that_fails_keeps_its_lines_and_says_why() -> None:
    def rows() -> Iterator[gpu.Row]:
        yield "first", 1, 2
        raise ValueError("no | such\nthing")

    found = gpu.measured(section(rows()), PLACE, left=60)
    assert found.failed
    assert found.lines[2:] == ["| first | 1 | 2 |", "| failed: ValueError: no / such thing | – | – |"]


@pytest.mark.blackbox
@pytest.mark.parametrize(("seconds", "left"), [(0.2, 60), (60, 0.2), (60, -1)])
def test_a_section_ends_with_its_time(seconds: float, left: float) -> None:
    def rows() -> Iterator[gpu.Row]:
        yield "first", 1, 2
        time.sleep(30)
        yield "second", 1, 2

    started = time.monotonic()
    found = gpu.measured(section(rows(), seconds), PLACE, left)
    assert time.monotonic() - started < 10
    assert found.failed
    assert "OutOfTimeError" in found.lines[-1]
    assert not any("second" in line for line in found.lines)


@pytest.mark.blackbox
def test_no_round_begins_after_the_time_if_one_has_counted() -> None:
    calls: list[int] = []
    alternate({"one": lambda: calls.append(1)}, 5, until=time.monotonic() - 1)
    assert len(calls) == 2  # one round to warm up, and one that counts
    alternate({"one": lambda: calls.append(1)}, 5)
    assert len(calls) == 8


@pytest.mark.blackbox
def test_the_part_of_one_card_is_replaced() -> None:
    text = f"before\n{gpu.BEGIN}\n\n{gpu.END}\nafter\n"
    for card, numbers in (("A", "1"), ("B", "2"), ("A", "3")):
        text = gpu.written(text, card, f"### {card}\n\n#### Sampling\n\n{numbers}")
    assert text == (
        f"before\n{gpu.BEGIN}\n\n### B\n\n#### Sampling\n\n2\n\n### A\n\n#### Sampling\n\n3\n\n{gpu.END}\nafter\n"
    )
    with pytest.raises(ValueError, match="expected a line"):
        gpu.written("before\nafter\n", "A", "### A")


@pytest.mark.blackbox
def test_the_readme_has_a_place_for_the_figures_of_cards() -> None:
    text = gpu.README.read_text(encoding="utf-8")
    assert "### A card" in gpu.written(text, "A card", "### A card\n\nfigures")


@pytest.mark.slow
@pytest.mark.blackbox
def test_all_sections_run_on_tiny_sizes() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", "--small"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = re.split("^#### ", done.stdout, flags=re.MULTILINE)[1:]
    assert [part.splitlines()[0] for part in parts] == [one.title for one in gpu.SECTIONS.values()]
    for part, one in zip(parts, gpu.SECTIONS.values(), strict=True):
        lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
        assert tuple(lines[0]) == one.columns
        assert len(lines) > 2
        assert all(len(line) == len(one.columns) for line in lines)
    speeds = dict(re.findall(r"^\| (ours|plain diffusers loop) \| 2 \| ([\d.]+) \|", done.stdout, re.MULTILINE))
    assert all(float(speed) > 0 for speed in speeds.values())
    assert len(speeds) == 2
