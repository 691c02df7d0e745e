"""Tests of the history: marked changes, broken lines, the order of runs and baselines, and damaged files."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import bench
from bench.gate import command as compare
from bench.history.command import main
from tests.gate.runs import values, write_run

pytestmark = pytest.mark.blackbox

DONE, BAD_INPUT = 0, 2
FILES = ("history.csv", "history.html", "history.json", "history.md")
EVIL = '<script>alert("x")</script>'


def run_at(root: Path, day: int, factors: Mapping[tuple[str, str], float] | None = None, **options: Any) -> Path:
    """Write a run of day `day`, in which the factors multiply the values of some rows and metrics."""
    measured = values()
    for (row, metric), factor in (factors or {}).items():
        measured[row][metric] = measured[row][metric] * factor
    facts = {"started": f"2026-01-{day:02}T12:00:00+00:00", **options.pop("changes", {})}
    return write_run(root / f"run{day}", measured, changes=facts, **options)


def history(root: Path, *words: object) -> dict[str, Any]:
    """Run the command, and return the content of its JSON file."""
    assert main([str(word) for word in (root, *words)]) == DONE
    assert {path.name for path in root.glob("history.*")} == set(FILES)
    content: dict[str, Any] = json.loads((root / "history.json").read_text())
    return content


def marks(found: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    return [
        (value["mark"], line["row"], line["metric"], value["moment"])
        for line in found["lines"]
        for value in line["values"]
        if value["mark"]
    ]


def line_of(found: Mapping[str, Any], row: str, metric: str) -> list[dict[str, Any]]:
    (line,) = (line for line in found["lines"] if (line["row"], line["metric"]) == (row, metric))
    values_found: list[dict[str, Any]] = line["values"]
    return values_found


def test_a_planted_regression_is_marked_and_equal_numbers_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2, 3):
        run_at(tmp_path, day)
    run_at(tmp_path, 4, {("mine", "lpips"): 1.1})
    run_at(tmp_path, 5, {("mine", "lpips"): 1.1})
    found = history(tmp_path)
    assert marks(found) == [("regression", "mine", "lpips", 4)]
    step = line_of(found, "mine", "lpips")[3]["step"]
    assert (step["against"], step["verdict"]) == (3, "regression")
    assert step["margin"] == pytest.approx(0.02 * step["old"])
    assert step["ci95"][0] < step["change"] < step["ci95"][1]
    assert [value["step"] and value["step"]["change"] for value in line_of(found, "mine", "inception_score")] == [
        None, 0.0, 0.0, 0.0, 0.0,
    ]  # fmt: skip
    said = " ".join(capsys.readouterr().out.split())
    assert "4 numbers of 1 table at 5 moments, 16 comparisons, 1 regression, 0 improvements" in said
    assert (
        "| regression | #4 2026-01-04, since #3 | mine, lpips, table2_inpaint_imagenet |"
        in (tmp_path / "history.md").read_text()
    )


def test_the_history_agrees_with_the_gate(tmp_path: Path) -> None:
    old = run_at(tmp_path, 1)
    new = run_at(tmp_path, 2, {("mine", "lpips"): 1.015, ("mine", "inception_score"): 0.9})
    compare.main([str(new), str(old), "--json", str(tmp_path / "gate.json")])
    gate = json.loads((tmp_path / "gate.json").read_text())["comparisons"]
    found = history(tmp_path)
    assert len(gate) == 4
    for one in gate:
        step = line_of(found, one["row"], one["metric"])[1]["step"]
        assert {name: step[name] for name in ("old", "change", "ci95", "margin", "verdict")} == {
            name: one[name] for name in ("old", "change", "ci95", "margin", "verdict")
        }


def test_a_lower_error_and_a_higher_score_are_improvements(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    run_at(tmp_path, 2, {("mine", "lpips"): 0.9, ("stablediffusion", "inception_score"): 1.1})
    assert sorted(marks(history(tmp_path))) == [
        ("improvement", "mine", "lpips", 2),
        ("improvement", "stablediffusion", "inception_score", 2),
    ]


def test_other_items_break_every_line_and_the_old_items_continue_theirs(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    run_at(tmp_path, 2, {("mine", "lpips"): 2.0}, manifest="b" * 64)
    run_at(tmp_path, 3)
    found = history(tmp_path)
    assert marks(found) == []
    for line in found["lines"]:
        first, second, third = line["values"]
        assert second["step"] is None
        assert "manifest: expected aaaaaaaaaaaa, found bbbbbbbbbbbb" in second["broken"]
        assert first["segment"] == third["segment"] != second["segment"]
        assert (third["step"]["against"], third["broken"]) == (1, "")
    assert "manifest: expected aaaaaaaaaaaa" in (tmp_path / "history.md").read_text()
    assert "manifest: expected aaaaaaaaaaaa" in (tmp_path / "history.html").read_text()


def test_another_protocol_breaks_a_line_and_says_why(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    run_at(tmp_path, 2, {("mine", "lpips"): 2.0}, splits=5)
    run_at(tmp_path, 3, {("mine", "lpips"): 2.0}, splits=5)
    found = history(tmp_path)
    assert marks(found) == []
    first, second, third = line_of(found, "mine", "lpips")
    assert "measure.splits: expected 10, found 5" in second["broken"]
    assert first["segment"] != second["segment"] == third["segment"]
    assert third["step"]["change"] == 0


def test_small_steps_are_marked_once_they_are_a_regression_together(tmp_path: Path) -> None:
    for day in range(1, 6):
        run_at(tmp_path, day, {("mine", "lpips"): 1 + 0.015 * (day - 1)})
    found = history(tmp_path)
    assert marks(found) == [("regression", "mine", "lpips", 3), ("regression", "mine", "lpips", 5)]
    third, fourth, fifth = line_of(found, "mine", "lpips")[2:]
    assert (third["step"]["verdict"], third["since_start"]["verdict"]) == ("pass", "regression")
    assert (third["since_start"]["against"], third["since_mark"]) == (1, None)
    assert (fourth["since_mark"]["against"], fourth["since_mark"]["verdict"]) == (3, "pass")
    assert (fifth["since_mark"]["against"], fifth["since_mark"]["verdict"]) == (3, "regression")
    text = (tmp_path / "history.md").read_text()
    assert "| regression | #3 2026-01-03, since the start at #1 |" in text
    assert "| regression | #5 2026-01-05, since the last mark at #3 |" in text


def test_a_slow_loss_of_an_improvement_is_marked(tmp_path: Path) -> None:
    for day, factor in enumerate((1.0, 0.9, 0.9135, 0.927, 0.9405), start=1):
        run_at(tmp_path, day, {("mine", "lpips"): factor})
    found = history(tmp_path)
    assert marks(found) == [("improvement", "mine", "lpips", 2), ("regression", "mine", "lpips", 4)]
    fourth = line_of(found, "mine", "lpips")[3]
    assert [fourth[name]["verdict"] for name in ("step", "since_start", "since_mark")] == [
        "pass", "improved", "regression",
    ]  # fmt: skip
    assert "regression since the last mark at #2" in (tmp_path / "history.html").read_text()


def test_a_row_that_missed_a_change_of_its_protocol_is_not_compared_across_it(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    measured = values()
    del measured["mine"]
    write_run(tmp_path / "run2", measured, splits=5, changes={"started": "2026-01-02T12:00:00+00:00"})
    run_at(tmp_path, 3, {("mine", "lpips"): 2.0}, splits=5)
    found = history(tmp_path)
    assert marks(found) == []
    _, last = line_of(found, "mine", "lpips")
    assert last["step"] is None
    assert "measure.splits: expected 10, found 5" in last["broken"]
    assert line_of(found, "stablediffusion", "lpips")[2]["step"]["against"] == 2


def test_a_missing_run_of_a_row_does_not_break_its_line(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    measured = values()
    del measured["mine"]
    write_run(tmp_path / "run2", measured, changes={"started": "2026-01-02T12:00:00+00:00"})
    run_at(tmp_path, 3, {("mine", "lpips"): 1.1})
    found = history(tmp_path)
    assert marks(found) == [("regression", "mine", "lpips", 3)]
    assert [value["moment"] for value in line_of(found, "mine", "lpips")] == [1, 3]


def test_a_metric_without_a_value_leaves_a_gap_with_its_reason(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    measured: dict[str, dict[str, Any]] = values()
    measured["mine"]["lpips"] = None
    write_run(tmp_path / "run2", measured, changes={"started": "2026-01-02T12:00:00+00:00"})
    run_at(tmp_path, 3)
    found = history(tmp_path)
    first, gap, last = line_of(found, "mine", "lpips")
    assert (gap["value"], gap["reason"]) == (None, "too few items")
    assert (last["segment"], last["step"]["against"]) == (first["segment"], 1)


def test_margins_of_the_command_and_of_the_run_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = {("mine", "lpips"): 1.1}
    run_at(tmp_path, 1)
    config = json.loads((run_at(tmp_path, 2, worse) / "run.json").read_text())["config"]
    assert marks(history(tmp_path, "--margin", "lpips=20%")) == []
    assert marks(history(tmp_path, "--margin", "lpips=any")) == []
    assert len(marks(history(tmp_path))) == 1
    shutil.rmtree(tmp_path / "run2")
    run_at(tmp_path, 2, worse, changes={"config": {**config, "gate": {"margins": ["lpips=20%", "other=1"]}}})
    assert marks(history(tmp_path)) == []
    assert marks(history(tmp_path, "--margin", "lpips=1%")) != []
    capsys.readouterr()
    assert main([str(tmp_path), "--margin", "lips=1"]) == BAD_INPUT
    assert "margin of lips: expected a name from this list: lpips, inception_score" in capsys.readouterr().err


def test_costs_are_compared_and_constant_costs_have_no_plot(tmp_path: Path) -> None:
    costs = {"mine": {"parameters": 1000, "tera_flop": 1.0}}
    run_at(tmp_path, 1, costs=costs)
    run_at(tmp_path, 2, costs={"mine": {"parameters": 1100, "tera_flop": 1.0}})
    found = history(tmp_path)
    assert marks(found) == [("regression", "mine", "parameters", 2)]
    page = (tmp_path / "history.html").read_text()
    assert "<figcaption>mine: parameters" in page
    assert "<figcaption>mine: tera_flop" not in page


# --- order and sources -----------------------------------------------------------------------------------------------


def test_runs_are_ordered_by_their_start_their_name_or_their_file(tmp_path: Path) -> None:
    run_at(tmp_path, 3)
    write_run(tmp_path / "2026-01-02_10-00-00", values())
    early = write_run(tmp_path / "early", values())
    os.utime(early / "run.json", (0, datetime(2026, 1, 1, tzinfo=UTC).timestamp()))
    moments = history(tmp_path)["moments"]
    assert [(one["name"], one["dated_by"]) for one in moments] == [
        ("early", "date of the file"),
        ("2026-01-02_10-00-00", "date in the name"),
        ("run3", "start of the run"),
    ]


def git(folder: Path, *words: str, date: str = "2026-01-01T00:00:00+00:00") -> str:
    who = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository in which three commits changed a baseline; the last one made a number worse."""
    folder = tmp_path / "repository"
    (folder / "reports").mkdir(parents=True)
    git(folder, "init", "-q")
    baseline = folder / "reports" / "baseline.json"
    for day, factor in ((1, 1.0), (2, 1.001), (3, 1.2)):
        run = run_at(tmp_path / "made", day, {("mine", "lpips"): factor})
        assert compare.main([str(run), str(baseline), "--update"]) == DONE
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", f"Baseline {day} {EVIL}", date=f"2026-02-{day:02}T00:00:00+00:00")
    monkeypatch.chdir(folder)
    return folder


