"""Tests of the printed numbers: the claims that they decide alone, and the two that they contradict."""

from dataclasses import asdict
from functools import partial
from typing import Any

import pytest

from bench.tables import architecture, printed
from bench.tables.claims import Claim
from bench.tables.printed import judge_printed, printed_as, published


@pytest.mark.golden
def test_the_printed_numbers_contradict_two_claims() -> None:
    found = {one.id: one for one in judge_printed()}
    assert {one.scope for one in found.values()} == {"printed"}
    contradicted = [key for key, one in found.items() if one.verdict == "contradicted by the printed numbers"]
    assert contradicted == ["T1.e", "across.f"]
    assert {one.verdict for key, one in found.items() if key not in contradicted} == {"holds"}
    assert list(found) == ["T1.e", "T4.d", "T5.d", *(f"across.{letter}" for letter in "abcdef")]


@pytest.mark.golden
def test_evidence_shows_the_printed_numbers() -> None:
    found = {one.id: one.evidence for one in judge_printed()}
    assert found["T1.e"] == "lpips_40_50: Ours 0.244; lower LaMa, recomputed 0.243; as low within rounding LaMa 0.24"
    assert "85.67 - 84.97 = 0.7;" in found["T4.d"]
    for step in ("0.68", "0.48", "0.17", "0.03"):
        assert f"= {step}" in found["T5.d"]
    assert found["across.f"] == "inception_score: Large×2 decoder w/o mask Table 10 37.74, 37.73"
    assert found["across.a"].startswith("fid: Ours (base) w/ mask Table 2 7.6, Table 3 7.6, Table 9 7.6; lpips:")


TABLE = {
    "Ours": {"fid": 2.0, "lpips": 0.2},
    "Theirs": {"fid": 2.0, "lpips": 0.1},
    "Others": {"fid": 3.0, "lpips": 0.3},
    "Many": {"fid": 10000000.0, "lpips": 0.4},
    "More": {"fid": 10000000.001, "lpips": 0.4},
}
"""Printed numbers by label and metric, made up."""


def of_claim(monkeypatch: pytest.MonkeyPatch, **decided: Any) -> tuple[str, str]:
    """Return verdict and evidence of one statement on these numbers."""
    claim = Claim("T1.z", 1, "a statement", "order", where="printed", **decided)
    monkeypatch.setattr(printed, "all_claims", lambda: (claim,))
    monkeypatch.setattr(printed, "published", lambda number: TABLE)
    (found,) = judge_printed()
    return found.verdict, found.evidence


def of_best(monkeypatch: pytest.MonkeyPatch, row: str, metric: str, **left_out: float) -> tuple[str, str]:
    """Return verdict and evidence of a statement that a row is best, including rows that the table leaves out."""
    return of_claim(monkeypatch, best={"table": 1, "row": row, "metric": metric, "left_out": left_out})


CONTRADICTED = "contradicted by the printed numbers"


@pytest.mark.blackbox
def test_a_row_is_best_if_all_others_are_printed_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = partial(of_best, monkeypatch)
    assert found("Theirs", "lpips", More=0.21) == ("holds", "lpips: Theirs 0.1; lower none")
    # A number without decimals may lie half a unit from what it was, so that two of them touch where they are 1 apart.
    assert found("Others", "fid") == (CONTRADICTED, "fid: Others 3; lower Ours 2, Theirs 2")
    # Nor do decimals have to be exact: 0.2 - 0.3 is above -0.1 in float64.
    assert found("Others", "lpips") == (CONTRADICTED, "lpips: Others 0.3; lower Ours 0.2, Theirs 0.1")


@pytest.mark.blackbox
def test_a_row_may_be_best_if_rounding_hides_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = partial(of_best, monkeypatch)
    for equal_or_near in (0.1, 0.11, 0.14, 0.051):
        shown = f"lpips: Theirs 0.1; lower none; as low within rounding More {equal_or_near:g}"
        assert found("Theirs", "lpips", More=equal_or_near) == ("inconclusive", shown)
    tied = "fid: Ours 2; lower none; as low within rounding Theirs 2"
    assert found("Ours", "fid") == ("inconclusive", tied)  # and not Others 3
    both = "fid: Ours 2; lower More 1; as low within rounding Theirs 2"
    assert found("Ours", "fid", More=1.0) == (CONTRADICTED, both)


@pytest.mark.blackbox
def test_a_printed_difference_confirms_or_contradicts_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(left: str, right: str, value: float) -> tuple[str, str]:
        node = {"table": 1, "metric": "fid", "rows": [left, right], "is": value}
        return of_claim(monkeypatch, differences=(node,))

    assert found("Others", "Ours", 1.0) == ("holds", "Others - Ours: 3 - 2 = 1")
    assert found("Others", "Ours", 0.5) == (CONTRADICTED, "Others - Ours: 3 - 2 = 1")
    # Float64 has the difference of numbers of this size to 2e-9 of a unit only.
    assert found("More", "Many", 0.001)[0] == "holds"


@pytest.mark.golden
def test_printed_verdicts_can_be_limited_to_one_table() -> None:
    assert [one.id for one in judge_printed(1)] == ["T1.e"]
    assert judge_printed(2) == []
    assert len(judge_printed("across")) == 6


@pytest.mark.blackbox
def test_verdicts_have_the_fields_of_those_on_architecture() -> None:
    lines = [architecture.Line("main", 1, "ResBlock x3", (4, 2, 2))]
    live = dict.fromkeys(("vanilla", "base_concat", "large_concat"), lines)
    counts = dict.fromkeys(("vanilla", "base", "large", "large_x2", "base_concat", "large_concat"), 1)
    other = architecture.claims(7, [], live, counts, scope="paper")[0]
    assert list(asdict(judge_printed()[0])) == list(other)


@pytest.mark.blackbox
def test_the_printed_error_is_assumed_to_be_a_sum_and_has_the_unit_that_the_paper_prints() -> None:
    found = {number: printed_as(number, "pre_sse01") for number in (2, 3, 4, 5, 9)}
    assert {number: one.unit for number, one in found.items() if one is not None} == {
        2: "1e-5", 3: "1e-5", 4: "", 5: "", 9: "1e-5",
    }  # fmt: skip
    assert {one.title for one in found.values() if one is not None} == {"Pre_error"}
    assert found[2] is not None
    assert found[2].words() == "as printed, 1e-5; assumed: a sum of squares"
    assert found[4] is not None
    assert found[4].words() == "as printed, without a unit; assumed: a sum of squares"
    assert printed_as(2, "fid") is printed_as(99, "pre_sse01") is printed_as(2, "pre_error") is None


@pytest.mark.blackbox
def test_printed_numbers_are_not_shown_under_a_mean() -> None:
    metrics = {metric for number in (1, 2, 3, 4, 5, 6, 9, 10) for row in published(number).values() for metric in row}
    assert "pre_sse01" in metrics
    assert "pre_error" not in metrics
    assert published(7) == {}  # which is a list of layers
