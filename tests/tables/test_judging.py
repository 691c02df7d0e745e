"""Tests of statements judged on runs: every verdict is reached, and none exceeds the measured evidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.metrics.summary import Summary
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, Comparison
from bench.tables.comparisons import TableRows
from bench.tables.equality import judge_equality
from bench.tables.judged_run import JudgedRun, sign, three
from bench.tables.judging import DecodedLatents, at_least, judge, judge_across
from bench.tables.sizes import judge_digits, judge_size
from bench.tables.verdicts import Judgement, Verdict, all_of, p_shown, placed, scope_of
from tests.tables.listed import EVERY, TABLES, rows_of
from tests.tables.runs import ERROR, halves, judged, judged_run, summary_of, verdict

VERDICTS = {"holds", "does not hold", "inconclusive", "not tested"}
FOUR_OF_400 = np.where(np.arange(400) < 4, 1.0, 0.0)
"""Deviation of four sources of a run's 400 from the others."""


@pytest.mark.blackbox
def test_the_interval_of_the_synthetic_runs_has_the_assumed_width() -> None:
    summary = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    found = summary.difference("large_mask", "base_mask", "fid")
    assert isinstance(found, Difference)
    assert found.value == pytest.approx(0.5)
    assert found.stderr == pytest.approx(ERROR)


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
@pytest.mark.parametrize("profile", ["mini", "paper"])
@pytest.mark.parametrize(
    ("base", "large", "expected"),
    [(7.0, 6.9, "holds"), (7.0, 7.1, "does not hold"), (7.0, 6.99, "inconclusive"), (7.0, 7.01, "inconclusive")],
)
def test_an_order_is_judged_on_every_profile(base: float, large: float, expected: str, profile: str) -> None:
    found = judged(6, {"stablediffusion": {"fid": base}, "large_nomask": {"fid": large}}, profile)["T6.b"]
    assert (found.verdict, found.kind, found.scope) == (expected, "order", profile)


@pytest.mark.blackbox
@pytest.mark.parametrize(("large", "expected"), [(38.0, "holds"), (37.0, "does not hold")])
def test_the_higher_score_is_better(large: float, expected: str) -> None:
    rows = {"stablediffusion": {"inception_score": 37.5}, "large_nomask": {"inception_score": large}}
    assert verdict("T6.c", 6, rows) == expected


@pytest.mark.blackbox
def test_a_claim_about_several_comparisons_holds_when_all_do() -> None:
    base = {"fid": 7.0, "lpips": 1.0, "pre_error": 2.0}
    better = {name: value - 0.1 for name, value in base.items()}
    rows = {"base_mask": base, "large_mask": better}
    assert verdict("T2.d", 2, rows) == "holds"
    rows["large_mask"] = {**better, "lpips": 1.0}
    assert verdict("T2.d", 2, rows) == "inconclusive"
    rows["large_mask"] = {**better, "lpips": 1.1}
    assert verdict("T2.d", 2, rows) == "does not hold"
    rows["large_mask"] = {"fid": 6.9, "lpips": 0.9}
    found = judged(2, rows)["T2.d"]
    assert found.verdict == "not tested"
    assert "pre_error was not measured on large_mask" in found.evidence
    assert found.evidence.count(";") == 2


@pytest.mark.blackbox
def test_a_claim_against_many_rows_is_judged_against_its_named_rows() -> None:
    rows = {"large_mask": {"fid": 1.0}, "stablediffusion": {"fid": 2.0}, "lama": {"fid": 1.5}, "telea": {"fid": 0.5}}
    found = judged(1, rows)
    assert found["T1.a"].verdict == "holds"
    assert "(stablediffusion, lama)" in found["T1.a"].text
    assert "telea" not in found["T1.a"].text + found["T1.a"].evidence
    assert found["T1.a.all"].verdict == "does not hold"
    assert "(stablediffusion, lama, telea)" in found["T1.a.all"].text
    assert judged(1, {**rows, "lama": {"fid": 0.5}})["T1.a"].verdict == "does not hold"
    alone = judged(1, {"large_mask": {"fid": 1.0}})["T1.a"]
    assert (alone.verdict, "(none)" in alone.text) == ("not tested", True)
    assert alone.evidence == "none of the rows to compare with was measured"


@pytest.mark.blackbox
def test_rows_of_the_paper_that_were_not_measured_are_named_by_their_labels() -> None:
    summary = summary_of({"large_mask": {"fid": 1.0}, "stablediffusion": {"fid": 2.0}})
    rows = TableRows(
        "stablediffusion",
        ("large_mask", "stablediffusion"),
        competing=("large_mask", "stablediffusion"),
        unmeasured=("lama", "telea"),
        labels={"lama": "LaMa", "stablediffusion": "StableDiffusion*"},
    )
    found = {one.id: one for one in judge(JudgedRun(1, summary, "mini", rows))}
    shown = "fid large_mask - stablediffusion: -1 [-1.02, -0.98] (unadjusted), p < 0.001 (Holm)"
    assert found["T1.a"].verdict == "holds"
    assert found["T1.a"].evidence == f"{shown}; not measured on these items: LaMa, telea"
    assert "(StableDiffusion*)" in found["T1.a"].text
    assert found["T1.a.all"].evidence == shown
    assert found["T1.c"].evidence == shown  # which names the rows that it is about


@pytest.mark.blackbox
def test_an_order_is_inconclusive_at_a_p_value_of_exactly_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"stablediffusion": {"fid": 7.0}, "large_nomask": {"fid": 6.9735}}
    run = judged_run(6, summary_of(rows))
    level = run.comparisons.p_value(Comparison("large_nomask", "stablediffusion", "fid"))
    for place, expected in ((level, "inconclusive"), (np.nextafter(level, 1), "holds")):
        monkeypatch.setattr("bench.tables.orders.LEVEL", place)
        assert judged(6, rows)["T6.b"].verdict == expected


@pytest.mark.blackbox
@pytest.mark.parametrize("number", TABLES)
@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_unmeasured_rows_are_not_tested(number: int, profile: str) -> None:
    found = judged(number, {"base_mask": {}}, profile)
    assert list(found) == [claim.id for claim in EVERY if claim.run == number]
    assert {one.verdict for one in found.values()} == {"not tested"}
    for one in found.values():
        assert one.evidence
        assert "\n" not in one.evidence


