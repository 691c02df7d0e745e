"""The statements that are judged, listed in `claims.yaml`: the paper's claims and the harness's own checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ["HARNESS", "Claim", "Comparison", "all_claims"]

HARNESS = "harness"
"""Value of `by` for statements that are checks of the harness and not claims of the paper."""


class Comparison(NamedTuple):
    """A comparison of two rows on one metric."""

    better: str
    """Row that should be better."""
    other: str
    metric: str


@dataclass(frozen=True)
class Claim:
    """A statement that is judged; `claims.yaml` explains the kinds and the margins."""

    id: str
    table: int | str
    """Table of the paper to which the statement belongs, or `across` for several tables, or `text`."""
    text: str
    kind: str
    """Kind of the statement: order, size, digits, equal or structure."""
    by: str = "paper"
    """Author of the statement: the `paper` or the `harness`."""
    design: bool = False
    """Whether the statement compares designs of decoders; each measured network is one training of its design."""
    where: str = "run"
    """Data on which the statement is judged: one table's `run`, the `runs` of two tables, or the `printed` numbers."""
    run: int | None = None
    """Table whose run has the rows of the statement."""
    metrics: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of rows; the first row of each should be better."""
    row: str = ""
    """Row that should be better than all rows that `against` names."""
    against: str = ""
    """Rows with which `row` is compared instead of `pairs`: measured rows of the `paper`'s table, or all `measured`."""
    rows: tuple[str, ...] = ()
    measure: str = ""
    """Measure of a size: gain, share, ratio or resolution."""
    printed: tuple[float, ...] = ()
    """Printed values, one for each comparison or for each metric of one row."""
    roundings: tuple[float, ...] = ()
    """Largest rounding error of each printed value."""
    between: tuple[float, float] | None = None
    """Claimed range of a size; None for the printed value plus or minus its rounding and the margin of digits."""
    margin: Mapping[str, float] = field(default_factory=dict)
    """Margin of an equality for the paper profile, by metric and in the metric's unit."""
    margin_share: Mapping[str, float] = field(default_factory=dict)
    """Margin of an equality in all other cases, by metric and as a share of the second row's value."""
    digits_margin: float = 0.0
    """Largest difference of a reproduced value beyond the rounding, as a share of the printed value."""
    against_tables: Mapping[int, str] = field(default_factory=dict)
    """Row whose value is the numerator of the ratio, by table; only for claims that compare two `runs`."""
    at_least: float = 0.0
    """Smallest value at which a structure counts as present."""
    reason: str = ""
    """Reason why a structure is not tested, if its outcome was not given."""
    same: tuple[Any, ...] = ()
    best: Mapping[str, Any] = field(default_factory=dict)
    differences: tuple[Mapping[str, Any], ...] = ()

    @property
    def comparisons(self) -> list[Comparison]:
        return [Comparison(better, other, metric) for better, other in self.pairs for metric in self.metrics]


@cache
def all_claims() -> tuple[Claim, ...]:
    """Return every statement in the order of the list; those on Tables 7 and 8 are in `bench.tables.architecture`.

    A size with an `order` becomes two statements: the order, which every run can decide, and the size itself, whose id
    ends with `.size`.
    """
    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
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
