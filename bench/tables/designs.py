"""Statements on designs of decoders, over several trainings of each design.

A difference between two rows of a run is one between two networks. Other training seeds give other networks of the same
two designs. The difference of the designs is estimated by the mean over the seeds, where a network that was given and
not trained, such as the pipeline's own decoder, stays as it is. Its variance has one component from
the items, which all seeds share, and one from the seeds of each design. Rows that one network makes, such as a decoder
with and without the mask, vary together: their sum is taken seed by seed. Where there are several designs, the degrees
of freedom of their component are those of Welch and Satterthwaite ("The generalization of 'Student's' problem when
several different population variances are involved", 1947).

On each side the distance of the interval's end from the value is √(a² + b²): a is the distance of the end of the
interval over the items from its value, and b that of Student's interval over the seeds. This is the method of variance
estimates recovery (Zou and Donner, "Construction of confidence limits about effect measures: a general approach",
2008). So the interval over items keeps what its skewness and its degrees of freedom say, and the seeds can only make it
longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Protocol

from scipy.special import stdtrit

from bench.metrics.uncertainty import FEWEST_EFFECTIVE, Difference

__all__ = ["FEWEST_SEEDS", "DesignDifference", "NoSeeds", "TrainingSeeds", "design_difference"]

FEWEST_SEEDS = 3
"""Trainings of a design without which nothing is said of it."""


class TrainingSeeds(Protocol):
    """What is known of a run's rows over training seeds."""

    def values(self, row: str, metric: str) -> Mapping[int, float] | str:
        """The metric of a trained row for each training seed, the measured network's first; or why it is not known."""

    def design(self, row: str) -> str | None:
        """The design that the row's network is a training of; None where the network is given, so that no other
        training of it is in question.
        """

    def recipes_tried(self, row: str) -> int | None:
        """How many training recipes were tried for the row's design; None where that is not known."""


class NoSeeds:
    """Nothing is known of other trainings."""

    def values(self, row: str, metric: str) -> str:
        return f"no other training of {row} was measured on these items"

    def design(self, row: str) -> str | None:
        return row

    def recipes_tried(self, row: str) -> int | None:
        return None


@dataclass(frozen=True)
class DesignDifference:
    """A weighted sum of designs' values, such as one design minus another."""

    value: float
    """The mean over training seeds."""
    ci95: tuple[float, float]
    seeds: Mapping[str, int]
    """How many trainings of each design there are."""
    seed_error: float
    """The standard error that the training seeds contribute."""
    item_error: float
    """The standard error that the items contribute, as estimated for the measured networks."""
    effective_sources: float
    """The effective number of sources behind the items' standard error, for the measured networks."""

    @property
    def decided_by_few(self) -> bool:
        """Whether so few sources carry the items' part that nothing can be claimed."""
        return self.effective_sources < FEWEST_EFFECTIVE


def design_difference(
    weights: Mapping[str, float], metric: str, measured: Difference | str, seeds: TrainingSeeds
) -> DesignDifference | str:
    """Estimate a contrast of designs; the result is the reason where that is not possible.

    Args:
        weights: the weight of each row, such as 1 and -1 for a difference.
        metric: full name of the metric.
        measured: the same contrast of the measured networks.
        seeds: what is known of the rows over training seeds.
    """
    if isinstance(measured, str):
        return measured
    designs: dict[str, list[dict[int, float]]] = {}
    for row, weight in weights.items():
        design = seeds.design(row)
        if design is None:
            continue
        found = seeds.values(row, metric)
        if isinstance(found, str):
            return found
        designs.setdefault(design, []).append({seed: weight * value for seed, value in found.items()})
    sums = {design: _by_seed(rows) for design, rows in designs.items()}
    few = [f"{len(values)} of {design}" for design, values in sums.items() if len(values) < FEWEST_SEEDS]
    if few:
        return f"a verdict on designs asks for {FEWEST_SEEDS} trainings each: found {', '.join(few)}"
    if not sums:
        return "neither row is a design that was trained"
    value = measured.value + sum(fmean(values) - values[0] for values in sums.values())
    error, half = _over_seeds(list(sums.values()))
    low, high = (abs(end - measured.value) for end in measured.ci95)
    return DesignDifference(
        value=value,
        ci95=(value - math.hypot(low, half), value + math.hypot(high, half)),
        seeds={design: len(values) for design, values in sums.items()},
        seed_error=error,
        item_error=measured.stderr,
        effective_sources=measured.effective_sources,
    )


def _over_seeds(sums: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The standard error of the sum of the designs' means over seeds, and half the length of its 95 % interval."""
    components = [(variance(values) / len(values), len(values) - 1.0) for values in sums]
    total = sum(part for part, _ in components)
    if total == 0:
        return 0.0, 0.0
    freedom = total**2 / sum(part**2 / free for part, free in components)
    return math.sqrt(total), float(stdtrit(freedom, 0.975)) * math.sqrt(total)


def _by_seed(rows: Sequence[Mapping[int, float]]) -> list[float]:
    """The sum of the rows of one design for each seed that all of them have."""
    shared = [seed for seed in rows[0] if all(seed in row for row in rows)]
    return [sum(row[seed] for row in rows) for seed in shared]
