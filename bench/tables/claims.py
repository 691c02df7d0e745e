"""The statements that this project judges: claims of the paper, and checks that this project adds.

The statements are in the file `claims.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.runtime.own_yaml import read_own_yaml

__all__ = ["HARNESS", "Claim", "Comparison", "all_claims"]

HARNESS = "harness"
"""Value of `Claim.by` for a check that this project adds, which is not a claim of the paper."""


class Comparison(NamedTuple):
    """A comparison of two rows on one metric."""

    better: str
    """Row that should be better."""
    other: str
    metric: str


@dataclass(frozen=True)
class Claim:
    """A statement in a form that a program can judge. `claims.yaml` explains the margins and each kind of statement."""

    id: str
    table: int | str
    """Number of the paper's table to which the statement belongs, `across` for several tables, or `text`."""
    text: str
    kind: str
    """Kind of the statement: order, size, digits, equal or structure."""
    by: str = "paper"
    """Author of the statement: `paper`, or `harness` for a check that this project adds."""
    design: bool = False
    """Whether the statement compares designs of decoders, so that it has a second verdict over several trainings."""
    where: str = "run"
    """Data by which the statement is judged: the `run` of one table, the `runs` of two tables, or `printed` numbers."""
    run: int | None = None
    """Number of the table whose run judges the statement; None if no single run does."""
    metrics: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of rows that are compared. The first row of each pair is the one that should be better."""
    row: str = ""
    """Row that should be better than all rows that `against` stands for; empty if `pairs` are compared."""
    against: str = ""
    """Rows with which `row` is compared; empty if `pairs` are compared.

    The value `paper` stands for the measured rows that the paper's table has, and `measured` for all measured rows of
    the main table.
    """
    rows: tuple[str, ...] = ()
    """Rows of a statement on digits, or of a statement on the `runs` of two tables."""
    measure: str = ""
    """Way to compute a size from two rows: gain, share or ratio. Empty if no size is computed from rows of a run.

    With the value `resolution`, the statement says that the run can distinguish a difference of the printed size from
    zero.
    """
    printed: tuple[float, ...] = ()
    """Values that the paper prints: one for each comparison, or one for each metric in a statement on digits."""
    roundings: tuple[float, ...] = ()
    """Largest rounding error of each value in `printed`."""
    between: tuple[float, float] | None = None
    """Claimed range of a size.

    None stands for a range around the printed value. On each side, the range extends by the value's rounding error plus
    `digits_margin` times the value.
    """
    margin: Mapping[str, float] = field(default_factory=dict)
    """Largest difference at which two rows count as equal on the paper profile, by metric and in the metric's unit."""
    margin_share: Mapping[str, float] = field(default_factory=dict)
    """Largest difference at which two rows count as equal, by metric and as a share of the second row's value.

    It is used on every profile except `paper`, and for metrics without an entry in `margin`.
    """
    digits_margin: float = 0.0
    """Difference from a printed value that is allowed in addition to its rounding error, as a share of the value."""
    against_tables: Mapping[int, str] = field(default_factory=dict)
    """Row that is the numerator of a ratio. The key is the number of the table.

    Only statements on the `runs` of two tables have it. The ratio should be larger in the second of the two tables.
    """
    at_least: float = 0.0
    """Smallest value at which an effect that was measured outside the table counts as present."""
    reason: str = ""
    """Reason that is shown if the statement was not tested; only for statements that no number of a table decides."""
    same: tuple[Any, ...] = ()
    """Groups of printed rows that should have equal values, for a statement on `printed` numbers.

    Each row is a pair of a table's number and the row's label. A number in a group is compared with the values of the
    rows.
    """
    best: Mapping[str, Any] = field(default_factory=dict)
    """Row that should have the lowest value of a metric, for a statement on `printed` numbers.

    The keys `table`, `row` and `metric` name the row and the metric. The key `left_out` has further values with which
    the row's value is compared, by the label of their row.
    """
    differences: tuple[Mapping[str, Any], ...] = ()
    """Differences that the printed values should have, for a statement on `printed` numbers.

    In each mapping, the value of the first of the two `rows` minus the value of the second one should be the number
    under the key `is`. The other keys are `table` and `metric`.
    """

    @property
    def comparisons(self) -> list[Comparison]:
        return [Comparison(better, other, metric) for better, other in self.pairs for metric in self.metrics]


@cache
def all_claims() -> tuple[Claim, ...]:
    """Return all statements of `claims.yaml` in the order of the file.

    A statement on a size that has the key `order` in the file becomes two statements. The first one is on the order of
    the rows, and a run of any profile can decide it. The second one is on the size, and its id ends with `.size`.
    Statements on Tables 7 and 8 are not included; they are in `bench.tables.architecture`.
    """
    data = read_own_yaml(Path(__file__).with_suffix(".yaml"))
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
