"""Collects properties of the generator, the methods and the measures of a run.

The store saves these properties. Therefore, a run loads no network if the store has all of its latents and scores.
The mapping `LoadedLater` loads objects when one of them is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from typing_extensions import TypedDict

from bench.checking.estimate import trial_items
from bench.generation.generator import Generator
from bench.generation.method import Method, chain, made_beforehand, origin_of
from bench.metrics.measure import Measure
from bench.store import Fact

__all__ = ["GeneratorFacts", "LoadedLater", "MeasureFacts", "PartFacts", "RowFacts", "part_facts", "stored_part_facts"]

T = TypeVar("T")


class GeneratorFacts(TypedDict):
    """Properties of a generator; see the members of `Generator` with these names."""

    unet_weights: str
    latent_shape: list[int] | None


class RowFacts(TypedDict):
    """Properties of the method of a row; see the members of `Method` with these names."""

    training: str
    origin: str
    lineage: dict[str, Any]
    encoded: list[str]
    """Kinds of encoded latents that the method, or a method whose images it changes, reads from a batch."""
    beforehand: bool
    """True if images are made before the first batch. The images of such a row are not determined by its settings."""


class MeasureFacts(TypedDict):
    """Properties of a measure; see the members of `Measure` with these names."""

    protocol: dict[str, Any]
    sees_hole: bool


class PartFacts(TypedDict):
    """Properties of the generator, of the method of each row, and of each measure of a run."""

    generator: GeneratorFacts
    rows: dict[str, RowFacts]
    measures: dict[str, MeasureFacts]


class LoadedLater(Mapping[str, T]):
    """A mapping from names to objects that are loaded later.

    The names are known from the start. All objects are loaded when the first object is requested.
    """

    def __init__(self, names: Iterable[str], load: Callable[[], Mapping[str, T]]) -> None:
        """Set the names.

        Args:
            names: names of the objects, in the order of iteration.
            load: function that loads the objects, and returns them by name. If it succeeds, it is not called again.
        """
        self._names, self._load = list(names), load

    def load(self) -> None:
        """Load the objects now, unless they are loaded already."""
        _ = self._loaded

    @cached_property
    def _loaded(self) -> Mapping[str, T]:
        return self._load()

    def __getitem__(self, name: str) -> T:
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def part_facts(
    generator: Generator, methods: Mapping[str, Method], measures: Mapping[str, Measure], *, resolution: int
) -> PartFacts:
    """Return the properties of the generator, the methods and the measures of a run.

    Args:
        generator: generator of the run.
        methods: method of each row.
        measures: measures by name.
        resolution: side of the run's items in pixels.
    """
    shape = generator.latent_shape(trial_items(resolution, 1))
    return {
        "generator": {
            "unet_weights": generator.unet_weights,
            "latent_shape": None if shape is None else [int(size) for size in shape],
        },
        "rows": {row: _row_facts(method) for row, method in methods.items()},
        "measures": {
            name: {"protocol": dict(measure.protocol), "sees_hole": bool(measure.sees_hole)}
            for name, measure in measures.items()
        },
    }


def _row_facts(method: Method) -> RowFacts:
    every = list(chain(method))
    return {
        "training": method.training,
        "origin": origin_of(method),
        "lineage": dict(method.lineage),
        "encoded": sorted({kind for one in every for kind in one.encoded}),
        "beforehand": bool(made_beforehand(method)) or any(one.content is not None for one in every),
    }


def stored_part_facts(fact: Fact, rows: Iterable[str], measures: Iterable[str]) -> PartFacts | None:
    """Return the `PartFacts` of a run from the store. Return None if the file is missing or not valid.

    Args:
        fact: file of the store in which the properties are saved.
        rows: names of the rows that have a method, in the order of the result.
        measures: names of the measures, in the order of the result.
    """
    found = fact.recall()
    if found is None:
        return None
    return {
        "generator": found["generator"],
        "rows": {row: found["rows"][row] for row in rows},
        "measures": {name: found["measures"][name] for name in measures},
    }
