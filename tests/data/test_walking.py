"""Tests of the search for files below a folder: it is equal for every adapter, and every omission is reported."""

import os
from pathlib import Path

import pytest

from bench.data.imagenet import AuthorsArchive, ImageNetValidation
from bench.data.imagenet_train import ImageNetTrain
from bench.data.listing import read_lines
from bench.data.places import Places
from bench.data.walking import left_out_note, walk
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_are_sorted_by_the_parts_of_their_paths(tmp_path: Path) -> None:
    names = ["Z", "a/b", "a.b", "b", "ä", "é"]
    found = walk(touch(tmp_path, *names))
    assert [path.relative_to(tmp_path).as_posix() for path in found.files] == ["Z", "a/b", "a.b", "b", "ä", "é"]
    assert found.left_out == {}


def test_walking_ends_despite_loops_of_links(tmp_path: Path) -> None:
    touch(tmp_path, "a/1", "b/2")
    (tmp_path / "a" / "to_b").symlink_to("../b")
    (tmp_path / "b" / "to_a").symlink_to("../a")
    (tmp_path / "self").symlink_to("self")
    found = walk(tmp_path)
    assert [path.name for path in found.files] == ["1", "2"]
    assert set(found.left_out) == {"a/to_b", "b/to_a", "self"}
    assert "Too many levels" in found.left_out["self"]


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a", "locked/b")
    real = os.listdir

    def listdir(path: Path) -> list[str]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("bench.data.walking.os.listdir", listdir)
    assert walk(tmp_path).left_out == {"locked": "a folder that cannot be read (Permission denied)"}
    with pytest.raises(BadInputError, match=r"expected a folder that can be read, found "):
        walk(tmp_path / "locked")


def test_hidden_files_folders_and_pipes_do_not_change_imagenets_choice(tmp_path: Path) -> None:
    touch(tmp_path, *(f"n{folder}/{number}.JPEG" for folder in range(5) for number in range(9)))
    before = [picture.id for picture in ImageNetValidation(tmp_path)]
    touch(tmp_path, *(f"n{folder}/._{number}.JPEG" for folder in range(5) for number in range(9)))
    touch(tmp_path, ".cache/1.JPEG", "n0/.DS_Store", "n1/00.jpg/1.JPEG")
    os.mkfifo(tmp_path / "n2" / "000.jpg")
    (tmp_path / "n3" / "001.jpg").symlink_to("nowhere")
    adapter = ImageNetValidation(tmp_path)
    assert [picture.id for picture in adapter] == before
    assert len(adapter.left_out) == 5 * 9 + 5
    train = ImageNetTrain(tmp_path, resolution=8, masks="thick_512@8")
    assert len(train) == 45


def test_hidden_files_are_left_out_of_the_archive(tmp_path: Path) -> None:
    adapter = AuthorsArchive(touch(tmp_path, "a.png", "a_mask.png", "._a.png", "b.txt", "deep/c.png"))
    assert [picture.id for picture in adapter] == ["a"]
    assert list(adapter.left_out) == ["._a.png", "deep", "b.txt"]


def test_a_note_counts_reasons_and_names_the_first() -> None:
    assert left_out_note({}) == ""
    found = left_out_note({"a": "hidden", "b": "hidden", "c": "not a picture"})
    assert found == "3 files or folders of the data set left out (hidden: 2, not a picture: 1): a, b, c"


TEXT = "x_1.jpg\nü_2.jpg\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "  \t\n").encode() + b"\n  \n",
        TEXT.encode().rstrip(),
    ],
)
def test_lists_with_line_ends_of_any_system_are_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    touch(tmp_path, "test_256/x_1.jpg", "test_256/ü_2.jpg")
    assert [picture.id for picture in Places(tmp_path, "list.txt")] == ["x_1", "ü_2"]


@pytest.mark.parametrize("content", [b"\xff", b"a\0b", TEXT.encode("utf-16-le"), b"\xff\xfea", None])
def test_a_list_that_is_not_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "list.txt"
    os.mkfifo(path) if content is None else path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"list\.txt"):
        read_lines(path, "dataset.pictures.listing", "a text file of names")


@pytest.mark.parametrize("text", ["1\n\n2\n", "1 2\n", "9" * 5000, "\N{ARABIC-INDIC DIGIT ONE}\n", "1\n+1\n"])
def test_a_ground_truth_with_another_line_is_refused(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG")
    (tmp_path / "truth.txt").write_text(text, encoding="utf-8")
    with pytest.raises(
        BadInputError, match=r"truth\.txt: expected a class number of 1 to 9 digits in every line, found "
    ):
        list(ImageNetValidation(tmp_path, ground_truth="truth.txt"))
