"""Statements on designs of decoders, over several trainings of each design.

A difference between two rows of a run is a difference between two networks. Other training seeds give other networks of
the same two designs. The difference of the designs is estimated by the mean over the seeds; a network that was given
and not trained, such as the pipeline's own decoder, is the same for every seed. The variance has one component from the
items, which all seeds share, and one from the seeds of each design. Rows that one network makes, such as a decoder with
and without the mask, vary together, so their sum is computed for each seed. If there are several designs, the degrees
of freedom of their component are those of Welch and Satterthwaite ("The generalization of 'Student's' problem when
several different population variances are involved", 1947).

On each side, the distance of the interval's end from the value is √(a² + b²), where a is this distance for the interval
over the items and b that for Student's interval over the seeds. This is the method of variance estimates recovery (Zou
and Donner, "Construction of confidence limits about effect measures: a general approach", 2008). Therefore the skewness
and the degrees of freedom of the interval over items remain in effect, and the seeds can only make the interval longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Protocol

from scipy.special import stdtrit

from bench.metrics.uncertainty import FEWEST_EFFECTIVE, Difference
from bench.runtime.not_available import NotAvailable

__all__ = ["FEWEST_SEEDS", "DesignDifference", "NoSeeds", "TrainingSeeds", "design_difference"]

FEWEST_SEEDS = 3
"""Smallest number of trainings of a design with which a verdict on the design is given."""


class TrainingSeeds(Protocol):
    """The interface of an object that has the values of a run's rows over training seeds."""

    def values(self, row: str, metric: str) -> Mapping[int, float] | NotAvailable:
        """Return a trained row's metric by training seed, the measured network first, or why it is unknown."""

    def design(self, row: str) -> str | None:
        """Return the design of which the row's network is a training; None for a network that was not trained here."""

    def recipes_tried(self, row: str) -> int | None:
        """Return the number of training recipes that were tried for the row's design; None if it is unknown."""


class NoSeeds:
    """An implementation of `TrainingSeeds` for a run without any other training."""

    def values(self, row: str, metric: str) -> NotAvailable:
        return NotAvailable(f"no other training of {row} was measured on these items")

    def design(self, row: str) -> str | None:
        return row

    def recipes_tried(self, row: str) -> int | None:
        return None


@dataclass(frozen=True)
class DesignDifference:
    """A weighted sum of designs' values, such as one design minus another."""

    value: float
    """Mean over training seeds."""
    ci95: tuple[float, float]
    seeds: Mapping[str, int]
    """Number of trainings of each design."""
    seed_error: float
    """Standard error that the training seeds contribute."""
    item_error: float
    """Standard error that the items contribute, estimated for the measured networks."""
    effective_sources: float
    """Effective number of sources of the items' standard error, for the measured networks."""

    @property
    def decided_by_few(self) -> bool:
        """Whether so few sources carry the items' variance that no verdict is possible."""
        return self.effective_sources < FEWEST_EFFECTIVE


def design_difference(
    weights: Mapping[str, float], metric: str, measured: Difference | NotAvailable, seeds: TrainingSeeds
) -> DesignDifference | NotAvailable:
    """Estimate a contrast of designs, or return the reason why this is not possible.

    Args:
        weights: weight of each row, such as 1 and -1 for a difference.
        metric: full name of the metric.
        measured: same contrast of the measured networks.
        seeds: values of the rows over training seeds.
    """
    if isinstance(measured, NotAvailable):
        return measured
    designs: dict[str, list[dict[int, float]]] = {}
    for row, weight in weights.items():
        design = seeds.design(row)
        if design is None:
            continue
        found = seeds.values(row, metric)
        if isinstance(found, NotAvailable):
            return found
        designs.setdefault(design, []).append({seed: weight * value for seed, value in found.items()})
    sums = {design: _by_seed(rows) for design, rows in designs.items()}
    few = [f"{len(values)} of {design}" for design, values in sums.items() if len(values) < FEWEST_SEEDS]
    if few:
        return NotAvailable(f"a verdict on designs requires {FEWEST_SEEDS} trainings each: found {', '.join(few)}")
    if not sums:
        return NotAvailable("none of the compared rows has a decoder that was trained")
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
    """Return the standard error of the sum of the designs' means over seeds, and half of its 95 % interval."""
    components = [(variance(values) / len(values), len(values) - 1.0) for values in sums]
    total = sum(part for part, _ in components)
    if total == 0:
        return 0.0, 0.0
    freedom = total**2 / sum(part**2 / free for part, free in components)
    return math.sqrt(total), float(stdtrit(freedom, 0.975)) * math.sqrt(total)


def _by_seed(rows: Sequence[Mapping[int, float]]) -> list[float]:
    """Return the sum of the rows of one design for each seed that all of them have."""
    shared = [seed for seed in rows[0] if all(seed in row for row in rows)]
    return [sum(row[seed] for row in rows) for seed in shared]
