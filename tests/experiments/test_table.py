"""Tests of a run of Table 2 on shipped weights and few items: resuming, sharing, missing values and bad input."""

import gc
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import bench
from bench.cli import main
from bench.config.compose import compose_config, typed
from bench.errors import BadInputError
from bench.evaluation import setup
from bench.experiments import report, table
from bench.generation.method import Batch
from bench.models.decoder import Decoder
from bench.results.influences import write_influences
from bench.store import Store
from tests.helpers.commands import ends_with
from tests.helpers.figures import without_figures
from tests.helpers.files import read_json

pytestmark = pytest.mark.blackbox

ITEMS = 10
FEW = ["experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2", "device=cpu"]
ROWS = ["stablediffusion", "base_mask", "paste_back"]


def few(store: Path, out: Path, *extra: str, rows: list[str] = ROWS) -> list[str]:
    """Return the overrides of a run without a report, unless `extra` names another stage."""
    places = [f"paths.store={store}", f"paths.data={store.parent / 'data'}", f"out={out}"]
    stage = [] if any(word.startswith("stage=") for word in extra) else ["stage=tabulate"]
    return [*FEW, *places, f"row=[{','.join(rows)}]", *stage, *extra]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with three rows of ten items; `first` beside it is the run."""
    folder = tmp_path_factory.mktemp("experiment")
    bench.run(few(folder / "store", folder / "first", "stage=report", "profile.fid_minimum=4", "save_images=true"))
    return folder / "store"


@pytest.fixture(scope="module")
def first(store: Path) -> Path:
    return store.parent / "first"


def test_a_run_writes_the_files_of_the_contract(first: Path) -> None:
    names = {"table.md", "table.csv", "table.tex", "table.html", "results.json", "records.parquet", "run.json"}
    names |= {"table_main.md", "table_main.tex", "table_main.html"}
    names |= {"figures", "images", "items", "influences.parquet", "manifest.json", "report.html", ".started.json"}
    assert names == {path.name for path in first.iterdir()}
    results, run = read_json(first, "results.json"), read_json(first, "run.json")
    assert [row["method"] for row in results["rows"]] == ROWS
    assert {results["profile"], run["profile"]} == {"mini"}
    assert results["manifest"] == run["manifest"]
    assert {claim["scope"] for claim in results["claims"]} == {"mini"}
    assert {"T2.i", "x2"} <= {claim["id"] for claim in results["claims"] if claim["verdict"] == "holds"}
    assert {claim["id"] for claim in results["claims"] if claim["verdict"] == "not tested"} >= {"T2.g"}
    assert run["latents"] == {"sampled": ITEMS, "stored": 0}
    assert run["status"] == "complete"
    assert set(run["seconds"]) == {"check", "prepare", "sample", "score", "tabulate", "report"}
    assert "${paths.assets}/mini/inpainting/unet/diffusion_pytorch_model.safetensors" in run["weights"]
    assert str(Path(bench.__file__).parent) not in (first / "results.json").read_text()
    for row in results["rows"]:
        for metric in ("fid", "lpips", "pre_error", "pre_error_rounded", "pre_error_float", "pre_sse01"):
            entry = row["metrics"][metric]
            assert entry["value"] >= 0
            assert entry["n"] == ITEMS
            assert entry["protocol"] in results["protocols"]
    stamps = {metric: entry["protocol"] for metric, entry in results["rows"][0]["metrics"].items()}
    assert len({stamps[metric] for metric in ("fid", "fid_hole_only", "kid", "lpips", "pre_error")}) == 5
    assert results["protocols"][stamps["fid"]]["measure"] == results["protocols"][stamps["kid"]]["measure"]
    assert results["rows"][0]["metrics"]["fid"]["published"] == 9.57
    assert run["unet_weights"] == "raw or a moving average (EMA): the folder does not say which"


def test_the_results_of_a_run_keep_no_network_in_memory(store: Path) -> None:
    gc.collect()
    before = sum(isinstance(found, Decoder) for found in gc.get_objects())
    results = bench.run(few(store, store.parent / "kept"))
    gc.collect()
    assert sum(isinstance(found, Decoder) for found in gc.get_objects()) == before
    assert results.summary is not None
    assert results.summary[1].ratio("stablediffusion", "base_mask", "pre_error").value is not None


def test_the_papers_error_is_shown_only_beside_the_sum_of_squares(first: Path) -> None:
    results = read_json(first, "results.json")
    said = "as printed, 1e-5; assumed: a sum of squares"
    for row, printed in zip(results["rows"], (1082.8, 5.7, None), strict=True):
        metrics = row["metrics"]
        assert metrics["pre_sse01"]["published"] == printed
        assert metrics["pre_sse01"].get("published_unit") == (None if printed is None else said)
        others = {name for name, entry in metrics.items() if entry["published"] is not None} - {"fid", "lpips"}
        assert others == (set() if printed is None else {"pre_sse01"})
    titles = {column["metric"]: column["published_title"] for column in [*results["columns"], *results["readings"]]}
    assert titles == {"fid": "FID", "lpips": "LPIPS", "pre_error": None, "pre_sse01": f"Pre_error ({said})"}
    text = (first / "table.md").read_text()
    measured, paper = (
        text.split(f"| {head} | ")[1].split(" |\n")[0].split(" | ") for head in ("Method", "As the paper prints it")
    )
    assert measured[2:] == ["Pre_error [1e-5]", "to StableDiffusion", "sum of squares over known values"]
    assert paper == ["FID", "LPIPS", f"Pre_error ({said})"]
    frame = pandas.read_csv(first / "table.csv")
    assert [name for name in frame if name.endswith("_published")] == [
        "fid_published", "lpips_published", "pre_sse01_published",
    ]  # fmt: skip
    page = (first / "report.html").read_text()
    written = {path.name for path in first.iterdir() if path.is_file()}
    drawn = {f"figures/{path.name}" for path in (first / "figures").iterdir() if path.suffix != ".json"}
    assert set(re.findall('href="([^"]*)" download', page)) == written - {"report.html", ".started.json"} | drawn
    assert page.count("1082.8") == 1
    assert f"Pre_error ({said})" in page


def test_only_decoded_images_are_measured_as_saved_in_half_precision(first: Path) -> None:
    records = pandas.read_parquet(first / "records.parquet").set_index("row")
    assert (records.loc["paste_back", "pre_error_released"] == 0).all()
    decoded = records.loc["base_mask"]
    assert (decoded["pre_error_released"] != decoded["pre_error"]).any()
    assert (decoded["pre_error_released"] < decoded["pre_error"] + 0.1e-5).all()
    assert (decoded["pre_floor_released"] < 0.2 * decoded["pre_floor"] + 0.15 / 255**2).all()


def test_records_agree_with_the_table_and_the_images(first: Path) -> None:
    records = pandas.read_parquet(first / "records.parquet")
    assert len(records) == ITEMS * len(ROWS)
    assert list(records.columns[:4]) == ["item", "row", "source", "mask_area"]
    assert not {column for column in records.columns if "second" in column or "path" in column}
    for row in read_json(first, "results.json")["rows"]:
        chosen = records[records["row"] == row["method"]]
        for metric in ("lpips", "pre_error"):
            assert row["metrics"][metric]["value"] == pytest.approx(chosen[metric].mean(), rel=1e-12)
    assert (records[records["row"] == "paste_back"]["pre_error"] == 0).all()
    item = records["item"].iloc[0]
    saved = {row: np.asarray(Image.open(first / "images" / row / f"{item}.png")) for row in ROWS}
    known = (saved["stablediffusion"] == saved["paste_back"]).all(2)
    assert 0 < known.mean() < 1


def test_a_second_run_computes_nothing_and_gives_equal_results(store: Path, first: Path, tmp_path: Path) -> None:
    bench.run(few(store, tmp_path / "again", "profile.fid_minimum=4", "batch_size=3"))
    assert read_json(tmp_path / "again", "run.json")["latents"] == {"sampled": 0, "stored": ITEMS}
    for name in ("records.parquet", "results.json", "table.csv", "table.tex"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()


@pytest.mark.slow
def test_another_batch_size_changes_values_only_by_rounding(store: Path, first: Path, tmp_path: Path) -> None:
    more = ("stage=report", "batch_size=4", "save_images=true", f"paths.data={store.parent / 'data'}")
    with without_figures():
        bench.run(few(tmp_path / "store", tmp_path / "out", *more))
    numbers = [
        pandas.read_parquet(out / "records.parquet").select_dtypes("number") for out in (first, tmp_path / "out")
    ]
    excess = [frame.pop("border_excess") for frame in numbers]  # a difference: as near as what it is taken of
    np.testing.assert_allclose(excess[0], excess[1], atol=1e-3 * numbers[0]["border_step"].min())
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-3, atol=1e-6)
    images = [
        np.stack([np.asarray(Image.open(path)) for path in sorted((out / "images").rglob("*.png"))]).astype(int)
        for out in (first, tmp_path / "out")
    ]
    flipped = np.abs(images[0] - images[1])
    assert flipped.max() <= 1
    assert flipped.mean() <= 1e-3


@pytest.mark.slow
def test_decoding_in_strips_gives_equal_numbers_and_equal_keys(store: Path, first: Path, tmp_path: Path) -> None:
    bench.run(few(store, tmp_path / "kept", "strip_rows=16"))
    assert (tmp_path / "kept" / "records.parquet").read_bytes() == (first / "records.parquet").read_bytes()
    apart = (f"paths.data={store.parent / 'data'}", "strip_rows=16")
    bench.run(few(tmp_path / "store", tmp_path / "out", *apart))
    numbers = [
        pandas.read_parquet(out / "records.parquet").select_dtypes("number") for out in (first, tmp_path / "out")
    ]
    excess = [frame.pop("border_excess") for frame in numbers]
    np.testing.assert_allclose(excess[0], excess[1], atol=1e-3 * numbers[0]["border_step"].min())
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-3, atol=1e-6)


def test_an_added_row_is_the_only_one_computed(store: Path, tmp_path: Path) -> None:
    before = set((store / "scores").rglob("*.safetensors"))
    bench.run(few(store, tmp_path / "out", rows=[*ROWS, "large_nomask"]))
    added = set((store / "scores").rglob("*.safetensors")) - before
    assert len(added) == 4  # features of its images, of their holes alone, the known region, and similarity
    assert read_json(tmp_path / "out", "run.json")["latents"]["sampled"] == 0


def test_too_few_items_give_null_with_a_reason(store: Path, tmp_path: Path) -> None:
    results = bench.run(few(store, tmp_path / "out"))
    entry = read_json(tmp_path / "out", "results.json")["rows"][0]["metrics"]["fid"]
    assert entry["value"] is None
    assert entry["reason"] == f"{ITEMS} items, fewer than the 128 that this protocol requires"
    assert results.table is not None
    assert results.table["fid"].isna().all()
    assert "No FID: 10 items" in (tmp_path / "out" / "table.md").read_text()


def test_damaged_latents_are_made_again(
    store: Path, first: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = list((store / "latents").rglob("*.safetensors"))
    assert len(kinds) == 3  # sampled, encoded, and encoded with a hole
    for latents in kinds:
        data = bytearray(latents.read_bytes())
        data[len(data) // 2] ^= 1
        latents.write_bytes(data)
    bench.run(few(store, tmp_path / "out"))
    assert caplog.text.count("is damaged") == 3
    assert read_json(tmp_path / "out", "run.json")["latents"]["sampled"] == ITEMS
    assert (tmp_path / "out" / "records.parquet").read_bytes() == (first / "records.parquet").read_bytes()


def test_a_run_whose_folder_is_removed_ends_with_one_message_and_can_be_repeated(
    store: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, kept = tmp_path / "out", sorted(store.rglob("*.safetensors"))
    words = few(store, out, "profile.fid_minimum=4")

    def removing(*arguments: object) -> None:
        shutil.rmtree(out)
        write_influences(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("bench.experiments.table.write_influences", removing)
        assert main(words) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bench: ")]
    assert said.startswith(f"bench: out: expected the folder {out} in which this run started, found that")
    assert not out.exists()
    assert sorted(store.rglob("*.safetensors")) == kept
    assert main(words) == 0
    assert (out / "records.parquet").read_bytes() == (first / "records.parquet").read_bytes()


WRONG = {
    "another shape": lambda values: values.reshape(-1, 1),
    "one value for all": lambda values: values[:1],
    "another type": lambda values: values.astype(np.int32),
    "features that are not finite": lambda values: np.full_like(values, np.nan) if values.ndim == 2 else values,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_scores_that_do_not_fit_their_items_are_made_again(
    wrong: str, store: Path, first: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The checksum in the name is right, so that only the arrays themselves show the damage."""
    own = tmp_path / "store"
    shutil.copytree(store, own)
    changed = 0
    for path in sorted((own / "scores").rglob("*.safetensors")):
        before = load_file(path)
        arrays = {name: np.ascontiguousarray(WRONG[wrong](values)) for name, values in before.items()}
        changed += any(
            arrays[name].shape != before[name].shape or (arrays[name] != before[name]).any() for name in arrays
        )
        path.unlink()
        Store(own).put("scores", path.name.partition("-")[0], arrays)
    bench.run(few(own, tmp_path / "out", "profile.fid_minimum=4", f"paths.data={store.parent / 'data'}"))
    # Other tests leave scores of further rows in the store.
    assert len(ROWS) < caplog.text.count("is damaged; it is renamed to") <= changed
    for name in ("records.parquet", "table.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (first / name).read_bytes()


def test_a_run_ends_after_the_requested_stage(store: Path, tmp_path: Path) -> None:
    bench.run(few(store, tmp_path / "out", "stage=score"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".started.json"]
    bench.run(few(tmp_path / "store", tmp_path / "none", "stage=check"))
    assert not (tmp_path / "none").exists()
    written = {path.name for path in (tmp_path / "store").iterdir()}
    assert written == {"measured", "asymbench-store.json"}  # the estimate, and the store's marker


def test_an_output_folder_of_another_experiment_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"experiment": "another"}')
    with pytest.raises(
        BadInputError, match=r"out: expected an empty folder or an earlier run of table2.*found another"
    ):
        bench.run(few(store, tmp_path))


def test_a_setting_that_changes_a_number_labels_the_run_custom(first: Path) -> None:
    expected = [f"limit={ITEMS}", "generator.steps=2", f"row=[{','.join(ROWS)}]", "profile.fid_minimum=4"]
    assert read_json(first, "results.json")["custom"] == read_json(first, "run.json")["custom"] == expected
    assert f"profile mini, custom ({', '.join(expected)})" in (first / "table.md").read_text()


class Spoiled:
    """Return an image that is not finite for one item."""

    training = "none"

    def __init__(self, **settings: object) -> None:
        """Accept any other arguments."""

    def to(self, device: torch.device) -> "Spoiled":
        return self

    def __call__(self, batch: Batch) -> torch.Tensor:
        image = batch.image.clone()
        image[[name.endswith(SPOILED) for name in batch.ids]] = float("nan")
        return image


SPOILED = "_00000001"


def test_an_image_that_is_not_finite_is_named_and_ends_the_run(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set((store / "scores").rglob("*.safetensors"))
    arguments = few(store, tmp_path / "out", f"rows.base_mask.method._target_={__name__}.Spoiled")
    message = ends_with(1, arguments, capsys, trace=True)
    (line,) = (line for line in message.splitlines() if line.startswith("FloatingPointError"))
    assert line.startswith("FloatingPointError: score: images of base_mask: expected finite values, found values that ")
    names = line.partition(" are not finite for items ")[2]
    assert names.endswith(SPOILED)
    assert "," not in names
    assert set((store / "scores").rglob("*.safetensors")) == before
    assert not (tmp_path / "out" / "run.json").exists()


def test_all_pictures_of_a_folder_are_used() -> None:
    config, _ = typed(compose_config([FEW[0], "dataset=folder", "dataset.root=mine"]))
    assert config.dataset is not None
    assert config.dataset.items is None


def pictures(folder: Path, count: int) -> Path:
    """Write pictures of several modes and sizes, and a text file."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        noise = generator.integers(0, 256, (70 + number, 90, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).convert(("RGB", "L", "P", "CMYK", "RGBA")[number % 5])
        picture.save(folder / f"{number}.{'tif' if picture.mode == 'CMYK' else 'png'}")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_with_other_files_is_measured_and_they_are_named(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = pictures(tmp_path / "mine", 6)
    results = bench.run(few(store, tmp_path / "out", "dataset=folder", f"dataset.root={root}"))
    assert "1 file or folder of the data set left out (not a picture: 1): notes.txt" in caplog.text
    assert results.records is not None
    assert sorted(results.records["item"].unique()) == ["0.png", "1.png", "2.png", "3.tif", "4.png", "5.png"]


def test_a_missing_weight_is_named_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tmp_path / "nowhere"
    message = ends_with(2, few(tmp_path / "store", tmp_path / "out", f"profile.decoders.base={nowhere}"), capsys)
    assert f"rows.base_mask.method.decoder.path: nothing at {nowhere}" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["truncated", "mismatched"])
def test_wrong_weights_are_named(store: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    decoders = typed(compose_config(few(store, tmp_path)))[0].profile.decoders
    base, folder = Path(decoders["base"]), tmp_path / "decoder"
    folder.mkdir()
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    weights = "diffusion_pytorch_model.safetensors"
    data = (
        (base / weights).read_bytes()[:5000] if how == "truncated" else (Path(decoders["large"]) / weights).read_bytes()
    )
    (folder / weights).write_bytes(data)
    message = ends_with(2, few(store, tmp_path / "out", f"profile.decoders.base={folder}"), capsys)
    assert str(folder) in message
    assert weights in message
    assert ("is a damaged safetensors file" if how == "truncated" else "expected weights that fit ") in message


def test_a_broken_pipeline_is_named(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "model_index.json").write_text("{}")
    arguments = few(tmp_path / "store", tmp_path / "out", f"generator.pipeline={tmp_path / 'pipeline'}")
    assert f"generator.pipeline: {tmp_path / 'pipeline'}" in ends_with(2, arguments, capsys)


@pytest.mark.parametrize("content", ["missing", "empty"])
def test_a_folder_without_pictures_is_refused(
    store: Path, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mine"
    if content == "empty":
        root.mkdir()
    message = ends_with(2, few(store, tmp_path / "out", "dataset=folder", f"dataset.root={root}"), capsys)
    assert "dataset" in message
    assert str(root) in message


def test_an_output_folder_that_cannot_be_written_is_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "out: expected a folder" in ends_with(2, few(store, tmp_path / "file" / "out"), capsys)


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    message = ends_with(2, few(tmp_path / "file" / "store", tmp_path / "out"), capsys)
    assert "paths.store: expected a folder, found the file" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_report_times_no_row_and_decodes_nothing_for_a_claim_if_the_store_knows_both(
    store: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("expected a value from the store")

    for module, name in ((report, "row_costs"), (table, "received_latents"), (table, "branch_is_off")):
        monkeypatch.setattr(module, name, refuse)
    words = ["stage=report", "profile.fid_minimum=4"]
    bench.run(few(store, tmp_path / "again", *words))
    assert read_json(tmp_path / "again", "results.json") == read_json(first, "results.json")
    assert read_json(tmp_path / "again", "run.json")["costs"] == read_json(first, "run.json")["costs"]
    for rows, more in ((ROWS, "costs=true"), (ROWS[:2], "costs=false"), (ROWS, "fresh=true")):
        with pytest.raises(AssertionError, match="expected a value from the store"):
            bench.run(few(store, tmp_path / "other", *words, more, "overwrite=true", rows=rows))


def refuse_to_load(*_: object, **__: object) -> None:
    raise AssertionError("expected that nothing is loaded")


def test_nothing_is_loaded_or_drawn_if_everything_is_stored(
    store: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "make", refuse_to_load)
    words = ["profile.fid_minimum=4", "overwrite=true"]
    bench.run(few(store, tmp_path / "again", "stage=report", *words))
    for name in ("records.parquet", "results.json", "table.md"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()
    assert figures_of(tmp_path / "again") == figures_of(first)
    assert pictures_of(tmp_path / "again") == pictures_of(first)
    for rows, more in ((ROWS, "fresh=true"), (ROWS, "generator.guidance_scale=2"), (["large_mask"], "seed=0")):
        with pytest.raises(AssertionError, match="expected that nothing is loaded"):
            bench.run(few(store, tmp_path / "other", *words, more, rows=rows))


def figures_of(out: Path) -> dict[str, bytes]:
    """Return the content of each file in the folder of a run's figures."""
    return {path.name: path.read_bytes() for path in (out / "figures").iterdir()}


def pictures_of(out: Path) -> list[str]:
    """Return the pictures in the page of a run."""
    return re.findall('data:image/webp;base64,[^"]+', (out / "report.html").read_text())


@pytest.mark.slow
def test_damaged_drawings_are_drawn_again(store: Path, first: Path, tmp_path: Path) -> None:
    kept = sorted((store / "drawings").rglob("*.safetensors"))
    removed, cut, also_cut = kept  # the figures, the pictures of chosen items and the thumbnails
    removed.unlink()
    also_cut.write_bytes(also_cut.read_bytes()[:100])
    cut.write_bytes(cut.read_bytes()[:-9])
    bench.run(few(store, tmp_path / "again", "stage=report", "profile.fid_minimum=4"))
    assert figures_of(tmp_path / "again") == figures_of(first)
    assert pictures_of(tmp_path / "again") == pictures_of(first) != []
    assert sorted((store / "drawings").rglob("*.safetensors")) == kept


@pytest.mark.slow
def test_figures_of_other_rows_are_drawn_anew(store: Path, first: Path, tmp_path: Path) -> None:
    bench.run(few(store, tmp_path / "again", "stage=report", "profile.fid_minimum=4", rows=ROWS[:2]))
    assert figures_of(tmp_path / "again")["rows.png"] != figures_of(first)["rows.png"]


def test_a_damaged_weight_file_is_found_although_nothing_is_loaded(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(Path(bench.__file__).parent / "assets", tmp_path / "assets")
    words = few(store, tmp_path / "again", "profile.fid_minimum=4", f"paths.assets={tmp_path / 'assets'}")
    with monkeypatch.context() as patch:
        patch.setattr(setup, "make", refuse_to_load)
        bench.run(words)
    file = tmp_path / "assets/mini/base/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    other = [*words, f"out={tmp_path / 'other'}"]
    assert str(file.parent) in ends_with(2, other, capsys)
    file.unlink()
    assert str(file.parent) in ends_with(2, other, capsys)
    assert not (tmp_path / "other").exists()


KINDS = {"facts of parts", "layouts of scores", "truncated captions"}


@pytest.mark.parametrize("damage", ["removed", "cut", "other"])
def test_a_damaged_fact_is_found_again(
    store: Path, first: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = {path: read_json(path.parent, path.name) for path in (store / "measured").iterdir()}
    damaged = {path: note for path, note in notes.items() if note["of"]["what"] in KINDS}
    assert {note["of"]["what"] for note in damaged.values()} == KINDS
    for path, note in damaged.items():
        if damage == "removed":
            path.unlink()
        else:
            path.write_text(path.read_text()[:-9] if damage == "cut" else json.dumps({**note, "found": {}}))
    words = ["profile.fid_minimum=4", "overwrite=true"]
    for _ in range(2):
        bench.run(few(store, tmp_path / "again", *words))
        assert (tmp_path / "again" / "results.json").read_bytes() == (first / "results.json").read_bytes()
        monkeypatch.setattr(setup, "make", refuse_to_load)
    for path, note in damaged.items():
        path.write_text(json.dumps(note))
