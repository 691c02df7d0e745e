"""Tests of 200 random damages to each file of a finished run, which readers show as written or refuse.

The gate's own two hundred are in `tests/gate/test_manipulated.py`, those of data sets in
`tests/data/test_damaged_notes.py`.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data.manifest_command import main as manifest
from bench.results.explain import main as explain
from bench.sweeps.gather import main as gather
from tests.helpers.damages import patience
from tests.test_fuzz import damage

pytestmark = pytest.mark.property

DAMAGES = 200
FEW = 25
"""Number of damages in the fast tests."""
PATIENCE = 20
"""Limit of the seconds for one command."""
GOOD, DIFFERENT, BAD_INPUT = 0, 1, 2
JOB = {"name": "0", "chosen": {"seed": "0"}, "overrides": [], "status": 0, "message": ""}

Command = Callable[[Path, Path], int]
"""Runs a command on a run's folder and on that of a whole run, and returns its status."""

EXPLAIN: Command = lambda run, whole: explain([str(run), "base_mask", "lpips"])  # noqa: E731
EXPLAIN_JSON: Command = lambda run, whole: explain([str(run), "large_mask", "pre_error", "--json"])  # noqa: E731
GATHER: Command = lambda run, whole: gather([str(run.parent)])  # noqa: E731
SHOW: Command = lambda run, whole: manifest(["show", str(run)])  # noqa: E731
DIFF: Command = lambda run, whole: manifest(["diff", str(run), str(whole)])  # noqa: E731
VERIFY: Command = lambda run, whole: manifest(["verify", str(run), str(whole.parent / "store")])  # noqa: E731

READERS: dict[str, list[Command]] = {
    "results.json": [EXPLAIN, EXPLAIN_JSON, GATHER],
    "run.json": [EXPLAIN, EXPLAIN_JSON, GATHER],
    "manifest.json": [EXPLAIN, EXPLAIN_JSON, SHOW, DIFF, VERIFY],
    "records.parquet": [EXPLAIN, EXPLAIN_JSON],
    "table.csv": [GATHER],
    "job.json": [GATHER],
}


@pytest.fixture
def run(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run like a job of a sweep, without the figure, which takes a second."""
    monkeypatch.setattr("bench.reporting.figures.draw_tradeoff", lambda *arguments, **named: None)
    passed_over = shutil.ignore_patterns("images", "items", "figures", "report.html")
    folder = Path(shutil.copytree(small_run, tmp_path / "sweep" / "0", ignore=passed_over))
    (folder / "job.json").write_text(json.dumps(JOB))
    return folder


def try_damages(name: str, count: int, run: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / name
    before = path.read_bytes()
    for command in READERS[name]:
        assert command(run, whole) == GOOD, capsys.readouterr().err
    refused = 0
    for number in range(count):
        path.write_bytes(before)
        done = damage(path, random.Random(f"{name} {number}"))
        for command in READERS[name]:
            capsys.readouterr()
            with patience(PATIENCE):
                try:
                    status = command(run, whole)
                except Exception as error:
                    raise AssertionError(f"{name} {number}: {done}: {type(error).__name__}: {error}") from error
            captured = capsys.readouterr()
            assert status in (GOOD, DIFFERENT, BAD_INPUT), f"{name} {number}: {done}"
            assert captured.out or captured.err
            refused += status == BAD_INPUT
    assert refused > count / 4


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_of_a_run_is_refused_or_shown(
    name: str, run: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try_damages(name, FEW, run, small_run, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_two_hundred_damages_to_a_file_are_refused_or_shown(
    name: str, run: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try_damages(name, DAMAGES, run, small_run, capsys)
