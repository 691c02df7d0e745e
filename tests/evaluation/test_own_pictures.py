"""Tests of runs on somebody's own pictures with their masks, captions and exemplars, and of the check of such data."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.cli import main
from tests.helpers.commands import ends_with, refused
from tests.helpers.figures import without_figures
from tests.helpers.files import read_json

pytestmark = pytest.mark.blackbox

COUNT = 4


def words(folder: Path, experiment: str, *extra: str) -> list[str]:
    return [
        f"experiment={experiment}", "generator.steps=2", "device=cpu", "controls=[]", "stage=tabulate",
        f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / 'out'}",
        "dataset=folder", f"dataset.root={folder / 'pictures'}", *extra,
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with `pictures`, `masks`, `exemplars` and `captions.csv`, which belong together."""
    generator = np.random.default_rng(0)
    for name in ("pictures", "masks", "exemplars"):
        (tmp_path / name).mkdir()
    lines = [["picture", "caption"]]
    for number in range(COUNT):
        picture = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number}.png")
        Image.fromarray(picture[::2, ::2]).save(tmp_path / "exemplars" / f"{number}.jpg")
        mask = Image.new("1", (64, 64))
        mask.paste(1, (8, 8, 16 + 8 * number, 32))
        mask.save(tmp_path / "masks" / f"{number}.gif")
        lines.append([f"{number}.png", f"a photograph, with {number} circles"])
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return tmp_path


def test_inpainting_uses_the_given_masks_in_place_of_drawn_ones(folder: Path) -> None:
    given = [f"dataset.masks={folder / 'masks'}", "row=[stablediffusion,paste_back]"]
    records = bench.run(words(folder, "table2_inpaint_imagenet", *given)).records
    assert records is not None
    assert sorted(records["item"].unique()) == [f"{number}.png" for number in range(COUNT)]
    manifest = read_json(folder / "out", "manifest.json")
    assert manifest["masks"] == "given"
    assert [item["mask_area"] for item in manifest["items"]] == [(8 + 8 * number) * 24 / 64**2 for number in range(4)]
    assert (records[records["row"] == "paste_back"]["pre_error"] == 0).all()


def test_editing_uses_the_given_exemplars(folder: Path) -> None:
    given = [f"dataset.masks={folder / 'masks'}", f"dataset.exemplars={folder / 'exemplars'}", "row=[paint_by_example]"]
    records = bench.run(words(folder, "table4_edit_cocoee", *given)).records
    assert records is not None
    assert records["clip_score"].notna().all()
    assert all(item["exemplar"] for item in read_json(folder / "out", "manifest.json")["items"])


def test_text_to_image_generates_whole_images_from_the_captions(folder: Path) -> None:
    given = [f"dataset.captions={folder / 'captions.csv'}", "row=[stablediffusion]", "profile.fid_minimum=2"]
    results = bench.run(words(folder, "table6_text2image_coco", *given))
    assert results.records is not None
    assert len(results.records) == COUNT
    manifest = read_json(folder / "out", "manifest.json")
    assert manifest["masks"] == "whole"
    assert all(item["caption"] and item["mask"] is None for item in manifest["items"])
    assert read_json(folder / "out", "results.json")["rows"][0]["metrics"]["fid"]["value"] > 0


def test_an_export_is_a_folder_of_own_pictures_with_the_same_pixels(folder: Path) -> None:
    out, again = folder / "exported", folder / "again"
    given = [f"dataset.{name}={folder / name}" for name in ("masks", "exemplars")]
    export = words(folder, "table4_edit_cocoee", "stage=export")
    assert main([*export, *given, f"out={out}"]) == 0
    read = [f"dataset.root={out / 'truth'}", f"dataset.masks={out / 'masks'}", f"dataset.exemplars={out / 'exemplars'}"]
    assert main([*export, *read, f"out={again}"]) == 0
    hashes = [
        [(item["image"], item["mask"], item["exemplar"]) for item in read_json(place, "manifest.json")["items"]]
        for place in (out, again)
    ]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == COUNT


