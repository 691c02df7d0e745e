"""Tests of the gate's command on synthetic runs: its status and the differences that it names."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.gate.command import main
from tests.gate.runs import EXPERIMENT, ITEMS, PROTOCOL, change_json, values, write_run
from tests.helpers.gate import ends
from tests.helpers.imports import HEAVY, loaded_with

pytestmark = pytest.mark.blackbox

PASS, BAD_INPUT, REGRESSION, CANNOT_TELL = 0, 2, 3, 4


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_run(tmp_path / "old", values())


def moved(by: float, noise: float, metric: str = "lpips", row: str = "mine") -> dict[str, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    """Return values in which one metric is shifted for all items and by noise between them."""
    found = values()
    found[row][metric] = found[row][metric] + by + noise * np.random.default_rng(9).standard_normal(ITEMS)
    return found


def test_equal_numbers_pass(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = ends(capsys, write_run(tmp_path / "new", values()), old)
    assert status == PASS
    assert "pass: 4 within their margins" in shown
    assert "mine lpips" not in shown  # what did not move is only counted


def test_a_worse_metric_is_named_with_old_new_and_margin(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = ends(capsys, write_run(tmp_path / "new", moved(0.1, 0.02)), old)
    assert status == REGRESSION
    assert "regression mine lpips 1.05" in shown
    assert "regression: 1 worse, 3 within their margins" in shown


def test_a_lower_value_is_worse_for_a_score(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    less = write_run(tmp_path / "less", moved(-1.0, 0.1, "inception_score"))
    more = write_run(tmp_path / "more", moved(1.0, 0.1, "inception_score"))
    assert ends(capsys, less, old)[0] == REGRESSION
    status, shown = ends(capsys, more, old)
    assert status == PASS
    assert "improved mine inception_score" in shown


def test_pairing_detects_a_difference_that_separate_intervals_miss(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every item is worse by 0.01, a third of the deviation, which is significant only if items are paired."""
    new = write_run(tmp_path / "new", moved(0.01, 0.001))
    assert ends(capsys, new, old, "--margin", "lpips=0.5%")[0] == REGRESSION
    entries = [json.loads((run / "results.json").read_text())["rows"][1]["metrics"]["lpips"] for run in (new, old)]
    apart = entries[0]["value"] - entries[1]["value"]
    assert apart < 1.96 * np.hypot(*(entry["stderr"] for entry in entries))


