"""Tests of miniature data sets on disk, which are written once, completely or not at all."""

import threading
from pathlib import Path

import pytest

from bench.data.mini.writing import written_once

pytestmark = pytest.mark.blackbox


def fill(folder: Path) -> None:
    (folder / "a.txt").write_text("a")


def fail(folder: Path) -> None:
    fill(folder)
    raise KeyboardInterrupt


def test_an_existing_folder_is_not_written_again(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "val"
    assert written_once(target, fill) == target
    assert (target / "a.txt").read_text() == "a"
    assert written_once(target, fail) == target


def test_a_failed_write_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written_once(tmp_path / "val", fail)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    written_once(tmp_path / "val", fill)
    assert (tmp_path / "val" / "a.txt").is_file()


def test_one_of_several_threads_writes_the_folder(tmp_path: Path) -> None:
    written = []

    def note(folder: Path) -> None:
        written.append(folder)
        fill(folder)

    threads = [threading.Thread(target=written_once, args=(tmp_path / "val", note)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1
