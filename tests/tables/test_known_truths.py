"""Tests of every kind of statement on synthetic runs with known truth and expected verdicts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from bench.tables.judging import judge
from tests.tables.runs import COUNT, halves, judged_run, summary_of

Rows = dict[str, dict[str, float | np.ndarray]]

HOLDS, FAILS, OPEN, NONE = "holds", "does not hold", "inconclusive", "not tested"


@dataclass(frozen=True)
class Kind:
    """Hold a statement and values of its rows for which it is true, without effect or reversed."""

    claim: str
    table: int
    metric: str
    claimed: Mapping[str, float]
    equal: Mapping[str, float]
    reversed: Mapping[str, float]
    noise: float = 1.0
    """For the three truths, so that their intervals are narrow beside the claimed range."""


def pair(better: str, other: str, values: tuple[float, float]) -> dict[str, float]:
    return dict(zip((better, other), values, strict=True))


SIZES = ("base_mask", "large_mask", "stablediffusion")
KINDS = {
    "order": Kind(
        "T6.b",
        6,
        "fid",
        pair("large_nomask", "stablediffusion", (6.9, 7.0)),
        pair("large_nomask", "stablediffusion", (7.0, 7.0)),
        pair("large_nomask", "stablediffusion", (7.1, 7.0)),
    ),
    "gain": Kind(
        "T1.c.size",
        1,
        "fid",
        pair("large_mask", "stablediffusion", (1.03, 2.27)),
        pair("large_mask", "stablediffusion", (2.27, 2.27)),
        pair("large_mask", "stablediffusion", (3.51, 2.27)),
        noise=0.1,
    ),
    "share": Kind(
        "T2.b.size",
        2,
        "lpips",
        dict(zip(SIZES, (5.0, 5.0, 10.0), strict=True)),
        dict(zip(SIZES, (10.0, 10.0, 10.0), strict=True)),
        dict(zip(SIZES, (15.0, 15.0, 10.0), strict=True)),
    ),
    "ratio": Kind(
        "T2.c.size",
        2,
        "pre_error",
        dict(zip(SIZES, (1.0, 1.0, 200.0), strict=True)),
        dict(zip(SIZES, (200.0, 200.0, 200.0), strict=True)),
        dict(zip(SIZES, (200.0, 200.0, 1.0), strict=True)),
    ),
    "equal": Kind(
        "x3.b",
        2,
        "border_step",
        pair("large_mask", "stablediffusion", (3.0, 3.0)),
        pair("large_mask", "stablediffusion", (3.0, 3.0)),
        pair("large_mask", "stablediffusion", (4.0, 3.0)),
    ),
}
"""Statements on digits have a separate test below, since they are about one row and four metrics."""


def rows_of(kind: Kind, values: Mapping[str, float]) -> Rows:
    return {row: {kind.metric: value} for row, value in values.items()}


def found(kind: Kind, rows: Rows, profile: str, *, noise: float = 1.0) -> str:
    summary = summary_of(rows, noise=noise)
    return {one.id: one for one in judge(judged_run(kind.table, summary, profile))}[kind.claim].verdict


def missing(kind: Kind) -> Rows:
    rows = rows_of(kind, kind.claimed)
    del rows[next(iter(rows))]
    return rows


def some_not_a_number(kind: Kind) -> Rows:
    rows = rows_of(kind, kind.claimed)
    first = next(iter(rows))
    rows[first] = {kind.metric: np.where(np.arange(COUNT) < 7, np.nan, kind.claimed[first])}
    return rows


def all_not_a_number(kind: Kind) -> Rows:
    return {row: {kind.metric: np.full(COUNT, np.nan)} for row in kind.claimed}


def one_source_decides(kind: Kind) -> Rows:
    """Return values in which one item of the better row alone makes its variance."""
    rows = rows_of(kind, kind.claimed)
    first = next(iter(rows))
    rows[first] = {kind.metric: kind.claimed[first] + np.where(np.arange(COUNT) == 3, 1e4, 0.0)}
    return rows


TRUTHS: dict[str, tuple[Callable[[Kind], Rows], dict[str, str]]] = {
    # what is true: the rows, and the verdict on the paper profile for each kind
    "as claimed": (
        lambda kind: rows_of(kind, kind.claimed),
        {"order": HOLDS, "gain": HOLDS, "share": HOLDS, "ratio": HOLDS, "equal": HOLDS},
    ),
    "no effect": (
        lambda kind: rows_of(kind, kind.equal),
        {"order": OPEN, "gain": FAILS, "share": FAILS, "ratio": FAILS, "equal": HOLDS},
    ),
    "reversed": (lambda kind: rows_of(kind, kind.reversed), dict.fromkeys(KINDS, FAILS)),
    "a row is missing": (missing, dict.fromkeys(KINDS, NONE)),
    "some items are not a number": (some_not_a_number, dict.fromkeys(KINDS, NONE)),
    "no item is a number": (all_not_a_number, dict.fromkeys(KINDS, NONE)),
    "one source decides": (one_source_decides, dict.fromkeys(KINDS, OPEN)),
}


@pytest.mark.reference
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("name", KINDS)
def test_the_verdict_agrees_with_the_truth_on_the_paper_profile(name: str, truth: str) -> None:
    kind, (rows, expected) = KINDS[name], TRUTHS[truth]
    assert found(kind, rows(kind), "paper", noise=kind.noise) == expected[name]


@pytest.mark.property
@pytest.mark.parametrize("truth", ["claimed", "equal", "reversed"])
@pytest.mark.parametrize("name", KINDS)
def test_a_huge_error_is_inconclusive(name: str, truth: str) -> None:
    kind = KINDS[name]
    assert found(kind, rows_of(kind, getattr(kind, truth)), "paper", noise=1e5) == OPEN


@pytest.mark.reference
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("name", KINDS)
def test_the_verdict_agrees_with_the_truth_on_another_profile(name: str, truth: str) -> None:
    """Orders and equalities are judged as they are on the paper profile; sizes are shown and not judged."""
    kind, (rows, expected) = KINDS[name], TRUTHS[truth]
    verdict = found(kind, rows(kind), "mini", noise=kind.noise)
    if name in ("order", "equal") or expected[name] == NONE:
        assert verdict == expected[name]
    else:
        assert verdict == "not judged on mini"


def digits(fid: float, lpips: float, *, noise: float = 1e-3, missing: bool = False, profile: str = "paper") -> str:
    """Return the verdict on Table 1's digits if the halves of the items have the given shares of printed values."""
    cells = {"fid": halves(6.80 * fid, 1.03 * fid), "lpips": halves(0.244 * lpips, 0.141 * lpips)}
    rows = {row: cells for row in ("base_mask", "large_mask", "large_x2_mask")}
    if missing:
        rows = {row: {"fid": cells["fid"]} for row in rows}
    run = judged_run(1, summary_of(rows, noise=noise), profile)
    return {one.id: one for one in judge(run)}["T1.f"].verdict


@pytest.mark.reference
def test_the_verdict_on_digits_agrees_with_the_truth() -> None:
    assert digits(1.0, 1.0) == HOLDS
    assert digits(1.005, 0.995) == HOLDS  # within one hundredth
    assert digits(1.0, 1.5, noise=1e-6) == FAILS
    assert digits(3.0, 1.0, noise=1e4) == OPEN
    assert digits(float("nan"), 1.0) == NONE
    assert digits(1.0, 1.0, missing=True) == NONE
    assert digits(1.0, 1.0, profile="mini") == "not judged on mini"
