"""Tests of the experiment `rehearsal`, and of the label of its runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.config.schema import REHEARSAL
from bench.errors import BadInputError
from bench.experiments.run import run
from bench.gate.read_run import read_side
from bench.reporting.page import first_line
from bench.tables.claims import all_claims
from bench.tables.verdicts import HOLDS, Judgement, verdict_on

pytestmark = pytest.mark.blackbox


def test_no_claim_is_judged_on_a_rehearsal() -> None:
    claim = all_claims()[0]
    found = verdict_on(claim, REHEARSAL, Judgement(HOLDS, "9 of 9"), Judgement(HOLDS, "9 of 9"))
    assert (found.verdict, found.evidence, found.design) == (
        "not judged on rehearsal", "the weights are random", "",
    )  # fmt: skip
    assert verdict_on(claim, "mini", Judgement(HOLDS, "9 of 9")).verdict == HOLDS


def test_the_first_line_of_a_rehearsals_page_says_that_its_numbers_mean_nothing() -> None:
    assert first_line(REHEARSAL).endswith("these numbers mean nothing")


def test_too_little_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(30, 29, 1_000_000_000))
    with pytest.raises(BadInputError, match=r"out: expected 25 GB of free disk .*rehearsal\.size=full, found 1 GB at"):
        run(["experiment=rehearsal", "rehearsal.size=full", f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rehearsal.size=huge", r"rehearsal\.size: expected full or small, found huge"),
        ("rehearsal.steps=0", r"rehearsal\.steps: expected 1 or more, found 0"),
        ("rehearsal.tables=[1,12]", r"rehearsal\.tables: expected all, or some of 1, .*, found \[1, 12\]"),
        ("rehearsal.parts=[nap]", r"rehearsal\.parts: expected all, or some of check, .*, found \['nap'\]"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(word: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=message):
        run(["experiment=rehearsal", word, f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("rehearsal") / "out"
    command = [sys.executable, "-m", "bench", "experiment=rehearsal", f"out={out}"]
    return out, subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_nothing_is_wrong_in_a_small_rehearsal(rehearsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, ended = rehearsed
    attempts = json.loads((out / "rehearsal.json").read_text())["attempts"]
    assert [(one["name"], one["wrong"]) for one in attempts if one["wrong"]] == []
    assert ended.returncode == 0
    assert len(attempts) == 24
    assert all(one["memory"] > 1e8 and one["seconds"] > 0 for one in attempts)
    assert not (out / "files").exists()


@pytest.mark.slow
def test_runs_of_a_rehearsal_say_what_they_are(rehearsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    table = rehearsed[0] / "runs" / "table2_inpaint_imagenet"
    assert json.loads((table / "results.json").read_text())["profile"] == REHEARSAL
    assert json.loads((table / "run.json").read_text())["profile"] == REHEARSAL
    assert "profile rehearsal" in (table / "table.md").read_text().splitlines()[0]
    assert "its numbers mean nothing" in (table / "table.md").read_text().lower()
    assert "these numbers mean nothing" in (table / "report.html").read_text()
    claims = json.loads((table / "results.json").read_text())["claims"]
    assert {claim["verdict"] for claim in claims} == {"not judged on rehearsal"}


@pytest.mark.slow
def test_the_gate_refuses_a_rehearsal(rehearsed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    side = read_side(rehearsed[0] / "runs" / "table2_inpaint_imagenet")
    assert "found a rehearsal with random weights" in side.problems[0].what
