"""The numbers that the paper prints (`published.yaml`), and the claims that they decide alone."""

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
"""Differences of printed numbers up to this one come from their binary representation."""


@dataclass(frozen=True)
class Printed:
    """How the paper prints a metric in one of its tables, where that is not plain."""

    title: str
    """The paper's name of the metric."""
    unit: str
    """What it prints behind the values, such as 1e-5; empty for nothing."""
    assumed: str
    """What its numbers are assumed to be, as the paper does not say it."""

    def words(self) -> str:
        """The unit and the assumption, as they stand beside a number."""
        return f"as printed, {self.unit or 'without a unit'}; assumed: {self.assumed}"


def judge_printed(number: int | str | None = None) -> list[Verdict]:
    """Judge what the printed numbers alone decide; of one table, or `across`, or all of it for None."""
    claims = [claim for claim in all_claims() if claim.where == "printed" and number in (None, claim.table)]
    return [verdict_on(claim, PRINTED, _on_paper(claim)) for claim in claims]


def published(number: int) -> Mapping[str, Mapping[str, float]]:
    """What the paper prints in a table, by label and metric; nothing for a table whose numbers are not known."""
    return _tables().get(number, {})


def printed_as(number: int, metric: str) -> Printed | None:
    """How the paper prints a metric in a table; None where its numbers need no explanation."""
    found = _read().get(f"table{number}", {}).get("printed_as", {}).get(metric)
    return None if found is None else Printed(**found)


@cache
def _read() -> Mapping[str, Any]:
    tables: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())
    return tables


@cache
def _tables() -> Mapping[int, Mapping[str, Mapping[str, float]]]:
    """Printed values by table, label and metric."""
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
    """Whether a row is printed with the lowest value, whatever the printed values were before they were rounded."""
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
    """How far a value with these decimals may lie from what it was before it was rounded.

    A zero at the end of a printed value is not known here: such a value counts as rounded more coarsely than it was.
    """
    return 0.5 * 10.0 ** -len(f"{value:g}".partition(".")[2])


def _difference(node: Mapping[str, Any]) -> Judgement:
    left, right = (published(node["table"])[label][node["metric"]] for label in node["rows"])
    shown = f"{' - '.join(node['rows'])}: {left:g} - {right:g} = {left - right:.4g}"
    return Judgement(HOLDS if math.isclose(left - right, node["is"], abs_tol=1e-9) else FAILS, shown)


def _equal_cells(group: Sequence[Any], metrics: Sequence[str]) -> list[Judgement]:
    """Whether lines (table and label) or numbers are the same, in the given metrics or in all of the first line's."""
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