@pytest.mark.blackbox
def test_one_source_is_not_tested() -> None:
    rows = {"stablediffusion": {"fid": 9.0, "lpips": 2.0, "pre_error": 9.0}, "large_mask": {"fid": 1.0}}
    rows |= {"base_mask": {"fid": 1.0, "lpips": 1.0, "pre_error": 0.05}, "base_nomask": rows["stablediffusion"]}
    assert {found.verdict for found in judged(2, rows, sources=1).values()} == {"not tested"}


@pytest.mark.blackbox
def test_a_few_sources_are_inconclusive() -> None:
    values = np.where(np.arange(400) < 4, 1000.0, 0.0)
    found = judged(6, {"stablediffusion": {"fid": values + 7.0}, "large_nomask": {"fid": 0.0}})["T6.b"]
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith(
        "only 4.1 effective sources decide the result: fid large_nomask - stablediffusion: -17 ["
    )


# --- one comparison, one adjusted p-value ----------------------------------------------------------------------------


@pytest.mark.blackbox
def test_evidence_contains_the_difference_its_interval_and_the_adjusted_p_value() -> None:
    rows = {"stablediffusion": {"fid": 7.0}, "large_nomask": {"fid": 6.9735}, "base_nomask": {"fid": 6.9735}}
    shown = judged(6, rows)["T6.b"].evidence
    # 2.65 standard errors: p = 0.0084, doubled for its family: both rows of the paper against the reference.
    assert shown.startswith("fid large_nomask - stablediffusion: -0.0265 [-0.0462, -0.0068")
    assert shown.endswith("(unadjusted), p = 0.017 (Holm)")


@pytest.mark.blackbox
def test_controls_form_their_own_family() -> None:
    rows = {"stablediffusion": {"fid": 7.024}, "large_mask": {"fid": 7.0}}
    controls = {"paste_back": {"fid": 7.024}, "vanilla_finetuned": {"fid": 7.024}}
    for measured in (rows, {**rows, **controls}):
        # 2.4 standard errors: p = 0.017, whatever the controls show.
        assert "p = 0.017 (Holm)" in judged(2, measured, "mini")["T2.a"].evidence


@pytest.mark.blackbox
def test_pairs_beside_the_reference_form_their_own_family() -> None:
    rows = {"paint_by_example": {"clip_score": 70.0}, "base_mask": {"clip_score": 80.0}}
    rows |= {"base_nomask": {"clip_score": 79.976}, "large_mask": {"clip_score": 80.0}}
    # T5.b's is the only pair of its family, as T5.c's rows were not both measured.
    assert judged(5, rows)["T5.b"].evidence.endswith("p = 0.017 (Holm)")
    assert judged(5, rows)["T5.b"].evidence.startswith("clip_score base_mask - base_nomask: +0.024 [+0.0043")
    both = {**rows, "large_nomask": {"clip_score": 80.0}}
    assert judged(5, both)["T5.b"].evidence.endswith("p = 0.034 (Holm)")


@pytest.mark.blackbox
@pytest.mark.parametrize("number", TABLES)
def test_a_comparison_has_one_adjusted_p_value_wherever_it_is_shown(number: int) -> None:
    metrics = {metric.removesuffix("_40_50") for claim in EVERY for metric in claim.metrics}
    names = sorted({row for claim in EVERY if claim.run == number for row in rows_of(claim)})
    rows = {row: dict.fromkeys(metrics, 7.0 + 0.012 * place) for place, row in enumerate(names)}
    run = judged_run(number, summary_of(rows))
    table = run.comparisons.table()
    seen = 0
    for claim in run.claims:
        for comparison in run.comparisons.compared(claim) if claim.kind == "order" else ():
            if run.rows.reference in comparison[:2]:
                row = comparison.better if comparison.other == run.rows.reference else comparison.other
                assert run.comparisons.p_value(comparison) == table[row][comparison.metric].p_holm
                seen += 1
    assert seen or number in (3, 9)  # whose statements compare no row with the reference


# --- size and digits -------------------------------------------------------------------------------------------------


def places(gain: float) -> dict[str, dict[str, float]]:
    return {"stablediffusion": {"fid": 2.27}, "large_mask": {"fid": 2.27 - gain}}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("gain", "noise", "expected"),
    [
        (1.24, 0.1, "holds"),
        (1.26, 0.05, "holds"),  # within the rounding of .01 and one hundredth
        (1.24, 2.0, "inconclusive"),  # the interval covers the range and more
        (1.255, 1.0, "inconclusive"),  # it crosses the edge
        (1.3, 0.1, "does not hold"),
        (-1.24, 1.0, "does not hold"),
        (1.24, 100.0, "inconclusive"),
    ],
)
def test_a_gain_holds_where_its_interval_lies_inside_the_range(gain: float, noise: float, expected: str) -> None:
    assert judged(1, places(gain), noise=noise)["T1.c.size"].verdict == expected


@pytest.mark.blackbox
def test_evidence_on_a_size_contains_measured_printed_and_claimed_values() -> None:
    """A gain is towards better, whichever way that is; a printed value may be off by its rounding and one hundredth."""
    found = judged(1, places(1.24), noise=0.1)["T1.c.size"].evidence
    assert found == "fid large_mask - stablediffusion: gain 1.24 [1.24, 1.24], printed 1.24, claimed 1.218 to 1.262"
    rows = {"paint_by_example": {"clip_score": 85.0}, "large_mask": {"clip_score": 85.68}}
    found = judged(4, rows, noise=0.1)["T4.b.size"].evidence
    assert found == (
        "clip_score large_mask - paint_by_example: gain 0.68 [0.678, 0.682], printed 0.68, claimed 0.6632 to 0.6968"
    )
    rows = {row: {"lpips": 10.5, "pre_error": 1.0} for row in ("base_mask", "large_mask")}
    both = judged(2, {**rows, "stablediffusion": {"lpips": 20.0, "pre_error": 200.0}})
    assert both["T2.b.size"].evidence == (
        "lpips base_mask - stablediffusion: share 0.475 [0.474, 0.476], printed 0.463, claimed 0.45 to 0.55; "
        "lpips large_mask - stablediffusion: share 0.475 [0.474, 0.476], printed 0.467, claimed 0.45 to 0.55"
    )
    assert both["T2.c.size"].evidence == (
        "pre_error base_mask - stablediffusion: ratio 200 [197, 203], printed 190, claimed at least 100; "
        "pre_error large_mask - stablediffusion: ratio 200 [197, 203], printed 416, claimed at least 100"
    )


