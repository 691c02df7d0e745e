"""Tests of `stage=export`: the files are the items, a foreign folder is kept, and predictions from them are scored."""

import csv
import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
from PIL import Image

import bench
from bench.cli import main
from bench.data.items import sha256_of
from bench.evaluation.export import GREY
from tests.helpers.commands import ends_with, refused
from tests.helpers.files import digests, read_json

pytestmark = pytest.mark.blackbox

ITEMS = 6
INPAINTING = "table2_inpaint_imagenet"


def words(folder: Path, experiment: str, out: str, *extra: str) -> list[str]:
    return [
        f"experiment={experiment}", f"limit={ITEMS}", "generator.steps=2", "device=cpu", "controls=[blending]",
        f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / out}", *extra,
    ]  # fmt: skip


def export(folder: Path, experiment: str, *extra: str) -> Path:
    out = f"export of {experiment}"
    assert main(words(folder, experiment, out, "stage=export", *extra)) == 0
    return folder / out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    return export(folder, INPAINTING)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def lines(folder: Path, name: str = "items.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_have_exactly_the_pixels_of_the_items(exported: Path) -> None:
    listed = read_json(exported, "manifest.json")["items"]
    assert [line["id"] for line in lines(exported)] == [item["id"] for item in listed]
    assert len(listed) == ITEMS
    for line, item in zip(lines(exported), listed, strict=True):
        truth, mask, masked = (pixels(exported / line[kind]) for kind in ("truth", "masks", "masked"))
        assert {truth.dtype, mask.dtype, masked.dtype} == {np.dtype(np.uint8)}
        assert set(np.unique(mask)) == {0, 255}
        assert item["image"] == sha256_of(truth)
        assert item["mask"] == sha256_of(mask // 255)
        assert np.array_equal(masked[mask == 0], truth[mask == 0])
        assert (masked[mask == 255] == GREY).all()
        assert float(line["mask_area"]) == item["mask_area"] == (mask == 255).mean()


def test_the_folder_holds_the_listed_files_and_nothing_else(exported: Path) -> None:
    found = {path.as_posix() for path in digests(exported)}
    assert found == {"export.json", *read_json(exported, "export.json")["files"]}
    assert {name.partition("/")[0] for name in found} == {
        "README.txt", "export.json", "items.csv", "manifest.json", "masked", "masks", "truth",
    }  # fmt: skip


def edited(exported: Path, folder: Path, kind: str = "masked") -> Path:
    """Act as another program, which fills the holes of pictures by OpenCV, and write its predictions into a folder.

    The run's own row of this method gets the true pictures, and OpenCV's result depends on a few pixels of the hole.
    """
    for line in lines(exported):
        picture, mask = cv2.imread(str(exported / line[kind])), cv2.imread(str(exported / line["masks"]), 0)
        target = folder / line["prediction"]
        target.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(target), cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA))
    return folder


def test_predictions_from_the_files_have_the_records_of_the_same_method_in_a_run(
    folder: Path, exported: Path, tmp_path: Path
) -> None:
    predictions = edited(exported, tmp_path / "predictions", "truth")
    run = ["row=[telea]", "stage=tabulate", "baseline=predictions", f"baseline.root={predictions}"]
    records = bench.run(words(folder, INPAINTING, "scored", *run)).records
    assert records is not None
    rows = {row: part.drop(columns="row").reset_index(drop=True) for row, part in records.groupby("row")}
    assert set(rows) == {"telea", "predictions"}
    assert len(rows["telea"]) == ITEMS
    pandas.testing.assert_frame_equal(rows["telea"], rows["predictions"], check_exact=True)
    assert (rows["predictions"]["pre_error"] == 0).all()
    assert (rows["predictions"]["lpips"] > 0).all()
    assert read_json(folder / "scored", "results.json")["manifest"] == read_json(exported, "export.json")["manifest"]


def test_the_command_in_the_readme_scores_the_truth_without_any_error(
    folder: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (exported / "README.txt").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("python -m bench "))
    assert "stage=" not in line
    truth = exported / "truth"
    command = [word.replace("PREDICTIONS", f'"{truth}"') for word in shlex.split(line)[3:]]
    run = [*command, f"out={folder / 'truth scored'}", "row=[]", "stage=tabulate"]
    assert main(run) == 0
    records = pandas.read_parquet(folder / "truth scored" / "records.parquet")
    assert len(records) == ITEMS
    assert (records["pre_error"] == 0).all()
    assert (records["lpips"] < 1e-9).all()  # the network rounds differently for the row and for the truth


