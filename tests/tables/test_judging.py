"""Claims judged on runs: every verdict can be reached, and none says more than what was measured allows."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from bench.metrics.summary import Scored, Summary
from bench.metrics.uncertainty import Difference
from bench.tables.judging import judge, judge_across, two_by_two
from bench.tables.verdicts import Verdict
from tests.tables.listed import EVERY, TABLES, rows_of

VERDICTS = {"holds", "does not hold", "inconclusive", "not tested", "contradicted by the printed numbers"}
COUNT = 400
FIRST_HALF = np.arange(COUNT) < COUNT // 2
ERROR = 0.01
"""Standard error of a mean and, about, of a paired difference in these runs; nothing here is left to chance."""


@cache
def deviations(row: str) -> np.ndarray:
    """Of N items: mean 0 in either half, standard error ERROR / √2, and one row's uncorrelated with another's."""
    names = sorted({row for claim in EVERY for row in rows_of(claim)} | {"vanilla_finetuned"})
    noise = np.random.default_rng(0).normal(size=(COUNT, len(names)))
    basis, _ = np.linalg.qr(np.column_stack([np.ones(COUNT), FIRST_HALF, noise]))
    return basis[:, 2 + names.index(row)] * np.sqrt(COUNT * (COUNT - 1)) * ERROR / np.sqrt(2)


def run(rows: Mapping[str, Mapping[str, float | np.ndarray]], *, sources: int = COUNT, noise: float = 1.0) -> Summary:
    """Values of every row and metric, with standard errors of `noise` × ERROR / √2; the first half is 40-50 % hole."""
    return Summary(
        Scored(
            rows={
                row: {name: value + noise * deviations(row) for name, value in cells.items()}
                for row, cells in rows.items()
            },
            truth={},
            sets={},
            sources=[f"photo {item % sources}" for item in range(COUNT)],
            references=range(COUNT),
            mask_area=np.where(FIRST_HALF, 0.45, 0.2),
        ),
        fewest=2,
        bins=((40, 50),),
    )


def judged(number: int, rows: Mapping[str, Mapping[str, float]], profile: str = "paper") -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in judge(number, run(rows), profile=profile)}


def verdict(claim: str, number: int, rows: Mapping[str, Mapping[str, float]], profile: str = "paper") -> str:
    return judged(number, rows, profile)[claim].verdict


def test_the_interval_of_these_runs_is_what_the_tests_say() -> None:
    found = run({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}}).difference("large_mask", "base_mask", "fid")
    assert isinstance(found, Difference)
    assert found.value == pytest.approx(0.5)
    assert found.stderr == pytest.approx(ERROR)


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["mini", "paper"])
@pytest.mark.parametrize(
    ("base", "large", "expected"),
    [(7.0, 6.9, "holds"), (7.0, 7.1, "does not hold"), (7.0, 6.99, "inconclusive"), (7.0, 7.01, "inconclusive")],
)
def test_an_order_is_judged_on_every_profile(base: float, large: float, expected: str, profile: str) -> None:
    found = judged(6, {"stablediffusion": {"fid": base}, "large_nomask": {"fid": large}}, profile)["T6.b"]
    assert (found.verdict, found.kind, found.scope) == (expected, "order", profile)


@pytest.mark.parametrize(("large", "expected"), [(38.0, "holds"), (37.0, "does not hold")])
def test_of_scores_the_higher_is_better(large: float, expected: str) -> None:
    rows = {"stablediffusion": {"inception_score": 37.5}, "large_nomask": {"inception_score": large}}
    assert verdict("T6.c", 6, rows) == expected


def test_evidence_has_the_difference_its_interval_and_the_adjusted_p() -> None:
    rows = {"stablediffusion": {"fid": 7.0}, "large_nomask": {"fid": 6.9735}, "base_nomask": {"fid": 6.9735}}
    shown = judged(6, rows)["T6.b"].evidence
    # Two standard errors and 0.65: p = 0.0084, doubled for its family of two, for T6.d compares sizes on FID as well.
    assert shown == "fid large_nomask - stablediffusion: -0.0265 [-0.0462, -0.00684], p = 0.017"


def test_p_values_are_adjusted_over_the_whole_run() -> None:
    pair = {"base_mask": {"clip_score": 80.0, "pre_error": 1.0}, "base_nomask": {"clip_score": 79.976}}
    assert judged(5, pair)["T5.b"].verdict == "holds"  # p = 0.017, alone
    others = {
        "large_mask": {"clip_score": 80.0, "pre_error": 1.0},
        "large_nomask": {"clip_score": 80.0, "pre_error": 1.0},
        "paint_by_example": {"pre_error": 1.0},
    }
    found = judged(
        5, {**others, "base_mask": pair["base_mask"], "base_nomask": {"clip_score": 79.976, "pre_error": 1.0}}
    )
    # Six in all: T5.a's two, T5.b, T5.c and T5.e's two.
    assert found["T5.b"].verdict == "inconclusive"
    assert found["T5.b"].evidence.endswith(f"p = {6 * 0.01686:.3f}")


def test_a_comparison_of_two_claims_counts_once() -> None:
    rows = {"stablediffusion": {"fid": 7.024}, "large_mask": {"fid": 7.0}}
    found = judged(2, rows, "mini")
    # T2.a's is the only one that was measured; p of 2.4 standard errors is 0.017 with 399 degrees of freedom.
    assert "p = 0.017" in found["T2.a"].evidence
    hole = {"fid_hole_only": 7.0, "lpips_hole_only": 1.0}
    twice = {"stablediffusion": {**rows["stablediffusion"], **hole}, "large_mask": {**rows["large_mask"], **hole}}
    assert "p = 0.051" in judged(2, twice, "mini")["T2.a"].evidence


def test_a_claim_about_several_holds_when_all_do() -> None:
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


def test_rows_that_nobody_measured_are_left_out_where_the_claim_allows_it() -> None:
    rows = {"large_mask": {"fid": 1.0}, "stablediffusion": {"fid": 2.0}}
    found = judged(1, rows)["T1.a"]
    assert found.verdict == "holds"
    assert "lama, comodgan, regionwise, deepfill_v2, edgeconnect" in found.evidence
    assert judged(1, {**rows, "lama": {"fid": 0.5}})["T1.a"].verdict == "does not hold"
    alone = judged(1, {"large_mask": {"fid": 1.0}})["T1.a"]
    assert alone.verdict == "not tested"
    assert "fid was not measured on lama" in alone.evidence


@pytest.mark.parametrize("number", TABLES)
@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_nothing_measured_is_nothing_tested(number: int, profile: str) -> None:
    found = judged(number, {"base_mask": {}}, profile)
    wanted = [claim.id for claim in EVERY if claim.run == number]
    assert list(found) == wanted
    assert {one.verdict for one in found.values()} == {"not tested"}
    for one in found.values():
        assert one.evidence
        assert "\n" not in one.evidence


def test_one_source_tests_nothing() -> None:
    rows = {"stablediffusion": {"fid": 9.0, "lpips": 2.0, "pre_error": 9.0}, "large_mask": {"fid": 1.0}}
    rows |= {"base_mask": {"fid": 1.0, "lpips": 1.0, "pre_error": 0.05}, "base_nomask": rows["stablediffusion"]}
    for found in judge(2, run(rows, sources=1), profile="paper"):
        assert found.verdict == "not tested"


# --- size and digits -------------------------------------------------------------------------------------------------


def places(gain: float) -> dict[str, dict[str, float]]:
    return {"stablediffusion": {"fid": 2.27}, "large_mask": {"fid": 2.27 - gain}}


@pytest.mark.parametrize(
    ("gain", "expected"),
    [(1.24, "holds"), (1.26, "holds"), (1.215, "holds"), (1.3, "does not hold"), (1.0, "does not hold")],
)
def test_a_gain_is_compared_with_the_printed_one(gain: float, expected: str) -> None:
    assert verdict("T1.c", 1, places(gain)) == expected


def test_an_interval_that_covers_no_effect_does_not_bear_a_size_out() -> None:
    found = {one.id: one for one in judge(1, run(places(1.24), noise=100), profile="paper")}
    assert found["T1.c"].verdict == "inconclusive"


@pytest.mark.parametrize(
    ("lpips", "expected"), [(10.0, "holds"), (11.1, "does not hold"), (9.0, "holds"), (8.0, "does not hold")]
)
def test_a_share_has_a_range(lpips: float, expected: str) -> None:
    cells = {"lpips": lpips}
    rows = {"stablediffusion": {"lpips": 20.0}, "base_mask": cells, "large_mask": cells}
    assert verdict("T2.b", 2, rows) == expected


@pytest.mark.parametrize(
    ("ours", "expected"),
    [(1.0, "holds"), (2.0, "inconclusive"), (4.0, "does not hold"), (2.01, "inconclusive"), (2.04, "does not hold")],
)
def test_a_threshold_wants_the_whole_interval(ours: float, expected: str) -> None:
    cells = {"pre_error": ours}
    rows = {"stablediffusion": {"pre_error": 200.0}, "base_mask": cells, "large_mask": cells}
    found = judged(2, rows)["T2.c"]
    assert found.verdict == expected
    assert "claimed at least 100" in found.evidence


def test_on_mini_a_size_is_judged_by_its_order_alone() -> None:
    found = judged(1, places(0.3), "mini")["T1.c"]
    assert (found.verdict, found.kind, found.scope) == ("holds", "size", "mini")
    assert found.evidence.startswith("the order alone is judged here")
    assert "1.24" not in found.evidence
    assert verdict("T1.c", 1, places(0.3)) == "does not hold"
    assert verdict("T1.c", 1, places(-0.3), "mini") == "does not hold"
    assert verdict("T1.c", 1, places(0.01), "mini") == "inconclusive"


def test_a_step_can_be_told_from_chance_where_its_interval_is_narrower() -> None:
    rows = {row: {"fid": 7.0} for row in ("base_mask", "large_mask", "large_x2_mask")}
    found = judged(9, rows)["T9.d"]
    assert found.verdict == "holds"
    assert "±0.02 at 400 items, printed 0.05" in found.evidence
    assert verdict("T9.d", 9, rows, "mini") == "not tested"
    blurred = {one.id: one for one in judge(9, run(rows, noise=4), profile="paper")}
    assert blurred["T9.d"].verdict == "does not hold"


def halves(first: float, mean: float) -> np.ndarray:
    return np.where(FIRST_HALF, first, 2 * mean - first)


def test_digits_are_those_of_any_of_the_rows() -> None:
    lpips = halves(0.244, 0.141)
    there = {"fid": halves(6.80, 1.03), "lpips": lpips}
    near = {"fid": halves(6.80, 1.53), "lpips": lpips}  # two standard errors are 0.58, for the halves are far apart
    off = {"fid": halves(6.80, 1.73), "lpips": lpips}
    rows = {"base_mask": off, "large_mask": there, "large_x2_mask": off}
    found = judged(1, rows)["T1.f"]
    assert found.verdict == "holds"
    assert "fid of large_mask 1.03, printed 1.03, within ±0.58" in found.evidence
    assert "base_mask" not in found.evidence
    assert verdict("T1.f", 1, {**rows, "large_mask": near}) == "holds"
    assert verdict("T1.f", 1, {**rows, "large_mask": off}) == "does not hold"
    assert verdict("T1.f", 1, {"base_mask": off, "large_mask": off}) == "not tested"
    assert verdict("T1.f", 1, rows, "mini") == "not tested"


def test_a_printed_digit_is_never_finer_than_its_rounding() -> None:
    printed = {"fid": halves(6.804, 6.804), "lpips": halves(0.244, 0.244)}
    rows = dict.fromkeys(("base_mask", "large_mask", "large_x2_mask"), printed)
    found = {one.id: one for one in judge(1, run(rows, noise=0), profile="paper")}["T1.f"]
    assert "fid_40_50 of base_mask 6.804, printed 6.8, within ±0.005" in found.evidence


# --- equal -----------------------------------------------------------------------------------------------------------


def text_to_image(base: float) -> dict[str, dict[str, float]]:
    return {
        "stablediffusion": {"fid": 20.0, "inception_score": 37.0},
        "base_nomask": {"fid": base, "inception_score": 37.2},
    }


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (20.0, "holds"),
        (20.22, "holds"),
        (19.78, "holds"),
        (20.24, "inconclusive"),
        (19.74, "inconclusive"),
        (20.28, "does not hold"),
        (19.0, "does not hold"),
    ],
)
def test_equal_is_within_the_margin_either_way(base: float, expected: str) -> None:
    found = judged(6, text_to_image(base))["T6.a"]
    assert found.verdict == expected
    assert "margin ±0.25" in found.evidence
    assert "margin ±0.5" in found.evidence


@pytest.mark.parametrize(("base", "expected"), [(20.5, "holds"), (21.0, "inconclusive"), (22.0, "does not hold")])
def test_on_mini_the_margin_is_a_share_of_the_reference_row(base: float, expected: str) -> None:
    found = judged(6, text_to_image(base), "mini")["T6.a"]
    assert found.verdict == expected
    assert "margin ±1" in found.evidence


def test_a_margin_of_the_error_is_a_share_on_paper_too() -> None:
    rows = {"stablediffusion": {"fid": 9.0, "lpips": 1.0, "pre_error": 10.0}}
    assert verdict("T2.e", 2, {**rows, "base_nomask": {"fid": 9.0, "lpips": 1.0, "pre_error": 10.4}}) == "inconclusive"
    found = judged(2, {**rows, "base_nomask": {"fid": 9.0, "lpips": 1.0, "pre_error": 10.6}})["T2.e"]
    assert found.verdict == "does not hold"
    assert "margin ±0.5" in found.evidence


# --- structure and the text ------------------------------------------------------------------------------------------


def test_latents_are_the_same_or_not() -> None:
    summary = run({"base_mask": {"fid": 1.0}})

    def found(latents: Mapping[str, str] | None) -> Verdict:
        return {one.id: one for one in judge(2, summary, profile="mini", latents=latents)}["T2.i"]

    assert found({"base_mask": "ab" * 32, "large_mask": "ab" * 32}).verdict == "holds"
    differ = found({"base_mask": "ab" * 32, "large_mask": "cd" * 32})
    assert differ.verdict == "does not hold"
    assert differ.evidence == "abababababab base_mask; cdcdcdcdcdcd large_mask"
    assert found(None).verdict == found({"base_mask": "ab"}).verdict == "not tested"


def test_outcomes_on_structure_come_from_elsewhere() -> None:
    summary = run({"base_mask": {"fid": 1.0}})

    def found(**structure: bool | str | tuple[bool, str]) -> Verdict:
        return {one.id: one for one in judge(2, summary, profile="mini", structure=structure)}["x2"]

    assert found(x2=True).verdict == "holds"
    assert found(x2=False).verdict == "does not hold"
    assert found(x2="no branch").verdict == found().verdict == "not tested"
    assert found(x2="no branch").evidence == "no branch"
    assert (found(x2=(False, "apart by 1")).verdict, found(x2=(False, "apart by 1")).evidence) == (
        "does not hold",
        "apart by 1",
    )
    with pytest.raises(ValueError, match="x5"):
        found(x5=True)


def test_claims_of_the_text_are_judged_with_table_2() -> None:
    rows = {
        "stablediffusion": {"fid": 9.5, "fid_hole_only": 9.0, "lpips_hole_only": 2.0, "border_step": 3.0},
        "large_mask": {
            "fid": 7.5,
            "fid_hole_only": 8.0,
            "lpips_hole_only": 1.5,
            "border_step": 3.0,
        },
        "large_nomask": {"fid": 9.2},
        "paste_back": {"fid": 8.0, "border_step": 4.0},
    }
    found = judged(2, rows)
    assert {key: found[key].verdict for key in ("x1", "x3.a", "x3.b", "x4", "x5", "x6")} == {
        "x1": "not tested",
        "x3.a": "holds",
        "x3.b": "holds",
        "x4": "holds",
        "x5": "holds",
        "x6": "not tested",
    }


@pytest.mark.parametrize("profile", ["mini", "paper", "custom"])
@pytest.mark.parametrize("number", TABLES)
def test_what_is_not_the_paper_profile_yields_no_digits_and_no_sizes(number: int, profile: str) -> None:
    metrics = {metric.removesuffix("_40_50") for claim in EVERY for metric in claim.metrics}
    rows = {row: dict.fromkeys(metrics, 1.0) for claim in EVERY if claim.run == number for row in rows_of(claim)}
    for found in judge(number, run(rows), profile=profile):
        assert found.scope == profile
        assert found.verdict in VERDICTS
        if profile != "paper" and found.kind == "digits":
            assert found.verdict == "not tested"
        if profile != "paper" and found.kind == "size" and found.verdict != "not tested":
            assert found.evidence.startswith("the order alone")


# --- two runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("editing", "expected"), [(8.0, "holds"), (2.0, "does not hold"), (4.0, "inconclusive"), (4.001, "inconclusive")]
)
def test_ratios_of_two_runs_are_compared(editing: float, expected: str) -> None:
    ours = {"base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    inpainting = run({**ours, "stablediffusion": {"pre_error": 4.0}})
    (found,) = judge_across({2: inpainting, 5: run({**ours, "paint_by_example": {"pre_error": editing}})}, "mini")
    assert (found.id, found.verdict, found.scope) == ("T5.f", expected, "mini")
    assert f"pre_error of base_mask falls 4-fold and {editing:.3g}-fold" in found.evidence


def test_two_runs_without_their_rows_test_nothing() -> None:
    ours = {"base_mask": {"pre_error": 1.0}, "large_mask": {"pre_error": 1.0}}
    (alone,) = judge_across({2: run(ours)}, "paper")
    assert (alone.verdict, alone.evidence) == ("not tested", "no run of Table 5")
    (found,) = judge_across({2: run(ours), 5: run(ours)}, "paper")
    assert found.verdict == "not tested"
    assert "pre_error was not measured on stablediffusion" in found.evidence


# --- branch and size -------------------------------------------------------------------------------------------------


def test_a_contrast_of_two_rows_is_their_difference() -> None:
    summary = run({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    difference = summary.difference("large_mask", "base_mask", "fid")
    contrast = summary.contrast({"large_mask": 1, "base_mask": -1}, "fid")
    assert isinstance(difference, Difference)
    assert isinstance(contrast, Difference)
    assert contrast.ci95 == pytest.approx(difference.ci95)
    assert [contrast.value, contrast.stderr, contrast.p_value] == pytest.approx(
        [difference.value, difference.stderr, difference.p_value]
    )


def test_a_contrast_is_over_the_same_items_or_not_at_all() -> None:
    summary = run({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    assert summary.contrast({"base_mask": 1, "lama": -1}, "fid") == "fid was not measured on lama"
    assert summary.contrast({"lama": 1, "base_mask": -1}, "fid") == "fid was not measured on lama"
    one = run({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}}, sources=1)
    assert one.contrast({"base_mask": 1, "large_mask": -1}, "fid") == "fewer than two independent sources"


def test_branch_and_size_have_an_interaction() -> None:
    values = {"base_mask": 7.0, "base_nomask": 9.0, "large_mask": 6.5, "large_nomask": 8.9}
    values |= {"stablediffusion": 9.1, "vanilla_finetuned": 9.05}
    found = dict(two_by_two(run({row: {"fid": value} for row, value in values.items()}), "fid"))
    expected = {
        "branch at base": -2.0,
        "branch at large": -2.4,
        "size with the branch": -0.5,
        "size without the branch": -0.1,
        "training on": -0.05,
        "interaction": -0.4,
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        difference = found[name]
        assert isinstance(difference, Difference)
        assert difference.value == pytest.approx(value)
        assert difference.stderr == pytest.approx(ERROR * (np.sqrt(2) if name == "interaction" else 1))


def test_the_vanilla_decoder_of_editing_is_paint_by_examples() -> None:
    rows = {"paint_by_example": {"clip_score": 85.0}, "vanilla_finetuned": {"clip_score": 85.5}}
    found = dict(two_by_two(run(rows), "clip_score"))
    training = found["training on"]
    assert isinstance(training, Difference)
    assert training.value == pytest.approx(0.5)
    assert found["interaction"] == "clip_score was not measured on large_mask"