@pytest.mark.blackbox
def test_a_range_may_be_open_below() -> None:
    run = judged_run(1, summary_of(places(1.24)))
    claim = next(claim for claim in run.claims if claim.id == "T1.c.size")
    found = judge_size(run, replace(claim, between=(-np.inf, 1.5)))
    assert found.verdict == "holds"
    assert found.evidence.endswith("printed 1.24, claimed at most 1.5")


@pytest.mark.blackbox
def test_a_size_decided_by_few_sources_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"stablediffusion": {"fid": 2.27 + FOUR_OF_400}, "large_mask": {"fid": 1.03}}
    found = judged(1, few, noise=0.1)["T1.c.size"]
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith(
        "only 4.4 effective sources decide the result: fid large_mask - stablediffusion: gain 1.25 ["
    )
    summary = summary_of(places(1.24), noise=0.1)
    difference = summary.difference("stablediffusion", "large_mask", "fid")
    assert isinstance(difference, Difference)
    for fewest, expected in ((difference.effective_sources, "holds"), (401, "inconclusive")):
        monkeypatch.setattr("bench.tables.verdicts.FEWEST_EFFECTIVE", fewest)
        assert judged(1, places(1.24), noise=0.1)["T1.c.size"].verdict == expected


@pytest.mark.blackbox
def test_a_ratio_to_a_value_near_zero_is_inconclusive() -> None:
    rows = {"base_mask": {"pre_error": 0.01}, "large_mask": {"pre_error": 0.01}, "stablediffusion": {"pre_error": 5.0}}
    found = judged(2, rows)["T2.c.size"]
    assert found.verdict == "inconclusive"
    assert "pre_error base_mask - stablediffusion: ratio 500 [-inf, inf], printed 190" in found.evidence


@pytest.mark.property
@pytest.mark.parametrize(
    ("share", "noise", "expected"),
    [(0.5, 1, "holds"), (0.3, 200, "inconclusive"), (0.3, 50, "does not hold"), (0.56, 1, "does not hold")],
)
def test_more_data_does_not_overturn_a_size_that_holds(share: float, noise: float, expected: str) -> None:
    cells = {"lpips": 20.0 * (1 - share)}
    rows = {"stablediffusion": {"lpips": 20.0}, "base_mask": cells, "large_mask": cells}
    found = judged(2, rows, noise=noise)["T2.b.size"]
    assert found.verdict == expected
    assert "claimed 0.45 to 0.55" in found.evidence


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("ours", "expected"),
    [(1.0, "holds"), (2.0, "inconclusive"), (4.0, "does not hold"), (2.01, "inconclusive"), (2.04, "does not hold")],
)
def test_a_threshold_is_compared_with_the_whole_interval(ours: float, expected: str) -> None:
    cells = {"pre_error": ours}
    rows = {"stablediffusion": {"pre_error": 200.0}, "base_mask": cells, "large_mask": cells}
    found = judged(2, rows)["T2.c.size"]
    assert found.verdict == expected
    assert "claimed at least 100" in found.evidence


