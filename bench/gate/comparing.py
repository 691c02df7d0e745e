"""The function that compares new numbers with old numbers. Each comparison gets a margin and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.errors import BadInputError
from bench.gate.baseline import rounded
from bench.gate.decision import Verdict, Worsening, decide, together, upper_bound
from bench.gate.margins import COSTS, DEFAULTS, Margin, margin_of
from bench.gate.read_run import OVERALL, Measured, Number, Problem, Side
from bench.metrics.spread import Spread
from bench.metrics.uncertainty import Estimate, combined
from bench.results.influences import INFLUENCES
from bench.results.stamps import Stamps, unlike
from bench.runtime.not_available import NotAvailable
from bench.tables.build import style_of

__all__ = ["Comparison", "Outcome", "compare", "incomparable"]

NOTHING = Number(None, False, reason="not measured")


@dataclass(frozen=True)
class Comparison:
    """The new and the old value of one metric or cost of one row, with their margin and verdict."""

    experiment: str
    row: str
    metric: str
    """Full name of the metric, or name of the cost."""
    new: float
    old: float
    margin: Margin
    higher_is_better: bool
    worsening: Worsening
    verdict: Verdict = Verdict.CANNOT_TELL

    @property
    def change(self) -> float:
        """The new value minus the old value."""
        return self.new - self.old

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Two-sided 95 % interval of `change`; None if only the values are compared, or if no error is known."""
        spread = self.worsening.spread
        if spread is None:
            return None
        return (spread.mirrored() if self.higher_is_better else spread).interval(self.change)

    @property
    def bound(self) -> float:
        """Upper bound of the worsening with 95 % confidence, in the number's unit.

        If only the two values are compared, the bound is the worsening itself. The bound is NaN if the influences of
        the items are known but the standard error is unknown.
        """
        return upper_bound(self.worsening)

    @property
    def allowed(self) -> float:
        """Largest worsening that is tolerated, in the number's unit."""
        return self.margin.at(self.old)


@dataclass(frozen=True)
class Outcome:
    """The result of comparing all new numbers with all old numbers."""

    new: Path
    old: Path
    comparisons: tuple[Comparison, ...]
    problems: tuple[Problem, ...]
    """Reasons why some numbers could not be compared. If there is any, the whole comparison does not pass."""
    notes: tuple[str, ...]
    """Notes on differences between the sides that do not change the verdict, such as additional rows."""

    @property
    def verdict(self) -> Verdict:
        found = [comparison.verdict for comparison in self.comparisons]
        return together([*found, *([Verdict.CANNOT_TELL] if self.problems else [])])

    def of(self, *verdicts: Verdict) -> list[Comparison]:
        """Return the comparisons whose verdict is one of `verdicts`."""
        return [found for found in self.comparisons if found.verdict in verdicts]


def compare(new: Side, old: Side, margins: Mapping[str, Margin]) -> Outcome:
    """Compare new numbers with old numbers. Two numbers are compared if they have the same experiment, row and metric.

    A problem is reported for each experiment or row that only `old` has. Only a note is made for each experiment or row
    that only `new` has. If both have a row, a problem is reported for each metric or cost of this row that only one of
    them has. If `new` is the run of a single table, another rule holds for experiments: only this table is compared,
    and a problem is reported if `old` does not have this table.

    An experiment is not compared, and a problem is reported, if the profiles, the items or the sampling of its two
    tables differ. In the same way, a metric is not compared if its two protocols differ. A metric or cost whose margin
    is infinite is left out without a problem.

    Args:
        new: run or runs to judge.
        old: run, runs or baseline to compare with.
        margins: margins that replace the default margins, by the full name of a metric or by the name of a cost.

    Raises:
        BadInputError: a name in `margins` is neither a metric nor a cost.
    """
    collector = _Collector(dict(margins), [], [*new.problems, *old.problems], [])
    reported = {problem.experiment for problem in collector.problems}
    experiments = new.tables if new.alone else old.tables
    for name in experiments:
        if name in new.tables and name in old.tables:
            collector.table(new.tables[name], old.tables[name])
        elif name not in reported:
            expected, found = (", ".join(side.tables) or "no experiment" for side in (old, new))
            collector.miss(name, f"experiment: expected {name if name in old.tables else expected}, found {found}")
    more = [name for name in new.tables if name not in old.tables and name not in experiments]
    if more:
        collector.notes.append(f"only the new side has these experiments: {', '.join(more)}")
    known = [
        name for side in (new, old) for table in side.tables.values() for _, name in (*table.numbers, *table.costs)
    ]
    for name in margins:
        if known and name not in known:
            if name not in DEFAULTS and style_of(name) is None:
                expected = ", ".join(dict.fromkeys([*known, *COSTS]))
                raise BadInputError(f"margin of {name}: expected a name from this list: {expected}; found another name")
            collector.notes.append(f"margin of {name}: neither side has this metric or cost")
    if not collector.comparisons and not collector.problems:
        collector.miss("", f"{old.path}: expected at least one number to compare, found no number")
    verdicts = decide([(found.worsening, found.allowed) for found in collector.comparisons])
    judged = [replace(found, verdict=verdict) for found, verdict in zip(collector.comparisons, verdicts, strict=True)]
    return Outcome(new.path, old.path, tuple(judged), tuple(collector.problems), tuple(collector.notes))


