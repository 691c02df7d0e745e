"""Statements on designs of decoders, over several trainings of each design.

A difference between two rows of a run is one between two networks. Other training seeds give other networks of the same
two designs. The difference of the designs is estimated by the mean over the seeds, where a network that was given and
not trained, such as the pipeline's own decoder, stays as it is. Its variance has one component from
the items, which all seeds share, and one from the seeds of each design. Rows that one network makes, such as a decoder
with and without the mask, vary together: their sum is taken seed by seed. The interval is Student's, with the degrees
of freedom of Welch and Satterthwaite ("The generalization of 'Student's' problem when several different population
variances are involved", 1947).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Protocol

from scipy.special import stdtrit

from bench.metrics.uncertainty import Difference

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
    components = [(measured.stderr**2, measured.freedom)]
    components += [(variance(values) / len(values), len(values) - 1.0) for values in sums.values()]
    total = sum(part for part, _ in components)
    value = measured.value + sum(fmean(values) - values[0] for values in sums.values())
    half = 0.0
    if total > 0:
        freedom = total**2 / sum(part**2 / free for part, free in components if part > 0)
        half = float(stdtrit(freedom, 0.975)) * math.sqrt(total)
    return DesignDifference(
        value=value,
        ci95=(value - half, value + half),
        seeds={design: len(values) for design, values in sums.items()},
        seed_error=math.sqrt(sum(part for part, _ in components[1:])),
        item_error=measured.stderr,
    )


def _by_seed(rows: Sequence[Mapping[int, float]]) -> list[float]:
    """The sum of the rows of one design for each seed that all of them have."""
    shared = [seed for seed in rows[0] if all(seed in row for row in rows)]
    return [sum(row[seed] for row in rows) for seed in shared]