@pytest.mark.blackbox
def test_an_error_of_exactly_zero_is_the_best_possible() -> None:
    nothing = np.zeros(400)
    rows = {"stablediffusion": {"pre_error": 200.0}, "base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    summary = summary_of(rows)
    for row in ("base_mask", "large_mask"):
        summary.scored.rows[row]["pre_error"] = nothing  # type: ignore[index]
    found = {one.id: one for one in judge(judged_run(2, summary))}
    assert (found["T2.c"].verdict, found["T2.c.size"].verdict) == ("holds", "holds")
    assert "exactly 0" in found["T2.c.size"].evidence


@pytest.mark.blackbox
def test_a_size_is_shown_but_not_judged_on_mini() -> None:
    found = judged(1, places(0.3), "mini")
    assert (found["T1.c"].verdict, found["T1.c"].kind) == ("holds", "order")
    assert "1.24" not in found["T1.c"].text
    size = found["T1.c.size"]
    assert (size.verdict, size.kind, size.scope) == ("not judged on mini", "size", "mini")
    assert "gain 0.3 [0.28" in size.evidence
    assert "1.24" not in size.evidence
    assert verdict("T1.c.size", 1, places(0.3)) == "does not hold"
    assert verdict("T1.c", 1, places(-0.3), "mini") == "does not hold"
    assert verdict("T1.c", 1, places(0.01), "mini") == "inconclusive"


@pytest.mark.blackbox
def test_a_step_is_resolved_if_its_interval_is_narrower() -> None:
    rows = {row: {"fid": 7.0} for row in ("base_mask", "large_mask", "large_x2_mask")}
    found = judged(9, rows)["T9.d"]
    assert found.verdict == "holds"
    assert found.evidence == (
        "fid large_mask - base_mask: +0 [-0.0197, +0.0197], half of the interval is 0.02 at 400 items, printed 0.05; "
        "fid large_x2_mask - large_mask: +0 [-0.0197, +0.0197], half of the interval is 0.02 at 400 items, printed 0.06"
    )
    mini = judged(9, rows, "mini")["T9.d"]
    assert mini.verdict == "not judged on mini"
    assert mini.evidence == (
        "fid large_mask - base_mask: +0 [-0.0197, +0.0197], half of the interval is 0.02 at 400 items; "
        "fid large_x2_mask - large_mask: +0 [-0.0197, +0.0197], half of the interval is 0.02 at 400 items"
    )
    assert judged(9, rows, noise=4)["T9.d"].verdict == "does not hold"


@pytest.mark.blackbox
def test_a_step_of_half_an_interval_is_not_resolved() -> None:
    run = judged_run(9, summary_of({row: {"fid": 7.0} for row in ("base_mask", "large_mask", "large_x2_mask")}))
    claim = next(claim for claim in run.claims if claim.id == "T9.d")
    halves = []
    for comparison in claim.comparisons:
        found = run.comparisons.difference(comparison)
        assert isinstance(found, Difference)
        halves.append((found.ci95[1] - found.ci95[0]) / 2)
    assert judge_size(run, replace(claim, printed=tuple(halves))).verdict == "does not hold"
    above = tuple(np.nextafter(half, 1) for half in halves)
    assert judge_size(run, replace(claim, printed=above)).verdict == "holds"


@pytest.mark.blackbox
def test_few_sources_resolve_no_step() -> None:
    rows = {"base_mask": {"fid": 7.0 + FOUR_OF_400}, "large_mask": {"fid": 7.0}, "large_x2_mask": {"fid": 7.0}}
    found = judged(9, rows, noise=0.1)["T9.d"]
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith(
        "only 4.4 effective sources decide the result: fid large_mask - base_mask: -0.01 ["
    )


@pytest.mark.blackbox
def test_digits_may_be_those_of_any_row() -> None:
    lpips = halves(0.244, 0.141)
    there = {"fid": halves(6.80, 1.03), "lpips": lpips}
    near = {"fid": halves(6.80, 1.53), "lpips": lpips}  # two standard errors are 0.58, for the halves are far apart
    off = {"fid": halves(6.80, 1.73), "lpips": lpips}
    rows = {"base_mask": off, "large_mask": there, "large_x2_mask": off}

    def found(rows: Mapping[str, Mapping[str, np.ndarray]], profile: str = "paper") -> Verdict:
        return judged(1, rows, profile, noise=0.001)["T1.f"]

    assert found(rows).verdict == "holds"
    assert "printed 1.03, allowed difference ±0.015" in found(rows).evidence
    assert "base_mask" not in found(rows).evidence
    assert found({**rows, "large_mask": near}).verdict == "inconclusive"
    assert found({**rows, "large_mask": off}).verdict == "does not hold"
    assert found({"base_mask": off, "large_mask": off}).verdict == "not tested"
    assert found(rows, "mini").verdict == "not judged on mini"
    assert "printed" not in found(rows, "mini").evidence


@pytest.mark.blackbox
def test_evidence_on_digits_contains_every_value_of_every_deciding_row() -> None:
    cells = {"fid": halves(6.80, 6.80), "lpips": halves(0.244, 0.244)}
    rows = {"base_mask": cells, "large_mask": cells, "large_x2_mask": {}}
    mini = judged(1, rows, "mini", noise=0.001)["T1.f"]
    assert mini.verdict == "not tested"
    assert mini.evidence == "; ".join(
        f"{metric} was not measured on large_x2_mask" for metric in ("fid_40_50", "lpips_40_50", "fid", "lpips")
    )
    found = judged(1, {**rows, "large_x2_mask": cells}, "mini", noise=0.001)["T1.f"]
    assert found.verdict == "not judged on mini"
    assert found.evidence == " | ".join(
        f"fid_40_50 of {row} 6.8 [6.8, 6.8]; lpips_40_50 of {row} 0.244 [0.244, 0.244]; "
        f"fid of {row} 6.8 [6.8, 6.8]; lpips of {row} 0.244 [0.244, 0.244]"
        for row in ("base_mask", "large_mask", "large_x2_mask")
    )
    printed = {"fid": halves(6.80, 1.03), "lpips": halves(0.244, 0.141)}
    found = judged(1, {**dict.fromkeys(rows, cells), "large_mask": printed}, noise=0.001)["T1.f"]
    assert found.verdict == "holds"
    assert found.evidence == (
        "fid_40_50 of large_mask 6.8 [6.79998, 6.80002], printed 6.8, allowed difference ±0.073; "
        "lpips_40_50 of large_mask 0.244 [0.24398, 0.24402], printed 0.244, allowed difference ±0.0029; "
        "fid of large_mask 1.03 [0.462, 1.6], printed 1.03, allowed difference ±0.015; "
        "lpips of large_mask 0.141 [0.131, 0.151], printed 0.141, allowed difference ±0.0019"
    )


@pytest.mark.blackbox
def test_digits_decided_by_few_sources_are_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    run = judged_run(1, summary_of({"base_mask": {"fid": FOUR_OF_400}}, noise=0.01))
    claim = next(claim for claim in run.claims if claim.kind == "digits")
    one = replace(claim, metrics=("fid",), rows=("base_mask",), printed=(0.01,), roundings=(0.0005,))
    found = judge_digits(run, one)
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith("only 4.1 effective sources decide the result: fid of base_mask 0.01 [")
    effective = run.summary.measurement("base_mask", "fid").effective_sources
    monkeypatch.setattr("bench.tables.verdicts.FEWEST_EFFECTIVE", effective)
    assert judge_digits(run, one).verdict == "holds"


@pytest.mark.blackbox
def test_digits_may_differ_by_the_allowed_amount_at_either_end_of_the_interval() -> None:
    run = judged_run(1, summary_of({"base_mask": {"fid": 1.0}}))
    claim = next(claim for claim in run.claims if claim.kind == "digits")
    one = replace(claim, metrics=("fid",), rows=("base_mask",), digits_margin=0.0)
    measured = run.summary.measurement("base_mask", "fid")
    assert measured.value is not None
    assert measured.ci95 is not None

    def at(printed: float, rounding: float) -> str:
        return judge_digits(run, replace(one, printed=(printed,), roundings=(rounding,))).verdict

    allowed = abs(measured.value - 1.25)
    assert (at(1.25, allowed), at(1.25, math.nextafter(allowed, 0))) == ("holds", "does not hold")
    for end, beyond in zip(measured.ci95, (-math.inf, math.inf), strict=True):
        assert (at(end, 0.0), at(math.nextafter(end, beyond), 0.0)) == ("inconclusive", "does not hold")

    # The margin is that of 6.80: its rounding of .005, and one hundredth of it.


@pytest.mark.blackbox
def test_the_allowed_difference_of_digits_does_not_grow_with_the_error() -> None:
    printed = {"fid": halves(6.80, 1.03), "lpips": halves(0.244, 0.141)}
    rows = dict.fromkeys(("base_mask", "large_mask", "large_x2_mask"), printed)
    shown = [judged(1, rows, noise=noise)["T1.f"].evidence for noise in (0.001, 1.0)]
    assert all(
        "allowed difference ±0.073" in text for text in shown
    )  # of 6.80: its rounding of .005, and one hundredth of it


# --- equal -----------------------------------------------------------------------------------------------------------


def text_to_image(base: float) -> dict[str, dict[str, float]]:
    return {
        "stablediffusion": {"fid": 20.0, "inception_score": 37.0},
        "base_nomask": {"fid": base, "inception_score": 37.0},
    }


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (20.0, "holds"),
        (20.012, "holds"),
        (19.988, "holds"),
        (20.03, "inconclusive"),
        (19.97, "inconclusive"),
        (20.06, "does not hold"),
        (19.0, "does not hold"),
    ],
)
def test_equality_holds_within_the_margin_in_both_directions(base: float, expected: str) -> None:
    found = judged(6, text_to_image(base))["T6.a"]
    assert found.verdict == expected
    assert "margin ±0.035" in found.evidence
    assert "margin ±0.045" in found.evidence


