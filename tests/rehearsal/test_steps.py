"""Tests of the commands of a rehearsal."""

from pathlib import Path
from typing import Any

import pytest

from bench.config.compose import conf_dir
from bench.config.overrides import parse_all
from bench.config.schema import RehearsalSpec
from bench.errors import BadInputError
from bench.rehearsal.files import Place
from bench.rehearsal.steps import FORECAST, PARTS, Step, chosen_parts, chosen_tables, steps_of

pytestmark = pytest.mark.blackbox


def steps(size: str = "small", *, forecasts: bool = False, **changes: Any) -> list[Step]:
    spec = RehearsalSpec(size=size, **changes)
    return steps_of(spec, Place(Path("/made")), limit=4, device="cpu", forecasts=forecasts)


def test_all_parts_and_tables_are_rehearsed_by_default() -> None:
    found = steps()
    assert tuple(dict.fromkeys(step.part for step in found)) == PARTS
    assert sum(step.part == "tables" for step in found) == 10
    for step in found:
        parse_all([word for word in step.arguments if "=" in word], sweep="-m" in step.arguments)


def test_every_recipe_of_the_paper_is_trained() -> None:
    trained = {word for step in steps(parts=["training"]) for word in step.arguments if word.startswith("training=")}
    assert trained == {f"training={path.stem}" for path in (conf_dir() / "training").glob("paper_*.yaml")}


def test_only_the_full_size_has_one_checkpoint_file() -> None:
    small, full = ([step.name for step in steps(size, parts=["forms"])] for size in ("small", "full"))
    assert (len(small), len(full)) == (1, 2)


@pytest.mark.parametrize(("size", "forecasts", "count"), [("small", False, 2), ("full", True, 2), ("full", False, 1)])
def test_a_forecast_needs_a_gpu(size: str, forecasts: bool, count: int) -> None:
    found = steps(size, forecasts=forecasts, parts="check")
    assert len(found) == count
    assert (found[-1].name == FORECAST) == forecasts


def test_chosen_tables_and_parts_are_kept_in_order() -> None:
    assert chosen_tables(RehearsalSpec(tables=[2, 7])) == ["table2_inpaint_imagenet", "table7_architecture_base"]
    assert chosen_tables(RehearsalSpec(tables=4)) == ["table4_edit_cocoee"]
    assert chosen_parts(RehearsalSpec(parts=["resume", "check"])) == ["check", "resume"]


@pytest.mark.parametrize("tables", [[], [11], "some", [2, "x"], None])
def test_unknown_tables_are_refused(tables: Any) -> None:
    with pytest.raises(BadInputError, match=r"rehearsal\.tables: expected all, or some of 1, 2, .*, found "):
        chosen_tables(RehearsalSpec(tables=tables))


@pytest.mark.parametrize("parts", [[], ["sleep"], "tablez", None])
def test_unknown_parts_are_refused(parts: Any) -> None:
    with pytest.raises(BadInputError, match=r"rehearsal\.parts: expected all, or some of check, .*, found "):
        chosen_parts(RehearsalSpec(parts=parts))
