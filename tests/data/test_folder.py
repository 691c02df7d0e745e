"""Tests of folders of pictures: pictures of any depth are sorted, and every other file is named."""

import os
from pathlib import Path

import pytest
from PIL import Image

from bench.data.folder import FolderPictures
from bench.data.pictures import read_rgb
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), "teal").save(path)
    return path


def names(root: Path) -> list[str]:
    return [picture.id for picture in FolderPictures(root)]


def test_pictures_of_every_depth_are_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "a.png", "deep/er/c.webp", "deep/a.bmp"):
        save(tmp_path / name)
    pictures = list(FolderPictures(str(tmp_path)))
    assert [picture.id for picture in pictures] == ["a.jpg", "a.png", "b.png", "deep/a.bmp", "deep/er/c.webp"]
    assert [picture.path for picture in pictures] == [tmp_path / picture.id for picture in pictures]
    assert len({picture.source for picture in pictures}) == 5


def test_files_that_are_not_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("of the pictures")
    (tmp_path / "false.png").write_text("<!DOCTYPE html>")
    (tmp_path / "empty.png").touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    pictures = FolderPictures(tmp_path)
    assert [picture.id for picture in pictures] == ["a.png"]
    assert pictures.left_out == {
        "empty.png": "an empty file",
        "false.png": "not a picture",
        "gone.png": "a broken link",
        "notes.txt": "not a picture",
        "pipe.png": "neither a file nor a folder",
    }


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "b.png")
    root = tmp_path / "root"
    save(root / "a.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "again").symlink_to(root / "linked")
    (root / "loop").symlink_to(root)
    pictures = FolderPictures(root)
    assert [picture.id for picture in pictures] == ["a.png", "again/b.png"]
    assert pictures.left_out == dict.fromkeys(["linked", "loop"], "a folder that is already listed")


LINKS = {
    "above the root": ({"up": ".."}, ["a.png", "up/beside.png"], ["up/root"]),
    "into a folder that another link leads to": ({"x": "../far/in", "y": "../far"}, ["a.png", "x/c.png"], ["y/in"]),
    "to a folder that another link leads into": ({"x": "../far", "y": "../far/in"}, ["a.png", "x/in/c.png"], ["y"]),
}


@pytest.mark.parametrize("case", LINKS)
def test_pictures_are_not_listed_twice_through_links(tmp_path: Path, case: str) -> None:
    links, ids, left_out = LINKS[case]
    save(tmp_path / "top" / "root" / "a.png")
    save(tmp_path / "top" / "far" / "in" / "c.png")
    if case == "above the root":
        save(tmp_path / "top" / "beside.png")
        (tmp_path / "top" / "far" / "in" / "c.png").unlink()
    root = tmp_path / "top" / "root"
    for name, target in links.items():
        (root / name).symlink_to(target)
    pictures = FolderPictures(root)
    assert [picture.id for picture in pictures] == ids
    assert pictures.left_out == dict.fromkeys(left_out, "a folder that is already listed")


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / ".hidden_root"
    for name in ("a.png", ".b.png", ".cache/c.png", "deep/._d.png", "deep/.thumbs/e.png"):
        save(root / name)
    (root / ".DS_Store").write_text("nothing")
    assert names(root) == ["a.png"]
    assert set(FolderPictures(root).left_out.values()) == {"hidden"}


def test_a_picture_without_a_suffix_is_listed(tmp_path: Path) -> None:
    os.replace(save(tmp_path / "a.png"), tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected a folder of pictures.*nowhere$"):
        names(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected pictures, found none in .*"):
        names(tmp_path)
    (tmp_path / "notes.txt").write_text("of the pictures")
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected pictures, found none"):
        names(tmp_path)
    with pytest.raises(
        BadInputError,
        match=r"^dataset\.root: expected a folder of pictures, found something that is not a folder at .*notes\.txt$",
    ):
        names(tmp_path / "notes.txt")


def test_a_broken_picture_is_left_for_its_reader_to_refuse(tmp_path: Path) -> None:
    data = save(tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[:-30])
    assert names(tmp_path) == ["cut.png"]
    with pytest.raises(BadInputError, match=r"cut\.png.*broken"):
        read_rgb(tmp_path / "cut.png")


def test_a_picture_too_large_to_open_is_left_for_its_reader_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "vast.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(BadInputError, match=r"vast\.png: expected a picture of at most 178,956,970 pixels"):
        read_rgb(tmp_path / "vast.png")
    assert names(tmp_path) == ["vast.png"]


def test_a_folder_of_pictures_has_drawn_masks_and_a_custom_subset(tmp_path: Path) -> None:
    pictures = FolderPictures(tmp_path)
    assert (pictures.masks, pictures.fit, pictures.subset) == ("drawn", "lama", "custom")


def test_notes_beside_miniature_pictures_give_their_sources(tmp_path: Path) -> None:
    save(tmp_path / "n1" / "a.png")
    save(tmp_path / "b.png")
    (tmp_path / "scenes.jsonl").write_text('{"file": "n1/a.png", "source": "photo cat"}\n')
    assert [picture.source for picture in FolderPictures(tmp_path)] == ["b.png", "photo cat"]