@pytest.mark.blackbox
def test_evidence_on_an_equality_contains_interval_and_margin_of_each_metric() -> None:
    scores = "inception_score base_nomask - stablediffusion: +0 [-0.0197, +0.0199] (unadjusted), margin ±0.045"
    shown = "fid base_nomask - stablediffusion: +0.03 [+0.0103, +0.0499] (unadjusted), margin ±0.035"
    rows = text_to_image(20.03)
    assert judged(6, rows)["T6.a"].evidence == f"{shown}; {scores}"
    rows["large_nomask"] = {"fid": 19.94, "inception_score": 37.2}
    turns = "above half of the difference that decides another statement, fid large_nomask - stablediffusion: -0.06"
    assert judged(6, rows)["T6.a"].evidence == f"{shown}; this margin is {turns}; {scores}"


@pytest.mark.blackbox
def test_an_equality_decided_by_few_sources_is_inconclusive() -> None:
    rows = text_to_image(20.0)
    rows["stablediffusion"]["fid"] = 20.0 + FOUR_OF_400  # type: ignore[assignment]
    found = judged(6, rows, noise=0.1)["T6.a"]
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith(
        "only 4.4 effective sources decide the result: fid base_nomask - stablediffusion: -0.01 ["
    )


@pytest.mark.blackbox
def test_a_margin_of_exactly_half_the_deciding_difference_is_valid() -> None:
    rows = text_to_image(20.0)
    rows["large_nomask"] = {"fid": 19.875, "inception_score": 37.5}
    run = judged_run(6, summary_of(rows))
    claim = next(claim for claim in run.claims if claim.id == "T6.a")
    turned = run.comparisons.difference(Comparison("large_nomask", "stablediffusion", "fid"))
    assert isinstance(turned, Difference)
    half = abs(turned.value) / 2

    def at(margin: float) -> str:
        return judge_equality(run, replace(claim, metrics=("fid",), margin={"fid": margin})).verdict

    assert (at(half), at(math.nextafter(half, 1))) == ("holds", "not tested")


