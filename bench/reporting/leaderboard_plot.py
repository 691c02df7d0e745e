"""Plots of a leaderboard: quality against cost of the decoders of all latent spaces, by the spatial factor."""

from __future__ import annotations

from collections.abc import Sequence

from bench.metrics.summary import Measurement
from bench.reporting.cost_plot import CostedRow, Quality, cost_plots
from bench.reporting.plots import Plots
from bench.tables.build import METRICS, style_of
from bench.tables.grid import Grid
from bench.tables.leaderboard import COSTS, LeaderboardRow

__all__ = ["DRAWN", "leaderboard_plots"]

DRAWN = ("parameters", "tera_flop", "seconds_per_image")
"""Costs against which the plots show the quality."""
NOTE = (
    "The number at a point is the number of its row in the table below the plots; points that lie on one another have"
    " one common label. Points of one spatial factor have the same shape. Compare different factors with care, "
    "because a larger factor is a harder task. ± and the bars are one standard error. All plots of one metric or of "
    "one cost have the same scale."
)


def leaderboard_plots(rows: Sequence[LeaderboardRow], metrics: Sequence[str], features: str) -> Plots:
    """Return the plots of quality against cost, and a list of the rows with their values.

    Args:
        rows: all rows, in the order of the configuration.
        metrics: names of the metrics to show.
        features: name of the feature network, for the headings.
    """
    styles = {metric: style for metric in metrics if (style := style_of(metric, METRICS)) is not None}
    costs = {name: COSTS[name] for name in DRAWN if any(name in row.costs for row in rows)}
    headings = {metric: style.heading(features) for metric, style in styles.items()}
    ordered = sorted(rows, key=lambda row: row.sizes.factor)
    shown = [
        CostedRow(
            str(number),
            f"{row.label} ({row.sizes.space}, {row.precision})",
            row.costs,
            {
                metric: quality
                for metric, style in styles.items()
                if (quality := Quality.of(_measured(row, metric), style)) is not None
            },
            f"factor {row.sizes.factor}",
        )
        for number, row in enumerate(ordered, 1)
    ]
    lines = [
        [
            row.number,
            row.name,
            row.group.removeprefix("factor "),
            *(f"{row.costs[name] * cost.scale:,.4g}" if name in row.costs else "–" for name, cost in costs.items()),
            *(row.qualities[metric].shown if metric in row.qualities else "–" for metric in styles),
        ]
        for row in shown
    ]
    heads = ["No.", "Decoder", "factor", *(cost.title for cost in costs.values()), *headings.values()]
    return Plots(cost_plots(shown, headings, costs), Grid(heads, lines, left=2), NOTE)


def _measured(row: LeaderboardRow, metric: str) -> Measurement | None:
    return Measurement(row.values[metric], row.values.get(f"{metric}_stderr")) if metric in row.values else None
