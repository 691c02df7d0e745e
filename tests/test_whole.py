"""Files and folders are there whole or not at all, and errors of the disk have a name."""

import errno
from pathlib import Path

import pytest

from bench.whole import whole_file, whole_folder


def test_what_was_there_stays_where_the_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with pytest.raises(KeyError), whole_file(tmp_path / "file") as partial:
        partial.write_text("new")
        raise KeyError
    with pytest.raises(KeyError), whole_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
        raise KeyError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "old"]
    assert (tmp_path / "file").read_text() == "old"


def test_what_is_written_takes_its_place(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with whole_file(tmp_path / "file") as partial:
            partial.write_text(name)
        with whole_folder(tmp_path / "folder") as partial:
            (partial / name).touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "new"]
    assert (tmp_path / "file").read_text() == "new"


def test_a_full_disk_is_known_whatever_a_library_makes_of_it(tmp_path: Path) -> None:
    """As safetensors says it, and as PyTorch does."""
    with pytest.raises(OSError) as by_text, whole_file(tmp_path / "a"):
        raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(OSError) as by_context, whole_file(tmp_path / "a"):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")
    for found in (by_text.value, by_context.value):
        assert (found.errno, found.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    with pytest.raises(ValueError, match="another"), whole_file(tmp_path / "a"):
        raise ValueError("another")