@pytest.mark.blackbox
def test_a_difference_at_exactly_the_level_does_not_limit_an_equality(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = text_to_image(20.0)
    rows["large_nomask"] = {"fid": 19.97, "inception_score": 37.0}
    run = judged_run(6, summary_of(rows))
    values = [
        run.comparisons.p_value(Comparison("large_nomask", other, "fid"))
        for other in ("stablediffusion", "base_nomask")
    ]
    assert max(values) < 0.05
    for level, expected in ((min(values), "holds"), (np.nextafter(min(values), 1), "not tested")):
        monkeypatch.setattr("bench.tables.equality.LEVEL", level)
        assert judged(6, rows)["T6.a"].verdict == expected


@pytest.mark.blackbox
def test_an_equality_is_limited_by_the_smallest_decided_difference_of_its_metric() -> None:
    """Undecided differences, differences decided by few sources and other metrics do not limit the margin."""
    rows = text_to_image(20.0)
    rows["large_nomask"] = {"fid": 19.94, "inception_score": 37.0}  # apart from base by as much
    rows["base_nomask"]["fid"] = 20.01
    found = judged(6, rows)["T6.a"]
    assert (
        "decides another statement, fid large_nomask - stablediffusion: -0.06;" in found.evidence
    )  # and not -0.07 of T6.d
    rows["base_nomask"] = {"fid": 20.0, "inception_score": 37.02}
    rows["large_nomask"] = {"fid": 19.0, "inception_score": 37.08}
    second = judged(6, rows)["T6.a"]  # of two metrics the statement's second one
    assert "decides another statement, inception_score large_nomask - base_nomask: +0.06" in second.evidence
    rows["base_nomask"]["inception_score"] = 37.0
    rows["large_nomask"] = {"fid": 19.99, "inception_score": 37.2}
    near = judged(6, rows)
    assert (near["T6.b"].verdict, near["T6.c"].verdict, near["T6.d"].verdict) == (
        "inconclusive",
        "holds",
        "inconclusive",
    )
    assert "no margin" not in near["T6.a"].evidence
    rows["large_nomask"]["fid"] = 19.93 + FOUR_OF_400  # type: ignore[assignment]
    few = judged(6, rows, noise=0.01)
    assert "effective sources decide the result" in few["T6.b"].evidence
    assert "no margin" not in few["T6.a"].evidence


@pytest.mark.blackbox
@pytest.mark.parametrize(("base", "expected"), [(20.012, "holds"), (20.03, "inconclusive"), (22.0, "does not hold")])
def test_the_margin_is_a_share_of_the_reference_row_on_mini(base: float, expected: str) -> None:
    found = judged(6, text_to_image(base), "mini")["T6.a"]
    assert found.verdict == expected
    assert "margin ±0.036" in found.evidence


@pytest.mark.blackbox
def test_a_margin_above_half_the_deciding_difference_is_invalid() -> None:
    rows = text_to_image(20.0)
    rows["large_nomask"] = {"fid": 19.94, "inception_score": 37.2}
    found = judged(6, rows)
    assert found["T6.b"].verdict == "holds"
    assert found["T6.a"].verdict == "not tested"
    assert "this margin is above half" in found["T6.a"].evidence
    assert "fid large_nomask - stablediffusion: -0.06" in found["T6.a"].evidence
    rows["large_nomask"] = {"fid": 19.8, "inception_score": 37.2}
    assert judged(6, rows)["T6.a"].verdict == "holds"


@pytest.mark.blackbox
def test_margins_are_at_most_half_of_every_deciding_printed_difference() -> None:
    """The printed differences are those of the pairs of rows that orders and sizes of the same data compare."""
    smallest = {
        2: {"fid": 0.05, "lpips": 0.001},
        3: {"fid": 0.05, "lpips": 0.001},
        6: {"fid": 0.07, "inception_score": 0.09},
    }
    references = {
        2: {"fid": 9.57, "lpips": 0.255},
        3: {"fid": 7.60, "lpips": 0.138},
        6: {"fid": 19.88, "inception_score": 37.55},
    }
    for claim in EVERY:
        if claim.kind == "equal" and claim.where == "run" and claim.margin:
            assert isinstance(claim.table, int)
            for metric, margin in claim.margin.items():
                assert margin <= smallest[claim.table][metric] / 2 + 1e-12
                share = margin / references[claim.table][metric]
                assert claim.margin_share[metric] == pytest.approx(share, abs=6e-5)


# --- structure and the text ------------------------------------------------------------------------------------------


def latents(**rows: tuple[str, str]) -> dict[str, DecodedLatents]:
    return {row: DecodedLatents(*found, items=9) for row, found in rows.items()}


@pytest.mark.blackbox
def test_the_statement_on_equal_latents_holds_or_fails() -> None:
    run = judged_run(2, summary_of({"base_mask": {"fid": 1.0}}), "mini")

    def found(decoded: Mapping[str, DecodedLatents] | None) -> Verdict:
        return {one.id: one for one in judge(run, latents=decoded)}["T2.i"]

    one, other = "ab" * 32, "cd" * 32
    same = latents(base_mask=("sampled", one), large_mask=("sampled", one), encoded=("encoded", other))
    assert found(same).verdict == "holds"
    assert found(same).evidence == (
        "observed on 9 items; latents with hash abababababab in base_mask, large_mask; "
        "latents of the kind encoded in encoded"
    )
    differ = found(latents(base_mask=("sampled", one), large_mask=("sampled", other)))
    assert differ.verdict == "does not hold"
    assert differ.evidence == (
        "observed on 9 items; latents with hash abababababab in base_mask; latents with hash cdcdcdcdcdcd in large_mask"
    )
    beside = latents(a=("sampled", one), b=("sampled", one), c=("encoded", one), d=("encoded", other), e=("none", ""))
    assert found(beside).evidence == (
        "observed on 9 items; latents with hash abababababab in a, b; latents of the kind encoded in c, d; "
        "latents of the kind none in e"
    )
    assert (found(None).verdict, found(None).evidence) == ("not tested", "the latents' hashes were not given")
    single = found(latents(base_mask=("sampled", one), encoded=("encoded", other)))
    assert (single.verdict, single.evidence) == ("not tested", "fewer than two rows decode sampled latents")


@pytest.mark.blackbox
def test_outcomes_on_structure_are_taken_from_their_comparison() -> None:
    run = judged_run(2, summary_of({"base_mask": {"fid": 1.0}}), "mini")

    def found(**structure: bool | NotAvailable | Judgement) -> Verdict:
        return {one.id: one for one in judge(run, structure=structure)}["x2"]

    for outcome, expected in ((True, "holds"), (False, "does not hold")):
        exact = found(x2=outcome)
        assert (exact.verdict, exact.evidence) == (expected, "an exact comparison, made outside the table")
    assert found(x2=NotAvailable("no branch")).verdict == found().verdict == "not tested"
    assert found(x2=NotAvailable("no branch")).evidence == "no branch"
    apart = found(x2=Judgement("does not hold", "apart by 1"))
    assert (apart.verdict, apart.evidence, apart.by) == ("does not hold", "apart by 1", "harness")
    with pytest.raises(ValueError, match=r"^the argument structure: expected ids of statements .*, found T2\.a, x5$"):
        judge(run, structure={"x5": True, "x2": True, "T2.a": True})


@pytest.mark.blackbox
def test_the_cost_of_the_larger_decoder_is_judged_as_a_size() -> None:
    outcome = {"x1": Judgement("holds", "3 % [2 %, 4 %]")}
    summary = summary_of({"base_mask": {"fid": 1.0}})
    for profile, expected in (("paper", "holds"), ("mini", "not judged on mini")):
        found = {one.id: one for one in judge(judged_run(2, summary, profile), structure=outcome)}["x1"]
        assert (found.verdict, found.evidence) == (expected, "3 % [2 %, 4 %]")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("ci95", "expected"), [((0.06, 0.4), "holds"), ((0.01, 0.04), "does not hold"), ((0.04, 0.06), "inconclusive")]
)
def test_presence_is_judged_by_a_fixed_threshold(ci95: tuple[float, float], expected: str) -> None:
    assert at_least("x6", sum(ci95) / 2, ci95, 30.0, "share").verdict == expected
    few = at_least("x6", sum(ci95) / 2, ci95, 4.0, "share")
    assert (few.verdict, few.evidence[:39]) == ("inconclusive", "only 4.0 effective sources decide the r")


@pytest.mark.blackbox
def test_evidence_on_presence_contains_the_value_and_the_threshold() -> None:
    found = at_least("x6", 0.23, (0.06, 0.4), 30.0, "share")
    assert found == Judgement("holds", "share 0.23 [0.06, 0.4], counted as present from 0.05 on")


@pytest.mark.blackbox
def test_statements_of_the_text_are_judged_with_table_2() -> None:
    rows = {
        "stablediffusion": {"fid": 9.5, "fid_hole_only": 9.0, "lpips_hole_only": 2.0, "border_step": 3.0},
        "large_mask": {"fid": 7.5, "fid_hole_only": 8.0, "lpips_hole_only": 1.5, "border_step": 3.0},
        "large_nomask": {"fid": 9.2},
        "paste_back": {"fid": 8.0, "border_step": 4.0},
    }
    found = judged(2, rows)
    expected = {"x1": "not tested", "x3.a": "holds", "x3.b": "holds", "x4": "holds", "x5": "holds", "x6": "not tested"}
    assert {key: found[key].verdict for key in expected} == expected
    assert {found[key].by for key in expected} == {"paper", "harness"}
    assert found["x1"].by == "paper"


@pytest.mark.blackbox
@pytest.mark.parametrize("profile", ["mini", "paper", "custom"])
@pytest.mark.parametrize("number", TABLES)
def test_only_the_paper_profile_judges_digits_and_sizes(number: int, profile: str) -> None:
    metrics = {metric.removesuffix("_40_50") for claim in EVERY for metric in claim.metrics}
    rows = {row: dict.fromkeys(metrics, 1.0) for claim in EVERY if claim.run == number for row in rows_of(claim)}
    for found in judged(number, rows, profile).values():
        assert found.scope == profile
        if profile != "paper" and found.kind in ("digits", "size"):
            assert found.verdict in (f"not judged on {profile}", "not tested")
            assert "printed" not in found.evidence
        else:
            assert found.verdict in VERDICTS