def test_noise_wider_than_the_margin_is_inconclusive(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_run(tmp_path / "new", moved(0.0, 0.5))
    status, shown = ends(capsys, new, old)
    assert status == CANNOT_TELL
    assert "cannot tell mine lpips" in shown
    assert ends(capsys, new, old, "--margin", "lpips=1")[0] == PASS


def test_margins_change_the_verdict(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write_run(tmp_path / "new", moved(0.1, 0.02))
    assert ends(capsys, new, old, "--margin", "lpips=0.2")[0] == PASS
    assert ends(capsys, new, old, "--margin", "lpips=20%")[0] == PASS
    status, shown = ends(capsys, new, old, "--margin", "lpips=any", "fid=0.5")
    assert status == PASS
    assert "lpips is not compared, because its margin is any" in shown
    assert "margin of fid: neither side has this metric or cost" in shown
    assert ends(capsys, new, old, "--margin", "lpips=lots")[0] == BAD_INPUT
    status, shown = ends(capsys, new, old, "--margin", "lpisp=1")
    assert status == BAD_INPUT
    assert "margin of lpisp: expected a name from this list: lpips, inception_score, parameters" in shown


def test_values_without_items_are_compared_by_the_margin(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without influences, noise is compared with the margin by its value alone."""
    new = write_run(tmp_path / "new", moved(0.0, 0.5), influences=False)
    status, shown = ends(capsys, new, old, "--margin", "lpips=20%")
    assert status == PASS
    assert "values are compared without intervals, because one side has no influences.parquet" in shown


def other_manifest(run: Path) -> None:
    for name in ("run.json", "results.json"):
        change_json(run / name, manifest="b" * 64)


def without_row(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    change_json(run / "results.json", rows=[row for row in results["rows"] if row["method"] != "mine"])


def not_finite(run: Path) -> None:
    text = (run / "results.json").read_text()
    value = json.loads(text)["rows"][1]["metrics"]["lpips"]["value"]
    (run / "results.json").write_text(text.replace(f'"value": {value}', '"value": NaN'))


def fewer_influences(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    results["rows"][1]["metrics"]["lpips"]["n"] = ITEMS - 1
    change_json(run / "results.json", rows=results["rows"])


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "other items": (other_manifest, "manifest: expected aaaaaaaaaaaa, found bbbbbbbbbbbb; the old run has 40 items"),
    "no run.json": (lambda run: (run / "run.json").unlink(), "run.json: expected this file, which every"),
    "no results": (lambda run: (run / "results.json").unlink(), "results.json: expected this file, which every"),
    "not complete": (lambda run: change_json(run / "run.json", status="on"), "expected the status complete, found on"),
    "no time": (lambda run: change_json(run / "run.json", started="noon"), "started: expected a date and a time"),
    "no offset": (lambda run: change_json(run / "run.json", started="2026-01-02T03:04:05"), "by ISO 8601 with an off"),
    "half a file": (lambda run: (run / "results.json").write_text("{"), "results.json: expected JSON"),
    "a list": (lambda run: (run / "run.json").write_text("[]"), "run.json: expected a JSON object, found a list"),
    "another version": (lambda run: change_json(run / "results.json", schema_version=99), "schema_version 1, found 99"),
    "two runs' files": (lambda run: change_json(run / "run.json", manifest="c" * 64), "files of two different runs"),
    "no rows": (lambda run: change_json(run / "results.json", rows=[]), "expected at least one measured row"),
    "no columns": (lambda run: change_json(run / "results.json", columns=[]), "expected at least one measured row"),
    "a row less": (without_row, "row mine: expected it in the new and in the old run, found it only in the old run"),
    "no number": (not_finite, "results.json: expected JSON, found an error: NaN, which is not a JSON number"),
    "no protocol": (lambda run: change_json(run / "results.json", protocols={}), "found no such protocol"),
    "damaged influences": (lambda run: (run / "influences.parquet").write_bytes(b"PAR1"), "influences.parquet: exp"),
    "fewer influences": (fewer_influences, "expected 39 items of lpips of mine, as in results.json, found 40"),
    "another experiment": (
        lambda run: [change_json(run / name, experiment="table3") for name in ("run.json", "results.json")],
        f"experiment: expected {EXPERIMENT}, found table3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_an_empty_partial_or_different_run_never_passes(
    name: str, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, named = SPOILED[name]
    new = write_run(tmp_path / "new", values())
    spoil(new)
    status, shown = ends(capsys, new, old)
    assert status == CANNOT_TELL
    assert named in shown
    assert ends(capsys, old, new)[0] == (PASS if name == "a row less" else CANNOT_TELL)


def test_an_empty_folder_never_passes(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for words in ((tmp_path / "empty", old), (old, tmp_path / "empty"), (tmp_path / "empty", tmp_path / "empty")):
        status, shown = ends(capsys, *words)
        assert status == CANNOT_TELL
        assert "expected a folder with results.json and run.json, or a folder of runs, found neither" in shown


def test_another_protocol_is_named_with_its_field(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = ends(capsys, write_run(tmp_path / "new", values(), splits=5), old)
    assert status == CANNOT_TELL
    assert "protocol of lpips: measure.splits: expected 10, found 5" in shown


def test_a_metric_without_a_value_never_passes(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = values()
    found["mine"]["lpips"] = None
    new = write_run(tmp_path / "new", found)
    again = write_run(tmp_path / "again", found)
    for words, sides in (((new, old), "(new: too few items)"), ((new, again), "(new: too few items; old: too few")):
        status, shown = ends(capsys, *words)
        assert status == CANNOT_TELL
        assert f"lpips of mine: expected a value in the new and in the old run, found no value {sides}" in shown


def test_added_rows_are_reported_and_pass(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = values()
    found["another"] = dict(found["mine"])
    status, shown = ends(capsys, write_run(tmp_path / "new", found), old)
    assert status == PASS
    assert "only the new run has these rows: another" in shown


def costing(seconds: float, parameters: float = 100) -> dict[str, dict[str, float]]:
    return {
        "stablediffusion": {"least_seconds_per_image": 2.0},
        "mine": {"least_seconds_per_image": seconds, "parameters": parameters, "tera_flop": 0.5},
    }


def test_costs_are_compared_and_missing_ones_are_named(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap = write_run(tmp_path / "cheap", values(), costs=costing(3.0))
    slow = write_run(tmp_path / "slow", values(), costs=costing(6.0))
    large = write_run(tmp_path / "large", values(), costs=costing(3.0, 102))
    status, shown = ends(capsys, slow, cheap)
    assert status == REGRESSION
    assert "regression mine time_ratio 1.5 3 +1.5" in shown
    assert ends(capsys, slow, cheap, "--margin", "time_ratio=any")[0] == PASS
    status, shown = ends(capsys, large, cheap)
    assert status == REGRESSION
    assert "regression mine parameters 100 102" in shown
    for words, side in (((old, cheap), "old"), ((cheap, old), "new")):
        status, shown = ends(capsys, *words)
        assert status == CANNOT_TELL
        assert (
            f"parameters of mine: expected it in the new and in the old run, found it only in the {side} run" in shown
        )
        free = [f"{name}=any" for name in ("parameters", "tera_flop", "time_ratio")]
        assert ends(capsys, *words, "--margin", *free)[0] == PASS


def collection(folder: Path, *names: str, failed: str = "") -> Path:
    for name in names:
        write_run(folder / name, values(), experiment=name)
    folder.mkdir(exist_ok=True)
    run = {"experiments": {name: int(name == failed) for name in (*names, *([failed] if failed else []))}}
    (folder / "run.json").write_text(json.dumps({**run, "status": "complete"}))
    return folder


def test_collections_are_compared_experiment_by_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = collection(tmp_path / "both", "table2", "table3")
    one = collection(tmp_path / "one", "table2")
    failed = collection(tmp_path / "failed", "table2", failed="table3")
    assert ends(capsys, both, both)[0] == PASS
    status, shown = ends(capsys, one, both)
    assert status == CANNOT_TELL
    assert "table3: experiment: expected table3, found table2" in shown
    status, shown = ends(capsys, failed, both)
    assert status == CANNOT_TELL
    assert "expected that table3 ended with status 0, found status 1" in shown
    status, shown = ends(capsys, both, one)
    assert status == PASS
    assert "only the new side has these experiments: table3" in shown
    assert ends(capsys, both / "table2", both)[0] == PASS
    assert ends(capsys, both, both / "table2")[0] == PASS
    (both / "table3" / "run.json").unlink()
    assert ends(capsys, both, one)[0] == CANNOT_TELL


def test_two_runs_of_one_experiment_on_one_side_are_refused(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "sweep" / name, values())
    status, shown = ends(capsys, tmp_path / "sweep", old)
    assert status == BAD_INPUT
    assert f"expected one run of each experiment, found two runs of {EXPERIMENT}" in shown


def test_a_missing_run_is_bad_input(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, named in (
        ((tmp_path / "none", old), "expected the folder of a run, found no such folder"),
        ((old / "run.json", old), "expected the folder of a run, found a file"),
        ((old, tmp_path / "none.json"), "expected a baseline, found no such file"),
        ((old, old / "run.json"), "expected a baseline with schema_version 2, found None"),
        ((old, old, "--markdown", tmp_path / "none" / "gate.md"), "expected files that can be written"),
    ):
        status, shown = ends(capsys, *words)
        assert status == BAD_INPUT
        assert named in shown
    with pytest.raises(SystemExit, match="2"):
        main([str(old)])


@pytest.mark.slow
def test_the_command_does_not_import_torch(tmp_path: Path) -> None:
    loaded = loaded_with("bench.compare", tmp_path)
    assert "bench.compare" in loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("changes", "manifest", "said"),
    [
        (
            {"crop": "center, moved by 1 pixel"},
            "b" * 64,
            "found bbbbbbbbbbbb (crop: expected center, found center, moved by 1 pixel)",
        ),
        ({"items": 64}, "b" * 64, "found bbbbbbbbbbbb (items: expected 5,000, found 64)"),
        (
            {"reference": "another split"},
            "a" * 64,
            "protocol: reference: expected the same crops, found another split",
        ),
        (
            {"crop": "none", "resize": "both sides, bicubic"},
            "a" * 64,
            "protocol: resize: expected shorter side, bicubic, found both sides, bicubic; crop: expected center",
        ),
    ],
)
def test_another_crop_reference_or_number_is_not_comparable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], manifest: str, said: str
) -> None:
    old = write_run(tmp_path / "old", values(), protocol=PROTOCOL)
    new = write_run(tmp_path / "new", values(), protocol={**PROTOCOL, **changes}, manifest=manifest)
    status, shown = ends(capsys, new, old)
    assert status == CANNOT_TELL
    assert said in shown
    assert "1 not comparable" in shown
    assert ends(capsys, write_run(tmp_path / "same", values(), protocol=PROTOCOL), old)[0] == PASS


def test_a_run_of_an_older_version_states_no_protocol_and_is_compared(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(capsys, write_run(tmp_path / "new", values(), protocol=PROTOCOL), old)[0] == PASS
