"""Every number of the new side beside the old one's, with the margin, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.errors import BadInputError
from bench.gate.baseline import rounded
from bench.gate.decision import Verdict, Worsening, decide, together, upper_bound
from bench.gate.margins import COSTS, DEFAULTS, Margin, margin_of
from bench.gate.numbers import Measured, Number, Problem, Side
from bench.influences import INFLUENCES
from bench.metrics.spread import Spread
from bench.metrics.uncertainty import Estimate, combined
from bench.stamps import Stamps, unlike
from bench.tables.build import style_of

__all__ = ["Comparison", "Outcome", "compare"]

NOTHING = Number(None, False, reason="not measured")


@dataclass(frozen=True)
class Comparison:
    """One number of both sides."""

    experiment: str
    row: str
    metric: str
    """Or a cost."""
    new: float
    old: float
    margin: Margin
    higher_is_better: bool
    worsening: Worsening
    verdict: Verdict = Verdict.CANNOT_TELL

    @property
    def change(self) -> float:
        """New minus old."""
        return self.new - self.old

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The change's interval, two-sided; None where the values are compared as they are, or no error is known."""
        spread = self.worsening.spread
        if spread is None:
            return None
        return (spread.mirrored() if self.higher_is_better else spread).interval(self.change)

    @property
    def bound(self) -> float:
        """By how much it is worse at most."""
        return upper_bound(self.worsening)

    @property
    def allowed(self) -> float:
        """The margin in the number's own unit."""
        return self.margin.at(self.old)


@dataclass(frozen=True)
class Outcome:
    """Of a whole comparison."""

    new: Path
    old: Path
    comparisons: tuple[Comparison, ...]
    problems: tuple[Problem, ...]
    """For each of them nobody can tell."""
    notes: tuple[str, ...]
    """What was not compared and need not be."""

    @property
    def verdict(self) -> Verdict:
        found = [comparison.verdict for comparison in self.comparisons]
        return together([*found, *([Verdict.CANNOT_TELL] if self.problems else [])])

    def of(self, *verdicts: Verdict) -> list[Comparison]:
        """Comparisons that ended so."""
        return [found for found in self.comparisons if found.verdict in verdicts]


def compare(new: Side, old: Side, margins: Mapping[str, Margin]) -> Outcome:
    """Hold the new side to everything that the old one has.

    Where one side is a single table's run, that table alone is compared.

    Args:
        new: the run or runs in question.
        old: what they are held to.
        margins: by the full name of a metric or cost, where they are not the default ones.

    Raises:
        BadInputError: a margin is of no metric and no cost.
    """
    gathered = _Gathered(dict(margins), [], [*new.problems, *old.problems], [])
    told = {problem.experiment for problem in gathered.problems}
    wanted = new.tables if new.alone else old.tables
    for name in wanted:
        if name in new.tables and name in old.tables:
            gathered.table(new.tables[name], old.tables[name])
        elif name not in told:
            expected, found = (", ".join(side.tables) or "none" for side in (old, new))
            gathered.miss(name, f"experiment: expected {name if name in old.tables else expected}, found {found}")
    more = [name for name in new.tables if name not in old.tables and name not in wanted]
    if more:
        gathered.notes.append(f"new has more experiments: {', '.join(more)}")
    known = [
        name for side in (new, old) for table in side.tables.values() for _, name in (*table.numbers, *table.costs)
    ]
    for name in margins:
        if known and name not in known:
            if name not in DEFAULTS and style_of(name) is None:
                expected = ", ".join(dict.fromkeys([*known, *COSTS]))
                raise BadInputError(f"margin of {name}: expected one of {expected}")
            gathered.notes.append(f"margin of {name}: neither side has it")
    if not gathered.comparisons and not gathered.problems:
        gathered.miss("", f"{old.path}: expected something to compare, found nothing")
    verdicts = decide([(found.worsening, found.allowed) for found in gathered.comparisons])
    judged = [replace(found, verdict=verdict) for found, verdict in zip(gathered.comparisons, verdicts, strict=True)]
    return Outcome(new.path, old.path, tuple(judged), tuple(gathered.problems), tuple(gathered.notes))


