"""The numbers that the paper prints (`published.yaml`), and verdicts on the claims that these numbers alone decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

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
"""Largest difference of two equal printed numbers that their binary representation can cause."""


@dataclass(frozen=True)
class Printed:
    """An explanation of a metric's printed numbers in one of the paper's tables."""

    title: str
    """Name of the metric in the paper."""
    unit: str
    """Unit that the paper prints after the values, such as 1e-5; empty for none."""
    assumed: str
    """Assumed meaning of the numbers, which the paper does not state."""

    def words(self) -> str:
        """Return the unit and the assumption in words, as they are shown with a number."""
        return f"as printed, {self.unit or 'without a unit'}; assumed: {self.assumed}"


def judge_printed(number: int | str | None = None) -> list[Verdict]:
    """Judge the statements that the printed numbers alone decide.

    Args:
        number: number of a table, or `across` for statements on several tables; None for all statements.
    """
    claims = [claim for claim in all_claims() if claim.where == "printed" and number in (None, claim.table)]
    return [verdict_on(claim, PRINTED, _on_paper(claim)) for claim in claims]


def published(number: int) -> Mapping[str, Mapping[str, float]]:
    """Return the paper's printed numbers of a table, by label and metric; empty for a table with unknown numbers."""
    return _tables().get(number, {})


def printed_as(number: int, metric: str) -> Printed | None:
    """Return the explanation of a metric's printed numbers in a table; None if they need no explanation."""
    found = _read().get(f"table{number}", {}).get("printed_as", {}).get(metric)
    return None if found is None else Printed(**found)


@cache
def _read() -> Mapping[str, Any]:
    tables: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
    return tables


@cache
def _tables() -> Mapping[int, Mapping[str, Mapping[str, float]]]:
    """Return the printed values by table, label and metric."""
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
    """Judge whether a row has the lowest printed value, for all values that rounding could have changed to these."""
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
    """Return the largest rounding error of a printed value, from its number of decimals.

    A trailing zero of a printed value is not stored, so the rounding error of such a value is overestimated.
    """
    return 0.5 * 10.0 ** -len(f"{value:g}".partition(".")[2])


def _difference(node: Mapping[str, Any]) -> Judgement:
    left, right = (published(node["table"])[label][node["metric"]] for label in node["rows"])
    shown = f"{' - '.join(node['rows'])}: {left:g} - {right:g} = {left - right:.4g}"
    return Judgement(HOLDS if math.isclose(left - right, node["is"], abs_tol=1e-9) else FAILS, shown)


def _equal_cells(group: Sequence[Any], metrics: Sequence[str]) -> list[Judgement]:
    """Judge whether lines (table and label) or numbers are equal in the given metrics, or else in the first line's."""
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
