"""Tests of the influences that a run keeps, which pair two runs like their features would."""

import json
from pathlib import Path

import pandas
import pytest

import bench
from bench.errors import BadInputError
from bench.gate.read_run import read_side
from bench.metrics.uncertainty import Estimate, paired_difference
from bench.results.features import read_summary
from bench.results.influences import INFLUENCES, read_influences
from bench.runtime.not_available import NotAvailable

ITEMS = 24
ROWS = ["stablediffusion", "base_mask"]
METRICS = ["fid", "lpips", "pre_error", "fid_20_40"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("influences")
    bench.run(
        [
            "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2", "device=cpu",
            f"row=[{','.join(ROWS)}]", "stage=tabulate", "controls=[]", "profile.fid_minimum=4", "keep_features=true",
            f"table.columns=[{','.join(METRICS)}]",
            f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / 'run'}",
        ]
    )  # fmt: skip
    return folder / "run"


@pytest.mark.blackbox
def test_influences_have_a_line_per_item_and_row_and_null_outside_the_bin(run: Path) -> None:
    frame, records = pandas.read_parquet(run / INFLUENCES), pandas.read_parquet(run / "records.parquet")
    assert frame["item"].tolist() == records["item"].tolist()
    assert frame["row"].tolist() == records["row"].tolist()
    assert frame["source"].tolist() == records["source"].tolist()
    columns = [f"influence.{metric}" for metric in METRICS]
    assert set(frame.columns) - {"item", "row", "source"} == {*columns, "change.fid", "change.fid_20_40"}
    inside = (records["mask_area"] >= 0.2) & (records["mask_area"] < 0.4)
    assert 4 <= inside.sum() < len(records)
    assert (frame["influence.fid_20_40"].notna() == inside).all()
    assert frame["influence.fid"].notna().all()


@pytest.mark.reference
@pytest.mark.parametrize("metric", METRICS)
def test_differences_equal_those_of_the_features(run: Path, metric: str) -> None:
    found = read_influences(run)
    assert found is not None
    values = {
        row["method"]: row["metrics"][metric]["value"] for row in json.loads((run / "results.json").read_text())["rows"]
    }
    kept = {row: found[row, metric] for row in ROWS}
    estimates = [Estimate(values[row], kept[row].values, kept[row].change) for row in reversed(ROWS)]
    paired = paired_difference(*estimates, kept[ROWS[0]].sources)
    expected = read_summary(run, bins=[(20, 40)]).difference("base_mask", "stablediffusion", metric)
    assert not isinstance(expected, NotAvailable)
    assert not isinstance(paired, NotAvailable)
    assert paired.value == pytest.approx(expected.value, rel=1e-12)
    assert paired.stderr == pytest.approx(expected.stderr, rel=1e-5)  # influences are kept in float32


@pytest.mark.blackbox
def test_the_gate_reads_every_headline_number_with_influences(run: Path) -> None:
    side = read_side(run)
    assert not side.problems
    numbers = side.tables["table2_inpaint_imagenet"].numbers
    assert set(numbers) == {(row, metric) for row in ROWS for metric in METRICS}
    assert all(number.influence is not None for number in numbers.values())


@pytest.mark.blackbox
def test_missing_influences_give_none_and_damaged_ones_are_refused(run: Path, tmp_path: Path) -> None:
    assert read_influences(tmp_path) is None
    (tmp_path / INFLUENCES).write_bytes((run / INFLUENCES).read_bytes()[:-100])
    with pytest.raises(BadInputError, match=r"influences\.parquet: expected influences of a run's items, found"):
        read_influences(tmp_path)
