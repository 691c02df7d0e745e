"""Tests of the hash of an object's content: it changes with everything that changes what the object computes."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.generation.object_content import UnidentifiableError, content_of, name_of
from bench.models import build_decoder

pytestmark = pytest.mark.property


class Scaled(nn.Module):
    """A module with a weight, a buffer that is not saved, a plain attribute and a function."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(4.0))
        self.register_buffer("shift", torch.zeros(2), persistent=False)
        self.scale = scale
        self.act = functional.silu
        self.listed = [torch.ones(2)]

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.act(z * self.scale)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def own_function(z: torch.Tensor) -> torch.Tensor:
    return z


def changed(change: Callable[[Scaled], Any]) -> Scaled:
    module = Scaled()
    with torch.no_grad():
        change(module)
    return module


CHANGES: dict[str, Callable[[Scaled], Any]] = {
    "weight": lambda module: module.weight[3].add_(1e-6),
    "unsaved buffer": lambda module: module.shift.add_(1),
    "tensor in a list": lambda module: module.listed[0].add_(1),
    "attribute": lambda module: setattr(module, "scale", 3.0),
    "attribute's type": lambda module: setattr(module, "scale", 2),
    "function": lambda module: setattr(module, "act", functional.relu),
    "mode": lambda module: module.eval(),
    "data type": lambda module: module.double(),
    "shape": lambda module: setattr(module, "shift", torch.zeros(2, 1)),
    "new attribute": lambda module: setattr(module, "other", None),
    "hook": lambda module: module.register_forward_hook(functional.relu),
}


def test_equal_objects_have_equal_hashes() -> None:
    assert content_of(Scaled()) == content_of(Scaled())
    assert content_of(build_decoder("base", channels=(4, 4), layers=1, groups=2)) != content_of(
        build_decoder("base", channels=(4, 4), layers=1, groups=2)  # other random weights
    )
    assert len(content_of(Scaled())) == 64


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_module_changes_its_hash(name: str) -> None:
    assert content_of(changed(CHANGES[name])) != content_of(Scaled())


def test_modules_without_weights_are_distinguished_by_their_settings() -> None:
    modes = [nn.Upsample(scale_factor=4), nn.Upsample(scale_factor=4, mode="bilinear"), nn.Upsample(scale_factor=8)]
    assert len({content_of(nn.Sequential(mode)) for mode in modes}) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.float32(1), np.float32(2)),
        ({"a": 1}, {"a": 2}),
        ([1, 2], (1, 2)),
        ({1, 2}, {1, 3}),
        (Slotted(1), Slotted(2)),
        (partial(functional.relu, inplace=True), partial(functional.relu, inplace=False)),
        (torch.float32, torch.float64),
        (Path("a"), Path("b")),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
    ],
)
def test_other_values_have_other_hashes(first: object, second: object) -> None:
    def held(value: object) -> nn.Module:
        module = nn.Module()
        object.__setattr__(module, "held", value)
        return module

    assert content_of(held(first)) != content_of(held(second))


def test_an_object_that_contains_itself_has_a_hash() -> None:
    module = Scaled()
    module.listed.append(module.listed)  # type: ignore[arg-type]
    assert content_of(module) != content_of(Scaled())


def test_shared_tuples_do_not_matter_but_shared_lists_do() -> None:
    def held(first: object, second: object) -> nn.Module:
        module = nn.Module()
        module.first, module.second = first, second  # type: ignore[assignment]
        return module

    pair, values = tuple([1, 2]), [1, 2]
    assert content_of(held(pair, pair)) == content_of(held(pair, tuple([1, 2])))
    assert content_of(held(values, values)) != content_of(held(values, [1, 2]))


def local() -> type[nn.Module]:
    class Local(nn.Module):
        pass

    return Local


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda z: z, "<lambda>"),
        (own_function, "may use variables outside the function"),
        (local()(), "cannot be imported under the name"),
        (changed(lambda module: setattr(module, "act", lambda z: z)), "the object.act"),
        (changed(lambda module: setattr(module, "act", own_function)), "may use variables outside the function"),
        (changed(lambda module: setattr(module, "generator", np.random.default_rng(0))), "the object.generator"),
        (
            changed(lambda module: setattr(module, "held", torch.zeros(1, device="meta"))),
            "sparse, quantised or on meta",
        ),
        (changed(lambda module: setattr(module, "held", np.array([object()]))), "an array of Python objects"),
        (changed(lambda module: setattr(module, "held", object())), "Python cannot see"),
    ],
    ids=["lambda", "function", "local class", "closure", "own function", "generator", "meta", "objects", "opaque"],
)
def test_an_object_with_a_part_that_cannot_be_compared_has_no_hash(found: object, said: str) -> None:
    with pytest.raises(UnidentifiableError, match=said):
        content_of(found)


SCRIPT = """
import torch, sys
from torch import nn
from bench.generation.object_content import UnidentifiableError, content_of
from helper import factor

class Mine(nn.Module):
    def forward(self, z):
        return z * {number} * factor

try:
    print(content_of(Mine()))
except UnidentifiableError as error:
    print("none:", error)
"""
FORKED = """
import os, runpy, sys
import bench.generation.object_content  # each copy of this process has torch already

for number in range({copies}):
    if os.fork() == 0:
        os.chdir(str(number))
        sys.path.insert(0, os.getcwd())
        runpy.run_path("script.py", run_name="__main__")
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
"""Program that runs the script of several folders one after another, each in a process of its own."""


def write_script(folder: Path, number: int, helper: int) -> str:
    """Write a script and the module that it imports, and return the text of the script."""
    folder.mkdir(exist_ok=True)
    (folder / "helper.py").write_text(f"factor = {helper}\n")
    text = SCRIPT.format(number=number)
    (folder / "script.py").write_text(text)
    return text


def printed(folder: Path, *words: str) -> list[str]:
    """Run Python in a folder, and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_class_of_the_main_script_is_identified_by_the_script_and_its_imports(tmp_path: Path) -> None:
    scripts = [(1, 1), (2, 1), (1, 2), (1, 1)]
    for place, (number, helper) in enumerate(scripts):
        write_script(tmp_path / str(place), number, helper)
    first, *others, again = printed(tmp_path, "-c", FORKED.format(copies=len(scripts)))
    assert len(first) == 64
    assert again == first
    assert len({first, *others}) == 3
    assert printed(tmp_path / "0", "script.py") == [first]


def test_a_class_of_a_typed_program_has_no_hash(tmp_path: Path) -> None:
    text = write_script(tmp_path, 1, 1)
    assert printed(tmp_path, "-c", text) == ["none: the object has code that is in no file: __main__.Mine"]


def test_the_name_is_that_of_the_class_or_function() -> None:
    assert name_of(Scaled()) == f"{__name__}.Scaled"
    assert name_of(own_function) == f"{__name__}.own_function"
    assert name_of(functional.silu) == "torch.nn.functional.silu"
