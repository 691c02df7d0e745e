"""The typed table: the paper's numbers as printed, and what cannot become a table refused beforehand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.config import Row, TableSpec, compose_config, typed
from bench.errors import BadInputError
from bench.metrics.summary import Measurement
from bench.tables.build import METRICS, Table, build_table, check_table

SPEC = TableSpec(2, "Inpainting", ["fid", "lpips", "pre_error"])
ROWS = {
    "vanilla": Row("StableDiffusion", {}, published="StableDiffusion", reference=True),
    "large": Row("Ours (large) w/ mask", {}, published="Ours (large) w/ mask"),
    "pasted": Row("Pasted back", {}),
}


def build(spec: TableSpec = SPEC, rows: dict[str, Row] = ROWS) -> Table:
    return build_table(
        spec,
        rows,
        {name: {"fid": Measurement(float(place), 0.5, 10, 10)} for place, name in enumerate(rows)},
        profile="mini",
        features="small",
        training=dict.fromkeys(rows, "10 steps"),
        notes=["one", "two"],
    )


def test_published_numbers_are_the_papers() -> None:
    table = build()
    vanilla, large, pasted = table.rows
    assert vanilla.published == {"fid": 9.57, "lpips": 0.255, "pre_error": 1082.8}
    assert large.published == {"fid": 7.55, "lpips": 0.136, "pre_error": 2.6}
    assert pasted.published == {}
    assert [line.in_paper for line in table.rows] == [True, True, False]


def test_the_shipped_table_has_every_row_of_the_papers() -> None:
    config, _ = typed(compose_config(["experiment=table2_inpaint_imagenet"]))
    assert config.table is not None
    check_table(config.table, config.rows)
    table = build(config.table, config.rows)
    fids = [line.published["fid"] for line in table.rows if line.in_paper]
    assert fids == [9.57, 7.60, 9.48, 7.55, 9.17]
    assert table.number == 2


def test_rows_keep_their_order_and_their_measurements() -> None:
    table = build()
    assert [line.key for line in table.rows] == ["vanilla", "large", "pasted"]
    assert [line.label for line in table.rows] == ["StableDiffusion", "Ours (large) w/ mask", "Pasted back"]
    assert [line.measured["fid"].value for line in table.rows] == [0, 1, 2]
    assert table.notes == ("one", "two")


def test_columns_name_the_feature_network_and_the_unit() -> None:
    titles = [column.title for column in build().columns]
    assert titles == ["FID (small features)", "LPIPS (small features)", "Pre_error [1e-5]"]
    assert [column.metric for column in build().columns] == SPEC.columns


@pytest.mark.parametrize(
    ("spec", "rows", "words"),
    [
        (SPEC, {}, ["row:", "at least one"]),
        (TableSpec(2, "t", ["fid", "beauty"]), ROWS, ["table.columns:", "beauty", *METRICS]),
        (SPEC, {"x": Row("X", {}, published="Ours (huge)")}, ["rows.x.published:", "Ours (huge)", "Ours (base) w/o"]),
        (TableSpec(99, "t", ["fid"]), ROWS, ["rows.vanilla.published:", "StableDiffusion"]),
    ],
)
def test_what_cannot_become_a_table_is_refused(spec: TableSpec, rows: dict[str, Row], words: list[str]) -> None:
    with pytest.raises(BadInputError) as caught:
        check_table(spec, rows)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_table_that_is_not_in_the_paper_can_be_built() -> None:
    spec, rows = TableSpec(99, "t", ["fid"]), {"a": Row("A", {})}
    check_table(spec, rows)
    assert build(spec, rows).rows[0].published == {}


def test_tables_load_no_torch(tmp_path: Path) -> None:
    code = "import sys, bench.tables.build, bench.tables.render; print(*(name for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "bench.tables.render" in loaded
    assert not {"torch", "torchvision", "diffusers", "transformers"} & loaded