def test_the_versions_of_a_baseline_are_read_from_git(repository: Path) -> None:
    assert main(["--git", "reports/baseline.json", "--out", "out"]) == DONE
    found = json.loads((repository / "out" / "history.json").read_text())
    assert [one["subject"] for one in found["moments"]] == [f"Baseline {day} {EVIL}" for day in (1, 2, 3)]
    assert marks(found) == [("regression", "mine", "lpips", 3)]
    assert found["notes"] == []
    value = line_of(found, "mine", "lpips")[0]
    assert value["approximate"]
    assert value["ci95"][0] < value["value"] < value["ci95"][1]


def test_the_versions_keep_the_order_of_the_commits_whatever_the_clock_said(repository: Path) -> None:
    content = json.loads((repository / "reports" / "baseline.json").read_text())
    for number, date in enumerate(("2026-03-01", "2026-03-01", "2026-02-20", "2026-03-01")):
        path = repository / "reports" / "[*] of.json"
        path.write_text(json.dumps(content, indent=number))
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", f"Version\u2028{number}", date=f"{date}T00:00:00+00:00")
    assert main(["--git", "reports/[*] of.json", "--out", "out"]) == DONE
    moments = json.loads((repository / "out" / "history.json").read_text())["moments"]
    assert [(one["subject"], one["date"][:10], one["dated_by"]) for one in moments] == [
        ("Version\u20280", "2026-03-01", "commit date"),
        ("Version\u20281", "2026-03-01", "commit date"),
        ("Version\u20282", "2026-03-01", "date of an earlier commit"),
        ("Version\u20283", "2026-03-01", "commit date"),
    ]


