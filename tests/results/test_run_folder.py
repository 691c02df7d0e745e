"""Tests of the files of a run, which are complete or absent."""

import json
from pathlib import Path

import pytest

from bench.runtime.files import write_atomically, write_json
from tests.helpers.disks import largest_file

pytestmark = pytest.mark.blackbox


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.md", "† first, and longer")
    write_atomically(tmp_path / "a.md", b"second")
    assert (tmp_path / "a.md").read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.md"]


@pytest.mark.parametrize(
    "content",
    [
        {"value": float("nan")},
        {"rows": [{"value": 1.0}, {"value": float("inf")}]},
        {"path": Path()},
    ],
    ids=["nan", "inf", "path"],
)
def test_bad_content_is_refused_and_keeps_the_old_file(tmp_path: Path, content: dict[str, object]) -> None:
    target = tmp_path / "results.json"
    for expected in ([], [target]):
        with pytest.raises((TypeError, ValueError)):
            write_json(target, content)
        assert list(tmp_path.iterdir()) == expected
        write_json(target, {"value": 1.5})
        assert json.loads(target.read_text()) == {"value": 1.5}


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "records.parquet"
    write_atomically(target, b"earlier")
    with largest_file(1000), pytest.raises(OSError, match="too large"):
        write_atomically(target, b"later" * 1000)
    assert target.read_bytes() == b"earlier"
    write_atomically(target, b"later")
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_read_back_unchanged(tmp_path: Path) -> None:
    content = {"label": "Ours † ×", "value": 0.1 + 0.2, "stderr": None, "rows": []}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "Ours † ×" in text
