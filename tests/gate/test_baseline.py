"""Tests of baselines, which one command writes and later runs are compared with."""

import json
from pathlib import Path

import pytest

from bench.gate.baseline import read_baseline, rounded
from tests.gate.runs import PROTOCOL, change_json, values, write_run
from tests.helpers.gate import command

pytestmark = pytest.mark.blackbox

PASS, BAD_INPUT, REGRESSION, CANNOT_TELL = 0, 2, 3, 4
COSTS = {
    "stablediffusion": {"least_seconds_per_image": 2.0},
    "mine": {"least_seconds_per_image": 3.1415, "parameters": 1_234_567_890, "tera_flop": 0.123456789},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", values(), costs=COSTS)


@pytest.fixture
def baseline(run: Path, tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    assert command(run, path, "--update") == PASS
    return path


def test_the_run_of_the_baseline_passes_without_margins(run: Path, baseline: Path) -> None:
    strict = [f"{name}=0" for name in ("lpips", "inception_score", "parameters")]
    assert command(run, baseline, "--margin", *strict) == PASS


def test_a_change_beyond_the_margin_is_a_regression(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, slightly = values(), values()
    worse["mine"]["inception_score"] = worse["mine"]["inception_score"] * 0.97
    slightly["mine"]["inception_score"] = slightly["mine"]["inception_score"] * 0.99
    assert command(write_run(tmp_path / "worse", worse, costs=COSTS), baseline) == REGRESSION
    assert "regression" in capsys.readouterr().out
    assert command(write_run(tmp_path / "slightly", slightly, costs=COSTS), baseline) == PASS


def test_different_items_and_protocols_are_named(
    baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for new, named in (
        (write_run(tmp_path / "items", values(), manifest="b" * 64), "manifest: expected aaaaaaaaaaaa"),
        (write_run(tmp_path / "protocol", values(), splits=5), "measure.splits: expected 10, found 5"),
    ):
        assert command(new, baseline) == CANNOT_TELL
        assert named in " ".join(capsys.readouterr().out.split())


def test_a_baseline_keeps_the_pictures_protocol_and_names_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_run(tmp_path / "old", values(), protocol=PROTOCOL)
    baseline = tmp_path / "own.json"
    assert command(old, baseline, "--update") == PASS
    assert command(old, baseline, "--margin", "lpips=0") == PASS
    new = write_run(tmp_path / "new", values(), protocol={**PROTOCOL, "items": 64}, manifest="b" * 64)
    assert command(new, baseline) == CANNOT_TELL
    assert "(items: expected 5,000, found 64)" in " ".join(capsys.readouterr().out.split())


def test_numbers_are_written_one_per_line_rounded_and_in_order(baseline: Path) -> None:
    text = baseline.read_text()
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    assert '"tera_flop": 0.12346' in lines
    assert '"parameters": 1234567890' in lines
    assert '"time_ratio": 1.6' in lines
    content = json.loads(text)
    assert json.dumps(content, indent=1, sort_keys=True) + "\n" == text
    value = content["experiments"]["table2_inpaint_imagenet"]["rows"]["mine"]["lpips"]["value"]
    assert value == rounded(value)
    assert all(line.count(":") <= 1 for line in lines)


def test_writing_a_baseline_again_changes_nothing(
    run: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = baseline.read_bytes()
    assert command(run, baseline, "--update") == PASS
    assert "pass" in capsys.readouterr().out
    assert baseline.read_bytes() == before


def test_the_run_of_one_table_replaces_only_that_table(run: Path, baseline: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", values(1), experiment="table3")
    assert command(other, baseline, "--update") == PASS
    tables = read_baseline(baseline).tables
    assert sorted(tables) == ["table2_inpaint_imagenet", "table3"]
    assert command(run, baseline) == PASS


def test_a_partial_run_is_refused_as_a_baseline(run: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = baseline.read_bytes()
    change_json(run / "run.json", status="on")
    assert command(run, baseline, "--update") == BAD_INPUT
    assert "expected the status complete, found on" in capsys.readouterr().err
    assert baseline.read_bytes() == before
    assert command(run.parent, run, "--update") == BAD_INPUT
    assert "expected the file of a baseline, found a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"schema_version": 3}, "expected a baseline with schema_version 2, found 3"),
        ({"experiments": []}, "experiments: expected a valid dictionary, found a list"),
        ({"protocols": {}}, "table2_inpaint_imagenet: expected that the file contains every protocol"),
        ({"protocols": None}, "protocols: expected a valid dictionary, found null"),
    ],
)
def test_a_damaged_baseline_is_bad_input(
    run: Path,
    baseline: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    named: str,
) -> None:
    change_json(baseline, **changes)
    assert command(run, baseline) == BAD_INPUT
    assert named in capsys.readouterr().err


def test_an_edited_protocol_is_detected(run: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline.write_text(baseline.read_text().replace('"splits": 10', '"splits": 11'))
    assert command(run, baseline) == BAD_INPUT
    assert "… has this hash, found another hash" in capsys.readouterr().err
