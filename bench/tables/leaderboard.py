"""The table across latent spaces: every decoder with the sizes of its latents, its quality and its costs.

The spatial factor of a latent space is the side of an image divided by the side of its latents. The table has one grid
for each spatial factor, because a larger factor means a harder task. Within a grid, the rows keep the order of the
configuration: differences between two latent spaces are not tested, so nothing is ranked and nothing is bold. Tests of
paired differences are in the table of each space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas

from bench.tables.build import METRICS, Metric, style_of
from bench.tables.grid import Grid

__all__ = ["COSTS", "Cost", "LatentSizes", "LeaderboardRow", "leaderboard_frame", "leaderboard_grids"]


@dataclass(frozen=True)
class Cost:
    """The way to print a cost, such as the time for an image: its title and its scale."""

    title: str
    scale: float
    """Factor that converts the measured value to the unit in the title."""


COSTS = {
    "parameters": Cost("decoder [M parameters]", 1e-6),
    "tera_flop": Cost("GFLOP an image", 1e3),
    "seconds_per_image": Cost("ms an image", 1e3),
    "peak_activation_bytes": Cost("activations [MB]", 1e-6),
    "peak_memory_bytes": Cost("memory on the GPU [MB]", 1e-6),
}
"""Costs that the table shows, by the name under which `bench.evaluation.costs.row_costs` measures them."""


@dataclass(frozen=True)
class LatentSizes:
    """The sizes of an image's latents in one latent space."""

    space: str
    """Name of the latent space."""
    channels: int
    factor: int
    """Side of the square of pixels that one position of the latents stands for."""

    @property
    def values_per_pixel(self) -> float:
        return self.channels / self.factor**2


@dataclass(frozen=True)
class LeaderboardRow:
    """One decoder in one precision."""

    key: str
    label: str
    sizes: LatentSizes
    precision: str
    values: Mapping[str, float] = field(default_factory=dict)
    """Measured values by metric, and the standard errors of these values as METRIC_stderr; empty without any number."""
    costs: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    """Reason why the row has no numbers; empty if it has numbers."""


def leaderboard_grids(rows: Sequence[LeaderboardRow], metrics: Sequence[str], features: str) -> Iterator[Grid]:
    """Yield one grid for each spatial factor, the smallest factor first.

    Args:
        rows: all rows, in the order of the configuration.
        metrics: names of the metrics to show.
        features: name of the feature network, for the headings.
    """
    styles = {metric: style for metric in metrics if (style := style_of(metric, METRICS)) is not None}
    costs = {name: cost for name, cost in COSTS.items() if any(name in row.costs for row in rows)}
    heads = [
        "space", "precision", "channels", "values a pixel",
        *(style.heading(features) for style in styles.values()),
        *(cost.title for cost in costs.values()),
    ]  # fmt: skip
    for factor in sorted({row.sizes.factor for row in rows}):
        chosen = [row for row in rows if row.sizes.factor == factor]
        lines = [_line(row, styles, costs) for row in chosen]
        yield Grid([f"Factor {factor}", *heads], lines, left=3)


def _line(row: LeaderboardRow, styles: Mapping[str, Metric], costs: Mapping[str, Cost]) -> list[str]:
    return [
        row.label,
        row.sizes.space,
        row.precision,
        str(row.sizes.channels),
        f"{row.sizes.values_per_pixel:.3g}",
        *(_value(row.values, metric, style) for metric, style in styles.items()),
        *(f"{row.costs[name] * cost.scale:,.4g}" if name in row.costs else "–" for name, cost in costs.items()),
    ]


def _value(values: Mapping[str, float], metric: str, style: Metric) -> str:
    if metric not in values:
        return "–"
    shown = f"{values[metric] * style.scale:z,.{style.decimals}f}"
    error = values.get(f"{metric}_stderr")
    return shown if error is None else f"{shown} ± {error * style.scale:,.{style.decimals}f}"


def leaderboard_frame(rows: Sequence[LeaderboardRow]) -> pandas.DataFrame:
    """Return the table as a data frame with one line for each row, in the units in which values are measured."""
    return pandas.DataFrame(
        [
            {
                "row": row.key,
                "label": row.label,
                "space": row.sizes.space,
                "factor": row.sizes.factor,
                "channels": row.sizes.channels,
                "values_per_pixel": row.sizes.values_per_pixel,
                "precision": row.precision,
                **row.values,
                **row.costs,
                "reason": row.reason or None,
            }
            for row in rows
        ]
    )
