"""Tests of the features that a run keeps: its numbers and further ones follow from them without images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest

import bench
from bench.errors import BadInputError
from bench.metrics import frechet_distance
from bench.results.features import read_summary

ITEMS = 24
ROWS = ["stablediffusion", "base_mask"]


def words(folder: Path, out: str, *extra: str) -> list[str]:
    return [
        "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2", "device=cpu",
        "row=[stablediffusion,base_mask]", "stage=tabulate",
        "profile.fid_minimum=4", f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}",
        f"out={folder / out}", *extra,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    bench.run(words(folder, "run", "keep_features=true"))
    return folder / "run"


@pytest.mark.blackbox
def test_the_runs_own_numbers_are_reproduced(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    summary = read_summary(run)
    assert list(summary.metrics) == ROWS
    for row in results["rows"]:
        for metric, entry in row["metrics"].items():
            if entry["n"]:
                found = summary.measurement(row["method"], metric)
                assert (found.value, found.stderr) == (entry["value"], entry["stderr"]), metric
                assert summary.statistic(metric).items() <= results["protocols"][entry["protocol"]].items()


@pytest.mark.reference
def test_a_bin_that_the_run_did_not_use_can_be_computed(run: Path) -> None:
    found = read_summary(run, bins=[(20, 40)]).measurement("base_mask", "fid_20_40")
    areas = pandas.read_parquet(run / "records.parquet").query("row == 'base_mask'")["mask_area"].to_numpy()
    inside = (areas >= 0.2) & (areas < 0.4)
    read = [pandas.read_parquet(run / "features" / f"{row}-00000.parquet") for row in ("base_mask", "truth")]
    images, truth = (np.stack(list(frame["images.features"])) for frame in read)
    assert found.n == inside.sum() >= 4
    assert found.value == pytest.approx(frechet_distance(images[inside], truth[inside]), rel=1e-9)


@pytest.mark.blackbox
def test_half_precision_features_are_half_as_large_and_close(run: Path) -> None:
    bench.run(words(run.parent, "half", "keep_features=true", "features_dtype=float16"))
    half, whole = read_summary(run.parent / "half"), read_summary(run)
    assert half.measurement("base_mask", "fid").value == pytest.approx(
        whole.measurement("base_mask", "fid").value, 1e-2
    )
    assert half.measurement("base_mask", "lpips") == whole.measurement("base_mask", "lpips")
    vectors = pandas.read_parquet(run.parent / "half" / "features" / "truth-00000.parquet")["images.features"]
    assert {vector.dtype for vector in vectors} == {np.dtype(np.float16)}


@pytest.mark.blackbox
def test_a_run_without_features_removes_those_of_an_earlier_run(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "out")
    bench.run([word for word in words(run.parent, "run") if not word.startswith("out=")] + [f"out={tmp_path / 'out'}"])
    assert not (tmp_path / "out" / "features").exists()
    with pytest.raises(BadInputError, match=r"index\.json: expected this file, which a run with keep_features=true"):
        read_summary(tmp_path / "out")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda out: (out / "features" / "base_mask-00000.parquet").unlink(),
            "complete files with the features of base_mask",
        ),
        (
            lambda out: (out / "features" / "truth-00000.parquet").write_bytes(b"PAR1"),
            "complete files with the features of truth",
        ),
        (lambda out: edit(out / "manifest.json"), "found features of other items"),
        (lambda out: (out / "features" / "index.json").write_text("{"), "expected JSON"),
        (lambda out: (out / "features" / "index.json").write_text("[" * 100_000), "at most 100 nested levels"),
        (lambda out: (out / "manifest.json").write_text('{"items": [], "items": []}'), 'the key "items" occurs twice'),
        (lambda out: (out / "records.parquet").write_bytes(b"PAR1"), "the files of a run with keep_features=true"),
    ],
    ids=["no shard", "broken shard", "other items", "broken index", "deep index", "items twice", "broken records"],
)
def test_files_of_different_runs_are_refused(run: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(run, tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(BadInputError, match=message):
        read_summary(tmp_path / "out")


def edit(manifest: Path) -> None:
    content = json.loads(manifest.read_text())
    content["items"][0]["image"] = "0" * 64
    manifest.write_text(json.dumps(content))


@pytest.mark.blackbox
def test_an_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="features_dtype: expected one of float32, float16, found float8"):
        bench.run(words(tmp_path, "run", "features_dtype=float8"))
