"""Tests of damage in a store: values are unchanged, made again, or refused in one message."""

import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BadInputError
from bench.store import Fact, Store, content_key, lease, mark_store
from bench.store.__main__ import main

DAMAGES = 200
KEYS = {number: {"all": content_key({"number": number})} for number in range(3)}
KINDS = ("folder", "file", "link", "loop", "pipe", "empty", "cut", "flip", "garbage", "deep", "endless", "null", "gone")
DEEP = "[" * 100_000


def fill(root: Path) -> None:
    mark_store(root)
    store = Store(root)
    store.uses.begin(root, "mine", root)
    store.uses.add("latents", [keys["all"] for keys in KEYS.values()])
    for number, keys in KEYS.items():
        store.put("latents", keys["all"], {"number": np.full((4, 2), number, np.float32)})
    Fact(root, {"what": "size"}).remember({"size": 8})


def work(root: Path) -> tuple[list[float], object]:
    """Use a store like a run: read existing entries, make missing ones and remember a fact."""
    mark_store(root)
    store, found = Store(root), []
    store.uses.begin(root, "mine", root)
    store.uses.add("latents", [keys["all"] for keys in KEYS.values()])
    for turn in store.turns("latents", KEYS, lambda number, part, arrays: set(arrays) == {"number"}):
        arrays = turn.found.get("all", {"number": np.full((4, 2), turn.block, np.float32)})
        if turn.missing:
            store.put("latents", KEYS[turn.block]["all"], arrays)
        found.append(float(arrays["number"].sum()))
    fact = Fact(root, {"what": "size"})
    size = (fact.recall() or {"size": 8})["size"]
    fact.remember({"size": 8})
    return sorted(found), size


def damage(path: Path, kind: str, chosen: random.Random) -> None:
    data = path.read_bytes() if path.is_file() else b""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kind == "folder":
        (path / "within").mkdir(parents=True)
    elif kind in ("link", "loop"):
        path.symlink_to("nowhere" if kind == "link" else path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "gone":
        at = chosen.randrange(max(1, len(data)))
        flipped = bytearray(data or b"x")
        flipped[at] ^= 1 << chosen.randrange(8)
        texts = {
            "deep": DEEP.encode(),
            "endless": DEEP.encode() + data,
            "null": b"null",
            "cut": data[:at],
            "empty": b"",
        }
        texts |= {"flip": bytes(flipped), "garbage": chosen.randbytes(300), "file": b"a file"}
        path.write_bytes(texts[kind])


@pytest.mark.property
@pytest.mark.slow
def test_a_damaged_store_gives_equal_values_or_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "whole")
    expected = work(tmp_path / "whole")
    for number in range(DAMAGES):
        chosen = random.Random(number)
        root = tmp_path / "case"
        shutil.copytree(tmp_path / "whole", root)
        path, kind = chosen.choice(sorted(root.rglob("*"))), chosen.choice(KINDS)
        damage(path, kind, chosen)
        said = f"{number}: {path.relative_to(root)} as {kind}"
        for _ in range(2):
            with suppress(BadInputError):
                assert work(root) == expected, said
        for words in (["ls"], ["du"], ["verify"], ["verify", "--repair"], ["gc", "--delete", "--days", "0"]):
            assert main([*words, "--store", str(root)]) in (0, 1, 2), said
        capsys.readouterr()
        shutil.rmtree(root)


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", ["folder", "link", "loop", "pipe"])
def test_a_lease_that_is_not_a_file_blocks_nobody(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f".{KEYS[0]['all']}.lease"
    path.touch()
    damage(path, kind, random.Random(0))
    with lease(path, wait=False) as held:
        assert held


@pytest.mark.blackbox
@pytest.mark.parametrize("arrays", [{"number": np.zeros(1)}, {"other": np.zeros(4)}, {}, {"number": np.zeros((4, 1))}])
def test_arrays_of_the_wrong_shape_are_treated_as_damage(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    store, key = Store(tmp_path), KEYS[0]["all"]
    store.put("scores", key, arrays)
    assert (
        store.get(
            "scores", key, lambda found: {name: values.shape for name, values in found.items()} == {"number": (4,)}
        )
        is None
    )
    assert list(tmp_path.rglob("*.damaged"))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    "note", [{"size": []}, [], {"schema_version": 1, "of": {}, "found": [], "when": ""}, {"schema_version": "1"}]
)
def test_a_fact_of_wrong_types_is_measured_again(tmp_path: Path, note: object) -> None:
    fact = Fact(tmp_path, {"what": "size"})
    fact.remember({"size": 8})
    (path,) = (tmp_path / "measured").iterdir()
    path.write_text(json.dumps(note))
    assert fact.recall() is None
