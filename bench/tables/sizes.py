"""Judgements on the sizes of differences between rows, and on the digits that the paper prints.

Only runs with the scope `paper` are judged. All other runs get the verdict "not judged on", followed by their scope.
The evidence of this verdict contains the measured numbers. If a run lacks a number that a statement needs, the verdict
is "not tested" in every scope.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.metrics.summary import UNBOUNDED, Measurement
from bench.metrics.uncertainty import LEVEL, NO_SPREAD, TOO_FEW_SOURCES
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, Comparison
from bench.tables.judged_run import JudgedRun, compared, interval_shown, sign, three
from bench.tables.verdicts import FAILS, HOLDS, INCONCLUSIVE, NOT_TESTED, Judgement, all_of, not_judged, placed, weighed

__all__ = ["judge_digits", "judge_size"]


@dataclass(frozen=True)
class Size:
    """The measured size of a comparison (a gain, a share or a ratio), with its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float
    effective_sources: float

    def shown(self, *bounds: float) -> str:
        """Return the size and its interval as text.

        Args:
            bounds: bounds with which a reader compares the interval. The text has enough digits to show on which side
                of each bound each end of the interval lies.
        """
        if math.isinf(self.value):
            return "without bound, as the better row's value is exactly 0"
        return three(self.value, self.low, self.high, *bounds)


def judge_size(run: JudgedRun, claim: Claim) -> Judgement:
    """Judge a statement on sizes, which holds if each of its comparisons has the claimed size.

    A statement with the measure `resolution` claims no size. It holds if, in each comparison, the run could distinguish
    a difference as large as the printed one from zero.
    """
    judge = _resolved if claim.measure == "resolution" else _sized
    return all_of([judge(run, claim, place) for place in range(len(claim.comparisons))])


def _sized(run: JudgedRun, claim: Claim, place: int) -> Judgement:
    """Judge the size of one comparison by its 95 % interval.

    The comparison holds if the interval lies inside the claimed range. It does not hold if the interval and the range
    have no common number. Otherwise it is inconclusive.

    Args:
        run: measured run.
        claim: statement on sizes.
        place: index of the comparison in `claim.comparisons`.
    """
    comparison = claim.comparisons[place]
    found = _size(run, claim.measure, comparison)
    if isinstance(found, NotAvailable):
        return Judgement(NOT_TESTED, found.reason)
    named = f"{compared(comparison)} {claim.measure}"
    if not run.is_paper:
        return Judgement(not_judged(run.scope), f"{named} {found.shown()}")
    least, most = claim.between or _around_printed(claim, place)
    shown = f"{named} {found.shown(least, most)}, printed {claim.printed[place]:g}, claimed {_range(least, most)}"
    return weighed(placed(found.low, found.high, least, most), shown, found.effective_sources)


def _size(run: JudgedRun, measure: str, comparison: Comparison) -> Size | NotAvailable:
    """Return the size of a comparison, or the reason why it is unknown.

    Args:
        run: measured run.
        measure: name of a formula for the values b and o of the comparison's rows `better` and `other`. `gain` is b - o
            or o - b, so that an improvement is positive. `share` is 1 - b / o. `ratio` is o / b, which is infinite if
            b is 0.
        comparison: two rows and a metric.
    """
    better, other, metric = comparison
    if measure == "gain":
        towards = comparison if sign(comparison) > 0 else Comparison(other, better, metric)
        difference = run.comparisons.difference(towards)
        if isinstance(difference, NotAvailable):
            return difference
        return Size(difference.value, *difference.ci95, difference.effective_sources)
    if measure == "share":
        ratio = _interval_of(run.summary.ratio(better, other, metric))
        return (
            ratio
            if isinstance(ratio, NotAvailable)
            else Size(1 - ratio.value, 1 - ratio.high, 1 - ratio.low, ratio.effective_sources)
        )
    above, below = (run.summary.measurement(row, metric) for row in (other, better))
    difference = run.comparisons.difference(comparison)
    if below.value == 0 and above.value and not isinstance(difference, NotAvailable):
        # The ratio is infinite if the other row's true value is not 0, which the test of the difference decides.
        is_sure = difference.p_value < LEVEL
        return Size(math.inf, math.inf if is_sure else -math.inf, math.inf, difference.effective_sources)
    return _interval_of(run.summary.ratio(other, better, metric))