def test_the_editor_of_the_page_makes_a_prediction_of_each_item(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "editors.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    (tmp_path / "inputs").symlink_to(exported)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    for line in lines(exported):
        made, mask = pixels(tmp_path / "predictions" / line["prediction"]), pixels(exported / line["masks"])
        assert np.array_equal(made[mask == 0], pixels(exported / line["truth"])[mask == 0])
        assert len(np.unique(made[mask == 255], axis=0)) == 1


@pytest.mark.slow
def test_text_to_image_has_captions_and_each_reference_picture_once(folder: Path) -> None:
    exported = export(folder, "table6_text2image_coco", "profile.captions=2")
    listed = read_json(exported, "manifest.json")["items"]
    assert {path.name for path in exported.iterdir() if path.is_dir()} == {"reference"}
    references = [item["id"] for item in listed if item["reference"]]
    assert 0 < len(references) < ITEMS
    assert sorted(path.stem for path in (exported / "reference").iterdir()) == sorted(references)
    captions = lines(exported, "captions.csv")
    assert [line["id"] for line in captions] == [item["id"] for item in listed]
    assert captions == [json.loads(line) for line in (exported / "captions.jsonl").read_text().splitlines()]
    assert all(line["caption"].strip() for line in captions)
    text = (exported / "README.txt").read_text()
    assert "No program gets them as its input" in text
    assert "masks/" not in text


@pytest.mark.slow
def test_editing_has_an_exemplar_for_each_item(folder: Path) -> None:
    exported = export(folder, "table4_edit_cocoee")
    for line, item in zip(lines(exported), read_json(exported, "manifest.json")["items"], strict=True):
        assert item["exemplar"] == sha256_of(pixels(exported / line["exemplars"]))


@pytest.mark.slow
def test_names_with_folders_and_odd_characters_are_those_that_predictions_need(folder: Path, tmp_path: Path) -> None:
    root, generator = tmp_path / "pictures", np.random.default_rng(0)
    for name in ("deep/er/a.png", "a.png", "a.jpg", "a.png_mask.png", "new\nline.png", "ü" * 125 + ".png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(root / name)
    dataset = ["dataset=folder", f"dataset.root={root}"]
    exported = export(tmp_path, INPAINTING, *dataset, f"paths.data={folder / 'data'}")
    assert {line["id"] for line in lines(exported)} >= {"deep/er/a.png", "a.png", "a.jpg", "a.png_mask.png"}
    predictions = edited(exported, tmp_path / "predictions")
    run = ["row=[]", "stage=tabulate", "baseline=predictions", f"baseline.root={predictions}", *dataset]
    records = bench.run(words(tmp_path, INPAINTING, "scored", *run)).records
    assert records is not None
    assert sorted(records["item"]) == sorted(line["id"] for line in lines(exported))
    assert (records["pre_error"] == 0).all()


def test_the_paper_profile_needs_no_weights(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (96, 80), "teal").save(tmp_path / "pictures" / "a.png")
    exported = export(
        tmp_path, INPAINTING, "profile=paper", "dataset=folder", f"dataset.root={tmp_path / 'pictures'}",
        f"paths.weights={tmp_path / 'none'}",
    )  # fmt: skip
    assert pixels(exported / "truth" / "a.png.png").shape == (512, 512, 3)


@pytest.fixture
def small(folder: Path, exported: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """Return an export of two items, and the words of the command that made it."""
    command = words(folder, INPAINTING, "", "stage=export", "limit=2", f"out={tmp_path / 'small'}")
    assert main(command) == 0
    return tmp_path / "small", command


def test_the_same_export_is_written_again(small: tuple[Path, list[str]]) -> None:
    out, command = small
    before = digests(out)
    assert main(command) == 0
    assert digests(out) == before


def test_another_export_needs_overwrite_and_leaves_no_old_file(
    small: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, command = small
    before = digests(out)
    assert "another value of limit" in refused([*command, "limit=1"], capsys)
    assert digests(out) == before
    assert main([*command, "limit=1", "overwrite=true"]) == 0
    assert len(list((out / "truth").glob("*.png"))) == len(lines(out)) == 1
    assert len((out / "truth" / "sources.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("extra", [[], ["overwrite=true"]])
def test_files_that_no_export_has_written_are_kept(
    small: tuple[Path, list[str]], extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, command = small
    (out / "masked" / "prediction.png").write_bytes(b"of the user")
    before = digests(out)
    message = refused([*command, *extra], capsys)
    assert (
        "out: expected a new folder, an empty folder, or a folder that holds nothing but an earlier export" in message
    )
    assert f"found masked/prediction.png in {out}" in message
    assert digests(out) == before
    (out / "export.json").write_text("{}")
    assert "found README.txt in" in refused([*command, *extra], capsys)


def test_an_interrupted_export_leaves_nothing_and_an_earlier_one_stays(
    small: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, command = small
    before = digests(out)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.evaluation.export.write_manifest", interrupt)
    assert main([*command, "limit=1", "overwrite=true"]) == 130
    assert digests(out) == before
    assert main([*command, f"out={tmp_path / 'new'}"]) == 130
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("experiment", "found"),
    [
        ("table7_architecture_base", "found table7_architecture_base, which has no items"),
        ("train_mini", "found train_mini, which has no items"),
        ("all_tables", "such as table1_inpaint_places, table2_inpaint_imagenet, table3_blending_imagenet, found all_"),
        ("regression", "found regression, which runs several experiments"),
    ],
)
def test_experiments_without_items_are_refused(
    experiment: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused([f"experiment={experiment}", "stage=export", f"out={tmp_path / 'out'}"], capsys)
    assert found in message
    assert not (tmp_path / "out").exists()


def test_the_folder_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused([f"experiment={INPAINTING}", "stage=export"], capsys)
    assert "out: expected the folder for the files of stage=export, found no value; set out=DIR" in message


def test_a_missing_data_set_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = words(
        tmp_path, INPAINTING, "out", "stage=export", "profile=paper", f"paths.imagenet_val={tmp_path / 'none'}"
    )
    assert f"{tmp_path / 'none'}" in ends_with(2, command, capsys)
    assert not (tmp_path / "out").exists()
