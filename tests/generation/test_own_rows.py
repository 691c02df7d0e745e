"""Tests of the code and the networks that are found in rows of a user's own."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.generation.decoding import Decoded
from bench.generation.own_rows import code_of_row, networks_of
from bench.generation.python_objects import as_module

pytestmark = pytest.mark.blackbox

GLOBAL = nn.Linear(2, 2)
HERE = Path(__file__)


class Own(nn.Sequential):
    """A module of this file."""


def identity(z: torch.Tensor) -> torch.Tensor:
    return z


def with_global(z: torch.Tensor) -> torch.Tensor:
    return GLOBAL(z)  # type: ignore[no-any-return]


def with_closure(network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda z: network(z)


class Holder:
    """An object of any class, which holds networks in several ways."""

    def __init__(self, *networks: nn.Module) -> None:
        first, second, third = networks
        self.first = first
        self.listed = [{"second": second}, first]
        self.called = partial(identity, third)
        self.again = self

    def call(self, z: torch.Tensor) -> torch.Tensor:
        return z


def node_of(found: object) -> Any:
    return {"_target_": "bench.generation.python_objects.python_object", "name": "", "content": found}


def code(found: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the code of a row that is an object of this program."""
    monkeypatch.setattr("bench.generation.python_objects._objects", {"content": found})
    return code_of_row({"_target_": "bench.generation.decoding.Decoded", "decoder": node_of("content")})


def test_the_networks_of_an_object_are_found_at_any_depth() -> None:
    networks = [nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)]
    holder = Holder(*networks)
    for found in (holder, holder.call, Decoded(as_module(holder.call), conditioned=False), {"any": (holder,)}):
        assert {id(one) for one in networks_of(found)} == {id(one) for one in networks}
    assert networks_of(with_global) == [GLOBAL]
    assert networks_of(with_closure(networks[0])) == [networks[0]]
    assert networks_of(identity) == []


def test_a_function_whose_variable_has_no_value_yet_holds_nothing() -> None:
    def function() -> object:
        return later

    assert networks_of(function) == []
    later = nn.Linear(1, 1)
    assert networks_of(function) == [later]


def test_the_file_of_an_own_class_or_function_has_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parents[1])
    sha = hashlib.sha256(HERE.read_bytes()).hexdigest()
    expected = {"file": str(Path("generation") / HERE.name), "sha256": sha, "package": None}
    for found, name in (
        (Own(nn.Linear(1, 1)), "Own"),
        (identity, "identity"),
        (partial(with_global), "with_global"),
        (with_closure(GLOBAL), "with_closure.<locals>.<lambda>"),
    ):
        assert code(found, monkeypatch)["code"] == [{"name": f"{__name__}.{name}", **expected}]
    inside = code(Decoded(Own(), conditioned=False), monkeypatch)["code"]
    assert [entry["name"] for entry in inside] == ["bench.generation.decoding.Decoded", f"{__name__}.Own"]
    assert (inside[0]["file"], inside[0]["package"].split()[0]) == (None, "asymbench")
    assert inside[1] == {"name": f"{__name__}.Own", **expected}


def test_a_class_of_an_installed_package_has_the_version_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = code(nn.Conv2d(4, 3, 1), monkeypatch)["code"]
    assert entry["name"] == "torch.nn.modules.conv.Conv2d"
    assert (entry["file"], entry["sha256"], entry["package"]) == (None, None, f"torch {version('torch')}")


def test_rows_of_this_project_have_no_own_code() -> None:
    assert code_of_row(None) == {}
    assert code_of_row({"_target_": "bench.generation.decoding.Decoded", "decoder": {"path": "weights"}}) == {}


def test_imported_files_of_the_user_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_helper_of_a_row.py").write_text("SCALE = 2\n")
    (tmp_path / "own_row_for_a_test.py").write_text("import own_helper_of_a_row\n\n\ndef decode(z):\n    return z\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = code_of_row({"_target_": "own_row_for_a_test.decode"})
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.py")}
    assert [(entry["name"], entry["file"]) for entry in found["code"]] == [
        ("own_row_for_a_test.decode", "own_row_for_a_test.py")
    ]
    assert {found["code"][0]["file"]: found["code"][0]["sha256"], **found["imports"]} == files


def test_code_that_was_typed_in_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("")  # not the file of what is typed
    typed = (
        "from bench.generation import python_objects, own_rows\n"
        "def decode(z): return z\n"
        "python_objects._objects['c'] = decode\n"
        "print(own_rows.code_of_row({'_target_': python_objects.TARGET, 'content': 'c'}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    shown = subprocess.run(
        [sys.executable, "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    entry = {"name": "__main__.decode", "file": None, "sha256": None, "package": None}
    assert shown.strip() == str({"code": [entry], "imports": {}})