def test_the_check_lists_what_does_not_belong_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "masks" / "1.gif").unlink()
    check = words(folder, "table2_inpaint_imagenet", f"dataset.masks={folder / 'masks'}", "stage=check")
    message = ends_with(2, check, capsys)
    assert "table2_inpaint_imagenet: 1 thing is missing or wrong" in message
    assert "found 1 of 4 pictures with no mask: 1.png" in " ".join(message.split())
    assert not (folder / "out").exists()


def test_the_check_counts_the_pictures_and_masks_of_other_sizes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        Image.new("L", (32, 64), 255).save(folder / "masks" / f"{number}.gif")
    check = words(folder, "table2_inpaint_imagenet", f"dataset.masks={folder / 'masks'}", "stage=check")
    message = " ".join(ends_with(2, check, capsys).split())
    assert "found 2 of 4 with other sizes: 0.png (32×64 for a picture of 64×64)" in message


@pytest.mark.parametrize("name", ["masks", "captions", "exemplars"])
def test_a_missing_folder_is_refused_before_any_work(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words(folder, "table2_inpaint_imagenet")
    message = refused([*command, f"dataset.{name}={folder / 'none'}"], capsys)
    assert f"dataset.{name}: expected a f" in message
    assert f"found nothing at {folder / 'none'}" in message
    assert f"dataset.{name}: expected a f" in refused([*command, f"dataset.{name}="], capsys)


def test_other_data_sets_take_no_masks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["experiment=table2_inpaint_imagenet", f"dataset.masks={folder / 'masks'}"]
    assert "dataset.masks: expected a key that table2_inpaint_imagenet uses" in refused(command, capsys)


def test_prompts_alone_suffice_for_text_to_image(tmp_path: Path) -> None:
    lines = "".join(f"a photograph of {number} circles\n" for number in range(COUNT))
    (tmp_path / "prompts.csv").write_text(f"prompt\n{lines}")
    command = [
        word
        for word in words(tmp_path, "table6_text2image_coco", "row=[stablediffusion]", "profile.fid_minimum=2")
        if not word.startswith(("stage=", "controls=", "dataset"))
    ]
    prompts = ["dataset=prompts", f"dataset.captions={tmp_path / 'prompts.csv'}", "controls=[budget]"]
    with without_figures():
        results = bench.run([*command, *prompts, "save_images=true"])
    assert results.records is not None
    assert results.records["lpips"].isna().all()
    metrics = read_json(tmp_path / "out", "results.json")["rows"][0]["metrics"]
    assert metrics["fid"]["value"] is None
    assert metrics["fid"]["reason"] == "0 images to compare with, fewer than the 2 that this protocol requires"
    assert len(list((tmp_path / "out" / "images" / "stablediffusion").iterdir())) == COUNT
    assert not (tmp_path / "out" / "items").exists()
    assert "the caption's own picture" not in (tmp_path / "out" / "report.html").read_text()


def test_prompts_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("prompt\na cat\n")
    command = ["experiment=table6_text2image_coco", "stage=export", "device=cpu", f"out={tmp_path / 'out'}"]
    places = [f"paths.store={tmp_path / 'store'}", "dataset=prompts", f"dataset.captions={tmp_path / 'prompts.csv'}"]
    assert main([*command, *places]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.txt", "captions.csv", "captions.jsonl", "export.json", "items.csv", "manifest.json",
    ]  # fmt: skip
    assert (tmp_path / "out" / "captions.csv").read_text() == "id,picture,caption\n000001,000001.png,a cat\n"


def test_prompts_are_refused_for_other_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompts.csv").write_text("prompt\na cat\n")
    command = ["experiment=table2_inpaint_imagenet", "dataset=prompts", f"dataset.captions={tmp_path / 'prompts.csv'}"]
    message = ends_with(2, [*command, "stage=check", "device=cpu", f"paths.store={tmp_path / 'store'}"], capsys)
    assert "dataset: expected pictures, because this table's task is inpainting" in " ".join(message.split())
