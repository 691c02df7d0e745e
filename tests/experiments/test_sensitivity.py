"""Tests of a run of the sensitivity on shipped weights and few items, beside the table that it varies."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import bench
from bench.cli import main
from bench.data.mini.places import write_places
from benchmarks.random_weights import backbone_weights, inception_weights

ITEMS = 10
ROWS = ["stablediffusion", "large_mask"]
MINI = Path(bench.__file__).parent / "assets" / "mini"


def words(name: str, folder: Path, out: str, *extra: str) -> list[str]:
    few = [f"limit={ITEMS}", "generator.steps=2", "device=cpu", "profile.fid_minimum=4", f"row=[{','.join(ROWS)}]"]
    if name == "sensitivity" and "profile=paper" not in extra:  # the other split is not to be larger than the run
        few.append(f"profile.datasets.places_other.pictures={ITEMS}")
    places = [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / out}"]
    return [f"experiment={name}", *few, *places, *extra]


def read(path: Path) -> dict:  # type: ignore[type-arg]
    return json.loads(path.read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `plain`, the table's run, and `first`, the sensitivity's run in the same store."""
    folder = tmp_path_factory.mktemp("sensitivity")
    bench.run(words("table1_inpaint_places", folder, "plain", "controls=[]", "stage=tabulate"))
    bench.run(words("sensitivity", folder, "first"))
    return folder


def values(folder: Path) -> pandas.DataFrame:
    return pandas.read_csv(folder / "first" / "table.csv", keep_default_na=False, na_values=[""]).fillna({"choice": ""})


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_first_line_equals_the_table_in_values_and_protocol(folder: Path) -> None:
    plain = {row["method"]: row["metrics"] for row in read(folder / "plain" / "results.json")["rows"]}
    results = read(folder / "first" / "results.json")
    assert results["manifest"] == read(folder / "plain" / "results.json")["manifest"]
    own = [row for row in results["rows"] if row["choice"] is None]
    assert [row["method"] for row in own] == ROWS
    for row in own:
        assert list(row["metrics"]) == ["fid", "fid_40_50", "lpips", "lpips_40_50", "pre_error", "psnr", "ssim"]
        for metric, found in row["metrics"].items():
            expected = plain[row["method"]][metric]
            for key in ("value", "stderr", "n", "protocol"):
                assert found[key] == expected[key], (metric, key)


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_sensitivity_writes_the_usual_files_and_samples_nothing_again(folder: Path) -> None:
    names = {"table.md", "table.csv", "table.tex", "table.html", "results.json", "records.parquet", "run.json"}
    names |= {"manifest.json", "report.html", ".started.json"}
    assert names == {path.name for path in (folder / "first").iterdir()}
    run = read(folder / "first" / "run.json")
    assert run["latents"] == {"sampled": 0, "stored": ITEMS}
    assert run["status"] == "complete"


@pytest.mark.blackbox
@pytest.mark.slow
def test_every_choice_changes_only_the_metrics_that_it_names(folder: Path) -> None:
    table = values(folder)
    assert set(table["metric"][table["choice"] == "resize_clean"]) == {"fid", "fid_40_50"}
    assert set(table["metric"][table["choice"] == "loss_network"]) == {"lpips", "lpips_40_50"}
    assert set(table["metric"][table["choice"] == "bins_online"]) == {"fid_40_50", "lpips_40_50"}
    assert set(table["metric"][table["choice"] == "jpeg95"]) == set(table["metric"][table["choice"] == ""])
    for row in ROWS:
        found = table[table["row"] == row].set_index(["choice", "metric"])
        for choice in ("round", "jpeg95", "loss_network"):
            assert found.loc[(choice, "lpips"), "difference"] != 0
            move = found.loc[(choice, "lpips"), "value"] - found.loc[("", "lpips"), "value"]
            assert found.loc[(choice, "lpips"), "difference"] == pytest.approx(move, rel=1e-9, abs=1e-12)
        assert found.loc[("jpeg95", "pre_error"), "difference"] > 0
        move = found.loc[("resize_clean", "fid"), "value"] - found.loc[("resize_lama", "fid"), "value"]
        assert found.loc[("resize_clean", "fid"), "difference"] == pytest.approx(move, rel=1e-9, abs=1e-12)
    stamps = {
        (row["choice"], metric): entry["protocol"]
        for row in read(folder / "first" / "results.json")["rows"]
        for metric, entry in row["metrics"].items()
    }
    of_fid = [stamp for (_, metric), stamp in stamps.items() if metric == "fid_40_50"]
    assert len(set(of_fid)) == len(of_fid) == 11


