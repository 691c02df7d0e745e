"""Tests of the explanation of a number from the folder of a finished run."""

import json
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas
import pytest

from bench.config.compose import compose_config, typed
from bench.results.explain import explain, main
from bench.results.run_files import file_seals, sealed
from bench.runtime.strict_json import read_json
from tests.helpers.imports import HEAVY, loaded_with

pytestmark = pytest.mark.blackbox

REPORTS = Path(__file__).parents[2] / "reports"
TABLE = REPORTS / "table2_inpaint_imagenet"


def read(name: str, folder: Path = TABLE) -> Any:
    return json.loads((folder / name).read_text())


def entry(row: str, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = next(line for line in read("results.json")["rows"] if line["method"] == row)["metrics"][
        metric
    ]
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TABLE, tmp_path / "2026-01-02_03-04-05", ignore=shutil.ignore_patterns("figures")))


def write_results(folder: Path, results: Any) -> None:
    """Replace the numbers of a finished run, and seal its `run.json` anew with them."""
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "run.json").write_text(json.dumps(sealed({**read("run.json", folder), "files": file_seals(folder)})))


def test_a_number_is_explained_by_its_items_protocol_weights_and_run() -> None:
    found = explain(TABLE, "large_mask", "fid")
    ours, run = entry("large_mask", "fid"), read("run.json")
    assert {name: found["value"][name] for name in ("value", "stderr", "ci95", "n")} == {
        name: ours[name] for name in ("value", "stderr", "ci95", "n")
    }
    assert found["published"]["value"] == 7.55
    assert found["protocol"]["settings"]["statistic"].startswith("Fréchet distance")
    assert found["protocol"]["hash"] == ours["protocol"]
    assert found["items"]["rests_on"] == ours["n"]
    assert found["items"]["manifest"] == run["manifest"]
    parts = {part: {path.split("mini/")[1].split("/")[0] for path in files} for part, files in found["weights"].items()}
    assert parts == {"row": {"large"}, "generator": {"inpainting"}, "measure": {"metric_features"}}
    assert found["made_by"]["commit"] == run["source"]["commit"]
    assert found["lineage"]["part"] == "large"


def test_the_shown_command_composes() -> None:
    _, _, module, *overrides = shlex.split(explain(TABLE, "large_mask", "fid")["made_by"]["command"])
    assert module == "bench"
    assert typed(compose_config(overrides))[0].name == "table2_inpaint_imagenet"


def test_rows_and_columns_are_found_by_name_and_by_title() -> None:
    first = explain(TABLE, "large_mask", "pre_error")
    assert explain(TABLE, "Ours (large) w/ mask", "Pre_error") == first
    assert explain(TABLE, "Ours (large) w/ mask", "Pre_error [1e-5]") == first
    assert explain(TABLE, "large_mask", "FID (mini features)") == explain(TABLE, "large_mask", "fid")


def test_the_value_of_an_item_is_shown_with_the_place_of_its_records(small_run: Path) -> None:
    found = explain(small_run, "base_mask", "lpips")
    path, _, words = found["items"]["records"].partition(": ")
    assert words == "column lpips where row is base_mask"
    records = pandas.read_parquet(path)
    assert records[records["row"] == "base_mask"]["lpips"].mean() == pytest.approx(found["value"]["value"])
    assert found["items"]["of"] == len(read("manifest.json", small_run)["items"]) == found["items"]["rests_on"]
    assert found["items"]["manifest_file"] == str(small_run / "manifest.json")
    assert explain(small_run, "base_mask", "fid")["items"]["records"] is None


def test_a_folder_without_records_and_manifest_is_explained_in_part() -> None:
    found = explain(TABLE, "base_mask", "lpips")["items"]
    assert (found["of"], found["manifest_file"], found["records"]) == (None, None, None)
    assert found["manifest"] == read("results.json")["manifest"]


def test_every_number_of_every_report_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.results.explain.read_json", cache(read_json))  # each file is read once for all numbers
    count = 0
    for folder in sorted(REPORTS.glob("table*")):
        for line in read("results.json", folder)["rows"]:
            for metric in line.get("metrics", {}):
                assert explain(folder, line["label"], metric)["column"]["metric"] == metric
                count += 1
        if count:
            line = read("results.json", folder)["rows"][0]
            if "metrics" in line:
                assert main([str(folder), line["label"], next(iter(line["metrics"]))]) == 0
                assert line["label"] in capsys.readouterr().out
    assert count > 500


