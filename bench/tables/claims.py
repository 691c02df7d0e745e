"""What the paper claims, as `claims.yaml` lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Claim", "Comparison", "all_claims"]

Comparison = tuple[str, str, str]
"""The row that should be better, the other, and the metric."""


@dataclass(frozen=True)
class Claim:
    """One claim; `claims.yaml` says what the kinds are, and what margins mean."""

    id: str
    table: int | str
    """Of the paper; `across` tables, or in the `text`."""
    text: str
    kind: str
    """order, size, digits, equal or structure."""
    where: str = "run"
    """What it is judged on: one table's run, two tables' `runs`, or the `printed` numbers."""
    run: int | None = None
    """The table whose run has its rows."""
    metrics: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Rows, the one that should be better first."""
    rows: tuple[str, ...] = ()
    measured_only: bool = False
    """Whether pairs that were not measured are left out."""
    measure: str = ""
    """Of size: gain, share, ratio, value or resolution."""
    printed: tuple[float, ...] = ()
    """For each comparison, or for each metric of one row."""
    rounding: float = 0.0
    """How far the size of the printed values may be from theirs before they were rounded."""
    roundings: tuple[float, ...] = ()
    """The same for each metric of one row."""
    between: tuple[float, float] | None = None
    """Where the size should be; None for the printed one."""
    margin: Mapping[str, float] = field(default_factory=dict)
    margin_share: Mapping[str, float] = field(default_factory=dict)
    margin_mini: float = 0.0
    against: Mapping[int, str] = field(default_factory=dict)
    """Of `runs`: the row above each ratio, by table."""
    reason: str = ""
    """Of structure: why it is not tested where nobody gives its outcome."""
    same: tuple[Any, ...] = ()
    best: Mapping[str, Any] = field(default_factory=dict)
    differences: tuple[Mapping[str, Any], ...] = ()

    @property
    def comparisons(self) -> list[Comparison]:
        return [(new, old, metric) for new, old in self.pairs for metric in self.metrics]


@cache
def all_claims() -> tuple[Claim, ...]:
    """Every claim of the list, in its order; of those of Tables 7 and 8 see `bench.tables.architecture`."""
    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return tuple(_claim(node, data["margin_mini"]) for node in data["claims"])


def _claim(node: dict[str, Any], margin_mini: float) -> Claim:
    fields = {key: _tuples(value) for key, value in node.items()}
    if isinstance(fields["table"], int) and fields.get("where", "run") == "run":
        fields["run"] = fields["table"]
    return Claim(**fields, margin_mini=margin_mini)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
