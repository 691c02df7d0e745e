"""Tests of objects of a Python program as rows: their names, how they are called, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.config.compose import checked
from bench.errors import BadInputError
from bench.generation.decoding import Decoded
from bench.generation.python_objects import as_module, as_rows, python_object, takes_known_pixels
from bench.models import build_decoder

pytestmark = pytest.mark.blackbox

WORDS = ["experiment=table2_inpaint_imagenet", "row=[stablediffusion]"]


class Named(nn.Module):
    def forward(self, sample: Tensor, image: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return sample


class Optional(nn.Module):
    def forward(self, sample: Tensor, embedding: Tensor | None = None) -> Tensor:
        return sample


def three(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return a


@pytest.mark.parametrize(
    ("decoder", "taken"),
    [
        (Named(), True),
        (three, True),
        (Optional(), False),
        (nn.Sequential(nn.Identity()), False),
        (lambda *inputs: inputs[0], False),
        (torch.relu, False),
        (build_decoder("base", channels=(4, 4), layers=1, groups=2), True),
        (build_decoder("vanilla", channels=(4, 4), layers=1, groups=2), False),
    ],
)
def test_the_signature_says_whether_known_pixels_are_taken(decoder: Callable[..., Tensor], taken: bool) -> None:
    assert takes_known_pixels(decoder) == taken


def test_an_object_is_a_row_during_the_block_only() -> None:
    module = nn.Conv2d(4, 3, 1)
    with as_rows({"mine": module}, WORDS) as words:
        assert words == ["+row@rows.mine=mine"]
        _, resolved = checked([*WORDS, *words])
        row = resolved["rows"]["mine"]
        node = row["method"]["decoder"]
        copied = python_object(node["name"], node["content"])
        assert copied is not module
        assert torch.equal(copied.weight, module.weight)
    assert row["label"] == "mine"
    assert list(resolved["rows"]) == ["stablediffusion", "mine"]
    assert (row["method"]["conditioned"], node["name"]) == (False, "torch.nn.modules.conv.Conv2d")
    with pytest.raises(ValueError, match=r"only bench\.run with rows=\{…\} adds this row"):
        python_object(node["name"], node["content"])
    with pytest.raises(BadInputError, match="row"):
        checked([*WORDS, *words])


def test_equal_objects_have_equal_contents_and_functions_have_new_ones() -> None:
    def content(found: Any) -> str:
        with as_rows({"mine": found}, WORDS) as words:
            method = checked([*WORDS, *words])[1]["rows"]["mine"]["method"]
        return str(method.get("decoder", method)["content"])

    module = nn.Conv2d(4, 3, 1)
    assert content(module) == content(module)
    assert content(three).startswith("unknown ")
    assert content(three) != content(three)
    assert content(Decoded(module, conditioned=False)) != content(module)
    assert content(Decoded(module, conditioned=False)) != content(Decoded(module, conditioned=True))


def test_a_function_becomes_a_module_that_calls_it() -> None:
    made = as_module(three)
    assert torch.equal(made(torch.ones(1), torch.zeros(1), torch.zeros(1)), torch.ones(1))
    assert as_module(made) is made


class Uncopied(nn.Module):
    def __deepcopy__(self, memo: object) -> nn.Module:
        raise RuntimeError("one only")


def test_an_object_that_cannot_be_copied_is_refused() -> None:
    with as_rows({"mine": Uncopied()}, WORDS) as words:
        node = checked([*WORDS, *words])[1]["rows"]["mine"]["method"]["decoder"]
        with pytest.raises(ValueError, match=r"that copy\.deepcopy can copy, found an error: one only"):
            python_object(node["name"], node["content"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "rows: expected a dictionary from the name of each row to its decoder, found an empty dictionary"),
        ([three], "rows: expected a dictionary from the name of each row to its decoder, found list"),
        ({"my row": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"a.b": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"1": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"ü": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({3: three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"null": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"True": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"": three}, "rows: expected that each name begins with a letter, contains only letters, digits and _"),
        ({"large_mask": three}, "rows.large_mask: expected a new name, found the name of a row that already exists"),
        ({"stablediffusion": three}, "rows.stablediffusion: expected a new name"),
        ({"mine": Named}, "rows.mine: expected an object, found the class Named; pass an object of this class"),
        ({"mine": torch.zeros(2)}, "rows.mine: expected a module, a function of latents or a Method, found Tensor"),
        ({"mine": "weights.pt"}, "rows.mine: expected a module, a function of latents or a Method, found str"),
    ],
)
def test_an_object_that_cannot_be_a_row_is_refused(rows: Any, said: str) -> None:
    with pytest.raises(BadInputError) as error, as_rows(rows, WORDS):
        pass
    assert str(error.value).startswith(said)


def test_several_processes_need_objects_whose_content_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with as_rows({"mine": nn.Conv2d(4, 3, 1)}, WORDS) as words:
        assert len(words) == 1
    with pytest.raises(BadInputError) as error, as_rows({"mine": three}, WORDS):
        pass
    assert str(error.value).startswith("rows.mine: expected an object whose content several processes can compare")
