"""Tests that files and folders are written completely or not at all, and that disk errors name the file."""

import errno
from pathlib import Path

import pytest

from bench.runtime.atomic import whole_file, whole_folder

pytestmark = pytest.mark.blackbox


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


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    for write in (write_file, write_folder):
        write(tmp_path, "old")
        with pytest.raises(KeyError):
            write(tmp_path, "new", KeyError())
    assert contents(tmp_path) == (["file", "folder", "old"], "old")


def test_a_successful_write_replaces_the_old_file(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_file(tmp_path, text)
        write_folder(tmp_path, text)
    assert contents(tmp_path) == (["file", "folder", "new"], "new")


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "bad\udcff" * 40])
def test_names_of_the_longest_allowed_length_can_be_written(tmp_path: Path, name: str) -> None:
    with whole_file(tmp_path / name) as partial:
        partial.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_recognised_in_errors_of_libraries(tmp_path: Path) -> None:
    """The errors are those of safetensors and of PyTorch."""
    by_text = ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    by_context = RuntimeError("unexpected pos 64 vs 0")
    by_context.__context__ = OSError(errno.ENOSPC, "No space left on device")
    for error in (by_text, by_context):
        with pytest.raises(OSError, match="No space left") as found:
            write_file(tmp_path, "new", error)
        assert (found.value.errno, found.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    with pytest.raises(ValueError, match="another"):
        write_file(tmp_path, "new", ValueError("another"))
