"""Tests of `python -m bench.store`: listing, verification and removal beside running processes."""

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
from bench.errors import BadInputError
from bench.store import Store, content_key, mark_store
from bench.store.__main__ import main
from bench.store.layout import MARKER, check_store
from bench.store.references import Uses
from tests.helpers.imports import HEAVY, loaded_with

pytestmark = pytest.mark.blackbox

DAY = 86400
USED, OTHER = content_key({"number": 0}), content_key({"number": 1})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a store in which a run uses one of two shards, both ten days old."""
    store = Store(tmp_path / "store")
    mark_store(store.root)
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


def test_entries_name_their_origin_and_their_users(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    files = [path for path in root.rglob("*") if path.is_file() and path.name != MARKER]
    assert used["bytes"] == sum(path.stat().st_size for path in files)


def test_damaged_entries_are_named_and_set_aside(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_old_entries_that_no_run_uses_can_be_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_entries_used_by_runs_on_other_hosts_are_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = (root / "runs").iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, "host": "elsewhere", "out": "/nowhere/here"}))
    assert len(said(capsys, root, "gc")["paths"]) == 1


def test_files_left_by_dead_processes_can_be_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shards(root)[0].parent
    gone = [
        folder / f".{USED[:8]}-abcd_123.partial",
        folder / f".{USED}.lock",
        shards(root)[0].with_suffix(".damaged"),
        root / "items" / f".{USED[:8]}-abcd_124",
    ]
    gone[3].mkdir(parents=True)
    for path in gone[:3]:
        path.write_text("x")
    (folder / f".{USED[:8]}-abcd_125.partial").write_text("being written")
    for path in (*gone[:2], gone[3]):
        age(path, 1)
    dead = subprocess.run([sys.executable, "-c", LEFT.format(path=folder / f".{OTHER}.lease")], env=environment())
    assert dead.returncode == 9
    age(folder / f".{OTHER}.lease", 1)
    found = said(capsys, root, "gc", "--delete")
    assert {line["path"] for line in found["paths"]} >= {str(path) for path in (*gone, folder / f".{OTHER}.lease")}
    assert not any(path.exists() for path in (*gone, folder / f".{OTHER}.lease"))
    assert (folder / f".{USED[:8]}-abcd_125.partial").exists()


LEFT = """
import os
from pathlib import Path
from bench.store import lease
with lease(Path("{path}")):
    os._exit(9)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}


def test_a_damaged_note_is_named_and_nothing_is_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = (root / "runs").iterdir()
    note.write_text(note.read_text()[:-20])
    assert main(["gc", "--delete", "--store", str(root)]) == 2
    assert str(note) in capsys.readouterr().err
    assert len(shards(root)) == 2


def test_a_missing_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("ls", "du", "verify", "gc"):
        assert main([command, "--store", str(tmp_path / "none")]) == 2
        assert f"no folder at {tmp_path / 'none'}" in capsys.readouterr().err


def test_collection_is_safe_beside_a_running_process(tmp_path: Path) -> None:
    """Entries are removed at once, and a process that runs at the same time still reads right values."""
    stop, cleared = threading.Event(), 0
    root = tmp_path / "store"
    mark_store(root)

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


def other_folder(path: Path) -> Path:
    """Write a checkout with names that resemble those of a store."""
    for name in (".git/objects", "bench", "items", f"ab/{USED}", "latents/ab", f"docs/{USED}"):
        (path / name).mkdir(parents=True)
        (path / name / f"{USED}-{USED[:16]}.safetensors").write_text("somebody's own")
    (path / "README.md").write_text("mine")
    for one in path.rglob("*"):
        age(one, 100)
    return path