@dataclass(frozen=True)
class _Collector:
    """The comparisons, problems and notes that were found so far. The methods of this class add to these lists."""

    margins: dict[str, Margin]
    comparisons: list[Comparison]
    problems: list[Problem]
    notes: list[str]

    def miss(self, experiment: str, what: str, metric: str = "", rows: Sequence[str] = ()) -> None:
        self.problems.append(Problem(experiment, what, metric, tuple(rows)))

    def table(self, new: Measured, old: Measured) -> None:
        name = old.experiment
        if new.custom != old.custom:
            words = [" ".join(side.custom) or "no override" for side in (new, old)]
            self.notes.append(f"{name}: the new run has {words[0]}, the old run has {words[1]}")
        reason = incomparable(new, old)
        if reason is not None:
            self.miss(name, reason)
            return
        new_value, old_value = (dict.fromkeys(row for row, _ in side.numbers) for side in (new, old))
        for row in old_value:
            if row not in new_value:
                missing = f"row {row}: expected it in the new and in the old run, found it only in the old run"
                self.miss(name, missing, rows=[row])
        more = [row for row in new_value if row not in old_value]
        if more:
            self.notes.append(f"{name}: only the new run has these rows: {', '.join(more)}")
        both = [row for row in old_value if row in new_value]
        for metric in dict.fromkeys(metric for side in (old, new) for _, metric in side.numbers):
            self._metric(name, metric, both, new, old)
        self._costs(name, both, new, old)

    def _metric(self, name: str, metric: str, rows: Sequence[str], new: Measured, old: Measured) -> None:
        """Compare one metric in `rows`. These are the rows that the new and the old run both have."""
        margin = margin_of(metric, self.margins)
        if np.isinf(margin.amount):
            self.notes.append(f"{name}: {metric} is not compared, because its margin is {margin}")
            return
        reason = _unlike(metric, new.stamps, old.stamps)
        if reason is not None:
            self.miss(name, reason, metric)
            return
        reasons: dict[str, list[str]] = {}
        for row in rows:
            new_value, old_value = new.numbers.get((row, metric), NOTHING), old.numbers.get((row, metric), NOTHING)
            worse = _worsening(new_value, old_value, old.digits)
            if isinstance(worse, NotAvailable):
                reasons.setdefault(worse.reason, []).append(row)
                continue
            assert new_value.value is not None  # otherwise there would be no worsening
            assert old_value.value is not None
            value = new_value.value if old.digits is None else rounded(new_value.value, old.digits)
            better = old_value.higher_is_better
            self.comparisons.append(Comparison(name, row, metric, value, old_value.value, margin, better, worse))
            if not worse.paired and old.digits is None and old.stamps.manifest:
                self._once(f"{name}: values are compared without intervals, because one side has no {INFLUENCES}")
        for why, found in reasons.items():
            self.miss(name, f"{metric} of {', '.join(found)}: {why}", metric, found)

    def _costs(self, name: str, rows: Sequence[str], new: Measured, old: Measured) -> None:
        """Compare the costs of `rows`, which are in the new and in the old run.

        In Tables 7 and 8, compare the costs of each decoder instead.
        """
        named = dict.fromkeys(row for side in (old, new) for row, _ in side.costs) if OVERALL in rows else rows
        for cost in COSTS:
            margin = margin_of(cost, self.margins)
            if np.isinf(margin.amount):
                continue
            for row in named:
                new_value, old_value = new.costs.get((row, cost)), old.costs.get((row, cost))
                if new_value is not None and old_value is not None:
                    worse = Worsening(new_value - old_value)
                    self.comparisons.append(Comparison(name, row, cost, new_value, old_value, margin, False, worse))
                elif new_value is not None or old_value is not None:
                    side = "old" if new_value is None else "new"
                    self.miss(
                        name,
                        f"{cost} of {row}: expected it in the new and in the old run, found it only in the {side} run",
                        cost,
                        [row],
                    )

    def _once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def incomparable(new: Measured, old: Measured) -> str | None:
    """Return the reason why no number of two tables can be compared; None if there is no such reason.

    The profiles, the items and the sampling of the latents of the two tables are compared.
    """
    if new.profile != old.profile:
        return f"profile: expected {old.profile}, found {new.profile}"
    whole = [Stamps(side.stamps.manifest, {}, side.stamps.pictures) for side in (new, old)]
    apart = unlike(*whole)
    if apart is not None:
        counts = [max((number.n for number in side.numbers.values()), default=0) for side in (old, new)]
        return f"{apart}; the old run has {counts[0]} items and the new run has {counts[1]}"
    return _sampling(new, old)


