"""Tests of the store: arrays are kept, damage is found, failed writes leave nothing, and leases share work."""

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.errors import BadInputError
from bench.store import Store, arrays, content_key, file_sha256, lease, put_folder

KEY = content_key({"stage": "latents", "seed": 0})
ARRAYS = {"latents": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "count": np.array([2], dtype=np.int64)}


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.safetensors")]


@pytest.mark.blackbox
def test_arrays_are_read_back_unchanged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get("latents", KEY) is None
    store.put("latents", KEY, ARRAYS)
    found = store.get("latents", KEY)
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert store.get("scores", KEY) is None


@pytest.mark.blackbox
def test_a_transposed_array_keeps_its_memory_order(tmp_path: Path) -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    Store(tmp_path).put("latents", KEY, {"turned": turned})
    found = Store(tmp_path).get("latents", KEY)
    assert found is not None
    assert np.array_equal(found["turned"], turned)


@pytest.mark.blackbox
@pytest.mark.parametrize("place", [0, 3, 40, -1])
def test_a_flipped_byte_is_detected_and_the_file_is_set_aside(
    tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert store.get("latents", KEY) is None
    assert path.name in caplog.text
    assert path.with_suffix(".damaged").exists()
    store.put("latents", KEY, ARRAYS)
    assert store.get("latents", KEY) is not None


@pytest.mark.blackbox
def test_a_truncated_file_is_detected(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    assert store.get("latents", KEY) is None


@pytest.mark.blackbox
def test_other_content_under_the_same_key_replaces_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    store.put("latents", KEY, {"latents": np.zeros(3)})
    assert len(files(tmp_path)) == 1
    found = store.get("latents", KEY)
    assert found is not None
    assert found["latents"].shape == (3,)


@pytest.mark.blackbox
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrays.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Store(tmp_path).put("latents", KEY, ARRAYS)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.property
def test_keys_depend_on_every_value_but_not_on_order() -> None:
    assert content_key({"a": 1, "b": [1, 2]}) == content_key({"b": [1, 2], "a": 1})
    keys = {content_key(settings) for settings in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"b": 1}, {"a": [1]})}
    assert len(keys) == 6
    with pytest.raises(TypeError):
        content_key({"a": Path()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key({"a": float("nan")})


@pytest.mark.reference
def test_the_hash_of_a_file_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


BLOCKS = 6
WORKER = """
import sys, time
from contextlib import closing
from pathlib import Path
import numpy as np
from bench.store import Store, content_key
root = Path(sys.argv[1])
store = Store(root)
blocks = {number: {"all": content_key({"number": number})} for number in range(int(sys.argv[2]))}
with closing(store.turns("latents", blocks)) as turns:
    for turn in turns:
        if turn.missing:
            with (root / "made").open("a") as file:
                file.write(f"{turn.block}\\n")
            time.sleep(0.2)
            store.put("latents", blocks[turn.block]["all"], {"number": np.array([turn.block])})
"""
HOLDER = """
import sys, time
from pathlib import Path
from bench.store import lease
with lease(Path(sys.argv[1]), silent=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(300)
"""
SILENT = 3.0


def on_host(name: str, code: str, *words: str) -> subprocess.Popen[str]:
    """Return the command of a Python program on a host of the given name, in its own namespace."""
    own = ["unshare", "--uts", *(["--map-root-user"] if os.geteuid() else [])]
    line = ["sh", "-c", 'hostname "$0" && exec "$@"', name, sys.executable, "-c", code, *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    return subprocess.Popen([*own, *line], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.blackbox
def test_processes_of_two_hosts_share_the_blocks_and_each_is_made_once(tmp_path: Path) -> None:
    workers = [on_host(f"host{number % 2}", WORKER, str(tmp_path), str(BLOCKS)) for number in range(4)]
    for worker in workers:
        worker.communicate(timeout=120)
        assert worker.returncode == 0
    assert sorted((tmp_path / "made").read_text().split()) == [str(number) for number in range(BLOCKS)]
    assert len(files(tmp_path)) == BLOCKS
    assert not list(tmp_path.rglob("*.lease"))


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_lease_of_a_silent_holder_is_taken_over(tmp_path: Path) -> None:
    cases = [(host, number) for host in ("here", "elsewhere") for number in (signal.SIGKILL, signal.SIGSTOP)]
    paths = [tmp_path / f"{place}.lease" for place in range(len(cases))]
    names = {"here": socket.gethostname(), "elsewhere": "elsewhere"}
    holders = [
        on_host(names[host], HOLDER, str(path), str(SILENT)) for path, (host, _) in zip(paths, cases, strict=True)
    ]

    def seconds_to_take_over(place: int) -> float:
        holders[place].send_signal(cases[place][1])
        if cases[place][1] == signal.SIGKILL:
            holders[place].wait()
        started = time.monotonic()
        with lease(paths[place], silent=SILENT) as held:
            assert held
        return time.monotonic() - started

    try:
        for holder in holders:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
        time.sleep(SILENT + 1)  # renewed: longer than they may be silent
        for path in paths:
            with lease(path, wait=False, silent=SILENT) as held:
                assert not held
        with ThreadPoolExecutor(len(cases)) as threads:
            waited = dict(zip(cases, threads.map(seconds_to_take_over, range(len(cases))), strict=True))
        assert waited.pop(("here", signal.SIGKILL)) < SILENT / 2
        for case, seconds in waited.items():
            assert SILENT <= seconds < 4 * SILENT, case
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


@pytest.mark.blackbox
def test_an_empty_lease_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "work.lease").touch()  # as whoever is killed between making and writing it leaves it
    with lease(tmp_path / "work.lease", wait=False, silent=0.5) as held:
        assert not held
    with lease(tmp_path / "work.lease", silent=0.5) as held:
        assert held


@pytest.mark.blackbox
def test_a_file_that_vanishes_while_it_is_read_is_sought_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, {"count": np.zeros(1)})
    read = Path.read_bytes

    def replaced(path: Path) -> bytes:
        monkeypatch.setattr(Path, "read_bytes", read)
        store.put("latents", KEY, ARRAYS)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", replaced)
    found = store.get("latents", KEY)
    assert found is not None
    assert found.keys() == ARRAYS.keys()


@pytest.mark.blackbox
def test_a_folder_made_by_two_processes_exists_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("the same")
        put_folder(tmp_path / name, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with pytest.raises(FileNotFoundError):
        put_folder(tmp_path / "none", tmp_path / "other")


@pytest.mark.blackbox
def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / KEY[:2]).symlink_to("/sys/kernel")  # where nobody may make a file
    store = Store(tmp_path)
    with pytest.raises(BadInputError, match=r"paths\.store: expected a folder that can be written, because latents"):
        store.put("latents", KEY, ARRAYS)


@pytest.mark.blackbox
def test_a_read_only_store_that_lacks_one_kind_of_a_block_names_the_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test may run as a user who can write everywhere, so the error of a read-only file system is raised here."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    keys = {
        "latents": KEY,
        "encoded": content_key({"kind": "encoded"}),
        "encoded_known": content_key({"kind": "known"}),
    }
    monkeypatch.setattr(arrays, "lease", read_only)
    with closing(store.turns("latents", {"block": keys})) as turns, pytest.raises(BadInputError) as raised:
        next(turns)
    assert str(raised.value) == (
        "paths.store: expected a folder that can be written, because latents of the kinds encoded, encoded_known (an "
        "earlier version of this program did not save them in separate files) must be saved in it; found an error: "
        "[Errno 30] Read-only file system"
    )
    absent = {"latents": content_key({"seed": 1})}
    with (
        closing(store.turns("latents", {"block": absent})) as turns,
        pytest.raises(BadInputError, match="because latents must be saved in it"),
    ):
        next(turns)
