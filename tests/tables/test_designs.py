"""Tests of statements on designs, which combine several trainings with the measured networks."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.designs import DesignDifference, NoSeeds, TrainingSeeds, design_difference
from bench.tables.effects import effects_of
from bench.tables.judging import judge
from bench.tables.verdicts import Verdict
from tests.tables.runs import ERROR, judged_run, summary_of

SIZES = ("base_mask", "large_mask", "large_x2_mask")


class Trained:
    """Hold metrics of each row for seeds 0, 1, 2, …; the first are the run's, and given rows have no design."""

    def __init__(self, seeds: Mapping[str, list[float]], given: Sequence[str], tried: Mapping[str, int]) -> None:
        self.seeds, self.fixed, self.tried = seeds, given, tried

    def values(self, row: str, metric: str) -> Mapping[int, float] | NotAvailable:
        known = row in self.seeds and metric in ("fid", "inception_score", "pre_error")
        return dict(enumerate(self.seeds[row])) if known else NotAvailable(f"no {metric} of trainings of {row}")

    def design(self, row: str) -> str | None:
        return None if row in self.fixed else row.rpartition("_")[0]

    def recipes_tried(self, row: str) -> int | None:
        return self.tried.get(row)


EXACT = Difference(-0.1, 0.0, (-0.1, -0.1), 0.0, 400, 130.0, 399.0)
"""Difference between measured networks without an error over items."""


def trained(*given: str, **seeds: list[float]) -> Trained:
    return Trained(seeds, given, {})


def of_sizes(seeds: TrainingSeeds, base: float = 7.0, large: float = 6.9) -> Verdict:
    summary = summary_of(
        {"base_mask": {"fid": base}, "large_mask": {"fid": large}, "large_x2_mask": {"fid": large - 0.1}}
    )
    return {one.id: one for one in judge(judged_run(9, summary, "mini", seeds=seeds))}["T9.a"]


@pytest.mark.blackbox
def test_a_design_is_better_if_its_trainings_are() -> None:
    seeds = trained(base_mask=[7.0, 7.01, 6.99], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "holds")
    # Three trainings each that deviate by 0.01 have an interval of ± 0.0227, with 4 degrees of freedom, and the items
    # one of ± 0.0197, which is hardly skewed: together ± 0.0300.
    assert found.design_evidence == (
        "fid large_mask - base_mask: mean over trainings (large 3, base 3) -0.1 [-0.13, -0.07], "
        "standard error 0.0082 by training seeds, 0.01 by items; "
        "fid large_x2_mask - large_mask: mean over trainings (large_x2 3, large 3) -0.1 [-0.13, -0.0699], "
        "standard error 0.0082 by training seeds, 0.01 by items"
    )


@pytest.mark.blackbox
def test_a_design_whose_trainings_scatter_is_inconclusive() -> None:
    seeds = trained(base_mask=[7.0, 6.7, 7.3], large_mask=[6.9, 7.2, 6.6], large_x2_mask=[6.8, 6.5, 7.1])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "inconclusive")


@pytest.mark.blackbox
def test_trainings_that_contradict_the_measured_networks_make_the_design_inconclusive() -> None:
    seeds = trained(base_mask=[6.0, 7.9, 7.8], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds, 6.0)
    assert (found.verdict, found.design) == ("does not hold", "inconclusive")
    assert found.design_evidence.startswith("fid large_mask - base_mask: mean over trainings (large 3, base 3) ")


@pytest.mark.blackbox
def test_the_mean_over_trainings_of_either_design_moves_their_difference() -> None:
    seeds = trained(base_mask=[7.0, 7.03, 7.03], large_mask=[6.9, 6.93, 6.96], large_x2_mask=[6.8, 6.8, 6.8])
    found = of_sizes(seeds)
    assert "fid large_mask - base_mask: mean over trainings (large 3, base 3) -0.09 [" in found.design_evidence
    assert "fid large_x2_mask - large_mask: mean over trainings (large_x2 3, large 3) -0.13 [" in found.design_evidence


@pytest.mark.blackbox
def test_fewer_than_three_trainings_decide_no_design() -> None:
    seeds = trained(base_mask=[7.0, 7.01], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "not tested")
    assert "found 2 of base" in found.design_evidence
    few = design_difference(
        {"large_mask": 1, "base_mask": -1}, "fid", EXACT, trained(large_mask=[6.9, 6.8], base_mask=[7.0])
    )
    assert few == NotAvailable("a verdict on designs requires 3 trainings each: found 2 of large, 1 of base")


