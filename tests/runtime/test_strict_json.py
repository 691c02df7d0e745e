"""Tests of the strict reading of JSON: wrong numbers, types and shapes are refused by file and key."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import torch
from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from bench.errors import BadInputError
from bench.generation.pipelines import text_parts
from bench.models.checkpoints import network_settings
from bench.results.features import read_summary
from bench.runtime.strict_json import DEEPEST, parse_json, read_json, read_json_as
from bench.training.mini.build import read_made

pytestmark = pytest.mark.blackbox


class Line(TypedDict):
    value: Annotated[float, Field(ge=0)]
    name: str


class Shape(TypedDict):
    rows: list[Line]


REFUSED = {
    b"": "expected JSON",
    b"{": "expected JSON",
    b"\xff{}": "expected JSON, found an error: 'utf-8' codec",
    b'{"a": 1, "a": 2}': 'the key "a" occurs twice in one object',
    rb'{"a": "\ud800"}': "surrogates not allowed",
    rb'{"\udfff": 1}': "surrogates not allowed",
    b'{"a": NaN}': "NaN, which is not a JSON number",
    b'{"a": -Infinity}': "-Infinity, which is not a JSON number",
    b'{"a": 1e999}': "a number that is too large or too long: 1e999",
    b'{"a": ' + b"9" * 400 + b"}": "a whole number of 400 characters",
    b'{"a": ' + b"9" * 5000 + b"}": "a whole number of 5000 characters",
    b'{"a": 0.' + b"1" * 400 + b"}": "a number that is too large or too long",
    b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2): "at most 100 nested levels, found more levels",
    b"[" * 100_000 + b"]" * 100_000: "at most 100 nested levels, found more levels",
    b'{"a":' * 100_000: "at most 100 nested levels, found more levels",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_json_that_could_give_a_wrong_number_is_refused(text: bytes) -> None:
    with pytest.raises(BadInputError) as refused:
        parse_json(text, "run.json")
    assert str(refused.value).startswith("run.json: expected JSON")
    assert REFUSED[text] in str(refused.value)


def test_plain_json_is_read_with_and_without_a_byte_order_mark() -> None:
    for start in (b"", b"\xef\xbb\xbf"):
        assert parse_json(start + '{"é": [1, -2.5e-3, true, null]}'.encode(), "x") == {"é": [1, -2.5e-3, True, None]}


def test_a_pair_of_surrogates_is_read_as_one_character() -> None:
    assert parse_json(rb'"\ud83d\ude00"', "x") == "\U0001f600"


def test_nesting_up_to_the_limit_is_read() -> None:
    parse_json(b"[" * DEEPEST + b"]" * DEEPEST, "x")


@pytest.mark.parametrize("text", ["[]", "3", '"a"', "null"])
def test_a_file_without_an_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(BadInputError, match="expected a JSON object"):
        read_json(file)


def test_a_special_file_is_refused_and_a_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found a folder or a special file"):
        read_json(tmp_path)
    with pytest.raises(BadInputError, match="found a folder or a special file"):
        read_json(Path("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rows": [{"value": 1.0}]}', "expected the key rows.0.name, found no such key"),
        ('{"rows": [{"value": true, "name": "a"}]}', "rows.0.value: expected a valid number, found true"),
        ('{"rows": [{"value": "1", "name": "a"}]}', 'rows.0.value: expected a valid number, found "1"'),
        ('{"rows": [{"value": -5, "name": "a"}]}', "rows.0.value: expected greater than or equal to 0, found -5"),
        ('{"rows": {"value": 1}}', "rows: expected a valid list, found an object"),
    ],
)
def test_a_value_of_another_type_or_range_is_named_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_json_as(file, Shape)
    assert str(refused.value) == f"{file}: {said}"


def test_a_file_of_the_right_shape_is_returned_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text('{"rows": [{"value": 1, "name": "a", "more": [0]}], "other": 1}')
    assert read_json_as(file, Shape) == {"rows": [{"value": 1.0, "name": "a"}]}


def pipeline(folder: Path) -> object:
    (folder / "model_index.json").touch()
    return text_parts(str(folder), None, channels=4, precision="float32", device=torch.device("cpu"))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a network": ("config.json", network_settings),
    "a finished part": ("part.json", read_made),
    "a pipeline": ("unet/config.json", pipeline),
    "features": ("features/index.json", read_summary),
}
"""Readers of further files, the file's name, and what reads it in a folder."""


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"a": NaN}', '{"a": 1, "a": 2}', "[]"])
@pytest.mark.parametrize("name", READERS)
def test_every_file_of_json_is_read_strictly(name: str, text: str, tmp_path: Path) -> None:
    file, read = READERS[name]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    with pytest.raises(BadInputError, match=rf"{file}: expected (a )?JSON"):
        read(tmp_path)