def test_a_damaged_version_is_named_and_a_shallow_clone_is_mentioned(repository: Path) -> None:
    (repository / "reports" / "baseline.json").write_text("{")
    git(repository, "commit", "-qam", "Damage it")
    damaged = git(repository, "rev-parse", "--short=8", "HEAD")
    (repository / "reports" / "baseline.json").write_text(git(repository, "show", "HEAD~:reports/baseline.json"))
    git(repository, "commit", "-qam", "Repair it")
    git(repository, "clone", "-q", "--depth=2", f"file://{repository}", "shallow")
    shallow = repository / "shallow" / "reports" / "baseline.json"
    assert main(["--git", str(shallow), "--out", str(repository / "out")]) == DONE
    found = json.loads((repository / "out" / "history.json").read_text())
    assert len(found["moments"]) == 1
    ((skipped),) = found["skipped"]
    assert skipped["path"] == f"{shallow} at {damaged}"
    assert "expected JSON" in skipped["reason"]
    assert "shallow clone" in found["notes"][0]


def test_runs_of_one_repository_are_ordered_by_their_commits(repository: Path) -> None:
    commits = git(repository, "log", "--format=%H", "--reverse").splitlines()
    root = repository / "runs"
    for day, commit in zip((3, 2, 1), commits, strict=True):  # the newest commit was run first
        run_at(root, day, changes={"source": {"commit": commit, "dirty": day == 1}})
    run_at(root, 9, changes={"source": {"commit": "0" * 40, "dirty": None}})
    moments = history(root)["moments"]
    assert [one["name"] for one in moments] == ["run9", "run3", "run2", "run1"]  # the first by its start in January
    assert [one["dated_by"] for one in moments] == ["start of the run", *["commit date"] * 3]
    assert [one["dirty"] for one in moments] == [None, False, False, True]
    assert moments[0]["commit"] == "0" * 40