def test_lines_and_json_agree(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(copy), "large_mask", "fid"]) == 0
    lines = capsys.readouterr().out
    assert main([str(copy), "large_mask", "fid", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == explain(copy, "large_mask", "fid")
    assert found["made_by"]["started"] == "2026-01-02_03-04-05"
    for word in (
        found["protocol"]["hash"],
        found["items"]["manifest"],
        found["made_by"]["command"],
        "2026-01-02_03-04-05",
    ):
        assert word in lines
    for sha in found["weights"]["row"].values():
        assert sha in lines


def test_the_start_of_a_run_is_recorded_in_utc(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = read("run.json", small_run)
    began = datetime.fromisoformat(run["started"])
    ended = datetime.fromtimestamp((small_run / "run.json").stat().st_mtime, UTC)
    assert began.utcoffset() == timedelta(0)
    assert sum(run["seconds"].values()) - 1 < (ended - began).total_seconds() < 3600
    assert main([str(small_run), "large_mask", "lpips"]) == 0
    assert f"started                {run['started']}\n" in capsys.readouterr().out


def test_the_recorded_start_precedes_the_time_in_the_folders_name(copy: Path) -> None:
    started = "2026-01-02T08:09:10+00:00"
    (copy / "run.json").write_text(json.dumps(sealed({**read("run.json", copy), "started": started})))
    assert explain(copy, "large_mask", "fid")["made_by"]["started"] == started


def test_a_run_without_any_start_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(TABLE), "large_mask", "fid"]) == 0
    assert "unknown: run.json has no key started, and the folder's name has no time" in capsys.readouterr().out


def test_a_missing_number_is_explained_with_its_reason(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read("results.json", copy)
    results["rows"][1]["metrics"]["fid"] |= {"value": None, "stderr": None, "ci95": None, "reason": "8 items are few"}
    write_results(copy, results)
    assert main([str(copy), "base_mask", "fid"]) == 0
    assert "none: 8 items are few" in capsys.readouterr().out


def test_a_number_of_the_sensitivity_is_found_by_row_and_choice(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read("results.json", copy)
    line = next(line for line in results["rows"] if line["method"] == "large_mask")
    other = json.loads(json.dumps(line)) | {"choice": "clean", "how": "as clean-fid", "against": "lama"}
    other["metrics"]["fid"] |= {"measured_as": "kid", "difference": {"value": 0.5, "stderr": 0.1, "ci95": [0.3, 0.7]}}
    results["rows"].append(other)
    write_results(copy, results)
    found = explain(copy, "large_mask/clean", "fid")
    assert found == explain(copy, f"{line['label']}, as clean-fid", "fid")
    assert found["weights"]["measure"]
    assert main([str(copy), "large_mask/clean", "fid"]) == 0
    shown = capsys.readouterr().out
    assert "0.5 [0.3, 0.7] (unadjusted), to lama" in shown
    assert ", to StableDiffusion" in shown


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ("largest", "fid", "row: expected one of stablediffusion (StableDiffusion); base_mask"),
        ("large_mask", "fidelity", "column: expected one of fid (FID (mini features)), "),
    ],
)
def test_an_unknown_row_or_column_lists_the_choices(
    row: str, column: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(TABLE), row, column]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"bench.explain: {said}")
    assert captured.out == ""


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (
            REPORTS,
            "expected the folder of one run, found a folder of several runs: table10_size_coco, table1_inpaint_places",
        ),
        (
            REPORTS / "table7_architecture_base",
            "expected a table with numbers, found no numbers in table7_architecture_base",
        ),
        (REPORTS / "nothing", "expected the file with the results of a run, found no such file"),
    ],
)
def test_a_folder_without_a_table_of_numbers_is_named(
    folder: Path, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "large_mask", "fid"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"experiment": "x"}'])
@pytest.mark.parametrize("name", ["run.json", "results.json"])
def test_broken_files_are_named(copy: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / name).write_text(text)
    assert main([str(copy), "large_mask", "fid"]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.slow
def test_torch_is_not_imported(tmp_path: Path) -> None:
    assert not HEAVY & loaded_with("bench.explain", tmp_path)
