"""Tests of weight files that are truncated, hold no tensors or contain code, and of harmless extras."""

import os
import pickle
import sys
import types
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.errors import BadInputError
from bench.models import load_decoder
from bench.models.tensor_files import read_tensors

pytestmark = pytest.mark.blackbox

TENSORS = {"weight": torch.arange(1000.0), "bias": torch.ones(3)}


def assert_read(file: Path) -> None:
    found = read_tensors(file)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize("ending", ["ckpt", "old.pt", "safetensors"])
@pytest.mark.parametrize("bytes_left", [0, 100, -1000])
def test_a_truncated_file_is_named(ending: str, bytes_left: int, tmp_path: Path) -> None:
    file = tmp_path / f"model.{ending}"
    if ending == "safetensors":
        save_file(TENSORS, file)
    else:
        torch.save(TENSORS, file, _use_new_zipfile_serialization=ending != "old.pt")
    assert_read(file)
    file.write_bytes(file.read_bytes()[:bytes_left])
    with pytest.raises(BadInputError, match="damaged") as caught:
        read_tensors(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2], "expected a dictionary of tensors .a state dict., found list"),
        ({"state_dict": 3}, "expected a dictionary of tensors .a state dict., found int"),
        ({"epoch": 3}, "expected only tensors with names, found int under the name 'epoch'"),
        (
            {"weight": torch.zeros(1, device="meta")},
            "expected dense tensors with values, found a sparse or empty .meta. tensor under the name weight",
        ),
    ],
)
def test_a_file_without_tensors_is_refused(content: object, says: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(BadInputError, match=rf"model\.ckpt: {says}"):
        read_tensors(tmp_path / "model.ckpt")


class Runs:
    """Call a function when the pickle is read."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(("call", "name"), [(os.mkdir, "posix.mkdir"), (open, "io.open"), (exec, "exec")])
def test_a_pickle_with_code_is_refused_without_running_it(
    call: Callable[..., object], name: str, new: bool, tmp_path: Path
) -> None:
    file, made = tmp_path / "model.ckpt", tmp_path / "made"
    arguments: dict[object, tuple[str, ...]] = {
        os.mkdir: (str(made),), open: (str(made), "w"), exec: (f"open({str(made)!r}, 'w')",),
    }  # fmt: skip
    content = {"state_dict": TENSORS, "callbacks": Runs(call, *arguments[call])}
    torch.save(content, file, _use_new_zipfile_serialization=new)
    with pytest.raises(BadInputError, match=rf"model\.ckpt: .*found {name}, which could run code"):
        load_decoder(file)
    assert not made.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nobody closes what was opened
        torch.load(file, weights_only=False)
    assert made.exists()


def test_a_plain_pickle_is_refused_without_running_it(tmp_path: Path) -> None:
    file, made = tmp_path / "model.ckpt", tmp_path / "made"
    file.write_bytes(pickle.dumps({"state_dict": Runs(os.mkdir, str(made))}))
    with pytest.raises(BadInputError, match=r"model\.ckpt: expected"):
        load_decoder(file)
    assert not made.exists()


def test_an_unlisted_class_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("somebody")
    module.Thing = type("Thing", (), {"__module__": "somebody"})
    monkeypatch.setitem(sys.modules, "somebody", module)
    torch.save({"state_dict": TENSORS, "callbacks": {module.Thing: 1}}, tmp_path / "model.ckpt")
    with pytest.raises(BadInputError, match=r"model\.ckpt: .*found somebody\.Thing, which could run code"):
        load_decoder(tmp_path / "model.ckpt")


def test_a_listed_class_is_replaced_by_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds even if the real class can be imported."""
    made: list[object] = []

    class Timer:
        def __new__(cls, *arguments: object) -> "Timer":
            made.append(arguments)
            return super().__new__(cls)

        def __setstate__(self, state: object) -> None:
            made.append(state)

    module = types.ModuleType("pytorch_lightning.callbacks.timer")
    module.Timer, Timer.__module__, Timer.__qualname__ = Timer, module.__name__, "Timer"
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    timer = Timer()
    timer.seconds = 3
    filled = defaultdict(dict, {"key": {"value": 1}})
    torch.save({"state_dict": TENSORS, "callbacks": {Timer: timer}, "cache": filled}, tmp_path / "model.ckpt")
    made.clear()
    assert_read(tmp_path / "model.ckpt")
    assert made == []
    torch.load(tmp_path / "model.ckpt", weights_only=False)
    assert made == [(), {"seconds": 3}]
