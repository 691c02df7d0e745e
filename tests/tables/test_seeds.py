"""Tests of the study of training seeds: its values, reasons for missing ones, and the rows that it covers."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.config.compose import compose_config, typed
from bench.errors import BadInputError
from bench.runtime.not_available import NotAvailable
from bench.tables.seeds import (
    CARD,
    SEEDS,
    RowSeeds,
    SeedStudy,
    TableSeeds,
    Training,
    trained_decoders,
)
from tests.helpers.imports import HEAVY, loaded_with
from tests.tables.listed import TABLES

pytestmark = pytest.mark.blackbox

WEIGHTS = {"base/w.safetensors": "sha of base"}
DECODERS = {"base_mask": "base", "large_mask": "large"}


def training(seed: int, **metrics: float) -> Training:
    return Training(seed, f"weights of seed {seed}", "a" * 40, False, metrics)


def table(**rows: RowSeeds) -> TableSeeds:
    return TableSeeds("table2_inpaint_imagenet", "manifest", 0, {"fid": "p", "fid_40_50": "q"}, WEIGHTS, rows)


BASE = RowSeeds("base", (training(0, fid=7.5, fid_40_50=9.0), training(1, fid=7.7), training(2, fid=7.1)))
STUDY = SeedStudy({2: table(base_mask=BASE, large_mask=RowSeeds("large", (training(0, fid=7.0),)))}, {"base": 28})


def values(study: SeedStudy, row: str = "base_mask", metric: str = "fid", **changes: str | None) -> object:
    asked = {"manifest": "manifest", "protocol": {"fid": "p", "fid_40_50": "q"}[metric], **changes}
    return study.values(2, row, metric, **asked)  # type: ignore[arg-type]


def test_values_are_sorted_by_training_seed_with_the_shipped_one_first() -> None:
    assert values(STUDY) == {0: 7.5, 1: 7.7, 2: 7.1}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"row": "large_mask"}, "the decoder of large_mask was not trained with another seed"),
        ({"row": "stablediffusion"}, "the decoder of stablediffusion was not trained with another seed"),
        ({"manifest": "another"}, "and this run has manifest another"),
        ({"protocol": "another"}, "another protocol of fid"),
        ({"protocol": None}, "another protocol of fid"),
        ({"metric": "fid_40_50"}, "fid_40_50 has no value for every training of base_mask"),
    ],
)
def test_missing_values_are_reported_with_a_reason(asked: dict[str, str | None], reason: str) -> None:
    found = values(STUDY, **asked)  # type: ignore[arg-type]
    assert isinstance(found, NotAvailable)
    assert reason in found.reason


def test_another_table_and_an_empty_study_have_no_values() -> None:
    for study in (SeedStudy(), STUDY):
        found = study.values(3, "base_mask", "fid", manifest="manifest", protocol="p")
        assert found == NotAvailable("no decoder with another training seed was measured in Table 3")


def test_changed_shipped_weights_invalidate_the_study() -> None:
    assert values(replace(STUDY, shipped=WEIGHTS)) == {0: 7.5, 1: 7.7, 2: 7.1}
    found = values(replace(STUDY, shipped={"base/w.safetensors": "another sha"}))
    assert found == NotAvailable(
        "the values over training seeds were measured with other weights of base/w.safetensors"
    )


def test_a_row_without_a_trained_decoder_has_no_design() -> None:
    run = STUDY.of_run(2, manifest="manifest", protocols={"fid": "p"}, decoders=DECODERS)
    assert [run.design(row) for row in ("base_mask", "large_mask", "stablediffusion")] == ["base", "large", None]
    assert run.values("base_mask", "fid") == {0: 7.5, 1: 7.7, 2: 7.1}
    assert isinstance(run.values("base_mask", "lpips"), NotAvailable)
    assert [run.recipes_tried(row) for row in ("base_mask", "large_mask", "stablediffusion")] == [28, None, None]


def test_a_run_with_other_images_has_no_values_of_the_study() -> None:
    run = STUDY.of_run(
        2, manifest="manifest", protocols={"fid": "p"}, decoders=DECODERS, altered=["generator.steps=4", "seed=3"]
    )
    assert run.values("base_mask", "fid") == NotAvailable(
        "this run has generator.steps=4, seed=3; the values over training seeds were measured without that"
    )


def test_a_training_measured_again_keeps_its_place() -> None:
    row = RowSeeds("base", (training(3),)).with_training(training(2)).with_training(training(1))
    row = row.with_training(replace(training(2), weights="new"))
    assert [one.seed for one in row.trainings] == [3, 1, 2]
    assert row.has(2, "new")
    assert not row.has(2, "weights of seed 2")


@pytest.mark.parametrize(
    "change",
    [{"manifest": "another"}, {"seed": 1}, {"protocols": {"fid": "another"}}, {"weights": {}}],
)
def test_tables_measured_differently_are_distinguished(change: dict[str, object]) -> None:
    assert table(base_mask=BASE).measured_as(table(base_mask=BASE))
    assert not table(base_mask=BASE).measured_as(replace(table(base_mask=BASE), **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("factor", "same"), [(1 + 1e-9, True), (1 + 1e-4, False)])
def test_other_latents_are_detected_in_the_shipped_values(factor: float, same: bool) -> None:
    moved = table(base_mask=RowSeeds("base", (training(0, fid=7.5 * factor, fid_40_50=9.0),)))
    assert table(base_mask=BASE).measured_as(moved) is same


def test_a_file_gives_the_study_that_was_written(tmp_path: Path) -> None:
    (tmp_path / SEEDS).write_text(json.dumps(STUDY.as_json()))
    (tmp_path / CARD).write_text(json.dumps({"recipes_tried": {"base": 28}, "sha256": WEIGHTS}))
    assert SeedStudy.read(tmp_path) == replace(STUDY, shipped=WEIGHTS)


def test_without_files_the_study_is_empty(tmp_path: Path) -> None:
    assert SeedStudy.read(tmp_path) == SeedStudy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "expected JSON"),
        ("[]", "expected a JSON object, found a list"),
        ('{"schema_version": 7}', "expected schema_version 1, found 7"),
        ('{"schema_version": 1, "tables": {"2": {}}}', "expected a study of training seeds, found an error: KeyError"),
        ('{"schema_version": 1, "tables": {"x": {"rows": {}}}}', "expected a study of training seeds"),
        (
            '{"schema_version": 1, "tables": {"2": {"rows": {"a": {"decoder": "b", "trainings": []}}}}}',
            "of trainings is",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / SEEDS).write_text(text)
    with pytest.raises(BadInputError, match=f"{SEEDS}: .*{message}"):
        SeedStudy.read(tmp_path)


def test_trained_decoders_are_found_in_the_rows_that_use_one() -> None:
    config, resolved = typed(compose_config(["experiment=table2_inpaint_imagenet"]))
    found = trained_decoders(resolved["rows"], config.profile.decoders)
    assert found == {
        "base_mask": "base",
        "base_nomask": "base",
        "large_mask": "large",
        "large_nomask": "large",
        "vanilla_finetuned": "vanilla_finetuned",
        "encoded_base_mask": "base",
        "encoded_base_nomask": "base",
        "encoded_large_mask": "large",
        "encoded_large_nomask": "large",
    }


def test_nested_and_unnamed_decoders_are_trained_decoders_too() -> None:
    rows = {
        "pasted": {"method": {"of": {"decoder": {"path": "/base"}}}},
        "own": {"method": {"decoder": {"path": "/own"}}},
        "vanilla": {"method": {"decoder": {"path": "/vae"}}},
        "published": {"method": None},
    }
    assert trained_decoders(rows, {"vanilla": "/vae", "base": "/base"}) == {"pasted": "base", "own": "/own"}


def test_every_table_that_measures_is_in_the_experiment() -> None:
    names = compose_config(["experiment=seeds"]).experiments
    assert [int(re.findall("[0-9]+", name)[0]) for name in names] == list(TABLES)


def test_the_reader_does_not_import_torch(tmp_path: Path) -> None:
    assert not HEAVY & loaded_with("bench.tables.seeds, bench.training.mini.card", tmp_path)