@pytest.mark.blackbox
def test_no_statement_is_made_on_unmeasured_designs() -> None:
    found = of_sizes(NoSeeds(), float("nan"))
    assert (found.verdict, found.design) == ("not tested", "not tested")
    assert found.design_evidence == (
        "fid large_mask - base_mask: not tested on the measured networks; "
        "no other training of large_x2_mask was measured on these items"
    )


@pytest.mark.blackbox
def test_designs_are_equal_if_the_margin_contains_their_interval() -> None:
    rows = {"stablediffusion": {"fid": 20.0, "inception_score": 37.0}}
    rows["base_nomask"] = {"fid": 20.0, "inception_score": 37.0}

    def found(values: list[float]) -> Verdict:
        seeds = trained("stablediffusion", base_nomask=values)
        return {one.id: one for one in judge(judged_run(6, summary_of(rows), seeds=seeds))}["T6.a"]

    close = found([20.0, 20.001, 19.999])
    assert (close.verdict, close.design) == ("holds", "holds")
    assert "mean over trainings (base 3)" in close.design_evidence
    assert found([20.0, 20.1, 19.9]).design == "inconclusive"
    assert found([20.0, 20.5, 20.5]).design == "inconclusive"  # where measured networks and designs do not agree
    assert found([20.0, 20.3, 20.3, 20.3, 20.3]).verdict == "holds"
    rows["base_nomask"]["fid"] = 20.5
    assert (found([20.5, 20.501, 20.499]).verdict, found([20.5, 20.501, 20.499]).design) == ("does not hold",) * 2


@pytest.mark.blackbox
def test_a_higher_score_makes_a_design_better() -> None:
    rows = {"stablediffusion": {"inception_score": 37.0}, "large_nomask": {"inception_score": 37.2}}
    seeds = trained("stablediffusion", large_nomask=[37.2, 37.21, 37.19])
    found = {one.id: one for one in judge(judged_run(6, summary_of(rows), seeds=seeds))}["T6.c"]
    assert (found.verdict, found.design) == ("holds", "holds")
    rows["large_nomask"]["inception_score"] = 36.8
    seeds = trained("stablediffusion", large_nomask=[36.8, 36.81, 36.79])
    found = {one.id: one for one in judge(judged_run(6, summary_of(rows), seeds=seeds))}["T6.c"]
    assert (found.verdict, found.design) == ("does not hold", "does not hold")