# --- two runs --------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("editing", "expected"), [(8.0, "holds"), (2.0, "does not hold"), (4.0, "inconclusive"), (4.001, "inconclusive")]
)
def test_ratios_of_two_runs_are_compared(editing: float, expected: str) -> None:
    ours = {"base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    inpainting = summary_of({**ours, "stablediffusion": {"pre_error": 4.0}})
    painting = summary_of({**ours, "paint_by_example": {"pre_error": editing}})
    (found,) = judge_across({2: inpainting, 5: painting}, "mini")
    assert (found.id, found.verdict, found.scope) == ("T5.f", expected, "mini")
    assert f"pre_error of base_mask falls by the factors 4 and {editing:.3g}" in found.evidence


def errors(reference: str, value: float | np.ndarray, base: float = 1.0, *, sources: int = 400) -> Summary:
    """Return errors over known pixels of the reference row and both sizes; `base` is that of the smaller size."""
    rows = {reference: value, "base_mask": base, "large_mask": 1.0}
    return summary_of({row: {"pre_error": found} for row, found in rows.items()}, sources=sources)


@pytest.mark.reference
def test_evidence_on_two_runs_contains_the_ratio_of_their_ratios() -> None:
    """The logarithm has a standard error of 0.0102, from 1 over 1 in either run, 1 over 4 and 1 over 8."""
    both = {2: errors("stablediffusion", 4.0), 5: errors("paint_by_example", 8.0)}
    (found,) = judge_across(both, "mini")
    assert found.evidence == "; ".join(
        f"pre_error of {row} falls by the factors 4 and 8, ratio of the two 2 [1.96, 2.04] "
        "(unadjusted), p < 0.001 (Holm)"
        for row in ("base_mask", "large_mask")
    )
    both = {2: errors("stablediffusion", 4.0, 2.0), 5: errors("paint_by_example", 8.0, 2.0)}
    (found,) = judge_across(both, "mini")
    assert (
        "pre_error of base_mask falls by the factors 2 and 4, ratio of the two 2 [1.98, 2.02] (unadj" in found.evidence
    )


@pytest.mark.blackbox
def test_two_runs_differ_only_with_enough_sources_and_below_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inpainting = errors("stablediffusion", 4.0)
    few = errors("paint_by_example", 8.0 + 1000 * FOUR_OF_400)
    (found,) = judge_across({2: inpainting, 5: few}, "mini")
    assert found.verdict == "inconclusive"
    assert found.evidence.startswith(
        "only 4.1 effective sources decide the result: pre_error of base_mask falls by the factors 4 and 18"
    )
    monkeypatch.setattr("bench.tables.judging.holm", lambda p_values: [0.05 for _ in p_values])
    (found,) = judge_across({2: inpainting, 5: errors("paint_by_example", 8.0)}, "mini")
    assert found.verdict == "inconclusive"
    assert found.evidence.endswith("p = 0.050 (Holm)")


@pytest.mark.blackbox
def test_a_ratio_without_an_interval_is_not_compared() -> None:
    inpainting = errors("stablediffusion", 4.0)
    (one,) = judge_across({2: inpainting, 5: errors("paint_by_example", 8.0, sources=1)}, "mini")
    assert (one.verdict, one.evidence) == ("not tested", "fewer than two independent sources")
    (near,) = judge_across({2: inpainting, 5: errors("paint_by_example", 8.0, 0.01)}, "mini")
    assert near.verdict == "not tested"
    assert near.evidence.startswith(
        "the interval of the divisor contains 0, so the ratio has no bounded interval; pre_err"
    )


@pytest.mark.blackbox
def test_two_runs_without_their_rows_are_not_tested() -> None:
    ours = {"base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    (alone,) = judge_across({2: summary_of(ours)}, "paper")
    assert (alone.verdict, alone.evidence) == ("not tested", "no run of Table 5")
    (neither,) = judge_across({}, "paper")
    assert (neither.verdict, neither.evidence) == ("not tested", "no run of Table 2, Table 5")
    (found,) = judge_across({2: summary_of(ours), 5: summary_of(ours)}, "paper")
    assert found.verdict == "not tested"
    assert "pre_error was not measured on stablediffusion" in found.evidence


# --- verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_a_p_value_is_shown_to_a_thousandth() -> None:
    assert [p_shown(value) for value in (0.00099, 0.001, 0.0254, 1.0)] == [
        "p < 0.001",
        "p = 0.001",
        "p = 0.025",
        "p = 1.000",
    ]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("metric", "expected"),
    [("fid", -1), ("pre_error", -1), ("lpips_40_50", -1), ("clip_score", 1), ("inception_score_40_50", 1)],
)
def test_higher_scores_and_lower_distances_are_better(metric: str, expected: int) -> None:
    assert sign(Comparison("base_mask", "stablediffusion", metric)) == expected


@pytest.mark.blackbox
def test_only_the_settings_of_the_paper_have_its_scope() -> None:
    assert scope_of("paper", custom=False) == "paper"
    assert scope_of("paper", custom=True) == "custom"
    assert scope_of("mini", custom=True) == scope_of("mini", custom=False) == "mini"


@pytest.mark.blackbox
def test_the_worst_part_decides_and_the_evidence_of_all_is_given_once() -> None:
    holds, open_, none, fails = (
        Judgement(verdict, evidence)
        for verdict, evidence in (("holds", "a"), ("inconclusive", "b"), ("not tested", "c"), ("does not hold", "a"))
    )
    assert all_of([holds, holds]) == ("holds", "a")
    assert all_of([holds, open_]) == ("inconclusive", "a; b")
    assert all_of([open_, none, holds]) == ("not tested", "b; c; a")
    assert all_of([none, open_, fails]) == ("does not hold", "c; b; a")
    beside = Judgement("not judged on mini", "d")
    assert all_of([holds, beside]) == ("not judged on mini", "a; d")
    assert all_of([open_, beside]) == ("inconclusive", "b; d")


@pytest.mark.blackbox
def test_an_interval_that_ends_where_the_range_does_lies_inside_it_or_overlaps_it() -> None:
    assert placed(1.0, 2.0, 1.0, 2.0) == "holds"
    assert placed(0.0, 1.0, 1.0, 2.0) == placed(2.0, 3.0, 1.0, 2.0) == "inconclusive"
    assert placed(0.0, 0.9, 1.0, 2.0) == placed(2.1, 3.0, 1.0, 2.0) == "does not hold"
    assert placed(0.9, 2.0, 1.0, 2.0) == placed(1.0, 2.1, 1.0, 2.0) == "inconclusive"


@pytest.mark.blackbox
def test_statements_on_the_error_use_the_first_reading_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = judged_run(2, summary_of({"base_mask": {"fid": 1.0}}))
    usual = {claim.id: claim for claim in run.claims}
    found = {claim.id: claim for claim in replace(run, error="pre_sse01").claims}
    assert list(found) == list(usual)
    equal = found["T2.e"]
    assert equal.metrics == ("fid", "lpips", "pre_sse01")
    assert equal.margin == {"fid": 0.025, "lpips": 0.0005}
    assert equal.margin_share == {"fid": 0.0026, "lpips": 0.002, "pre_sse01": 0.000185}
    assert found["T2.c.size"].metrics == ("pre_sse01",)
    claim = Claim("T2.z", 2, "", "equal", run=2, metrics=("pre_error",), margin={"pre_error": 1.5, "fid": 0.1})
    monkeypatch.setattr("bench.tables.judged_run.all_claims", lambda: (claim,))
    (renamed,) = replace(run, error="pre_sse01").claims
    assert renamed.margin == {"pre_sse01": 1.5, "fid": 0.1}
    assert [key for key in usual if found[key] != usual[key]] == [
        key for key, claim in usual.items() if "pre_error" in claim.metrics
    ]


# --- few sources, exact zeros and digits near a bound ---------------------------------------------------------------


def with_error(rows: Mapping[str, float | np.ndarray], exact: Sequence[str]) -> Summary:
    """Return errors of rows on 400 items; those of `exact` rows are 0 on every item."""
    summary = summary_of({row: {"pre_error": value} for row, value in rows.items()})
    for row in exact:
        summary.scored.rows[row]["pre_error"] = np.zeros(400)  # type: ignore[index]
    return summary


@pytest.mark.blackbox
def test_an_infinite_ratio_decided_by_one_item_is_inconclusive() -> None:
    """The reference row errs on a single item of 400, the others nowhere."""
    summary = with_error({"stablediffusion": 0.0, "base_mask": 0.0, "large_mask": 0.0}, ["base_mask", "large_mask"])
    summary.scored.rows["stablediffusion"]["pre_error"] = np.eye(400)[0]  # type: ignore[index]
    found = {one.id: one for one in judge(judged_run(2, summary))}
    assert (found["T2.c"].verdict, found["T2.c.size"].verdict) == ("inconclusive", "inconclusive")
    assert found["T2.c.size"].evidence.startswith("only 1.0 effective sources decide the result")


@pytest.mark.blackbox
def test_a_constant_ratio_is_not_judged() -> None:
    """All items show the same ratio, so that nothing is known of its spread, whatever rounding makes of it."""
    ours = np.random.default_rng(0).uniform(1, 2, 400)
    summary = with_error({"stablediffusion": 0.0, "base_mask": 0.0, "large_mask": 0.0}, [])
    for row, values in (("stablediffusion", ours * 300), ("base_mask", ours), ("large_mask", ours)):
        summary.scored.rows[row]["pre_error"] = values  # type: ignore[index]
    found = {one.id: one for one in judge(judged_run(2, summary))}["T2.c.size"]
    assert found.verdict == "not tested"
    assert found.evidence == "every source shows the same value, so its spread is unknown"


@pytest.mark.blackbox
def test_rows_with_the_same_values_have_no_resolution() -> None:
    same = {"base_mask": {"fid": 7.0}, "large_mask": {"fid": 7.0}, "large_x2_mask": {"fid": 7.0}}
    summary = summary_of(same)
    for row in same:
        summary.scored.rows[row]["fid"] = np.arange(400.0)  # type: ignore[index]
    assert {one.id: one for one in judge(judged_run(9, summary))}["T9.d"].verdict == "not tested"


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("exact", "expected"), [((5,), "holds"), ((2,), "does not hold"), ((2, 5), "not tested"), ((), "inconclusive")]
)
def test_an_unbounded_ratio_is_the_larger_one(exact: tuple[int, ...], expected: str) -> None:
    ours = {"base_mask": 1.0, "large_mask": 1.0}
    summaries = {
        number: with_error({**ours, above: 4.0}, list(ours) if number in exact else [])
        for number, above in ((2, "stablediffusion"), (5, "paint_by_example"))
    }
    (found,) = judge_across(summaries, "mini")
    assert found.verdict == expected
    assert ("exactly 0 in Table" in found.evidence) == bool(exact)