def test_baselines_of_an_older_version_are_read_and_connected_with_each_other(tmp_path: Path) -> None:
    for day in (1, 2):
        path = tmp_path / f"2026-01-0{day}.json"
        assert compare.main([str(run_at(tmp_path / "made", day)), str(path), "--update"]) == DONE
        content = json.loads(path.read_text())
        content["schema_version"] = 1
        for table in content["experiments"].values():
            del table["sha256"], table["sampling"]
        path.write_text(json.dumps(content))
    shutil.rmtree(tmp_path / "made")
    found = history(tmp_path)
    assert [(one["name"], one["dated_by"]) for one in found["moments"]] == [
        ("2026-01-01.json", "date in the name"),
        ("2026-01-02.json", "date in the name"),
    ]
    assert all(line["values"][1]["step"]["verdict"] == "pass" for line in found["lines"])
    assert compare.main([str(run_at(tmp_path / "made", 3)), str(tmp_path / "2026-01-03.json"), "--update"]) == DONE
    shutil.rmtree(tmp_path / "made")
    for line in history(tmp_path)["lines"]:
        assert line["values"][2]["broken"].startswith("sampling: baseline: expected schema version 1, which does not")


def test_the_rounding_of_a_baseline_is_no_change(tmp_path: Path) -> None:
    run = run_at(tmp_path, 1)
    assert compare.main([str(run), str(tmp_path / "2026-01-02.json"), "--update"]) == DONE
    run_at(tmp_path, 3)
    run_at(tmp_path, 4)
    found = history(tmp_path, "--margin", "lpips=0")
    assert marks(found) == []
    for line in found["lines"]:
        assert [value["step"]["change"] for value in line["values"][1:]] == [0, 0, 0]
        assert [value["step"]["ci95"] for value in line["values"][1:]] == [None, None, [0, 0]]


def test_a_collection_is_one_moment(tmp_path: Path) -> None:
    collection = tmp_path / "all"
    for name in ("table2_inpaint_imagenet", "table3_blending_imagenet"):
        write_run(collection / name, values(), experiment=name)
    status = {"table2_inpaint_imagenet": 0, "table3_blending_imagenet": 0, "table4_edit_cocoee": 1}
    (collection / "run.json").write_text(json.dumps({"status": "complete", "experiments": status}))
    found = history(tmp_path)
    assert [(one["kind"], one["name"]) for one in found["moments"]] == [("collection", "all")]
    assert len({line["experiment"] for line in found["lines"]}) == 2
    assert "table4_edit_cocoee ended with status 0, found status 1" in found["skipped"][0]["reason"]


# --- bad input -------------------------------------------------------------------------------------------------------


