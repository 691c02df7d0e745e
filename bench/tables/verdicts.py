"""What is said of a claim, and how what is said of its parts becomes one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.metrics.uncertainty import LEVEL
from bench.tables.claims import Claim

__all__ = [
    "CONTRADICTED",
    "FAILS",
    "HOLDS",
    "INCONCLUSIVE",
    "LEVEL",
    "NOT_TESTED",
    "PAPER",
    "PRINTED",
    "Outcome",
    "Part",
    "Verdict",
    "all_of",
    "p_shown",
    "placed",
    "scope_of",
    "verdict_on",
]

HOLDS, FAILS, INCONCLUSIVE, NOT_TESTED = "holds", "does not hold", "inconclusive", "not tested"
CONTRADICTED = "contradicted by the printed numbers"
PAPER, PRINTED = "paper", "printed"
"""Scopes of verdicts."""

Outcome = bool | str | tuple[bool, str]
"""Of a claim that no numbers of a table decide: whether it holds, with the evidence where that is more than an exact
comparison; or why nobody knows.
"""
Part = tuple[str, str]
"""Verdict and evidence of one comparison."""


@dataclass(frozen=True)
class Verdict:
    id: str
    text: str
    kind: str
    scope: str
    """The run's profile, such as `mini` or `paper`, of which only `paper` reproduces; or `printed`."""
    verdict: str
    evidence: str
    """One line with the numbers, or why it was not tested."""


def scope_of(profile: str, *, custom: bool) -> str:
    """The scope of a run's verdicts: only the paper's own settings reproduce, whatever sizes they are changed at."""
    return "custom" if profile == PAPER and custom else profile


def verdict_on(claim: Claim, scope: str, verdict: str, evidence: str) -> Verdict:
    """A verdict with what it is about."""
    return Verdict(claim.id, claim.text, claim.kind, scope, verdict, evidence)


def all_of(parts: Sequence[Part]) -> Part:
    """All parts hold, or one does not, or one was not tested, or they do not decide it."""
    verdicts = [verdict for verdict, _ in parts]
    evidence = "; ".join(dict.fromkeys(shown for _, shown in parts))
    for verdict in (FAILS, NOT_TESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict, evidence
    return HOLDS, evidence


def placed(low: float, high: float, least: float, most: float) -> str:
    """Where an interval lies to a range: inside, outside or across its edge."""
    if least <= low and high <= most:
        return HOLDS
    return FAILS if high < least or low > most else INCONCLUSIVE


def p_shown(value: float) -> str:
    """A p-value in words, as tables and evidence give it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
