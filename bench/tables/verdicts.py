"""Verdicts on statements, and the rules that combine the judgements of a statement's parts into one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.config.schema import REHEARSAL
from bench.metrics.uncertainty import FEWEST_EFFECTIVE, LEVEL
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim

__all__ = [
    "CONTRADICTED",
    "FAILS",
    "HOLDS",
    "INCONCLUSIVE",
    "LEVEL",
    "NOT_JUDGED",
    "NOT_TESTED",
    "PAPER",
    "PRINTED",
    "Judgement",
    "Outcome",
    "Verdict",
    "all_of",
    "not_judged",
    "p_shown",
    "placed",
    "scope_of",
    "verdict_on",
    "weighed",
]

HOLDS, FAILS, INCONCLUSIVE, NOT_TESTED = "holds", "does not hold", "inconclusive", "not tested"
CONTRADICTED = "contradicted by the printed numbers"
NOT_JUDGED = "not judged on"
"""Start of the verdict on a statement that cannot be decided in the scope of a run; the scope follows it."""
PAPER, PRINTED = "paper", "printed"
"""Two scopes of verdicts: a run of the paper's own sizes, and the numbers that the paper prints."""


class Judgement(NamedTuple):
    """A verdict on a statement or on a part of it, with its evidence."""

    verdict: str
    evidence: str
    """Numbers that led to the verdict, or the reason why there are none, on one line."""


Outcome = bool | NotAvailable | Judgement
"""Outcome of a statement that the numbers of a table cannot decide.

The outcome is a bool that says whether the statement holds exactly, the reason why this is unknown, or a judgement.
"""


@dataclass(frozen=True)
class Verdict:
    """A statement, with the verdict on the measured networks and, if there is one, the verdict on their designs."""

    id: str
    text: str
    kind: str
    scope: str
    """Scope of the verdict: `printed`, or the result of `scope_of`. Only the scope `paper` reproduces the paper."""
    verdict: str
    """Verdict on the measured networks; it does not depend on other trainings of the same designs."""
    evidence: str
    """Numbers that led to `verdict`, or the reason why the statement was not tested, on one line."""
    by: str = "paper"
    """Author of the statement: `paper`, or `harness` for a check that this project adds."""
    design: str = ""
    """Verdict on the designs, from several trainings; empty for a statement that does not compare designs."""
    design_evidence: str = ""
    """Numbers that led to `design`, on one line."""


def scope_of(profile: str, *, custom: bool) -> str:
    """Return the scope of a run's verdicts.

    The scope is the name of the profile. For the profile `paper` it is `custom` if overrides change the paper's table.

    Args:
        profile: name of the profile.
        custom: whether overrides change the paper's table.
    """
    return "custom" if profile == PAPER and custom else profile


def not_judged(scope: str) -> str:
    """Return the verdict "not judged on", followed by the scope.

    Statements on a size or on printed digits get this verdict in every scope except `paper`. In a rehearsal, all
    statements get this verdict.
    """
    return f"{NOT_JUDGED} {scope}"


def verdict_on(claim: Claim, scope: str, judgement: Judgement, design: Judgement | None = None) -> Verdict:
    """Combine a statement and its judgements into a `Verdict`.

    In a rehearsal, the verdict on every statement is "not judged on rehearsal", because the networks have random
    weights.

    Args:
        claim: statement.
        scope: scope of the verdict.
        judgement: judgement on the measured networks.
        design: judgement on their designs; None for a statement that does not compare designs.
    """
    if scope == REHEARSAL:
        judgement, design = Judgement(not_judged(scope), "the weights are random"), None
    found = design or Judgement("", "")
    return Verdict(claim.id, claim.text, claim.kind, scope, *judgement, claim.by, *found)


def weighed(verdict: str, evidence: str, effective_sources: float) -> Judgement:
    """Return a judgement with `verdict`, or with "inconclusive" if the numbers have too few effective sources.

    Args:
        verdict: verdict for the case that there are enough effective sources.
        evidence: numbers that led to the verdict.
        effective_sources: number of effective sources of these numbers.
    """
    if effective_sources < FEWEST_EFFECTIVE:
        return Judgement(INCONCLUSIVE, f"only {effective_sources:.1f} effective sources decide the result: {evidence}")
    return Judgement(verdict, evidence)


def all_of(parts: Sequence[Judgement]) -> Judgement:
    """Combine the judgements of the parts of a statement that holds only if all its parts hold.

    The statement does not hold if any part does not hold. Otherwise it is not tested if any part is not tested.
    Otherwise it is inconclusive if any part is inconclusive. If none of these cases applies, but a part has a verdict
    such as "not judged on mini", this verdict is the result. The result contains the evidence of all parts.
    """
    verdicts = [part.verdict for part in parts]
    evidence = "; ".join(dict.fromkeys(part.evidence for part in parts))
    for verdict in (FAILS, NOT_TESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return Judgement(verdict, evidence)
    others = [verdict for verdict in verdicts if verdict != HOLDS]
    return Judgement(others[0] if others else HOLDS, evidence)


def placed(low: float, high: float, least: float, most: float) -> str:
    """Return the verdict on the statement that a number lies in a range, given an interval for the number.

    The statement holds if the interval lies inside the range. It does not hold if the interval and the range have no
    common number. Otherwise it is inconclusive.

    Args:
        low: lower end of the interval.
        high: upper end of the interval.
        least: lower end of the range.
        most: upper end of the range.
    """
    if least <= low and high <= most:
        return HOLDS
    return FAILS if high < least or low > most else INCONCLUSIVE


def p_shown(value: float) -> str:
    """Return a p-value as text, such as `p = 0.012`, with enough decimals to show whether it is below `LEVEL`."""
    if value < 0.001:
        return "p < 0.001"
    decimals = next(count for count in range(3, 18) if (float(f"{value:.{count}f}") < LEVEL) == (value < LEVEL))
    return f"p = {value:.{decimals}f}"
