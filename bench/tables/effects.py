"""The effects of a decoder's branch, size and training on a metric.

Each effect is a weighted sum of the values of rows, such as the value of `large_mask` minus the value of
`large_nomask`. It is computed for the measured networks, and for their designs over several trainings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.metrics.summary import Summary
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.designs import DesignDifference, TrainingSeeds, design_difference

__all__ = ["Effect", "effects_of"]


@dataclass(frozen=True)
class Effect:
    """One effect on a metric: a weighted sum of the values of rows."""

    name: str
    measured: Difference | NotAvailable
    """Effect for the measured networks, paired by item, or the reason why it is unknown."""
    designs: DesignDifference | NotAvailable
    """Effect for the designs, over several training seeds, or the reason why it is unknown."""


def effects_of(summary: Summary, metric: str, seeds: TrainingSeeds) -> list[Effect]:
    """Return all effects on a metric. An effect that cannot be computed contains the reason instead of a value.

    Args:
        summary: measured values of the run.
        metric: full name of the metric.
        seeds: values of the rows for several training seeds.
    """
    vanilla = next(
        (row for row in ("stablediffusion", "paint_by_example") if row in summary.metrics), "stablediffusion"
    )
    contrasts: Mapping[str, Mapping[str, float]] = {
        "branch at base": {"base_mask": 1, "base_nomask": -1},
        "branch at large": {"large_mask": 1, "large_nomask": -1},
        "size with the branch": {"large_mask": 1, "base_mask": -1},
        "size without the branch": {"large_nomask": 1, "base_nomask": -1},
        "fine-tuning": {"vanilla_finetuned": 1, vanilla: -1},
        "interaction": {"large_mask": 1, "large_nomask": -1, "base_mask": -1, "base_nomask": 1},
    }
    effects = []
    for name, weights in contrasts.items():
        measured = summary.contrast(weights, metric)
        effects.append(Effect(name, measured, design_difference(weights, metric, measured, seeds)))
    return effects
