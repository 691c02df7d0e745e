"""Tests of repeated edits on the mini profile's weights: few items, few steps, and three turns."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

import bench
from bench.cli import main
from bench.errors import BadInputError

ITEMS = 4
ROWS = ["stablediffusion", "base_mask", "large_mask", "paste_back"]


def words(name: str, folder: Path, out: str, *extra: str) -> list[str]:
    few = [f"limit={ITEMS}", "generator.steps=2", "device=cpu", f"row=[{','.join(ROWS)}]", "controls=[]"]
    places = [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / out}"]
    return [f"experiment={name}", *few, *places, *extra]


def turns(folder: Path, out: str, *extra: str) -> list[str]:
    return words("turns", folder, out, "turns=3", *extra)


def read(path: Path) -> dict:  # type: ignore[type-arg]
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def records(folder: Path) -> pandas.DataFrame:
    return pandas.read_parquet(folder / "records.parquet").set_index(["row", "item"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `turns`, a run of three turns, and `table`, Table 2 on the same items in another store."""
    folder = tmp_path_factory.mktemp("turns")
    assert main(turns(folder, "turns")) == 0
    bench.run(
        words("table2_inpaint_imagenet", folder, "table", "stage=tabulate", f"paths.store={folder / 'other_store'}")
    )
    return folder


@pytest.mark.reference
@pytest.mark.slow
def test_turn_1_equals_the_table_of_one_turn_in_values_and_protocols(folder: Path) -> None:
    table = {row["method"]: row["metrics"] for row in read(folder / "table" / "results.json")["rows"]}
    results = read(folder / "turns" / "results.json")
    assert results["manifest"] == read(folder / "table" / "results.json")["manifest"]
    assert [row["method"] for row in results["rows"]] == ROWS
    for row in results["rows"]:
        for metric, expected in table[row["method"]].items():
            found = row["metrics"][metric]
            for key in ("value", "stderr", "ci95", "n", "protocol"):
                assert found[key] == expected[key], (row["method"], metric, key)
    ours, theirs = records(folder / "turns"), records(folder / "table")
    assert ours[list(theirs)].equals(theirs)


@pytest.mark.blackbox
@pytest.mark.slow
def test_pasting_back_under_a_fixed_mask_stays_exact_in_every_turn(folder: Path) -> None:
    found = records(folder / "turns").loc["paste_back"]
    for turn in ("", "_turn_2", "_turn_3"):
        assert (found[f"pre_error{turn}"] == 0).all()
        assert (found[f"known_values{turn}"] == found["known_values"]).all()
    life = read(folder / "turns" / "table.json")["half_lives"]["paste_back"]
    assert life == {"turns": None, "reason": "the known region is exact in every turn"}


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_known_region_of_the_vanilla_decoder_decays(folder: Path) -> None:
    found = records(folder / "turns").loc["stablediffusion"]
    assert (found["pre_error_turn_2"] > found["pre_error"]).all()
    assert (found["pre_error_turn_3"] > found["pre_error_turn_2"]).all()


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_run_leaves_its_files_and_lines_for_each_row_metric_and_turn(folder: Path) -> None:
    names = {path.relative_to(folder / "turns").as_posix() for path in (folder / "turns").rglob("*") if path.is_file()}
    assert {f"table.{suffix}" for suffix in ("md", "csv", "tex", "html", "json")} < names
    assert {"results.json", "run.json", "report.html", "figures/turns.png", "figures/pictures.png"} < names
    table = pandas.read_csv(folder / "turns" / "table.csv")
    shown = ["pre_error", "ssim_known", "lpips", "psnr", "ssim", "pre_error_rounded", "border_excess"]
    assert set(map(tuple, table[["row", "metric", "turn"]].to_numpy())) == {
        (row, metric, turn) for row in ROWS for metric in shown for turn in (1, 2, 3)
    }
    results = {row["method"]: row["metrics"] for row in read(folder / "turns" / "results.json")["rows"]}
    line = table.set_index(["row", "metric", "turn"]).loc[("large_mask", "pre_error", 3)]
    assert line["value"] == results["large_mask"]["pre_error_turn_3"]["value"]
    apart = results["large_mask"]["pre_error_turn_3"]["value"] - results["stablediffusion"]["pre_error_turn_3"]["value"]
    assert line["difference"] == pytest.approx(apart, rel=1e-9)
    page = (folder / "turns" / "report.html").read_text()
    assert "Half-life of the known region" in page
    assert "Each metric by turn" in page


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_protocol_of_a_turn_names_its_number_its_masks_and_its_input(folder: Path) -> None:
    results = read(folder / "turns" / "results.json")
    entry = results["rows"][0]["metrics"]["pre_error_turn_3"]
    turn = results["protocols"][entry["protocol"]]["turn"]
    assert turn["number"] == 3
    assert turn["masks"] == "the item's own in every turn"
    assert turn["input"] == "the row's own image of the turn before, truncated to 8 bits"
    stamps = {name: cell["protocol"] for name, cell in results["rows"][0]["metrics"].items()}
    assert len({stamps["pre_error"], stamps["pre_error_turn_2"], stamps["pre_error_turn_3"]}) == 3
    assert "turn" not in results["protocols"][stamps["pre_error"]]


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_gate_compares_a_run_with_itself(folder: Path) -> None:
    from bench.gate.read_run import read_side

    side = read_side(folder / "turns")
    assert not side.problems
    assert ("large_mask", "pre_error_turn_3") in side.tables["turns"].numbers


