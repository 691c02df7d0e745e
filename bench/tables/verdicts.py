"""Verdicts on statements, and the rules by which judgements of a statement's parts become one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
"""Prefix of the verdict on a statement that only a run of the paper's own sizes can decide."""
PAPER, PRINTED = "paper", "printed"
"""Scopes of verdicts."""


class Judgement(NamedTuple):
    """A verdict on a statement or on a part of it, with its evidence."""

    verdict: str
    evidence: str
    """Numbers behind the verdict, or the reason why there are none, on one line."""


Outcome = bool | NotAvailable | Judgement
"""Outcome of a statement that no number of a table decides: whether it holds exactly, the reason why this is unknown,
or a judgement with its own evidence."""


@dataclass(frozen=True)
class Verdict:
    """A statement with its verdicts and their evidence."""

    id: str
    text: str
    kind: str
    scope: str
    """Scope of the verdict: `printed`, or the run's profile, of which only `paper` reproduces the paper."""
    verdict: str
    """Verdict on the measured networks, independent of other trainings of the same designs."""
    evidence: str
    """Numbers behind the verdict, or the reason why the statement was not tested, on one line."""
    by: str = "paper"
    """Author of the statement: the `paper`, or the `harness` for a check of its own."""
    design: str = ""
    """Verdict on the design, over training seeds; empty for a statement that does not compare designs."""
    design_evidence: str = ""
    """Numbers behind `design`, on one line."""


def scope_of(profile: str, *, custom: bool) -> str:
    """Return the scope of a run's verdicts: the profile's name, or `custom` for a changed paper profile."""
    return "custom" if profile == PAPER and custom else profile


def not_judged(scope: str) -> str:
    """Return the verdict on a size or on digits for a run that does not have the paper's own sizes."""
    return f"{NOT_JUDGED} {scope}"


def verdict_on(claim: Claim, scope: str, judgement: Judgement, design: Judgement | None = None) -> Verdict:
    """Return a statement with the judgement of it, and with the judgement of its designs if there is one."""
    found = design or Judgement("", "")
    return Verdict(claim.id, claim.text, claim.kind, scope, *judgement, claim.by, *found)


def weighed(verdict: str, evidence: str, effective_sources: float) -> Judgement:
    """Return a judgement with a verdict, or an inconclusive one if few sources decide the numbers.

    Args:
        verdict: verdict if enough sources decide the numbers.
        evidence: numbers behind the verdict.
        effective_sources: effective number of sources of these numbers.
    """
    if effective_sources < FEWEST_EFFECTIVE:
        return Judgement(INCONCLUSIVE, f"{effective_sources:.1f} effective sources decide it: {evidence}")
    return Judgement(verdict, evidence)


def all_of(parts: Sequence[Judgement]) -> Judgement:
    """Return the judgement of a statement whose parts must all hold.

    The statement does not hold if a part does not hold. Otherwise it is not tested if a part is not tested, and
    inconclusive if a part is inconclusive. The evidence contains the evidence of all parts.
    """
    verdicts = [part.verdict for part in parts]
    evidence = "; ".join(dict.fromkeys(part.evidence for part in parts))
    for verdict in (FAILS, NOT_TESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return Judgement(verdict, evidence)
    others = [verdict for verdict in verdicts if verdict != HOLDS]
    return Judgement(others[0] if others else HOLDS, evidence)


def placed(low: float, high: float, least: float, most: float) -> str:
    """Return the verdict on a range from an interval.

    It holds if the interval lies inside the range, does not hold if the two are disjoint, and is inconclusive if they
    overlap.
    """
    if least <= low and high <= most:
        return HOLDS
    return FAILS if high < least or low > most else INCONCLUSIVE


def p_shown(value: float) -> str:
    """Return a p-value in words, with enough digits to show on which side of `LEVEL` it is."""
    if value < 0.001:
        return "p < 0.001"
    decimals = next(count for count in range(3, 18) if (float(f"{value:.{count}f}") < LEVEL) == (value < LEVEL))
    return f"p = {value:.{decimals}f}"
