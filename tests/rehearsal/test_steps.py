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


def steps(size: str = "small", *, gpus: int = 0, **changes: Any) -> list[Step]:
    spec = RehearsalSpec(size=size, **changes)
    return steps_of(spec, Place(Path("/made")), limit=4, device="auto", gpus=gpus)


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


@pytest.mark.parametrize(("size", "gpus", "count"), [("small", 0, 2), ("small", 2, 2), ("full", 1, 2), ("full", 0, 1)])
def test_a_forecast_needs_a_gpu_and_the_true_sizes(size: str, gpus: int, count: int) -> None:
    found = steps(size, gpus=gpus, parts="check")
    assert len(found) == count
    assert (found[-1].name == FORECAST) == (size == "full" and gpus > 0)


def test_two_processes_need_no_gpu_or_two() -> None:
    assert [len(steps(gpus=gpus, parts=["processes"])) for gpus in (0, 1, 2)] == [1, 0, 1]


def test_numbers_are_compared_only_with_a_step_that_runs() -> None:
    alone, both = steps(parts=["resume"]), steps(parts=["tables", "resume"])
    assert (alone[-1].like, both[-1].like) == (None, "table2_inpaint_imagenet")


def test_chosen_tables_and_parts_are_kept_in_order() -> None:
    assert chosen_tables(RehearsalSpec(tables=[2, 7])) == ["table2_inpaint_imagenet", "table7_architecture_base"]
    assert chosen_tables(RehearsalSpec(tables=4)) == ["table4_edit_cocoee"]
    assert chosen_tables(RehearsalSpec(tables=[4, 4])) == ["table4_edit_cocoee"]
    assert chosen_parts(RehearsalSpec(parts=["resume", "check"])) == ["check", "resume"]


@pytest.mark.parametrize("tables", [[], [11], "some", [2, "x"], None, [[1]], [True], {"a": 1}])
def test_unknown_tables_are_refused(tables: Any) -> None:
    with pytest.raises(BadInputError, match=r"rehearsal\.tables: expected all, or some of 1, 2, .*, found "):
        chosen_tables(RehearsalSpec(tables=tables))


@pytest.mark.parametrize("parts", [[], ["sleep"], "tablez", None, [["check"]], {"a": 1}])
def test_unknown_parts_are_refused(parts: Any) -> None:
    with pytest.raises(BadInputError, match=r"rehearsal\.parts: expected all, or some of check, .*, found "):
        chosen_parts(RehearsalSpec(parts=parts))