def below(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


@pytest.mark.parametrize("words", [["gc", "--delete", "--days", "0"], ["verify", "--repair"]])
def test_a_folder_without_the_marker_is_never_written(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = other_folder(tmp_path / "checkout")
    before = below(folder)
    assert main([*words, "--store", str(folder)]) == 2
    assert (
        f"--store: expected a store, found no file {MARKER} in {folder}; if an older version" in capsys.readouterr().err
    )
    monkeypatch.chdir(folder)
    for name, text in {"": "BENCH_STORE: expected the path of a store, found an empty text", ".": "found no"}.items():
        monkeypatch.setenv("BENCH_STORE", name)
        assert main(words) == 2
        assert text in capsys.readouterr().err
    assert main([*words, "--store", ""]) == 2
    assert "--store: expected the path of a store, found an empty text" in capsys.readouterr().err
    assert below(folder) == before


def test_foreign_files_are_kept_despite_a_misplaced_marker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = other_folder(tmp_path / "checkout")
    (folder / "store").mkdir()
    mark_store(folder / "store")
    (folder / "store" / MARKER).rename(folder / MARKER)
    assert main(["gc", "--delete", "--days", "0", "--store", str(folder)]) == 0
    assert main(["verify", "--repair", "--store", str(folder)]) == 0
    assert (folder / ".git" / "objects").is_dir()
    assert (folder / "docs" / USED).is_dir()
    assert (folder / "ab" / USED).is_dir()
    capsys.readouterr()
    for words in (["ls"], ["verify"]):
        assert str(folder / ".git") in said(capsys, folder, *words)["foreign"]


FOREIGN = [
    ".git", ".hidden", "notes.txt", "latents.txt", "asymbench-store.json.bak", "latents/abc", "latents/notes",
    f"latents/{USED}", "latents/.keep", f"latents/{USED[:2]}/notes.txt", f"latents/{USED[:2]}/{USED}.safetensors",
    f"latents/{USED[:2]}/{USED[:-1]}-{USED[:16]}.safetensors", f"latents/{USED[:2]}/{USED}-{USED[:15]}.safetensors",
    f"latents/{USED[:2]}/{'0' * 64}-{USED[:16]}.safetensors",
    f"latents/{USED[:2]}/{USED.upper()}-{USED[:16]}.safetensors",
    f"latents/{USED[:2]}/.gitignore", f"latents/{USED[:2]}/x.damaged", f"latents/{USED[:2]}/x.lease", "scores/zz",
    "items/mine", f"items/{USED[:63]}", f"items/{USED}0", f"items/{USED}.bak", "items/.cache", "items/.abc-12345678",
    "runs/notes.json", f"runs/{USED}.json", "measured/notes.json", f"measured/{USED[:16]}.json", "training/mine",
    "external/lama", ".partial", "items.old", f"{USED}", f"{USED[:2]}/{USED}",
]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_files_with_foreign_names_are_left_alone(
    root: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
        path = path / "file"
    path.write_text("mine")
    for one in root.rglob("*"):
        age(one, 100)
    assert main(["gc", "--delete", "--days", "0", "--runs", "/nowhere", "--store", str(root)]) == 0
    assert main(["verify", "--repair", "--store", str(root)]) == 0
    assert path.read_text() == "mine"
    capsys.readouterr()
    (found,) = said(capsys, root, "ls")["foreign"]
    assert (root / name).is_relative_to(found)


@pytest.mark.parametrize(
    "place",
    [
        "latents",
        "items",
        "runs",
        "latents/SHARD",
        "latents/SHARD/FILE",
        f"items/{'a' * 64}",
        f"items/{'a' * 64}.damaged",
    ],
)
def test_links_out_of_the_store_are_not_followed(root: Path, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    store = Store(outside)
    store.put("latents", OTHER, {"latents": np.zeros(3)})
    (outside / "latents" / "file").write_text("mine")
    for one in outside.rglob("*"):
        age(one, 100)
    before = below(outside)
    path = root / place.replace("SHARD", OTHER[:2]).replace("FILE", f"{OTHER}-{USED[:16]}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rename(tmp_path / "moved")
    path.symlink_to(outside / "latents")
    assert main(["gc", "--delete", "--days", "0", "--runs", "/nowhere", "--store", str(root)]) in (0, 2)
    assert main(["verify", "--repair", "--store", str(root)]) == 0
    assert below(outside) == before


def test_an_empty_folder_is_marked_as_a_store(tmp_path: Path) -> None:
    for folder in (tmp_path / "new" / "store", tmp_path / "empty", tmp_path / "older"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        if folder.name == "older":
            Store(folder).put("latents", USED, {"latents": np.zeros(3)})
            Store(folder).put("scores", USED, {"scores": np.zeros(3)})
        mark_store(folder)
        assert json.loads((folder / MARKER).read_text())["schema_version"] == 1
        (folder / "notes").mkdir()
        check_store(folder)  # a store may hold other things, once it is one


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_that_holds_other_things_is_never_marked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(BadInputError, match=r"paths\.store: expected a store, an empty folder or a new folder, found "):
        mark_store(tmp_path)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"schema_version": "1", "content": ""}', '{"schema_version": true, "content": ""}', "\0"],
)
def test_a_damaged_marker_is_named_and_written_again_by_a_run(
    root: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / MARKER).write_text(text)
    assert main(["gc", "--delete", "--store", str(root)]) == 2
    assert f"{root / MARKER}: " in capsys.readouterr().err
    mark_store(root)
    assert main(["gc", "--delete", "--store", str(root)]) == 0


def test_a_newer_store_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / MARKER).write_text('{"schema_version": 2, "content": "more"}')
    with pytest.raises(BadInputError, match="expected schema_version 1, found 2"):
        mark_store(root)
    assert main(["gc", "--delete", "--store", str(root)]) == 2
    assert "expected schema_version 1, found 2" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["-1", "nan", "soon"])
def test_an_invalid_age_is_refused(root: Path, days: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["gc", "--delete", "--days", days, "--store", str(root)])
    assert len(shards(root)) == 2


def test_the_command_does_not_import_torch(tmp_path: Path) -> None:
    assert not HEAVY & loaded_with("bench.store.__main__", tmp_path)


def test_names_in_a_store_do_not_break_lines(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "a\n::error::b\x1b[2J").touch()
    for command in ("ls", "verify"):
        main([command, "--store", str(root)])
    said = capsys.readouterr().out
    assert said.count("not made by this program") == 2
    assert "\n:" not in said
    assert "\x1b" not in said
