"""`python -m bench.store`: what is there, whether it is whole, and what may go, beside processes that work."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.store import Store, content_key
from bench.store.__main__ import main
from bench.store.uses import Uses
from tests.imports import HEAVY, loaded_with

DAY = 86400
USED, OTHER = content_key({"number": 0}), content_key({"number": 1})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store in which a run uses one of two shards, both ten days old."""
    store = Store(tmp_path / "store")
    (tmp_path / "run").mkdir()
    store.uses.begin(store.root, "mine", tmp_path / "run")
    store.uses.add("latents", [USED])
    for key in (USED, OTHER):
        store.put("latents", key, {"latents": np.zeros((64, 4), np.float32)})
    for path in shards(store.root):
        age(path, 10)
    return store.root


def shards(root: Path) -> list[Path]:
    return sorted(root.rglob("*.safetensors"))


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def said(capsys: pytest.CaptureFixture[str], root: Path, *words: str, status: int = 0) -> dict[str, Any]:
    assert main([*words, "--store", str(root), "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_entries_say_what_made_them_and_who_uses_them(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {entry["key"]: entry for entry in said(capsys, root, "ls")["entries"]}
    assert found.keys() == {USED, OTHER}
    assert found[USED]["used_by"] == [str(root.parent / "run")]
    assert found[OTHER]["used_by"] == []
    for entry in found.values():
        assert (entry["kind"], entry["made_by"], entry["items"]) == ("latents", "mine", 64)
        assert entry["days"] == pytest.approx(10, abs=0.1)
        assert entry["bytes"] == Path(entry["path"]).stat().st_size
    assert main(["ls", "--store", str(root)]) == 0
    assert "used by 1 run(s)" in capsys.readouterr().out
    used = said(capsys, root, "du")
    assert used["kinds"]["latents"]["entries"] == 2
    assert used["kinds"]["runs"]["entries"] == 1
    assert used["bytes"] == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def test_damage_is_named_and_put_aside(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, root, "verify")["damaged"] == []
    first = shards(root)[0]
    flip(first)
    prepared = root / "items" / ("a" * 64)
    prepared.mkdir(parents=True)
    (prepared / "items.arrow").write_bytes(b"whole")
    (prepared / "SHA256SUMS").write_text(f"{'0' * 64}  items.arrow\n")
    found = said(capsys, root, "verify", status=1)
    assert {line["path"] for line in found["damaged"]} == {str(first), str(prepared)}
    said(capsys, root, "verify", "--repair")
    assert said(capsys, root, "verify")["damaged"] == []
    assert first.with_suffix(".damaged").exists()
    assert not prepared.exists()


def test_what_no_run_uses_may_go_once_it_is_old(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def paths(*words: str) -> list[str]:
        return [Path(line["path"]).name[:64] for line in said(capsys, root, "gc", *words)["paths"]]

    assert paths() == [OTHER]
    assert paths("--days", "20") == []
    assert set(paths("--runs", str(root.parent / "elsewhere"))) == {USED, OTHER}
    assert paths("--runs", str(root.parent)) == [OTHER]
    assert len(shards(root)) == 2  # so far they were only named
    assert paths("--delete") == [OTHER]
    assert [path.name[:64] for path in shards(root)] == [USED]
    (root.parent / "run").rmdir()
    (note,) = (root / "runs").iterdir()
    age(note, 10)
    assert len(paths("--delete")) == 2
    assert shards(root) == []
    assert not note.exists()


def test_another_hosts_runs_count_though_they_cannot_be_seen(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = (root / "runs").iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, "host": "elsewhere", "out": "/nowhere/here"}))
    assert len(said(capsys, root, "gc")["paths"]) == 1


def test_what_dead_processes_leave_may_go(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shards(root)[0].parent
    gone = [folder / ".abc-1.partial", folder / f".{USED}.lock", folder / "x.damaged", root / "items" / ".abc-2"]
    gone[3].mkdir(parents=True)
    for path in gone[:3]:
        path.write_text("x")
    (folder / ".abc-3.partial").write_text("being written")
    for path in (*gone[:2], gone[3]):
        age(path, 1)
    dead = subprocess.run([sys.executable, "-c", LEFT.format(path=folder / ".dead.lease")], env=environment())
    assert dead.returncode == 9
    age(folder / ".dead.lease", 1)
    found = said(capsys, root, "gc", "--delete")
    assert {line["path"] for line in found["paths"]} >= {str(path) for path in (*gone, folder / ".dead.lease")}
    assert not any(path.exists() for path in (*gone, folder / ".dead.lease"))
    assert (folder / ".abc-3.partial").exists()


LEFT = """
import os
from pathlib import Path
from bench.store import lease
with lease(Path("{path}")):
    os._exit(9)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}


def test_a_damaged_note_is_named_and_nothing_goes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = (root / "runs").iterdir()
    note.write_text(note.read_text()[:-20])
    assert main(["gc", "--delete", "--store", str(root)]) == 2
    assert str(note) in capsys.readouterr().err
    assert len(shards(root)) == 2


def test_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("ls", "du", "verify", "gc"):
        assert main([command, "--store", str(tmp_path / "none")]) == 2
        assert f"nothing at {tmp_path / 'none'}" in capsys.readouterr().err


def test_it_is_safe_beside_a_process_that_works(tmp_path: Path) -> None:
    """Nothing is kept for a second, and the process that works beside it still has the right values."""
    stop, cleared = threading.Event(), 0
    root = tmp_path / "store"
    root.mkdir()

    def clear() -> None:
        nonlocal cleared
        while not stop.is_set():
            assert main(["gc", "--days", "0", "--delete", "--store", str(root)]) == 0
            assert main(["verify", "--store", str(root)]) == 0
            cleared += 1

    clearer = threading.Thread(target=clear)
    clearer.start()
    store, blocks = Store(root), {number: {"all": content_key({"number": number})} for number in range(20)}
    try:
        for _ in range(10):
            for turn in store.turns("latents", blocks):
                if turn.missing:
                    store.put("latents", blocks[turn.block]["all"], {"number": np.array([turn.block])})
                else:
                    assert turn.found["all"]["number"] == [turn.block]
    finally:
        stop.set()
        clearer.join()
    assert cleared > 0
    store.put("latents", blocks[0]["all"], {"number": np.array([0])})
    assert store.get("latents", blocks[0]["all"]) is not None


def test_notes_of_a_store_that_cannot_be_written_are_left_out() -> None:
    uses = Uses()
    uses.begin(Path("/sys/kernel"), "mine", Path("/tmp"))
    uses.add("latents", [USED])


def test_it_needs_no_torch(tmp_path: Path) -> None:
    assert not HEAVY & loaded_with("bench.store.__main__", tmp_path)
