"""Tests of 200 random damages to each JSON file of a data set, which is read as written or refused by name."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data.karpathy import KarpathyCOCO
from bench.data.places import Places
from bench.errors import BadInputError
from tests.test_fuzz import damage, make_captions, make_places

pytestmark = pytest.mark.property

DAMAGES = 200


def places(folder: Path) -> list[Any]:
    return [(picture.id, picture.source) for picture in Places(folder, "list.txt")]


def make_scenes(folder: Path) -> None:
    make_places(folder)
    (folder / "sources.jsonl").rename(folder / "scenes.jsonl")


def captions(folder: Path) -> list[Any]:
    return [(picture.id, picture.path.name, picture.caption) for picture in KarpathyCOCO(folder)]


@pytest.mark.parametrize(
    ("make", "name", "read"),
    [
        (make_places, "sources.jsonl", places),
        (make_scenes, "scenes.jsonl", places),
        (make_captions, "dataset_coco.json", captions),
    ],
)
def test_damaged_json_gives_its_items_or_one_message(
    tmp_path: Path, make: Callable[[Path], None], name: str, read: Callable[[Path], list[Any]]
) -> None:
    make(tmp_path)
    path = tmp_path / name
    whole, expected, refused = path.read_bytes(), read(tmp_path), 0

    def said() -> Any:
        text = path.read_text(encoding="utf-8-sig").split("\n")
        return json.loads("\n".join(text)) if name.endswith(".json") else [json.loads(line) for line in text if line]

    before = said()
    for number in range(DAMAGES):
        path.write_bytes(whole)
        done = damage(path, random.Random(f"{name} {number}"))
        try:
            found = read(tmp_path)
        except BadInputError as error:
            message = str(error)
            refused += 1
        else:
            assert found == expected or said() != before, done
            continue
        assert name in message, done
    assert refused > DAMAGES / 4