@dataclass(frozen=True)
class _Gathered:
    """What a comparison has found so far."""

    margins: dict[str, Margin]
    comparisons: list[Comparison]
    problems: list[Problem]
    notes: list[str]

    def miss(self, experiment: str, what: str) -> None:
        self.problems.append(Problem(experiment, what))

    def table(self, new: Measured, old: Measured) -> None:
        name = old.experiment
        if new.custom != old.custom:
            words = [" ".join(side.custom) or "no override" for side in (new, old)]
            self.notes.append(f"{name}: new ran with {words[0]}; old with {words[1]}")
        if new.stamps.manifest != old.stamps.manifest:
            counts = [max((number.n for number in side.numbers.values()), default=0) for side in (old, new)]
            self.miss(name, f"{unlike(new.stamps, old.stamps)} ({counts[0]} and {counts[1]} items)")
            return
        ours, theirs = (dict.fromkeys(row for row, _ in side.numbers) for side in (new, old))
        for row in theirs:
            if row not in ours:
                self.miss(name, f"row {row}: expected numbers as old has them, found none")
        more = [row for row in ours if row not in theirs]
        if more:
            self.notes.append(f"{name}: new has more rows: {', '.join(more)}")
        for metric in dict.fromkeys(metric for _, metric in old.numbers):
            self._metric(name, metric, [row for row in theirs if row in ours], new, old)
        self._costs(name, new, old)

    def _metric(self, name: str, metric: str, rows: Sequence[str], new: Measured, old: Measured) -> None:
        """One metric of rows that both sides have."""
        margin = margin_of(metric, self.margins)
        if np.isinf(margin.amount):
            self.notes.append(f"{name}: {metric} is not compared, as its margin is {margin}")
            return
        reason = _unlike(metric, new.stamps, old.stamps)
        if reason is not None:
            self.miss(name, reason)
            return
        reasons: dict[str, list[str]] = {}
        for row in rows:
            ours, theirs = new.numbers.get((row, metric), NOTHING), old.numbers.get((row, metric), NOTHING)
            worse = _worsening(ours, theirs, old.digits)
            if isinstance(worse, str):
                reasons.setdefault(worse, []).append(row)
                continue
            assert ours.value is not None  # else there were no worsening
            assert theirs.value is not None
            value = ours.value if old.digits is None else rounded(ours.value, old.digits)
            better = theirs.higher_is_better
            self.comparisons.append(Comparison(name, row, metric, value, theirs.value, margin, better, worse))
            if not worse.paired and old.digits is None and old.stamps.manifest:
                self._once(f"{name}: only values are compared, as one side keeps no {INFLUENCES}")
        for why, found in reasons.items():
            self.miss(name, f"{metric} of {', '.join(found)}: {why}")

    def _costs(self, name: str, new: Measured, old: Measured) -> None:
        alone = []
        for cost in COSTS:
            margin = margin_of(cost, self.margins)
            ours, theirs = ({row: side.costs[row, c] for row, c in side.costs if c == cost} for side in (new, old))
            if np.isinf(margin.amount) or not (ours or theirs):
                continue
            both = [row for row in theirs if row in ours]
            if len(both) < len({**ours, **theirs}):
                alone.append(f"{cost} ({len(both)} of {len({**ours, **theirs})} rows)")
            for row in both:
                worse = Worsening(ours[row] - theirs[row])
                self.comparisons.append(Comparison(name, row, cost, ours[row], theirs[row], margin, False, worse))
        if alone:
            self.notes.append(f"{name}: costs are compared where both sides have them: {', '.join(alone)}")

    def _once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _unlike(metric: str, new: Stamps, old: Stamps) -> str | None:
    """What differs between the protocols by which a metric was measured."""
    stamps = [
        Stamps(side.manifest, {metric: side.protocols[metric]}) for side in (new, old) if metric in side.protocols
    ]
    return unlike(*stamps) if len(stamps) == 2 else None


def _worsening(new: Number, old: Number, digits: int | None) -> Worsening | str:
    """Paired where both sides kept influences, else of the values alone; or why there is none."""
    if new.value is None or old.value is None:
        reasons = [f"{side}: {number.reason}" for side, number in (("new", new), ("old", old)) if number.reason]
        return f"expected a value on both sides, found none ({'; '.join(reasons)})"
    if new.n != old.n:
        return f"expected {old.n} items, found {new.n}"
    if new.higher_is_better != old.higher_is_better:
        return f"expected higher_is_better {old.higher_is_better}, found {new.higher_is_better}"
    sign = -1.0 if old.higher_is_better else 1.0
    ours, theirs = new.influence, old.influence
    if ours is None or theirs is None:
        return Worsening(sign * ((new.value if digits is None else rounded(new.value, digits)) - old.value))
    if (ours.items, ours.sources) != (theirs.items, theirs.sources):
        return "expected the items that old has influences of, found others"
    estimates = Estimate(new.value, ours.values, ours.change), Estimate(old.value, theirs.values, theirs.change)
    worse = combined([(sign, estimates[0]), (-sign, estimates[1])])
    return Worsening(worse.value, Spread.of(worse.influence, ours.sources, change=worse.change), paired=True)