@pytest.mark.reference
@pytest.mark.slow
def test_rounding_lowers_the_best_decoders_error_by_the_theoretical_amount(folder: Path) -> None:
    """The error falls by 1/12 to 1/2 squared level: from 1/3 to 1/12, or from 1/2 to 0."""
    found = values(folder).set_index(["row", "choice", "metric"])
    gain = -found.loc[("large_mask", "round", "pre_error"), "difference"] * 255**2
    assert 1 / 12 < gain < 1 / 2
    records = pandas.read_parquet(folder / "first" / "records.parquet")
    assert np.array_equal(records["pre_error_saved_round"], records["pre_error_rounded"], equal_nan=True)


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_second_run_scores_nothing_and_gives_equal_results(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "store" / "scores").rglob("*.safetensors")}
    assert main(words("sensitivity", folder, "again", "batch_size=3")) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "store" / "scores").rglob("*.safetensors")} == before
    for name in ("results.json", "records.parquet", "table.csv", "table.md"):
        assert (folder / "again" / name).read_bytes() == (folder / "first" / name).read_bytes()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("metrics.choices.round.saved=webp", ["metrics.choices.round.saved", "truncate, round, jpeg95", "webp"]),
        ("metrics.choices.bins_online.bins=left", ["metrics.choices.bins_online.bins", "offline, online", "left"]),
        ("metrics.choices.bins_online.bins=null", ["metrics.choices.bins_online", "saved, metrics, bins, items"]),
        ("metrics.choices.half.items=1.5", ["metrics.choices.half.items", "below 1", "1.5"]),
        ("metrics.choices.uncropped.reference.fit=lama", ["uncropped.reference.fit", "squash, crop", "lama"]),
        ("metrics.choices.bilinear.reference.filter=near", ["bilinear.reference.filter", "bicubic", "near"]),
        ("metrics.choices.resize_clean.measures=[other]", ["resize_clean.measures", "resized_lama", "other"]),
        ("metrics.choices.resize_clean.against=other", ["metrics.choices.resize_clean.against", "jpeg95", "other"]),
        ("metrics.choices.resize_clean.metrics={fidd: fid_clean}", ["metrics.choices.resize_clean.metrics", "fidd"]),
        ("+metrics.choices.round.quality=3", ["metrics.choices.round.quality", "saved, metrics"]),
        ("metrics=paper", ["profile.features.lama"]),
        ("metrics.measures.resized_clean.measure.side=0", ["resized_clean.measure", "side", "found 0"]),
        ("table.task=painting", ["table.task", "inpainting", "painting"]),
        ("table.columns=[fidd]", ["table.columns", "fidd"]),
    ],
)  # fmt: skip
def test_an_invalid_choice_ends_with_status_2_and_one_message(
    word: str, said: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*words("sensitivity", tmp_path, "out", word), "stage=check"]) == 2
    message = capfd.readouterr().err
    assert "Traceback" not in message
    assert all(part in message for part in said), message


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_choices_of_the_paper_profile_run_with_random_weights(tmp_path: Path) -> None:
    """The paper profile is run at small sizes, and only the metrics that a choice names differ."""
    for name, weights in (
        ("inception", inception_weights()), ("vgg", backbone_weights("vgg")), ("alex", backbone_weights("alex")),
    ):  # fmt: skip
        torch.save(weights, tmp_path / f"{name}.pth")
    files = {"lama": "inception", "vgg": "vgg", "alexnet": "alex"}
    paper = [
        "profile=paper", "profile.resolution=64", "profile.masks=thick_512@64",
        "profile.datasets.places_list=test_list.txt",
        f"profile.datasets.places={write_places(tmp_path / 'data', 'val', pictures=12)}",
        f"profile.pipeline={MINI}/inpainting", f"profile.decoders.vanilla={MINI}/inpainting/vae",
        f"profile.decoders.large={MINI}/large",
        *(f"profile.features.{key}={tmp_path / f'{name}.pth'}" for key, name in files.items()),
    ]  # fmt: skip
    results = bench.run(words("sensitivity", tmp_path, "out", *paper))
    assert results.table is not None
    found = results.table[results.table["row"] == "large_mask"].set_index(["choice", "metric"])
    assert found["value"].loc[:, "fid"].index.tolist() == [
        "",
        "round",
        "jpeg95",
        "resize_torchfidelity",
        "resize_clean",
        "uncropped",
        "bilinear",
        "half",
    ]
    assert found.loc[("alexnet", "lpips"), "difference"] != 0
    for choice in ("round", "jpeg95", "resize_torchfidelity", "resize_clean"):
        assert np.isfinite(found.loc[(choice, "fid"), "value"])
        assert found.loc[(choice, "fid"), "difference"] != 0