def _interval_of(found: Measurement) -> Size | NotAvailable:
    if found.value is not None and found.stderr_reason == UNBOUNDED:
        return Size(found.value, -math.inf, math.inf, math.inf)
    if found.value is None or found.ci95 is None or found.effective_sources is None:
        return NotAvailable(found.reason or found.stderr_reason or TOO_FEW_SOURCES)
    return Size(found.value, *found.ci95, found.effective_sources)


def _around_printed(claim: Claim, place: int) -> tuple[float, float]:
    """Return the lower and the upper end of the range around a printed value.

    The printed value is the one with the index `place` in `claim.printed`. It is the middle of the range. On each side,
    the range extends by the largest rounding error of the printed value plus `claim.digits_margin` times this value.
    """
    printed = claim.printed[place]
    allowed = claim.roundings[place] + claim.digits_margin * abs(printed)
    return printed - allowed, printed + allowed


def _resolved(run: JudgedRun, claim: Claim, place: int) -> Judgement:
    """Judge whether the run could distinguish a difference of the printed size from zero.

    The run could distinguish it if half of the length of the measured difference's 95 % interval is smaller than the
    printed difference.
    """
    comparison, printed = claim.comparisons[place], claim.printed[place]
    found = run.comparisons.difference(comparison)
    if isinstance(found, NotAvailable):
        return Judgement(NOT_TESTED, found.reason)
    half = (found.ci95[1] - found.ci95[0]) / 2
    if half == 0:
        return Judgement(NOT_TESTED, f"{compared(comparison)} {NO_SPREAD}")
    items = run.summary.measurement(comparison.better, comparison.metric).n
    shown = f"{compared(comparison)} {interval_shown(found)}, half of the interval is {half:.2g} at {items:,} items"
    if not run.is_paper:
        return Judgement(not_judged(run.scope), shown)
    verdict = HOLDS if half < printed else FAILS
    return weighed(verdict, f"{shown}, printed {printed:g}", found.effective_sources)


def judge_digits(run: JudgedRun, claim: Claim) -> Judgement:
    """Judge a statement on printed digits, which holds if at least one of its rows has all the printed values."""
    rows = [all_of(_digits_of(run, claim, row)) for row in claim.rows]
    for verdict in (HOLDS, INCONCLUSIVE, NOT_TESTED, FAILS, not_judged(run.scope)):
        chosen = [judgement.evidence for judgement in rows if judgement.verdict == verdict]
        if chosen:
            return Judgement(verdict, " | ".join(chosen))
    raise AssertionError(f"{claim.id}: a row has an unknown verdict")


def _digits_of(run: JudgedRun, claim: Claim, row: str) -> list[Judgement]:
    """Compare each printed value of a claim with the measured value of `row`, and return one judgement for each metric.

    The allowed difference is the largest rounding error of the printed value plus `claim.digits_margin` times the
    printed value. It does not grow with the standard error. The judgement is "holds" if the printed and the measured
    value differ by at most the allowed difference. Otherwise the judgement is "inconclusive" if the 95 % interval of
    the measured value contains the printed value, and "does not hold" if the interval does not contain it.
    """
    parts = []
    for metric, printed, rounding in zip(claim.metrics, claim.printed, claim.roundings, strict=True):
        found = _interval_of(run.summary.measurement(row, metric))
        if isinstance(found, NotAvailable):
            parts.append(Judgement(NOT_TESTED, found.reason))
            continue
        if not run.is_paper:
            parts.append(Judgement(not_judged(run.scope), f"{metric} of {row} {found.shown()}"))
            continue
        shown = f"{metric} of {row} {found.shown(printed)}"
        allowed = rounding + claim.digits_margin * abs(printed)
        shown += f", printed {printed:g}, allowed difference ±{allowed:.2g}"
        if abs(found.value - printed) <= allowed:
            verdict = HOLDS
        else:
            verdict = INCONCLUSIVE if found.low <= printed <= found.high else FAILS
        parts.append(weighed(verdict, shown, found.effective_sources))
    return parts


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"at least {least:g}"
    return f"at most {most:g}" if math.isinf(least) else f"{least:.4g} to {most:.4g}"
