"""Names of metrics by turn, and one container for the scores of all turns of repeated edits.

With the turn in the name of a metric, the statistics of a table hold for repeated edits without a change. Each metric
has in each turn its mean, its standard error, its paired differences and its family of comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bench.metrics.names import MetricName
from bench.metrics.scores import Scored

__all__ = ["at_turn", "of_all_turns"]

T = TypeVar("T")


def at_turn(metric: str, turn: int) -> str:
    """Return the full name of a metric in one turn: the name itself for turn 1, such as `lpips_turn_3` for turn 3.

    Args:
        metric: full name of the metric. The ending of a bin of mask area stays at the end.
        turn: number of the turn, 1 or more.
    """
    if turn == 1:
        return metric
    name = MetricName.parse(metric)
    return str(replace(name, metric=f"{name.metric}_turn_{turn}"))


def of_all_turns(turns: Sequence[Scored]) -> Scored:
    """Return the scores of all turns in one container.

    The arrays of turn 1 keep their names, and those of later turns have the names that `at_turn` gives them. The mask
    areas are those of turn 1.

    Args:
        turns: scores of each turn, for the same rows and items.
    """
    rows: dict[str, dict[str, Any]] = {row: {} for row in turns[0].rows}
    truth: dict[str, Any] = {}
    sets: dict[str, str] = {}
    measures: dict[str, str] = {}
    for turn, scored in enumerate(turns, 1):
        truth |= _named(scored.truth, turn)
        measures |= _named(scored.measures, turn)
        sets |= {at_turn(metric, turn): at_turn(features, turn) for metric, features in scored.sets.items()}
        for row, arrays in scored.rows.items():
            rows[row] |= _named(arrays, turn)
    return replace(turns[0], rows=rows, truth=truth, sets=sets, measures=measures)


def _named(found: Mapping[str, T], turn: int) -> dict[str, T]:
    return {at_turn(name, turn): value for name, value in found.items()}