@pytest.fixture(scope="module")
def cropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study of Stability's protocol with few pictures, which are not square."""
    folder = tmp_path_factory.mktemp("cropped")
    count = 12
    bench.run(
        [
            "experiment=sensitivity", "protocol=stability", "generator=reconstruction", "row=[stablediffusion]",
            "table.columns=[fid,lpips]", "table.beside=[]", "device=cpu", "profile.fid_minimum=4", "stage=tabulate",
            f"profile.datasets.coco2017.images={count}", f"profile.datasets.coco2017_other.images={count}",
            f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / 'out'}",
        ]
    )  # fmt: skip
    return folder / "out"


@pytest.mark.blackbox
@pytest.mark.slow
def test_another_reference_and_another_number_move_fid_and_nothing_else(cropped: Path) -> None:
    table = pandas.read_csv(cropped / "table.csv", keep_default_na=False, na_values=[""]).set_index(
        ["choice", "metric"]
    )
    for choice in ("other_split", "uncropped", "bilinear"):
        assert table.loc[(choice, "fid"), "difference"] != 0
        assert (choice, "lpips") not in table.index
    assert table.loc[("half", "fid"), "n"] == table.loc[("half", "lpips"), "n"] == 6
    assert table.loc[("half", "fid"), "difference"] != 0
    rows = {row["choice"]: row["metrics"]["fid"]["protocol"] for row in read(cropped / "results.json")["rows"]
            if "fid" in row["metrics"]}  # fmt: skip
    assert len(set(rows.values())) == len(rows)  # none of these numbers is comparable with another


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_study_states_the_protocol_and_that_it_is_changed(cropped: Path) -> None:
    protocol = read(cropped / "results.json")["protocol"]
    assert protocol["declared"] == "stability"
    assert protocol["changed"] == ["items: 12 instead of 640"]
    note = (
        "- Protocol stability, changed (items: 12 instead of 640) (Stability's cards): dataset COCO 2017, in miniature;"
    )
    assert note in (cropped / "table.md").read_text()


@pytest.mark.blackbox
@pytest.mark.slow
def test_square_pictures_are_not_changed_by_squashing_and_the_table_says_so(folder: Path) -> None:
    found = values(folder).set_index(["row", "choice", "metric"])
    for row in ROWS:
        assert found.loc[(row, "uncropped", "fid"), "difference"] == 0
        assert found.loc[(row, "other_split", "fid"), "difference"] != 0
        assert found.loc[(row, "bilinear", "fid"), "difference"] != 0
    assert "no change" in (folder / "first" / "table.md").read_text()


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_reference_set_without_a_difference_is_left_out_with_a_note(folder: Path) -> None:
    words_without = ["dataset.other_split=null", "stage=tabulate", "table.columns=[fid]", "table.beside=[]"]
    bench.run([word for word in words("sensitivity", folder, "without", *words_without) if "places_other" not in word])
    text = (folder / "without" / "table.md").read_text()
    assert "“reference from another split” is not measured" in text
    assert "other_split" not in {row["choice"] for row in read(folder / "without" / "results.json")["rows"]}
