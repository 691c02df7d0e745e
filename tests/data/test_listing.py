"""Tests of functions that adapters share: names that are shown, refused and hashed, and notes beside miniatures."""

import hashlib
from pathlib import Path

import pytest

from bench.data.listing import few, inside, names_sha256, refuse_missing, refuse_repeated, source_notes
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

LIST = Path("list.txt")


def test_five_names_are_shown_and_the_rest_counted() -> None:
    names = ["a", "b", "c", "d", "e", "f", "g"]
    assert few(names) == "a, b, c, d, e and 2 more"
    assert few(names[:5]) == "a, b, c, d, e"


def test_names_are_hashed_joined_by_line_feeds() -> None:
    assert names_sha256(["a", "b"]) == hashlib.sha256(b"a\nb").hexdigest()
    assert names_sha256(["a", "b"]) != names_sha256(["b", "a"])


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "a/.."])
def test_a_path_outside_its_root_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match=r"^list\.txt: expected only paths inside .*, found "):
        inside(tmp_path, name, listed_in=LIST)


def test_a_path_below_its_root_is_accepted(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b..c.png", listed_in=LIST) == tmp_path / "a" / "b..c.png"


def test_repeated_names_are_counted_and_shown() -> None:
    refuse_repeated(["a", "b"], listed_in=LIST)
    with pytest.raises(BadInputError, match=r"^list\.txt: expected each name once, found 2 repeated: b, a$"):
        refuse_repeated(["b", "a", "a", "b", "c", "b"], listed_in=LIST)


def test_missing_files_are_counted_and_shown(tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    with pytest.raises(
        BadInputError, match=r"^list\.txt: expected that each .*, found 6 of 7 missing: 1, 2, 3, 4, 5 and 1 more$"
    ):
        refuse_missing(tmp_path, [tmp_path / str(number) for number in range(7)], listed_in=LIST)


@pytest.mark.parametrize("name", ["sources.jsonl", "scenes.jsonl"])
def test_notes_give_the_sources(tmp_path: Path, name: str) -> None:
    assert source_notes(tmp_path) == {}
    (tmp_path / name).write_text('{"file": "a/b.png", "source": "scene 1", "word": "BOAT"}\n')
    assert source_notes(tmp_path) == {"a/b.png": "scene 1"}


@pytest.mark.parametrize("line", ["{", '{"file": "a"}', "[]", "3"])
def test_broken_notes_are_named_with_their_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "sources.jsonl").write_text(f'{{"file": "a", "source": "b"}}\n{line}\n')
    with pytest.raises(BadInputError, match=r"sources\.jsonl:2: .*expected .*, found "):
        source_notes(tmp_path)
