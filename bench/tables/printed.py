"""The numbers that the paper prints, and verdicts on the claims that can be decided from these numbers alone.

The numbers are in `published.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.runtime.own_yaml import read_own_yaml
from bench.tables.claims import Claim, all_claims
from bench.tables.verdicts import (
    CONTRADICTED,
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    PRINTED,
    Judgement,
    Verdict,
    all_of,
    verdict_on,
)

__all__ = ["Printed", "judge_printed", "printed_as", "published"]


_NEGLIGIBLE = 1e-9
"""Largest difference that counts as a rounding error of floating-point arithmetic and not as a difference in print."""


@dataclass(frozen=True)
class Printed:
    """The meaning of the numbers that the paper prints for one metric in one table."""

    title: str
    """Name that the paper gives to the metric."""
    unit: str
    """Unit that the paper prints after the values, such as 1e-5; empty for none."""
    assumed: str
    """Meaning that this project assumes for the numbers, because the paper does not state it."""

    def words(self) -> str:
        """Return the unit and the assumed meaning as one text, which is shown with the numbers."""
        return f"as printed, {self.unit or 'without a unit'}; assumed: {self.assumed}"


def judge_printed(number: int | str | None = None) -> list[Verdict]:
    """Judge the statements that can be decided from the printed numbers alone.

    Args:
        number: number of the table whose statements are judged, or `across` for statements on several tables. None to
            judge the statements on all tables.
    """
    claims = [claim for claim in all_claims() if claim.where == "printed" and number in (None, claim.table)]
    return [verdict_on(claim, PRINTED, _on_paper(claim)) for claim in claims]


def published(number: int) -> Mapping[str, Mapping[str, float]]:
    """Return the numbers that the paper prints in a table.

    The first key is the label of the row, and the second key is the metric. The mapping is empty if the numbers of this
    table are not in `published.yaml`.
    """
    return _tables().get(number, {})


def printed_as(number: int, metric: str) -> Printed | None:
    """Return the explanation of the numbers that the paper prints for a metric.

    The result is None if `published.yaml` does not explain these numbers, because their meaning is clear.

    Args:
        number: number of the table.
        metric: name of the metric in `published.yaml`.
    """
    found = _read().get(f"table{number}", {}).get("printed_as", {}).get(metric)
    return None if found is None else Printed(**found)


@cache
def _read() -> Mapping[str, Any]:
    tables: Mapping[str, Any] = read_own_yaml(Path(__file__).with_name("published.yaml"))
    return tables


@cache
def _tables() -> Mapping[int, Mapping[str, Mapping[str, float]]]:
    """Return all printed values. The keys are the number of the table, then the label of the row, then the metric."""
    return {
        int(name.removeprefix("table")): {
            label: {metric: value for metric, value in zip(table["columns"], values, strict=True) if value is not None}
            for label, values in table["rows"].items()
        }
        for name, table in _read().items()
    }


def _on_paper(claim: Claim) -> Judgement:
    parts = [_no_better(claim.best)] if claim.best else []
    parts += [_difference(node) for node in claim.differences]
    parts += [part for group in claim.same for part in _equal_cells(group, claim.metrics)]
    verdict, evidence = all_of(parts)
    return Judgement(CONTRADICTED if verdict == FAILS else verdict, evidence)


def _no_better(node: Mapping[str, Any]) -> Judgement:
    """Judge whether a row has the lowest printed value of a metric, although printed values are rounded.

    The row's value is compared with every other value. The largest rounding errors of the two values are added up. The
    verdict is "does not hold" if another value is lower by at least this sum. Otherwise it is "inconclusive" if another
    value differs by less than this sum, because rounding could hide which of the two values is really lower. If neither
    is the case, the verdict is "holds".
    """
    metric, row = node["metric"], node["row"]
    values = {label: cells[metric] for label, cells in published(node["table"]).items()}
    ours = values.pop(row)
    lower, close = [], []
    for label, value in (values | node["left_out"]).items():
        shown, slack = f"{label} {value:g}", _rounding(value) + _rounding(ours)
        if value - ours <= -slack + _NEGLIGIBLE:
            lower.append(shown)
        elif value - ours < slack - _NEGLIGIBLE:
            close.append(shown)
    evidence = f"{metric}: {row} {ours:g}; lower {', '.join(lower) or 'none'}"
    if close:
        evidence += f"; as low within rounding {', '.join(close)}"
    return Judgement(FAILS if lower else INCONCLUSIVE if close else HOLDS, evidence)


def _rounding(value: float) -> float:
    """Return the largest rounding error of a printed value: half a unit of its last decimal.

    `published.yaml` does not keep trailing zeros. A value such as 1.50 is read as 1.5, and the result is too large.
    """
    return 0.5 * 10.0 ** -len(f"{value:g}".partition(".")[2])


def _difference(node: Mapping[str, Any]) -> Judgement:
    left, right = (published(node["table"])[label][node["metric"]] for label in node["rows"])
    shown = f"{' - '.join(node['rows'])}: {left:g} - {right:g} = {left - right:.4g}"
    return Judgement(HOLDS if math.isclose(left - right, node["is"], abs_tol=1e-9) else FAILS, shown)


def _equal_cells(group: Sequence[Any], metrics: Sequence[str]) -> list[Judgement]:
    """Judge whether several printed rows have equal values, with one judgement for each metric.

    Args:
        group: rows that are compared. Each element is the number of a table and the label of a row in this table. An
            element can also be a number, which is compared with the values of the rows. The first element is a row.
        metrics: metrics that are compared; if empty, all metrics of the first row.
    """
    number, label = group[0]
    parts = []
    for metric in metrics or published(number)[label]:
        found = {
            str(cell) if isinstance(cell, float) else f"Table {cell[0]}": (
                cell if isinstance(cell, float) else published(cell[0])[cell[1]][metric]
            )
            for cell in group
        }
        shown = ", ".join(f"{value:g}" if name == str(value) else f"{name} {value:g}" for name, value in found.items())
        parts.append(Judgement(HOLDS if len(set(found.values())) == 1 else FAILS, f"{metric}: {label} {shown}"))
    return parts
