"""Differences between designs of decoders, estimated from several trainings of each design.

A difference between two rows of a run is a difference between two trained networks. If the same two designs are trained
with other seeds, the result is two other networks. Therefore each design is represented by its mean over the training
seeds. A network that this project did not train, such as the pipeline's decoder, is the same for every seed.

The variance of this estimate has two parts. One part comes from the items, which are the same for all seeds. The other
part comes from the seeds of each design. One network can make several rows, such as a decoder with and without the
mask. These rows vary together, so their weighted sum is computed for each seed. If there are several designs, the
degrees of freedom of the second part follow from the formula of Welch and Satterthwaite. It is from Welch, "The
generalization of 'Student's' problem when several different population variances are involved", 1947.

The 95 % interval combines two intervals: the interval over the items, and Student's interval over the seeds. On each
side, let a be the distance from the value to the end of the interval over the items, and let b be the distance from the
value to the end of the interval over the seeds. The distance for the combined interval is √(a² + b²). This is the
method of variance estimates recovery (Zou and Donner, "Construction of confidence limits about effect measures: a
general approach", 2008). Thus the combined interval is skewed if the interval over the items is skewed, and it is never
shorter than the interval over the items.
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
"""Smallest number of trainings that each design must have for a verdict on the designs."""


class TrainingSeeds(Protocol):
    """The interface of an object that knows the values of a run's rows for several training seeds."""

    def values(self, row: str, metric: str) -> Mapping[int, float] | NotAvailable:
        """Return the value of `metric` for each training of the row's design. The keys are the training seeds.

        The first value belongs to the network that the run measured. If there are no values, the result is the reason
        for this.
        """

    def design(self, row: str) -> str | None:
        """Return the name of the design of the row's network; None if this project did not train the network."""

    def recipes_tried(self, row: str) -> int | None:
        """Return the number of training recipes that were tried for the row's design; None if it is unknown."""


class NoSeeds:
    """An implementation of `TrainingSeeds` for a run whose designs were trained only once."""

    def values(self, row: str, metric: str) -> NotAvailable:
        return NotAvailable(f"no other training of {row} was measured on these items")

    def design(self, row: str) -> str | None:
        return row

    def recipes_tried(self, row: str) -> int | None:
        return None


@dataclass(frozen=True)
class DesignDifference:
    """A weighted sum of the values of designs, such as the value of one design minus the value of another."""

    value: float
    """Mean of the weighted sum over the training seeds."""
    ci95: tuple[float, float]
    seeds: Mapping[str, int]
    """Number of trainings that were used, by the name of the design."""
    seed_error: float
    """Part of the standard error that comes from the training seeds."""
    item_error: float
    """Part of the standard error that comes from the items, estimated for the networks that the run measured."""
    effective_sources: float
    """Number of effective sources of `item_error`."""

    @property
    def decided_by_few(self) -> bool:
        """Whether there are too few effective sources for a verdict."""
        return self.effective_sources < FEWEST_EFFECTIVE


def design_difference(
    weights: Mapping[str, float], metric: str, measured: Difference | NotAvailable, seeds: TrainingSeeds
) -> DesignDifference | NotAvailable:
    """Estimate a weighted sum of the values of designs, such as a difference between two designs.

    If the sum cannot be estimated, the result is the reason, for example that a design has fewer than `FEWEST_SEEDS`
    trainings.

    Args:
        weights: weight of each row in the sum, such as 1 and -1 for a difference. The keys are the rows.
        metric: full name of the metric.
        measured: the sum with these weights for the networks that the run measured, or the reason why it is unknown.
        seeds: values of the rows for several training seeds.
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
    """Return the standard error of a sum, and half of the length of the sum's 95 % interval.

    The sum has one term for each design, which is the mean of the design's values over its training seeds.

    Args:
        sums: for each design, its weighted value for each training seed.
    """
    components = [(variance(values) / len(values), len(values) - 1.0) for values in sums]
    total = sum(part for part, _ in components)
    if total == 0:
        return 0.0, 0.0
    freedom = total**2 / sum(part**2 / free for part, free in components)
    return math.sqrt(total), float(stdtrit(freedom, 0.975)) * math.sqrt(total)


def _by_seed(rows: Sequence[Mapping[int, float]]) -> list[float]:
    """Add up the values of one design's rows, separately for each training seed.

    A seed is left out if one of the rows has no value for this seed.

    Args:
        rows: weighted values of each row. The keys are the training seeds.
    """
    shared = [seed for seed in rows[0] if all(seed in row for row in rows)]
    return [sum(row[seed] for row in rows) for seed in shared]
