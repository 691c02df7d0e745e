"""Tests that scores of a run's saved images are the numbers of the run."""

import json
from pathlib import Path

import pytest

import bench
from bench.data.names import file_stem

pytestmark = pytest.mark.reference

SMALL = ["generator.steps=1", "controls=[]", "row=[stablediffusion,large_mask]", "device=cpu", "costs=false"]
FLOAT_ONLY = ("_released", "_rounded", "_float")
"""Endings of readings that depend on a decoder's floats, and that 8-bit files do not determine."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of Table 2 that saved its images."""
    folder = tmp_path_factory.mktemp("score")
    paths = [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}"]
    words = ["experiment=table2_inpaint_imagenet", "limit=128", "save_images=true", f"out={folder / 'run'}"]
    return bench.run([*words, *SMALL, *paths]).path


@pytest.mark.slow
def test_the_saved_images_of_a_run_give_the_numbers_of_the_run(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())["items"]
    sources = {item["id"]: item["source"] for item in manifest}
    notes = [json.dumps({"file": f"{file_stem(name)}.png", "source": source}) for name, source in sources.items()]
    (run / "items" / "image" / "sources.jsonl").write_text("\n".join(notes))
    stems = [file_stem(name) for name in sources]  # in the order of the run, so that its batches are the same
    folders = {row: run / "images" / row for row in ("stablediffusion", "large_mask")}
    truth, masks, *edited = (
        [folder / f"{stem}.png" for stem in stems]
        for folder in (run / "items" / "image", run / "items" / "mask", *folders.values())
    )
    editors = dict(zip(folders, edited, strict=True))
    scores = bench.score(truth, editors, masks, reference="stablediffusion", measures="mini", quiet=True)
    results = json.loads((run / "results.json").read_text())
    numbers = scores.numbers.set_index(["metric", "editor"])
    compared = 0
    for row in results["rows"]:
        for metric, entry in row["metrics"].items():
            if metric.endswith(FLOAT_ONLY) or entry["value"] is None:
                continue
            found = numbers.loc[(metric, row["method"])]
            assert found["value"] == pytest.approx(entry["value"], abs=1e-9), metric
            assert found["stderr"] == pytest.approx(entry["stderr"], abs=1e-9), metric
            compared += 1
    assert compared >= 2 * 14
    differences = scores.differences.set_index(["metric", "editor"])
    (row,) = (row for row in results["rows"] if row["method"] == "large_mask")
    for metric in ("fid", "lpips", "pre_error"):
        entry, found = row["metrics"][metric]["difference_to_reference"], differences.loc[(metric, "large_mask")]
        assert found["difference"] == pytest.approx(entry["value"], abs=1e-9)
        assert found["p_holm"] == pytest.approx(entry["p_holm"], abs=1e-9)
