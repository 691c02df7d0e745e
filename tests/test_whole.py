"""Files and folders are there whole or not at all, and errors of the disk have a name."""

import errno
from pathlib import Path

import pytest

from bench.whole import whole_file, whole_folder


def write_file(folder: Path, text: str, error: Exception | None = None) -> None:
    with whole_file(folder / "file") as partial:
        partial.write_text(text)
        if error is not None:
            raise error


def write_folder(folder: Path, text: str, error: Exception | None = None) -> None:
    with whole_folder(folder / "folder") as partial:
        (partial / text).touch()
        if error is not None:
            raise error


def contents(folder: Path) -> tuple[list[str], str]:
    return sorted(path.name for path in folder.rglob("*")), (folder / "file").read_text()


def test_what_was_there_stays_where_the_writing_fails(tmp_path: Path) -> None:
    for write in (write_file, write_folder):
        write(tmp_path, "old")
        with pytest.raises(KeyError):
            write(tmp_path, "new", KeyError())
    assert contents(tmp_path) == (["file", "folder", "old"], "old")


def test_what_is_written_takes_its_place(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_file(tmp_path, text)
        write_folder(tmp_path, text)
    assert contents(tmp_path) == (["file", "folder", "new"], "new")


def test_a_full_disk_is_known_whatever_a_library_makes_of_it(tmp_path: Path) -> None:
    """As safetensors says it, and as PyTorch does."""
    by_text = ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    by_context = RuntimeError("unexpected pos 64 vs 0")
    by_context.__context__ = OSError(errno.ENOSPC, "No space left on device")
    for error in (by_text, by_context):
        with pytest.raises(OSError, match="No space left") as found:
            write_file(tmp_path, "new", error)
        assert (found.value.errno, found.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    with pytest.raises(ValueError, match="another"):
        write_file(tmp_path, "new", ValueError("another"))
