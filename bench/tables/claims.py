"""The statements that are judged, as `claims.yaml` lists them: the paper's claims, and the harness's own checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ["HARNESS", "Claim", "Comparison", "all_claims"]

HARNESS = "harness"
"""Who makes the statements that are checks of the harness and no claims of the paper."""


class Comparison(NamedTuple):
    """Two rows compared on one metric."""

    better: str
    """The row that should be better."""
    other: str
    metric: str


@dataclass(frozen=True)
class Claim:
    """One statement; `claims.yaml` explains the kinds and the margins."""

    id: str
    table: int | str
    """The table of the paper, or `across` tables, or in the `text`."""
    text: str
    kind: str
    """order, size, digits, equal or structure."""
    by: str = "paper"
    """Who makes the statement: the `paper` or the `harness`."""
    design: bool = False
    """Whether it compares designs of decoders, of which the measured networks are one training each."""
    where: str = "run"
    """What it is judged on: one table's `run`, the `runs` of two tables, or the `printed` numbers."""
    run: int | None = None
    """The table whose run has its rows."""
    metrics: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of rows, the one that should be better first."""
    row: str = ""
    """The row that should be better than all that it is `against`."""
    against: str = ""
    """What `row` is compared with instead of `pairs`: measured rows of the `paper`'s table, or all `measured`."""
    rows: tuple[str, ...] = ()
    measure: str = ""
    """The measure of a size: gain, share, ratio or resolution."""
    printed: tuple[float, ...] = ()
    """The printed values, one for each comparison or for each metric of one row."""
    roundings: tuple[float, ...] = ()
    """How far each printed value may lie from the value before it was rounded."""
    between: tuple[float, float] | None = None
    """The claimed range of a size; None for the printed value give or take its rounding and the margin of digits."""
    margin: Mapping[str, float] = field(default_factory=dict)
    """The margin of an equality by metric in the metric's unit, for the paper profile."""
    margin_share: Mapping[str, float] = field(default_factory=dict)
    """The margin of an equality by metric as a share of the second row's value, for all else."""
    digits_margin: float = 0.0
    """How far a reproduced value may lie from the printed one beyond its rounding, as a share of the printed value."""
    against_tables: Mapping[int, str] = field(default_factory=dict)
    """For a claim on two `runs`: the row above each ratio, by table."""
    at_least: float = 0.0
    """The least value at which a structure counts as present."""
    reason: str = ""
    """Why a structure is not tested where its outcome was not given."""
    same: tuple[Any, ...] = ()
    best: Mapping[str, Any] = field(default_factory=dict)
    differences: tuple[Mapping[str, Any], ...] = ()

    @property
    def comparisons(self) -> list[Comparison]:
        return [Comparison(better, other, metric) for better, other in self.pairs for metric in self.metrics]


@cache
def all_claims() -> tuple[Claim, ...]:
    """Every statement in the order of the list; `bench.tables.architecture` has those on Tables 7 and 8.

    A size with an `order` yields two statements: that the order is as claimed, which every run can decide, and the
    size itself under the id with `.size` behind it.
    """
    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return tuple(claim for node in data["claims"] for claim in _claims(dict(node), data["digits_margin"]))


def _claims(node: dict[str, Any], digits_margin: float) -> Iterator[Claim]:
    order = node.pop("order", None)
    fields = {key: _tuples(value) for key, value in node.items()}
    if isinstance(fields["table"], int) and fields.get("where", "run") == "run":
        fields["run"] = fields["table"]
    claim = Claim(**fields, digits_margin=digits_margin)
    if order is None:
        yield claim
    else:
        yield replace(claim, text=order, kind="order", measure="", printed=(), roundings=(), between=None)
        yield replace(claim, id=f"{claim.id}.size", design=False)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