@pytest.mark.blackbox
@pytest.mark.slow
def test_fewer_turns_measure_nothing_again_and_another_batch_size_changes_rounding_only(folder: Path) -> None:
    def stored() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.safetensors")}

    before = stored()
    bench.run(words("turns", folder, "fewer", "turns=2", "batch_size=3", "stage=tabulate"))
    assert stored() == before
    bench.run(words("turns", folder, "one", "turns=1", "stage=tabulate"))
    assert read(folder / "one" / "table.json")["half_lives"]["large_mask"]["reason"] == "one turn shows no change"
    assert stored() == before


@pytest.mark.blackbox
@pytest.mark.slow
def test_another_batch_size_gives_nearly_the_same_numbers(folder: Path) -> None:
    bench.run(turns(folder, "small", "batch_size=1", f"paths.store={folder / 'small_store'}", "stage=tabulate"))
    ours, theirs = (pandas.read_csv(folder / name / "table.csv") for name in ("small", "turns"))
    assert ours[["row", "metric", "turn"]].equals(theirs[["row", "metric", "turn"]])
    chosen = theirs["metric"].isin(["pre_error", "ssim_known", "lpips", "psnr"])
    # A grey level that rounds otherwise is an input of the next turn, so the errors of rounding add up over the turns.
    assert np.allclose(ours["value"][chosen], theirs["value"][chosen], rtol=5e-3, atol=1e-12)


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_run_without_some_of_its_results_makes_them_again_alike(folder: Path, tmp_path: Path) -> None:
    """An interruption leaves a store that lacks the results of a part of the turns."""
    import shutil

    shutil.copytree(folder / "store", tmp_path / "store")
    kept = sorted((tmp_path / "store").rglob("*.safetensors"))
    for place, path in enumerate(kept):
        if place % 3 == 0 and path.parent.parent.name in ("latents", "edits", "scores"):
            path.unlink()
    bench.run(turns(folder, "again", f"paths.store={tmp_path / 'store'}", "stage=tabulate"))
    for name in ("records.parquet", "results.json", "table.csv"):
        assert (folder / "again" / name).read_bytes() == (folder / "turns" / name).read_bytes()


@pytest.mark.blackbox
@pytest.mark.slow
def test_moving_masks_share_turn_1_and_shrink_the_known_region_for_all_rows_alike(folder: Path) -> None:
    bench.run(turns(folder, "moving", "masks=moving", "stage=tabulate"))
    fixed, moving = records(folder / "turns"), records(folder / "moving")
    for metric in ("pre_error", "lpips", "known_values"):
        assert moving[metric].equals(fixed[metric])
    assert (moving["known_values_turn_2"] <= moving["known_values"]).all()
    assert (moving["known_values_turn_3"] < moving["known_values"]).any()
    for metric in ("known_values", "known_values_turn_2", "known_values_turn_3"):
        by_item = moving[metric].groupby("item").nunique()
        assert (by_item == 1).all()
    pasted = moving.loc["paste_back"]
    assert (pasted["pre_error_turn_3"].dropna() == 0).all()
    results = read(folder / "moving" / "results.json")
    turn = results["protocols"][results["rows"][0]["metrics"]["lpips_turn_2"]["protocol"]]["turn"]
    assert "thick_512@64" in turn["masks"]


@pytest.mark.blackbox
@pytest.mark.slow
def test_round_trips_without_diffusion_and_another_way_to_save_have_numbers_of_their_own(folder: Path) -> None:
    more = ["generator=reconstruction", "stage=tabulate"]
    plain = [word for word in turns(folder, "trips") if not word.startswith("generator.steps")]
    bench.run([*plain, *more])
    rounded = [word for word in turns(folder, "rounded") if not word.startswith("generator.steps")]
    bench.run([*rounded, *more, "saved=round"])
    trips, saved = records(folder / "trips"), records(folder / "rounded")
    assert trips["pre_error"].equals(saved["pre_error"])
    assert not trips["pre_error_turn_2"].equals(saved["pre_error_turn_2"])
    assert (trips.loc["paste_back"]["pre_error_turn_3"] == 0).all()
    assert (trips.loc["stablediffusion"]["pre_error_turn_3"] > trips.loc["stablediffusion"]["pre_error"]).all()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("turns=0", ["turns: expected 1 or more, found 0"]),
        ("turns=-3", ["turns: expected 1 or more, found -3"]),
        ("turns=two", ["turns: expected a whole number, found two"]),
        ("turns=1.5", ["turns: expected a whole number, found 1.5"]),
        ("turns=null", ["turns: expected a value"]),
        ("masks=movin", ["masks: expected one of fixed, moving, found movin"]),
        ("saved=webp", ["saved: expected one of truncate, round, jpeg95, found webp"]),
        ("table.task=generation", ["table.task: expected a task with known pixels"]),
    ],
)
def test_bad_input_ends_with_status_2_and_one_message(
    word: str, said: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words("turns", tmp_path, "out", word)) == 2
    message = capfd.readouterr().err
    assert "Traceback" not in message
    assert all(part in message for part in said), message
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.blackbox
@pytest.mark.slow
def test_rows_with_finished_images_are_refused(folder: Path) -> None:
    images = folder / "images"
    bench.run(words("table2_inpaint_imagenet", folder, "saved", "stage=report", "save_images=true"))
    with pytest.raises(BadInputError, match="a row that can edit its own images again"):
        bench.run(
            turns(
                folder, "refused", "baseline=predictions", f"baseline.root={folder / 'saved' / 'images' / 'base_mask'}"
            )
        )
    assert not images.exists()