def _sampling(new: Measured, old: Measured) -> str | None:
    """Return a description of how the sampling of the latents differs; None if all sampling settings agree."""
    if new.sampling is None or old.sampling is None:
        return (
            None
            if new.sampling == old.sampling
            else "sampling: expected latents in the new and in the old run, found them in only one of the two"
        )
    found = old.sampling.differences(new.sampling)
    return (
        f"sampling: {found[0]}" + (f"; {len(found) - 1} more settings differ" if len(found) > 1 else "")
        if found
        else None
    )


def _unlike(metric: str, new: Stamps, old: Stamps) -> str | None:
    """Return a description of how the protocols of `metric` differ.

    The result is None if the protocols are equal, or if `new` or `old` has no protocol of this metric.
    """
    stamps = [
        Stamps(side.manifest, {metric: side.protocols[metric]}) for side in (new, old) if metric in side.protocols
    ]
    return unlike(*stamps) if len(stamps) == 2 else None


def _worsening(new: Number, old: Number, digits: int | None) -> Worsening | NotAvailable:
    """Return the worsening from an old number to a new number, or the reason why it cannot be computed.

    If both numbers have influences, the worsening is paired by item and has a standard error. Otherwise, the worsening
    is only the difference of the two values.

    Args:
        new: the new number.
        old: the old number.
        digits: number of significant digits to which the old value was rounded; None if it was not rounded.
    """
    if new.value is None or old.value is None:
        reasons = [f"{side}: {number.reason}" for side, number in (("new", new), ("old", old)) if number.reason]
        return NotAvailable(f"expected a value in the new and in the old run, found no value ({'; '.join(reasons)})")
    if new.n != old.n:
        return NotAvailable(f"expected {old.n} items, found {new.n}")
    if new.higher_is_better != old.higher_is_better:
        return NotAvailable(f"expected higher_is_better {old.higher_is_better}, found {new.higher_is_better}")
    sign = -1.0 if old.higher_is_better else 1.0
    new_value, old_value = new.influence, old.influence
    if new_value is None or old_value is None:
        return Worsening(sign * ((new.value if digits is None else rounded(new.value, digits)) - old.value))
    if (new_value.items, new_value.sources) != (old_value.items, old_value.sources):
        return NotAvailable("expected the same items in the new and in the old run, found different items")
    estimates = (
        Estimate(new.value, new_value.values, new_value.change),
        Estimate(old.value, old_value.values, old_value.change),
    )
    worse = combined([(sign, estimates[0]), (-sign, estimates[1])])
    return Worsening(worse.value, Spread.of(worse.influence, new_value.sources, change=worse.change), paired=True)