def test_damaged_files_are_named_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_at(tmp_path, 1)
    (run_at(tmp_path, 2) / "results.json").write_text("{")
    (run_at(tmp_path, 3) / "run.json").write_text("[]")
    (run_at(tmp_path, 4) / "run.json").unlink()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / ".started.json").write_text("{}")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.csv").write_text("job")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "old.json").write_text('{"schema_version": 9, "experiments": {}, "protocols": {}}')
    (tmp_path / "other.json").write_text('{"note": "no baseline"}')
    found = history(tmp_path)
    assert [one["name"] for one in found["moments"]] == ["run1"]
    expected = {"run2", "run3", "run4", "unfinished", "sweep", "broken.json", "old.json"}
    assert {one["path"] for one in found["skipped"]} == expected
    assert all("expected" in one["reason"] and "found" in one["reason"] for one in found["skipped"])
    said = capsys.readouterr().out
    page, text = ((tmp_path / f"history.{suffix}").read_text() for suffix in ("html", "md"))
    for name in expected:
        assert f"skipped: {name}: " in said
        assert f'<th scope="row">{name}</th>' in page
        assert f"| {name} |" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a folder DIR, or --git FILE, found neither"),
        (["nowhere"], "nowhere: expected a folder with earlier runs or baselines, found nothing"),
        (["file"], "file: expected a folder with earlier runs or baselines, found a file"),
        (["empty"], "empty: expected at least one finished run or baseline, found none"),
        (["damaged"], "found none; 1 skipped, the first is x.json: expected JSON"),
        (["runs", "--out", "file/out"], "file/out: expected a folder that can be written, found the error"),
        (["runs", "--out", "taken"], "taken/history.html: expected a file to write, found a folder"),
        (["n" * 300], "expected a folder with earlier runs or baselines, found the error File name too long"),
        (["runs", "--margin", "lpips"], "--margin lpips: expected a number of 0 or more"),
        (["--git", "nowhere/baseline.json"], "--git nowhere/baseline.json: expected a file in a git repository"),
        (["--git", "runs/baseline.json"], "--git runs/baseline.json: expected a file in a git repository"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_message(
    words: Sequence[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    run_at(tmp_path / "runs", 1)
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken" / "history.html").mkdir(parents=True)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "x.json").write_text("{")
    before = sorted(tmp_path.rglob("*"))
    assert main(list(words)) == BAD_INPUT
    shown = capsys.readouterr()
    assert (shown.out, len(shown.err.splitlines())) == ("", 1)
    assert message in shown.err
    assert sorted(tmp_path.rglob("*")) == before


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_the_csv_has_a_line_for_each_number_at_each_moment(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    run_at(tmp_path, 2, {("mine", "lpips"): 1.1})
    history(tmp_path)
    found = pandas.read_csv(tmp_path / "history.csv")
    assert len(found) == 8
    (marked,) = found[found["mark"].notna()].to_dict("records")
    assert (marked["row"], marked["metric"], marked["moment"], marked["mark"]) == ("mine", "lpips", 2, "regression")
    assert marked["step_change"] == pytest.approx(0.1 * np.mean(values()["mine"]["lpips"]))
    assert marked["step_margin"] < marked["step_change_low"] < marked["step_change"] < marked["step_change_high"]


def test_the_page_marks_the_point_interrupts_the_line_and_escapes_names(tmp_path: Path) -> None:
    measured = {EVIL: values()["mine"], "stablediffusion": values()["stablediffusion"]}
    for day, manifest in ((1, "a"), (2, "a"), (3, "b"), (4, "b")):
        facts = {"started": f"2026-01-{day:02}T12:00:00+00:00"}
        write_run(tmp_path / f"run{day}", measured, manifest=manifest * 64, changes=facts)
    run = tmp_path / "run5"
    measured[EVIL]["lpips"] = measured[EVIL]["lpips"] * 1.2
    write_run(run, measured, manifest="b" * 64, changes={"started": "2026-01-05T12:00:00+00:00"})
    history(tmp_path)
    page = (tmp_path / "history.html").read_text()
    assert "<script>alert" not in page
    assert "src=" not in page
    assert page.count('class="plot-flag"') == 1
    (plot,) = (part for part in page.split('<figure class="plot">')[1:] if 'class="plot-flag"' in part)
    assert plot.count('<polyline class="plot-line"') == 2  # two points, a break, and three points
    assert "regression" in plot


def test_the_same_folder_gives_the_same_files_again(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    run_at(tmp_path, 2)
    history(tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in FILES}
    history(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == first


def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    run_at(tmp_path, 1)
    code = "import sys; from bench.console import main; main(['history', '.']); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
