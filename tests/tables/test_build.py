"""Tests of the typed table: the printed numbers of the paper, and settings that are refused."""

import re
from pathlib import Path

import pytest
import yaml

import bench
import bench.tables.build
from bench.config.compose import compose_config, experiments, typed
from bench.config.schema import Row, TableSpec
from bench.errors import BadInputError
from bench.metrics.summary import Measurement
from bench.tables.build import METRICS, Table, TableDesign, build_table, check_table
from bench.tables.headline import RELEASED, in_reading
from tests.helpers.imports import HEAVY, loaded_with

SPEC = TableSpec(2, "Inpainting", ["fid", "lpips", "pre_error"], readings=["pre_sse01"])
ROWS = {
    "vanilla": Row("StableDiffusion", {}, published={2: "StableDiffusion"}),
    "large": Row("Ours (large) w/ mask", {}, published={2: "Ours (large) w/ mask"}),
    "pasted": Row("Pasted back", {}),
}


def build(spec: TableSpec = SPEC, rows: dict[str, Row] = ROWS) -> Table:
    return build_table(
        TableDesign(spec, rows, profile="mini", features="small"),
        {name: {"fid": Measurement(float(place), 0.5, 10, 10)} for place, name in enumerate(rows)},
        training=dict.fromkeys(rows, "10 steps"),
        notes=["one", "two"],
    )


@pytest.mark.golden
def test_published_numbers_equal_those_of_the_paper() -> None:
    table = build()
    vanilla, large, pasted = table.rows
    assert vanilla.published == {"fid": 9.57, "lpips": 0.255, "pre_sse01": 1082.8}
    assert large.published == {"fid": 7.55, "lpips": 0.136, "pre_sse01": 2.6}
    assert pasted.published == {}
    assert [line.in_paper for line in table.rows] == [True, True, False]


PRINTED = yaml.safe_load(Path(bench.tables.build.__file__).with_name("published.yaml").read_text())
SHIPPED = {
    int(match[1]): name for name in experiments() if (match := re.match(r"table(\d+)_", name)) and match[1] not in "78"
}


@pytest.mark.blackbox
def test_every_table_of_numbers_has_its_experiment() -> None:
    assert sorted(SHIPPED) == [1, 2, 3, 4, 5, 6, 9, 10]
    assert {f"table{number}" for number in SHIPPED} == set(PRINTED)


@pytest.mark.blackbox
@pytest.mark.parametrize("number", SHIPPED)
def test_a_shipped_table_has_the_papers_rows_and_columns_in_its_order(number: int) -> None:
    config, _ = typed(compose_config([f"experiment={SHIPPED[number]}"]))
    assert config.table is not None
    check_table(config.table, config.rows)
    table, printed = build(config.table, config.rows), PRINTED[f"table{number}"]
    rows = [line for line in table.rows if line.in_paper]
    assert table.number == number
    assert [column.metric for column in table.shown if column.published_title] == printed["columns"]
    errors = [column.metric for column in table.shown if column.metric.startswith("pre_")]
    assert errors == (["pre_error", "pre_sse01"] if "pre_sse01" in printed["columns"] else [])
    expected = list(printed["rows"])
    labels = [line.label for line in rows]
    assert labels == expected
    for line in rows:
        values = printed["rows"][line.label]
        there = {name: value for name, value in zip(printed["columns"], values, strict=True) if value is not None}
        assert line.published == there
    assert table.reference in [line.label for line in table.rows]


@pytest.mark.blackbox
def test_rows_keep_their_order_and_their_measurements() -> None:
    table = build()
    assert [line.key for line in table.rows] == ["vanilla", "large", "pasted"]
    assert [line.label for line in table.rows] == ["StableDiffusion", "Ours (large) w/ mask", "Pasted back"]
    assert [line.measured["fid"].value for line in table.rows] == [0, 1, 2]
    assert table.notes == ("one", "two")


@pytest.mark.blackbox
def test_columns_name_the_feature_network_and_the_unit() -> None:
    titles = [column.title for column in build().columns]
    assert titles == ["FID (small features)", "LPIPS (small features)", "Pre_error [1e-5]"]
    assert [column.metric for column in build().columns] == SPEC.columns
    assert [column.title for column in build().readings] == ["sum of squares over known values"]


@pytest.mark.blackbox
def test_the_printed_error_is_shown_only_beside_the_sum() -> None:
    titles = {column.metric: column.published_title for column in build().shown}
    assert titles == {
        "fid": "FID",
        "lpips": "LPIPS",
        "pre_error": "",
        "pre_sse01": "Pre_error (as printed, 1e-5; assumed: a sum of squares)",
    }
    assert build().published_units == {"pre_sse01": "as printed, 1e-5; assumed: a sum of squares"}


@pytest.mark.blackbox
def test_the_printed_error_is_shown_beside_the_released_sum() -> None:
    design = TableDesign(in_reading(SPEC, RELEASED), ROWS, profile="paper", features="small", reading=RELEASED)
    table = build_table(design, {}, training={})
    assert [column.metric for column in table.shown] == ["fid", "lpips", "pre_error_released", "pre_sse01_released"]
    assert [bool(column.published_title) for column in table.shown] == [True, True, False, True]
    assert table.rows[0].published == {"fid": 9.57, "lpips": 0.255, "pre_sse01_released": 1082.8}
    assert list(table.published_units) == ["pre_sse01_released"]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("spec", "rows", "words"),
    [
        (SPEC, {}, ["row:", "at least one"]),
        (TableSpec(2, "t", ["fid", "beauty"]), ROWS, ["table.columns,", "beauty", *METRICS]),
        (TableSpec(2, "t", ["fid"], readings=["pre_sum"]), ROWS, ["table.readings,", "pre_sum", *METRICS]),
        (SPEC, {"x": Row("X", {}, published={2: "Ours (huge)"})}, ["rows.x.published.2:", "(huge)", "Ours (base) w/o"]),
        (TableSpec(99, "t", ["fid"]), {"x": Row("X", {}, published={99: "A"})}, ["rows.x.published.99:", "Table 99"]),
        (SPEC, {"x": Row("X", None, published={2: "StableDiffusion"})}, ["row:", "that is measured"]),
    ],
)
def test_settings_that_cannot_become_a_table_are_refused(
    spec: TableSpec, rows: dict[str, Row], words: list[str]
) -> None:
    with pytest.raises(BadInputError) as caught:
        check_table(spec, rows)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.blackbox
def test_a_table_that_is_not_in_the_paper_can_be_built() -> None:
    spec, rows = TableSpec(99, "t", ["fid"]), {"a": Row("A", {})}
    check_table(spec, rows)
    assert build(spec, rows).rows[0].published == {}


@pytest.mark.blackbox
def test_tables_do_not_import_torch(tmp_path: Path) -> None:
    loaded = loaded_with("bench.tables.build, bench.tables.render", tmp_path)
    assert "bench.tables.render" in loaded
    assert not HEAVY & loaded
