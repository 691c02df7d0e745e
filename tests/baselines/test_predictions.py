"""Tests of folders of predictions as rows: three ways to name files, and one message for every gap."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from baselines.predictions import survey
from bench.cli import main
from tests.helpers.figures import without_figures

pytestmark = pytest.mark.blackbox

ITEMS = 8


def words(folder: Path, out: str, *extra: str) -> list[str]:
    return [
        "experiment=table1_inpaint_places", f"limit={ITEMS}", "generator.steps=2", "device=cpu", "controls=[]",
        "row=[stablediffusion]", f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}",
        f"out={folder / out}", *extra,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds a run, `vanilla`, with saved images."""
    folder = tmp_path_factory.mktemp("predictions")
    with without_figures():
        bench.run(words(folder, "vanilla", "save_images=true"))
    return folder


@pytest.fixture
def images(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder / "vanilla" / "images" / "stablediffusion", tmp_path / "images"))


def predictions(folder: Path, images: Path, *extra: str) -> list[str]:
    return words(
        folder, "out", "overwrite=true", "baseline=predictions", f"baseline.root={images}", "baseline.label=Theirs",
        *(extra or ["stage=tabulate"]),
    )  # fmt: skip


def error(folder: Path) -> float:
    rows = json.loads((folder / "out" / "results.json").read_text())["rows"]
    return float(rows[1]["metrics"]["pre_error"]["value"])


@pytest.mark.parametrize("ending", ["", "_mask", "_mask000"])
def test_saved_images_give_the_numbers_of_the_row_that_made_them(folder: Path, images: Path, ending: str) -> None:
    for path in list(images.iterdir()):
        path.rename(path.with_name(f"{path.stem}{ending}.png"))
    bench.run(predictions(folder, images))
    made, read = json.loads((folder / "out" / "results.json").read_text())["rows"]
    assert (read["label"], read["origin"], made["origin"]) == ("Theirs", "predictions", "native")
    for metric in ("lpips", "pre_error", "psnr"):
        assert read["metrics"][metric]["value"] == made["metrics"][metric]["value"]
    as_float = read["metrics"]["pre_error_float"]["value"]
    assert as_float == pytest.approx(read["metrics"]["pre_error"]["value"], rel=1e-6)  # they are 8 bits
    assert "| Theirs (predictions) † |" in (folder / "out" / "table.md").read_text()


def test_changed_images_in_the_folder_change_the_results(folder: Path, images: Path) -> None:
    bench.run(predictions(folder, images))
    before = error(folder)
    for path in images.iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    bench.run(predictions(folder, images))
    assert (
        json.loads((folder / "out" / "results.json").read_text())["rows"][1]["metrics"]["pre_error"]["value"] > before
    )


def test_all_problems_of_a_folder_are_listed_in_one_message(
    folder: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.stem for path in images.iterdir())
    for name in names[:3]:
        (images / f"{name}.png").unlink()
    shutil.copy(images / f"{names[3]}.png", images / f"{names[3]}_mask.png")
    Image.new("RGB", (32, 64)).save(images / f"{names[4]}.png")
    (images / f"{names[5]}.png").write_bytes(b"no picture")
    assert main(predictions(folder, images)) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{images}: expected one picture of 64×64 for each of {ITEMS} items" in message
    assert all(name in message.partition("several pictures of")[0] for name in names[:3])
    assert f"several pictures of {names[3]} ({names[3]}.png, {names[3]}_mask.png)" in message
    assert f"a picture of {names[4]} that is 32×64, not 64×64" in message
    assert f"a picture of {names[5]} that cannot be read" in message
    assert names[6] not in message


def test_a_missing_folder_is_refused_before_any_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(predictions(folder, tmp_path / "none", "stage=check")) == 2
    assert f"baseline.root: expected a folder, found nothing at {tmp_path / 'none'}" in capsys.readouterr().err


def test_odd_names_are_saved_and_found_again(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    names = ["-dash.png", "new\nline.png", "bad\udcff.png", "x" * 251 + ".png", "ü" * 125 + ".png", "back\\slash.png"]
    generator = np.random.default_rng(0)
    for name in names:
        Image.fromarray(generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(pictures / name, format="PNG")
    dataset = ["dataset=folder", f"dataset.root={pictures}", "limit=null"]
    with without_figures():
        bench.run(words(tmp_path, "made", "save_images=true", *dataset))
    saved = tmp_path / "made" / "images" / "stablediffusion"
    ids = [line["id"] for line in json.loads((tmp_path / "made" / "manifest.json").read_text())["items"]]
    assert len(list(saved.iterdir())) == len(ids) == len(names)
    bench.run(predictions(tmp_path, saved, *dataset, "stage=tabulate"))
    made, read = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    for metric in ("lpips", "pre_error", "psnr"):
        assert read["metrics"][metric]["value"] == made["metrics"][metric]["value"]


def test_the_picture_of_another_item_is_no_second_picture(tmp_path: Path) -> None:
    for name in ("a", "a_mask", "b_mask"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    found = survey(tmp_path, ["a", "a_mask", "b"], 64)
    assert found.complaints == []
    assert {item: path.name for item, path in found.found.items()} == {
        "a": "a.png", "a_mask": "a_mask.png", "b": "b_mask.png",
    }  # fmt: skip
    assert survey(tmp_path, ["a"], 64).complaints == ["several pictures of a (a.png, a_mask.png)"]
