"""The store: what goes in comes out, damage is found, and a failed write leaves nothing."""

import logging
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from bench import store as store_module
from bench.store import Store, content_key, file_sha256

KEY = content_key({"stage": "latents", "seed": 0})
ARRAYS = {"latents": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "count": np.array([2], dtype=np.int64)}


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.safetensors")]


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
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


def test_a_transposed_array_comes_back_in_its_own_order(tmp_path: Path) -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    Store(tmp_path).put("latents", KEY, {"turned": turned})
    found = Store(tmp_path).get("latents", KEY)
    assert found is not None
    assert np.array_equal(found["turned"], turned)


@pytest.mark.parametrize("place", [0, 3, 40, -1])
def test_a_flipped_byte_is_found_and_put_aside(tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    assert store.get("latents", KEY) is None


def test_other_content_under_the_same_key_replaces_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("latents", KEY, ARRAYS)
    store.put("latents", KEY, {"latents": np.zeros(3)})
    assert len(files(tmp_path)) == 1
    found = store.get("latents", KEY)
    assert found is not None
    assert found["latents"].shape == (3,)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Store(tmp_path).put("latents", KEY, ARRAYS)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_keys_depend_on_every_value_and_on_no_order() -> None:
    assert content_key({"a": 1, "b": [1, 2]}) == content_key({"b": [1, 2], "a": 1})
    keys = {content_key(settings) for settings in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"b": 1}, {"a": [1]})}
    assert len(keys) == 6
    with pytest.raises(TypeError):
        content_key({"a": Path()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key({"a": float("nan")})


def test_a_files_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def make_once(root: Path) -> None:
    store = Store(root)
    with store.lock("latents", KEY):
        if store.get("latents", KEY) is None:
            with (root / "made").open("a") as file:
                file.write("x")
            store.put("latents", KEY, ARRAYS)


def test_of_several_processes_one_makes_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=make_once, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert (tmp_path / "made").read_text() == "x"
