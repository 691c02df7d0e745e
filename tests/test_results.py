"""What a run leaves: a folder of its own, and files that are whole or not there."""

import json
import resource
from datetime import datetime
from pathlib import Path

import pytest

from bench import results
from bench.errors import BadInputError
from bench.results import open_out, write_atomically, write_json


class Stopped:
    """A clock that stands, so that every default name is the same."""

    @staticmethod
    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5)


def test_runs_that_start_in_the_same_second_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "datetime", Stopped)
    folders = [open_out(None, "table2") for _ in range(4)]
    assert len(set(folders)) == 4
    for folder in folders:
        assert folder.is_dir()
        assert folder.parent == Path("outputs/table2")
        assert folder.name.startswith("2026-01-02_03-04-05")


def test_a_chosen_folder_is_made_and_taken_again_by_the_same_experiment(tmp_path: Path) -> None:
    chosen = tmp_path / "deep" / "run"
    assert open_out(str(chosen), "table2") == chosen
    assert list(chosen.iterdir()) == []
    write_json(chosen / "run.json", {"experiment": "table2", "status": "complete"})
    (chosen / "report.html").write_text("of the earlier run")
    assert open_out(str(chosen), "table2") == chosen
    assert list(chosen.iterdir()) == [], "what is being written anew is not complete"


@pytest.mark.parametrize(
    ("left", "found"),
    [(b'{"experiment": "table3"}', "table3"), (b"{", "unreadable"), (b"[]", "unreadable"), (b"\xff\xfe", "unreadable")],
)
def test_a_folder_of_another_experiment_is_refused(tmp_path: Path, left: bytes, found: str) -> None:
    (tmp_path / "run.json").write_bytes(left)
    with pytest.raises(BadInputError, match=rf"^out: .*table2.*{found}.*{tmp_path.name}"):
        open_out(str(tmp_path), "table2")
    assert (tmp_path / "run.json").read_bytes() == left


def test_what_cannot_be_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("a file")
    for out in ("outputs", "outputs/run", None):
        with pytest.raises(BadInputError, match=r"^out: expected a folder that can be written, found .*outputs"):
            open_out(out, "table2")


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
        {"text": "\ud800"},
    ],
    ids=["nan", "inf", "path", "surrogate"],
)
def test_bad_content_is_refused_and_leaves_what_was_there(tmp_path: Path, content: dict[str, object]) -> None:
    target = tmp_path / "results.json"
    for expected in ([], [target]):
        with pytest.raises((TypeError, ValueError)):
            write_json(target, content)
        assert list(tmp_path.iterdir()) == expected
        write_json(target, {"value": 1.5})
        assert json.loads(target.read_text()) == {"value": 1.5}


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "records.parquet"
    write_atomically(target, b"earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomically(target, b"later" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"earlier"
    write_atomically(target, b"later")
    assert list(tmp_path.iterdir()) == [target]


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    content = {"label": "Ours † ×", "value": 0.1 + 0.2, "stderr": None, "rows": []}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "Ours † ×" in text