@pytest.mark.blackbox
def test_evidence_contains_the_deciding_digits() -> None:
    assert three(100.2, 99.96, 101.0, 100.0) == "100.2 [99.96, 101]"
    assert three(0.451, 0.4498, 0.453, 0.45, 0.55) == "0.451 [0.4498, 0.453]"
    assert three(0.451, 0.4598, 0.463, 0.45, 0.55) == "0.451 [0.46, 0.463]"
    assert three(7.0, 7.0, 7.0, 7.0) == "7 [7, 7]"
    assert (p_shown(0.04996), p_shown(0.05004), p_shown(0.05)) == ("p = 0.04996", "p = 0.050", "p = 0.050")
    assert (p_shown(0.0009), p_shown(0.0374)) == ("p < 0.001", "p = 0.037")


@pytest.mark.blackbox
@pytest.mark.parametrize("reference", [-8.0, -0.001])
def test_ratios_that_are_not_positive_are_not_compared(reference: float) -> None:
    ours = {"base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    inpainting = summary_of({**ours, "stablediffusion": {"pre_error": reference}})
    painting = summary_of({**ours, "paint_by_example": {"pre_error": 4.0}})
    (found,) = judge_across({2: inpainting, 5: painting}, "mini")
    assert (found.verdict, "must be above 0" in found.evidence) == ("not tested", True)
