"""Any folder of pictures: found at any depth, in order, with a line for every file that is none."""

import logging
import os
from pathlib import Path

import pytest
from PIL import Image

from bench.data.folder import FolderPictures
from bench.data.items import read_rgb
from bench.errors import BadInputError


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), "teal").save(path)
    return path


def names(root: Path) -> list[str]:
    return [picture.id for picture in FolderPictures(root)]


def test_pictures_of_every_depth_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "a.png", "deep/er/c.webp", "deep/a.bmp"):
        save(tmp_path / name)
    pictures = list(FolderPictures(str(tmp_path)))
    assert [picture.id for picture in pictures] == ["a.jpg", "a.png", "b.png", "deep/a.bmp", "deep/er/c.webp"]
    assert [picture.path for picture in pictures] == [tmp_path / picture.id for picture in pictures]
    assert len({picture.source for picture in pictures}) == 5


def test_files_that_are_no_picture_are_skipped_with_a_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("of the pictures")
    (tmp_path / "false.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == ["a.png"]
    expected = [f"skipped {tmp_path / name}: not a picture" for name in ("empty.png", "false.png", "notes.txt")]
    assert caplog.messages == expected


def test_hidden_files_and_folders_are_passed_over_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / ".hidden_root"
    for name in ("a.png", ".b.png", ".cache/c.png", "deep/.d.png", "deep/.thumbs/e.png"):
        save(root / name)
    (root / ".DS_Store").write_text("nothing")
    with caplog.at_level(logging.WARNING):
        assert names(root) == ["a.png"]
    assert caplog.messages == []


def test_a_picture_without_a_suffix_is_one(tmp_path: Path) -> None:
    os.replace(save(tmp_path / "a.png"), tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_a_folder_that_is_missing_empty_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected a folder of pictures.*nowhere$"):
        names(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected pictures, found none in .*"):
        names(tmp_path)
    (tmp_path / "notes.txt").write_text("of the pictures")
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected pictures, found none"):
        names(tmp_path)
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected a folder of pictures.*notes\.txt$"):
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
    with pytest.raises(BadInputError, match=r"vast\.png.*broken.*exceeds limit"):
        read_rgb(tmp_path / "vast.png")
    assert names(tmp_path) == ["vast.png"]


def test_its_masks_are_drawn_and_its_choice_is_the_users_own(tmp_path: Path) -> None:
    pictures = FolderPictures(tmp_path)
    assert (pictures.masks, pictures.fit, pictures.subset) == ("drawn", "lama", "custom")


def test_notes_beside_miniature_pictures_tell_their_sources(tmp_path: Path) -> None:
    save(tmp_path / "n1" / "a.png")
    save(tmp_path / "b.png")
    (tmp_path / "scenes.jsonl").write_text('{"file": "n1/a.png", "source": "photo cat"}\n')
    assert [picture.source for picture in FolderPictures(tmp_path)] == ["b.png", "photo cat"]