@pytest.mark.blackbox
@pytest.mark.parametrize("ci95", [(0.0, 0.4), (-0.4, 0.0)])
def test_an_interval_of_designs_that_ends_at_zero_decides_nothing(
    ci95: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = trained("stablediffusion", large_nomask=[7.1, 7.2, 7.3])
    at_zero = DesignDifference(0.2, ci95, {"large": 3}, 0.1, 0.01, 130.0)
    monkeypatch.setattr("bench.tables.orders.design_difference", lambda *arguments: at_zero)
    for large in (7.1, 6.9):
        summary = summary_of({"stablediffusion": {"fid": 7.0}, "large_nomask": {"fid": large}})
        found = {one.id: one for one in judge(judged_run(6, summary, seeds=seeds))}["T6.b"]
        assert (found.verdict, found.design) == ("does not hold" if large > 7 else "holds", "inconclusive")


@pytest.mark.blackbox
def test_one_training_of_each_design_is_reported() -> None:
    found = of_sizes(NoSeeds())
    assert (found.verdict, found.design) == ("holds", "not tested")
    assert "no other training of large_mask was measured" in found.design_evidence


@pytest.mark.reference
def test_the_interval_combines_those_of_items_and_seeds() -> None:
    new, old = [6.9, 6.95, 6.82, 6.9], [7.0, 7.1, 6.9]
    measured = Difference(-0.1, ERROR, (-0.12, -0.08), 0.0, 400, 130.0, 399.0)
    found = design_difference(
        {"large_mask": 1, "base_mask": -1}, "fid", measured, trained(large_mask=new, base_mask=old)
    )
    assert isinstance(found, DesignDifference)
    welch = stats.ttest_ind(new, old, equal_var=False)
    assert found.seed_error == pytest.approx((np.mean(new) - np.mean(old)) / welch.statistic)
    assert found.value == pytest.approx(np.mean(new) - np.mean(old))
    exact = Difference(-0.1, 0.0, (-0.1, -0.1), 0.0, 400, 130.0, 399.0)
    without_items = design_difference(
        {"large_mask": 1, "base_mask": -1}, "fid", exact, trained(large_mask=new, base_mask=old)
    )
    assert isinstance(without_items, DesignDifference)
    assert without_items.ci95 == pytest.approx(tuple(welch.confidence_interval()))
    low, high = welch.confidence_interval()
    expected = (found.value - np.hypot(found.value - low, 0.02), found.value + np.hypot(high - found.value, 0.02))
    assert found.ci95 == pytest.approx(expected)
    assert (found.item_error, found.effective_sources) == (ERROR, 130.0)


@pytest.mark.blackbox
def test_seeds_that_agree_keep_the_interval_over_items() -> None:
    """The interval keeps its long side, which skewed sources cause."""
    skewed = Difference(-0.1, ERROR, (-0.3, 0.02), 0.2, 400, 3.0, 20.0)
    found = design_difference({"large_mask": 1}, "fid", skewed, trained(large_mask=[7.0, 7.0, 7.0]))
    assert isinstance(found, DesignDifference)
    assert (found.ci95, found.seed_error) == (pytest.approx((-0.3, 0.02)), 0.0)
    assert found.decided_by_few


@pytest.mark.blackbox
def test_rows_that_one_network_makes_vary_together() -> None:
    measured = Difference(-2.0, 0.0, (-2.0, -2.0), 0.0, 400, 130.0, 399.0)
    seeds = trained(base_mask=[7.0, 7.5, 6.5], base_nomask=[9.0, 9.5, 8.5])
    found = design_difference({"base_mask": 1, "base_nomask": -1}, "fid", measured, seeds)
    assert isinstance(found, DesignDifference)
    assert (found.value, found.seed_error) == pytest.approx((-2.0, 0.0))
    assert found.seeds == {"base": 3}


@pytest.mark.blackbox
def test_a_given_network_has_no_seeds() -> None:
    measured = Difference(-2.0, 0.0, (-2.0, -2.0), 0.0, 400, 130.0, 399.0)
    seeds = trained("stablediffusion", base_mask=[7.0, 7.5, 6.5])
    found = design_difference({"base_mask": 1, "stablediffusion": -1}, "fid", measured, seeds)
    assert isinstance(found, DesignDifference)
    assert found.ci95 == pytest.approx(
        tuple(stats.t.interval(0.95, 2, -2.0, np.std([7.0, 7.5, 6.5], ddof=1) / np.sqrt(3)))
    )


@pytest.mark.blackbox
def test_a_given_network_may_come_first() -> None:
    seeds = trained("stablediffusion", base_mask=[7.0, 7.5, 6.5])
    weights = {"stablediffusion": 1, "base_mask": -1}
    found = design_difference(weights, "fid", EXACT, seeds)
    assert isinstance(found, DesignDifference)
    assert found.seeds == {"base": 3}
    assert found.seed_error == pytest.approx(0.5 / np.sqrt(3))


@pytest.mark.blackbox
def test_two_given_networks_are_not_compared_as_designs() -> None:
    seeds = trained("stablediffusion", "paint_by_example")
    found = design_difference({"stablediffusion": 1, "paint_by_example": -1}, "fid", EXACT, seeds)
    assert found == NotAvailable("none of the compared rows has a decoder that was trained")


@pytest.mark.blackbox
def test_trainings_with_equal_values_have_no_error() -> None:
    seeds = trained(base_mask=[7.0] * 3, large_mask=[6.5] * 3)
    found = design_difference({"large_mask": 1, "base_mask": -1}, "fid", EXACT, seeds)
    assert found == DesignDifference(-0.1, (-0.1, -0.1), {"large": 3, "base": 3}, 0.0, 0.0, 130.0)


@pytest.mark.blackbox
def test_only_seeds_common_to_all_rows_of_a_design_are_used() -> None:
    weights = {"base_mask": 1, "base_nomask": -1}
    for seeds in (
        trained(base_mask=[7.0, 7.5, 6.5, 99.0], base_nomask=[9.0, 9.5, 8.8]),
        trained(base_mask=[7.0, 7.5, 6.5], base_nomask=[9.0, 9.5, 8.8, 99.0]),
    ):
        found = design_difference(weights, "fid", EXACT, seeds)
        assert isinstance(found, DesignDifference)
        assert found.seeds == {"base": 3}
        assert found.value == pytest.approx(EXACT.value + np.mean([-2.0, -2.0, -2.3]) + 2.0)


@pytest.mark.blackbox
def test_evidence_contains_the_numbers_of_recipes_if_they_differ() -> None:
    summary = summary_of({"base_mask": {"pre_error": 7.0}, "base_concat": {"pre_error": 6.9}})
    seeds = Trained({}, (), {"base_mask": 28, "base_concat": 1})
    found = {one.id: one for one in judge(judged_run(3, summary, "mini", seeds=seeds))}["T3.b"]
    assert found.evidence.endswith("training recipes tried: base_concat 1, base_mask 28")
    alike = Trained({}, (), {"base_mask": 2, "base_concat": 2})
    found = {one.id: one for one in judge(judged_run(3, summary, "mini", seeds=alike))}["T3.b"]
    assert "recipes" not in found.evidence
    one = Trained({}, (), {"base_mask": 2})
    assert "recipes" not in {one.id: one for one in judge(judged_run(3, summary, seeds=one))}["T3.b"].evidence


@pytest.mark.blackbox
def test_evidence_not_on_designs_contains_no_recipes() -> None:
    summary = summary_of({row: {"fid": 7.0} for row in ("base_mask", "large_mask", "large_x2_mask")})
    seeds = Trained({}, (), {"base_mask": 28, "large_mask": 1})
    found = {one.id: one for one in judge(judged_run(9, summary, seeds=seeds))}
    assert found["T9.a"].verdict == "inconclusive"
    assert found["T9.a"].evidence.endswith("; training recipes tried: large_mask 1, base_mask 28")
    assert "recipes" not in found["T9.d"].evidence
    assert (found["T9.d"].design, found["T9.d"].design_evidence) == ("", "")


# --- branch and size -------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_a_contrast_of_two_rows_equals_their_difference() -> None:
    summary = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    difference = summary.difference("large_mask", "base_mask", "fid")
    contrast = summary.contrast({"large_mask": 1, "base_mask": -1}, "fid")
    assert isinstance(difference, Difference)
    assert isinstance(contrast, Difference)
    assert contrast.ci95 == pytest.approx(difference.ci95)
    assert [contrast.value, contrast.stderr, contrast.p_value] == pytest.approx(
        [difference.value, difference.stderr, difference.p_value]
    )


@pytest.mark.blackbox
def test_a_contrast_needs_equal_items() -> None:
    summary = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    assert summary.contrast({"base_mask": 1, "lama": -1}, "fid") == NotAvailable("fid was not measured on lama")
    assert summary.contrast({"lama": 1, "base_mask": -1}, "fid") == NotAvailable("fid was not measured on lama")
    one = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}}, sources=1)
    assert one.contrast({"base_mask": 1, "large_mask": -1}, "fid") == NotAvailable("fewer than two independent sources")


