"""Tests of the photographs of installed packages: their catalogue, their crops, and their data set."""

import json
import logging
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from bench.data import photographs as module
from bench.data.folder import FolderPictures
from bench.data.mini.photos import PHOTOS
from bench.data.photographs import Square, photograph, photographs, squares, write_photographs
from bench.errors import BadInputError
from bench.runtime.own_yaml import read_own_yaml
from bench.store import file_sha256
from tests.helpers.files import digests

CATALOGUE = read_own_yaml(module.CATALOGUE)
ENTRIES: dict[str, dict[str, str]] = {
    name: entry for packages in CATALOGUE.values() for entries in packages.values() for name, entry in entries.items()
}
FURTHER = {name: entry for entries in CATALOGUE["further"].values() for name, entry in entries.items()}


def pixels_inside(square: Square) -> set[tuple[int, int]]:
    return {
        (x, y)
        for x in range(square.left, square.left + square.side)
        for y in range(square.top, square.top + square.side)
    }


def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Replace the catalogue by a copy whose entry `cat` has the given values."""
    content = json.loads(json.dumps(CATALOGUE))
    content["installed"]["skimage"]["cat"].update(changed)
    monkeypatch.setattr(module, "_catalogue", lambda: content)


def unpacked(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Write a picture for each name into a folder, and let the catalogue expect exactly these pictures."""
    content = json.loads(json.dumps(CATALOGUE))
    for number, name in enumerate(names):
        entry = next(entries[name] for entries in content["further"].values() if name in entries)
        path = folder / f"package {number}" / "usr" / entry["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (300, 200, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, "PNG")
        entry["sha256"] = file_sha256(path)
    monkeypatch.setattr(module, "_catalogue", lambda: content)


@pytest.mark.property
def test_the_catalogue_states_every_fact_of_every_photograph_once() -> None:
    listed = [name for packages in CATALOGUE.values() for entries in packages.values() for name in entries]
    assert len(listed) == len(set(listed)) == len(ENTRIES)
    for name, entry in ENTRIES.items():
        assert set(entry) == {"file", "sha256", "shows", "author", "source", "licence"}, name
        assert all(isinstance(value, str) and value.strip() for value in entry.values()), name
        assert len(entry["sha256"]) == 64, name
    assert len({entry["sha256"] for entry in ENTRIES.values()}) == len(ENTRIES)


@pytest.mark.golden
def test_the_catalogue_has_sixty_photographs_and_eight_need_only_python_packages() -> None:
    assert (len(ENTRIES), len(ENTRIES) - len(FURTHER)) == (60, 8)


@pytest.mark.reference
def test_photographs_equal_those_that_their_packages_load() -> None:
    assert np.array_equal(photograph("cat"), skimage.data.chelsea())
    assert np.array_equal(photograph("china"), load_sample_image("china.jpg"))
    grey = photograph("ascent")
    assert grey.shape == (512, 512, 3)
    assert (grey == grey[..., :1]).all()
    assert grey.std() > 30


@pytest.mark.blackbox
def test_every_photograph_of_an_installed_package_has_the_stated_content() -> None:
    found = photographs()
    assert {one.name for one in found} == ENTRIES.keys() - FURTHER.keys()
    for one in found:
        assert file_sha256(one.path) == ENTRIES[one.name]["sha256"]
        assert one.credit == f"{one.name} ({one.author}; {one.licence})"
        assert one.pixels().ndim == 3


@pytest.mark.property
def test_no_photograph_was_used_to_train_or_select_the_mini_models() -> None:
    used = {*PHOTOS["train"], *PHOTOS["dev"]}
    assert not used & ENTRIES.keys()
    training = {name: getattr(skimage.data, name)().tobytes() for name in used}
    for one in photographs():
        pixels = one.pixels()
        assert pixels.tobytes() not in training.values(), one.name
        assert pixels[..., 0].tobytes() not in training.values(), one.name


@pytest.mark.property
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_squares_lie_inside_the_photograph_and_do_not_overlap(width: int, height: int, smallest: int) -> None:
    found = squares(width, height, smallest)
    assert len(found) <= 3
    for square in found:
        assert square.side >= smallest
        assert min(square.left, square.top) >= 0
        assert square.left + square.side <= width
        assert square.top + square.side <= height
    for one, other in combinations(found, 2):
        assert not pixels_inside(one) & pixels_inside(other)
    assert bool(found) == (min(width, height) >= smallest)
    if width != height:
        turned = squares(height, width, smallest)
        assert turned == [Square(one.scale, one.top, one.left, one.side) for one in found]


@pytest.mark.golden
def test_a_photograph_gives_squares_of_three_scales_or_a_whole_one() -> None:
    assert squares(640, 400, 80) == [
        Square("large", 0, 40, 320),
        Square("medium", 320, 120, 160),
        Square("small", 520, 160, 80),
    ]
    assert squares(640, 400, 161) == [Square("large", 0, 40, 320)]
    assert squares(400, 640, 321) == [Square("whole", 0, 120, 400)]
    assert squares(400, 640, 401) == []


@pytest.mark.property
def test_the_data_set_is_the_same_every_time_and_each_crop_names_its_licence(tmp_path: Path) -> None:
    first, second = (write_photographs(tmp_path / name, side=64) for name in ("a", "b"))
    assert digests(first) == digests(second)
    notes = [json.loads(line) for line in (first / "sources.jsonl").read_text().splitlines()]
    assert {note["photograph"] for note in notes} == ENTRIES.keys() - FURTHER.keys()
    for note in notes:
        entry = ENTRIES[note["photograph"]]
        assert note["source"] == f"{note['photograph']} ({entry['author']}; {entry['licence']})"
        assert (note["author"], note["licence"], note["origin"]) == (
            entry["author"],
            entry["licence"],
            entry["source"],
        )
        with Image.open(first / note["file"]) as picture:
            assert picture.size == (64, 64)
    pictures = list(FolderPictures(first))
    assert [picture.id for picture in pictures] == sorted(note["file"] for note in notes)
    assert {picture.source for picture in pictures} == {note["source"] for note in notes}
    assert len(pictures) > len({picture.source for picture in pictures})


@pytest.mark.blackbox
def test_a_crop_is_the_scaled_square_of_its_photograph(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path, side=128)
    notes = [json.loads(line) for line in (folder / "sources.jsonl").read_text().splitlines()]
    note = next(note for note in notes if note["file"] == "flower_medium.png")
    left, top, side = (int(note[key]) for key in ("left", "top", "side"))
    square = Image.fromarray(photograph("flower")[top : top + side, left : left + side])
    with Image.open(folder / note["file"]) as crop:
        difference = np.asarray(crop, int) - np.asarray(square.resize((128, 128), Image.Resampling.BICUBIC), int)
    assert np.abs(difference).max() == 0


@pytest.mark.blackbox
def test_further_photographs_are_found_by_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unpacked(tmp_path / "more", monkeypatch, "keck", "canyon", "sheep")
    shutil.copytree(tmp_path / "more", tmp_path / "more" / "again")
    with caplog.at_level(logging.WARNING):
        found = photographs(tmp_path / "more")
    assert [one.name for one in found][8:] == ["keck", "canyon", "sheep"]
    assert f"49 of {len(FURTHER)} further photographs are not below" in caplog.text
    assert photograph("sheep", tmp_path / "more").shape == (300, 200, 3)
    few, many = (write_photographs(tmp_path, side=64, more=more) for more in (None, tmp_path / "more"))
    assert few != many
    assert {path.name for path in few.glob("*.png")} < {path.name for path in many.glob("*.png")}


@pytest.mark.blackbox
def test_a_missing_package_is_one_message_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.importlib.util.find_spec
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if name == "sklearn" else real(name))
    with pytest.raises(BadInputError, match=r"^sklearn is not installed: run pip install 'asymbench\[photographs\]'$"):
        photographs()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sha256": "0" * 64}, r"chelsea\.png: expected the photograph with the SHA-256 0{64}, found 596aa1e7"),
        ({"file": "data/missing.png"}, r"missing\.png: expected the photograph with the SHA-256 596a.*, found no file"),
    ],
)
def test_another_file_than_the_catalogue_states_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], message: str
) -> None:
    catalogue(tmp_path, monkeypatch, **changed)
    with pytest.raises(BadInputError, match=message):
        write_photographs(tmp_path, side=64)
    assert not list(tmp_path.iterdir())


@pytest.mark.blackbox
def test_wrong_arguments_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for more, message in (
        (
            tmp_path / "absent",
            r"^dataset\.more: expected a folder with unpacked packages .*, found nothing at .*absent$",
        ),
        (tmp_path / "empty", r"^dataset\.more: expected unpacked packages with photographs, found none of them below"),
    ):
        with pytest.raises(BadInputError, match=message):
            write_photographs(tmp_path / "data", side=64, more=more)
    with pytest.raises(BadInputError, match=r"^profile\.resolution: expected at most .*, found 4000 pixels"):
        write_photographs(tmp_path / "data", side=4000)
    assert [path for path in (tmp_path / "data").glob("*") if path.suffix != ".lease"] == []
    with pytest.raises(BadInputError, match=r"^photograph: expected one of cat, coins, .*, found dog$"):
        photograph("dog")
