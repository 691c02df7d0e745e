"""Tests of file names that file systems allow but tables, messages or other file systems do not."""

import os
from pathlib import Path

import pytest

from bench.data.items import Picture
from bench.data.names import LONGEST, escaped, file_stem, path_as_text, text_as_path, valid_id

ODD = [
    "-dash",
    "new\nline",
    "bad\udcff",
    "x" * 251,
    "ü" * 125,
    "back\\slash",
    "bell\a",
    "a b",
    "…",
    "\udcff" * 250,
    "a\u2028b",
]


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["a", "n01/a.JPEG", "-a", "ü b", "deep/er/c.webp", "x" * LONGEST])
def test_common_names_are_kept(name: str) -> None:
    assert valid_id(name) == file_stem(name) == escaped(name) == name


@pytest.mark.property
@pytest.mark.parametrize("name", [*ODD, "", ".", "..", "../a", "/etc/a", "a//b", "a/../../b", "nul\0"])
def test_every_name_gives_one_file_below_its_folder(tmp_path: Path, name: str) -> None:
    for given in (name, valid_id(name)):
        path = tmp_path / f"{file_stem(given)}_exemplar.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert path.resolve().is_relative_to(tmp_path.resolve())
        assert file_stem(given) == escaped(file_stem(given))


@pytest.mark.property
def test_different_names_give_different_files() -> None:
    names = [*ODD, "bad\udcfe", "bad_", "x" * 252, "bad\\xff", "new\\nline", "back_slash", "a/b", "a\\b"]
    assert len({file_stem(valid_id(name)) for name in names}) == len({valid_id(name) for name in names}) == len(names)


@pytest.mark.blackbox
def test_an_item_has_a_valid_id_and_source() -> None:
    picture = Picture("bad\udcff\n", Path("a"), "bad\udcff")
    picture.id.encode()
    picture.source.encode()
    assert picture.id.startswith("bad\\xff\\n~")


@pytest.mark.property
@pytest.mark.parametrize("name", ODD)
def test_a_path_is_recovered_from_its_text(name: str) -> None:
    path = Path("/some") / name
    path_as_text(path).encode()
    assert text_as_path(path_as_text(path)) == path
    assert os.fsencode(text_as_path(path_as_text(path))) == os.fsencode(path)
