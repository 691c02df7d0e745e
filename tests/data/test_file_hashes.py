"""Tests of the hashes of files: only content matters, and a damaged cache of hashes changes nothing."""

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from bench.data import file_hashes
from bench.data.file_hashes import FileHashes
from bench.store import Fact, file_sha256
from tests.helpers.prepared_items import Listed, draw, prepare, prepared, sets

pytestmark = pytest.mark.blackbox


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember hashes without a delay."""
    monkeypatch.setattr(file_hashes, "SETTLED", -(10**12))


def test_changed_pixels_give_new_items_despite_equal_name_size_and_time(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.bmp", 1)
    Image.new("RGB", (44, 36), "teal").save(picture.path)
    before = picture.path.stat()
    first = prepare(tmp_path / "items", [picture])
    Image.new("RGB", (44, 36), "navy").save(picture.path)
    os.utime(picture.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert picture.path.stat().st_size == before.st_size
    assert prepare(tmp_path / "items", [picture]).hash != first.hash


def test_a_changed_modification_time_keeps_the_items(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", 1)
    prepare(tmp_path / "items", [picture])
    os.utime(picture.path, ns=(1, 1))
    prepare(tmp_path / "items", [picture])
    assert len(sets(tmp_path / "items")) == 1


def test_a_hash_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    path, memory = tmp_path / "a", Fact(tmp_path / "store", {"what": "test"})
    path.write_bytes(b"first")
    assert FileHashes(memory).of([path]) == {path: file_sha256(path)}
    real, hashed = file_hashes._hash, []
    monkeypatch.setattr(file_hashes, "_hash", lambda one: hashed.append(one) or real(one))
    assert FileHashes(memory).of([path]) == {path: file_sha256(path)}
    assert hashed == []
    path.write_bytes(b"other")
    assert FileHashes(memory).of([path]) == {path: file_sha256(path)}
    assert hashed == [path]


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path) -> None:
    path, memory = tmp_path / "a", Fact(tmp_path / "store", {"what": "test"})
    path.write_bytes(b"first")
    FileHashes(memory).of([path])
    assert (memory.recall() or {})["hashes"] == {}


@pytest.mark.parametrize("spoiled", ["{", "[]", '{"found": 3}', "hashes", "value"])
def test_a_damaged_hash_cache_is_ignored(tmp_path: Path, spoiled: str, settled: None) -> None:
    path, memory = tmp_path / "a", Fact(tmp_path / "store", {"what": "test"})
    path.write_bytes(b"first")
    FileHashes(memory).of([path])
    (note,) = (tmp_path / "store" / "measured").iterdir()
    content = json.loads(note.read_text())
    if spoiled == "hashes":
        content["found"]["hashes"] = ["x"]
    elif spoiled == "value":
        content["found"]["hashes"] = dict.fromkeys(content["found"]["hashes"], "0" * 64)
    note.write_text(json.dumps(content) if spoiled in ("hashes", "value") else spoiled)
    assert FileHashes(memory).of([path]) == {path: file_sha256(path)}


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = [tmp_path / "pipe", tmp_path, tmp_path / "gone", tmp_path / ("x" * 300), tmp_path / "a\0b"]
    began = time.monotonic()
    assert set(FileHashes().of(paths).values()) == {"none"}
    assert time.monotonic() - began < 5


def test_a_file_that_changes_while_it_is_hashed_is_detected(tmp_path: Path) -> None:
    path, hashes = tmp_path / "a", FileHashes()
    path.write_bytes(b"first")
    hashes.of([path])
    assert hashes.changed() == []
    path.write_bytes(b"another")
    assert hashes.changed() == [path]


def test_items_of_whole_images_are_made_again_for_another_folder(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        listed = Listed([draw(folder / "a.png", 1)], "whole", "crop")
        prepared(tmp_path / "items", listed)
    (folders[0] / "a.png").unlink()
    assert len(prepared(tmp_path / "items", Listed([draw(folders[1] / "a.png", 1)], "whole", "crop")).read(0, 1))
