"""Tests of the experiment `rehearsal`, and of the label of its runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
import torch

from bench.config.compose import checked
from bench.config.experiment_configs import RehearsalConfig
from bench.config.schema import REHEARSAL, REHEARSAL_NOTE
from bench.errors import BadInputError
from bench.experiments.rehearsal import _differences, make_files
from bench.experiments.run import run
from bench.gate.read_run import read_side
from bench.rehearsal.files import Place, write_profile
from bench.rehearsal.pictures import write_places
from bench.rehearsal.sizes import SIZES
from bench.reporting.page import first_line
from bench.results.run_files import sealed
from bench.runtime.files import write_json
from bench.sweeps.gather import gather
from bench.tables.claims import all_claims
from bench.tables.verdicts import HOLDS, Judgement, verdict_on
from tests.gate.runs import values, write_run

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
    with pytest.raises(
        BadInputError, match=r"out: expected 28 GB of free disk space .*rehearsal\.size=full, found 1 GB at"
    ):
        run(["experiment=rehearsal", "rehearsal.size=full", f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rehearsal.size=huge", r"rehearsal\.size: expected full or small, found huge"),
        ("rehearsal.steps=0", r"rehearsal\.steps: expected 1 or more, found 0"),
        ("rehearsal.tables=[1,12]", r"rehearsal\.tables: expected all, or some of 1, .*, found \[1, 12\]"),
        (
            "rehearsal.tables=[9] rehearsal.parts=[forms,resume]",
            r"rehearsal\.parts: expected at least one part that uses a",
        ),
        ("profile=mini", r"profile: expected paper, the only profile .*, found mini"),
        ("stage=score", r"stage: expected check or report \(the default\), found score"),
        ("rehearsal.parts=[nap]", r"rehearsal\.parts: expected all, or some of check, .*, found \['nap'\]"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(word: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=message):
        run(["experiment=rehearsal", *word.split(), f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["files", "logs", "runs"])
@pytest.mark.parametrize("extra", [[], ["overwrite=true"]])
def test_folders_that_no_rehearsal_has_written_are_left_alone(name: str, extra: list[str], tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / ".started.json").write_text(json.dumps({"experiment": "table2_inpaint_imagenet"}))
    with pytest.raises(BadInputError, match=rf"out: expected the folder of an earlier rehearsal, .*found {name} in"):
        run(["experiment=rehearsal", f"out={tmp_path}", *extra])
    assert (tmp_path / name / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("stage", ["check", "report"])
def test_a_rehearsal_in_several_processes_is_refused(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(BadInputError, match="rehearsal: expected one process"):
        run(["experiment=rehearsal", f"stage={stage}", f"out={tmp_path / 'out'}"])


def test_a_process_that_has_used_a_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(BadInputError, match="rehearsal: expected a process that has not used a GPU yet"):
        run(["experiment=rehearsal", f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


SLEEPING = """
import sys, time
from bench.cli import main
from bench.experiments import rehearsal
rehearsal._main = lambda arguments: (print("asleep", flush=True), time.sleep(600))[0]
sys.exit(main(sys.argv[1:]))
"""
LAYERS = ["experiment=rehearsal", "rehearsal.tables=[7]", "rehearsal.parts=[tables]"]
"""A rehearsal that takes seconds, because its only table needs no files."""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_and_no_folder_that_a_later_rehearsal_refuses(
    sent: signal.Signals, tmp_path: Path
) -> None:
    words = [*LAYERS, f"out={tmp_path / 'out'}"]
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        log = tmp_path / "out" / "logs" / "01.txt"
        until = time.monotonic() + 120
        while not (log.is_file() and "asleep" in log.read_text()):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"asked to end ({sent.name})" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no process of its session is left
    assert not (tmp_path / "out" / "files").exists()
    command = [sys.executable, "-m", "bench", *words]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (attempt,) = json.loads((tmp_path / "out" / "rehearsal.json").read_text())["attempts"][1:]
    assert attempt["status"] == 0


@pytest.mark.slow
def test_files_of_the_user_are_neither_read_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("CLIP", "VGG16", "COCO", "PLACES", "WEIGHTS"):
        (own / name).write_text("real")
        monkeypatch.setenv(f"BENCH_{name}", str(own / name))
    words = ["rehearsal.tables=[7]", "rehearsal.parts=[tables]", f"out={tmp_path / 'out'}"]
    assert run(["experiment=rehearsal", *words]).status == 0
    composed, _ = checked(["experiment=rehearsal"])
    assert composed.paths.clip == str(own / "CLIP")  # the variables are back
    assert {path.read_text() for path in own.iterdir()} == {"real"}


def test_making_refuses_a_path_outside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CLIP", str(tmp_path / "own.pt"))
    composed, resolved = checked(["experiment=rehearsal", "rehearsal.parts=[tables]"])
    with pytest.raises(
        BadInputError, match=r"expected only paths of files in .*files, found .*own\.pt, which is outside"
    ):
        make_files(Place(tmp_path / "files"), ["table4_edit_cocoee"], RehearsalConfig.of(composed, resolved))
    assert not (tmp_path / "files").exists()


def test_pictures_of_somebody_else_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "test_256").mkdir()
    (tmp_path / "test_256" / "Places365_test_00000001.jpg").write_text("real")
    with pytest.raises(FileExistsError):
        write_places(tmp_path, SIZES["small"].counts)
    assert (tmp_path / "test_256" / "Places365_test_00000001.jpg").read_text() == "real"


@pytest.mark.slow
def test_the_tables_of_layers_are_not_judged_in_a_rehearsal(tmp_path: Path) -> None:
    place = Place(tmp_path / "files")
    write_profile(place, {}, SIZES["small"])
    words = [f"hydra.searchpath=[file://{place.conf}]", "profile=rehearsal", f"out={tmp_path / 'out'}"]
    run(["experiment=table7_architecture_base", *words, "stage=tabulate"])
    claims = json.loads((tmp_path / "out" / "results.json").read_text())["claims"]
    assert {(claim["scope"], claim["verdict"]) for claim in claims} == {(REHEARSAL, "not judged on rehearsal")}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": 1.0}, ""),
        ({"a": 1.0005}, ""),
        ({"a": 1.01}, "a of row: expected 1.0, found 1.01"),
        ({"a": None}, "a of row: expected 1.0, found None"),
        ({}, "expected the rows and metrics of first, found other rows or metrics"),
        ({"a": 1.0, "b": 2.0}, "expected the rows and metrics of first, found other rows or metrics"),
    ],
)
def test_numbers_of_two_runs_are_compared(found: dict[str, float | None], said: str, tmp_path: Path) -> None:
    for name, metrics in (("first", {"a": 1.0}), ("second", found)):
        (tmp_path / name).mkdir()
        row = {"method": "row", "metrics": {key: {"value": value} for key, value in metrics.items()}}
        (tmp_path / name / "results.json").write_text(json.dumps({"rows": [row]}))
    assert _differences(tmp_path / "second", tmp_path / "first") == said
    (tmp_path / "first" / "results.json").write_text(json.dumps({"rows": []}))
    assert (
        _differences(tmp_path / "second", tmp_path / "first")
        == "expected numbers in first to compare with, found no numbers"
    )


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
    assert len(attempts) == 25
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


@pytest.mark.slow
def test_the_table_of_a_rehearsed_sweep_says_what_it_is_and_the_gate_refuses_it(
    rehearsed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    assert_says_rehearsal(rehearsed[0] / "runs" / "sweep_of_decoder_sizes")


def assert_says_rehearsal(sweep: Path) -> None:
    """Check the files of a sweep and what the gate says to it."""
    assert (sweep / "sweep.md").read_text().splitlines()[0] == "## All jobs of a rehearsal"
    assert REHEARSAL_NOTE in (sweep / "sweep.md").read_text()
    assert "these numbers mean nothing" in (sweep / "sweep.html").read_text()
    assert set(pandas.read_csv(sweep / "sweep.csv")["profile"]) == {REHEARSAL}
    side = read_side(sweep)
    assert not side.tables
    assert [("found a rehearsal with random weights" in problem.what) for problem in side.problems] == [True, True]


def test_gathered_jobs_are_labelled_if_one_of_them_is_part_of_a_rehearsal(tmp_path: Path) -> None:
    jobs = [write_run(tmp_path / str(number), values()) for number in range(2)]
    for number, job in enumerate(jobs):
        (job / "table.csv").write_text("row,label,fid\nours,Ours,1.5\n")
        record = {"name": str(number), "chosen": {"seed": str(number)}, "overrides": [], "status": 0, "message": ""}
        (job / "job.json").write_text(json.dumps(record))
    gather(tmp_path)
    assert "rehearsal" not in "".join((tmp_path / f"sweep.{ending}").read_text() for ending in ("csv", "md", "html"))
    for job in jobs:
        content = json.loads((job / "run.json").read_text())
        content.pop("sha256", None)
        write_json(job / "run.json", sealed({**content, "profile": REHEARSAL}))
    gather(tmp_path)
    assert_says_rehearsal(tmp_path)