@pytest.mark.blackbox
def test_branch_and_size_have_an_interaction() -> None:
    values = {"base_mask": 7.0, "base_nomask": 9.0, "large_mask": 6.5, "large_nomask": 8.9}
    values |= {"stablediffusion": 9.1, "vanilla_finetuned": 9.05}
    summary = summary_of({row: {"fid": value} for row, value in values.items()})
    seeds = trained(
        base_mask=[7.0, 7.1, 6.9], base_nomask=[9.0, 9.2, 8.8], large_mask=[6.5] * 3, large_nomask=[8.9] * 3
    )
    found = {effect.name: effect for effect in effects_of(summary, "fid", seeds)}
    expected = {
        "branch at base": -2.0,
        "branch at large": -2.4,
        "size with the branch": -0.5,
        "size without the branch": -0.1,
        "fine-tuning": -0.05,
        "interaction": -0.4,
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        difference = found[name].measured
        assert isinstance(difference, Difference)
        assert difference.value == pytest.approx(value)
        assert difference.stderr == pytest.approx(ERROR * (np.sqrt(2) if name == "interaction" else 1))
    interaction = found["interaction"].designs
    assert isinstance(interaction, DesignDifference)
    assert interaction.value == pytest.approx(-0.4)
    assert interaction.seed_error == pytest.approx(0.1 / np.sqrt(3))  # of the branch's effect at base, seed by seed
    assert found["fine-tuning"].designs == NotAvailable("no fid of trainings of vanilla_finetuned")
    for name in ("branch at base", "branch at large", "size with the branch", "size without the branch"):
        designs = found[name].designs
        assert isinstance(designs, DesignDifference)
        assert designs.value == pytest.approx(expected[name])


@pytest.mark.blackbox
def test_the_vanilla_decoder_of_editing_belongs_to_paint_by_example() -> None:
    rows = {"paint_by_example": {"clip_score": 85.0}, "vanilla_finetuned": {"clip_score": 85.5}}
    found = {effect.name: effect.measured for effect in effects_of(summary_of(rows), "clip_score", NoSeeds())}
    training = found["fine-tuning"]
    assert isinstance(training, Difference)
    assert training.value == pytest.approx(0.5)
    assert found["interaction"] == NotAvailable("clip_score was not measured on large_mask")


@pytest.mark.blackbox
def test_the_inpainting_vanilla_decoder_is_reported_missing_if_none_was_measured() -> None:
    summary = summary_of({"vanilla_finetuned": {"fid": 9.05}})
    (training,) = (effect for effect in effects_of(summary, "fid", NoSeeds()) if effect.name == "fine-tuning")
    assert training.measured == training.designs == NotAvailable("fid was not measured on stablediffusion")


@pytest.mark.blackbox
def test_the_inpainting_vanilla_decoder_is_used_if_both_were_measured() -> None:
    rows = {"paint_by_example": 9.5, "stablediffusion": 9.1, "vanilla_finetuned": 9.05}
    summary = summary_of({row: {"fid": value} for row, value in rows.items()})
    (training,) = (effect for effect in effects_of(summary, "fid", NoSeeds()) if effect.name == "fine-tuning")
    assert isinstance(training.measured, Difference)
    assert training.measured.value == pytest.approx(-0.05)


class ByMetric(Trained):
    """Hold trainings with different values for each metric."""

    def values(self, row: str, metric: str) -> Mapping[int, float] | NotAvailable:
        return dict(enumerate(self.seeds[f"{metric} of {row}"]))


@pytest.mark.blackbox
def test_trainings_must_confirm_the_deciding_comparison() -> None:
    """The networks fail in FID and leave LPIPS open; the trainings contradict FID and fail in LPIPS."""
    rows = {
        "base_mask": {"fid": 7.0, "lpips": 7.0, "pre_error": 7.0},
        "large_mask": {"fid": 7.2, "lpips": 7.0, "pre_error": 6.0},
    }
    seeds = {
        "fid of large_mask": [7.2, 6.0, 6.01, 6.0, 6.01, 6.0, 6.01],
        "lpips of large_mask": [7.0, 7.3, 7.31, 7.3, 7.31, 7.3, 7.31],
        "pre_error of large_mask": [6.0, 6.01, 6.0],
    }
    seeds |= {f"{metric} of base_mask": [7.0, 7.01, 7.0] for metric in ("fid", "lpips", "pre_error")}
    run = judged_run(2, summary_of(rows), seeds=ByMetric(seeds, (), {}))
    found = {one.id: one for one in judge(run)}["T2.d"]
    assert found.verdict == "does not hold"
    assert found.design == "inconclusive"


@pytest.mark.blackbox
def test_a_design_that_few_sources_decide_is_inconclusive() -> None:
    seeds = trained(base_mask=[7.0, 7.01, 6.99], large_mask=[6.0, 6.01, 5.99], large_x2_mask=[5.0, 5.01, 4.99])
    summary = summary_of({row: {"fid": value} for row, value in zip(SIZES, (7.0, 6.0, 5.0), strict=True)}, sources=4)
    found = {one.id: one for one in judge(judged_run(9, summary, "mini", seeds=seeds))}["T9.a"]
    assert (found.verdict, found.design) == ("inconclusive", "inconclusive")
    assert "effective sources decide the result" in found.design_evidence
