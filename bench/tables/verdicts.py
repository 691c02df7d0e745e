"""Verdicts on statements, and how the judgements of a statement's parts become one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.metrics.uncertainty import LEVEL
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
]

HOLDS, FAILS, INCONCLUSIVE, NOT_TESTED = "holds", "does not hold", "inconclusive", "not tested"
CONTRADICTED = "contradicted by the printed numbers"
NOT_JUDGED = "not judged on"
"""Beginning of the verdict on a statement that only a run of the paper's own sizes can decide."""
PAPER, PRINTED = "paper", "printed"
"""Scopes of verdicts."""


class Judgement(NamedTuple):
    """What the numbers say of a statement or of a part of it."""

    verdict: str
    evidence: str
    """The numbers, or the reason why there are none, on one line."""


Outcome = bool | str | Judgement
"""The outcome of a statement that no number of a table decides: whether it holds exactly; the reason why that is not
known; or a judgement with its own evidence."""


@dataclass(frozen=True)
class Verdict:
    """One statement with what is said of it."""

    id: str
    text: str
    kind: str
    scope: str
    """The run's profile, such as `mini` or `paper`, of which only `paper` reproduces; or `printed`."""
    verdict: str
    """The verdict on the networks that were measured, whatever other trainings of the same designs would give."""
    evidence: str
    """One line with the numbers, or why the statement was not tested."""
    by: str = "paper"
    """Who makes the statement: the `paper`, or the `harness` as a check of its own."""
    design: str = ""
    """The verdict on the design, over training seeds; empty for a statement that compares no designs."""
    design_evidence: str = ""
    """One line with the numbers behind `design`."""


def scope_of(profile: str, *, custom: bool) -> str:
    """Scope of a run's verdicts: the profile's name, or `custom` for the paper profile with changed settings."""
    return "custom" if profile == PAPER and custom else profile


def not_judged(scope: str) -> str:
    """The verdict on a size or on digits where the run is not of the paper's own sizes."""
    return f"{NOT_JUDGED} {scope}"


def verdict_on(claim: Claim, scope: str, judgement: Judgement, design: Judgement | None = None) -> Verdict:
    """A judgement together with the statement that it is about."""
    found = design or Judgement("", "")
    return Verdict(claim.id, claim.text, claim.kind, scope, *judgement, claim.by, *found)


def all_of(parts: Sequence[Judgement]) -> Judgement:
    """The judgement of a statement whose parts must all hold.

    It fails where a part fails, is not tested where a part is not tested, and is inconclusive where a part is; the
    evidence joins the evidence of all parts.
    """
    verdicts = [part.verdict for part in parts]
    evidence = "; ".join(dict.fromkeys(part.evidence for part in parts))
    for verdict in (FAILS, NOT_TESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return Judgement(verdict, evidence)
    others = [verdict for verdict in verdicts if verdict != HOLDS]
    return Judgement(others[0] if others else HOLDS, evidence)


def placed(low: float, high: float, least: float, most: float) -> str:
    """The verdict on a range from an interval: it holds where the interval lies inside the range, does not hold where
    the two are disjoint, and is inconclusive where they overlap.
    """
    if least <= low and high <= most:
        return HOLDS
    return FAILS if high < least or low > most else INCONCLUSIVE


def p_shown(value: float) -> str:
    """A p-value as tables and evidence give it, with so many digits that it is seen on its own side of `LEVEL`."""
    if value < 0.001:
        return "p < 0.001"
    decimals = next(count for count in range(3, 18) if (float(f"{value:.{count}f}") < LEVEL) == (value < LEVEL))
    return f"p = {value:.{decimals}f}"
