"""Statements on designs: what several trainings of each design say beside the verdict on the measured networks."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from bench.metrics.uncertainty import Difference
from bench.tables.designs import DesignDifference, NoSeeds, TrainingSeeds, design_difference
from bench.tables.effects import effects_of
from bench.tables.judging import judge
from bench.tables.verdicts import Verdict
from tests.tables.runs import ERROR, judged_run, summary_of


class Trained:
    """FID or error of each row for seeds 0, 1, 2 …, the first of which are the run's; the given rows have no design."""

    def __init__(self, seeds: Mapping[str, list[float]], given: Sequence[str], tried: Mapping[str, int]) -> None:
        self.seeds, self.fixed, self.tried = seeds, given, tried

    def values(self, row: str, metric: str) -> Mapping[int, float] | str:
        known = row in self.seeds and metric in ("fid", "pre_error")
        return dict(enumerate(self.seeds[row])) if known else f"no {metric} of trainings of {row}"

    def design(self, row: str) -> str | None:
        return None if row in self.fixed else row.rpartition("_")[0]

    def recipes_tried(self, row: str) -> int | None:
        return self.tried.get(row)


def trained(*given: str, **seeds: list[float]) -> Trained:
    return Trained(seeds, given, {})


def of_sizes(seeds: TrainingSeeds, base: float = 7.0, large: float = 6.9) -> Verdict:
    summary = summary_of(
        {"base_mask": {"fid": base}, "large_mask": {"fid": large}, "large_x2_mask": {"fid": large - 0.1}}
    )
    return {one.id: one for one in judge(judged_run(9, summary, "mini", seeds=seeds))}["T9.a"]


def test_a_design_is_better_where_its_trainings_are() -> None:
    seeds = trained(base_mask=[7.0, 7.01, 6.99], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "holds")
    assert "mean over trainings (large 3, base 3) -0.1" in found.design_evidence
    assert "by training seeds" in found.design_evidence


def test_a_design_whose_trainings_scatter_is_inconclusive() -> None:
    seeds = trained(base_mask=[7.0, 6.7, 7.3], large_mask=[6.9, 7.2, 6.6], large_x2_mask=[6.8, 6.5, 7.1])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "inconclusive")


def test_trainings_that_contradict_the_measured_networks_make_the_design_inconclusive() -> None:
    seeds = trained(base_mask=[6.0, 7.9, 7.8], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds, 6.0)
    assert (found.verdict, found.design) == ("does not hold", "inconclusive")


def test_fewer_than_three_trainings_say_nothing_of_a_design() -> None:
    seeds = trained(base_mask=[7.0, 7.01], large_mask=[6.9, 6.91, 6.89], large_x2_mask=[6.8, 6.81, 6.79])
    found = of_sizes(seeds)
    assert (found.verdict, found.design) == ("holds", "not tested")
    assert "found 2 of base" in found.design_evidence


def test_one_training_of_each_design_is_said_to_be_one() -> None:
    found = of_sizes(NoSeeds())
    assert (found.verdict, found.design) == ("holds", "not tested")
    assert "no other training of large_mask was measured" in found.design_evidence


def test_the_variance_is_that_of_items_and_of_seeds() -> None:
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
    parts = [(ERROR**2, 399.0), (np.var(new, ddof=1) / 4, 3.0), (np.var(old, ddof=1) / 3, 2.0)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / free for part, free in parts)
    assert found.ci95 == pytest.approx(stats.t.interval(0.95, freedom, found.value, np.sqrt(total)))
    assert found.item_error == ERROR


def test_rows_that_one_network_makes_vary_together() -> None:
    measured = Difference(-2.0, 0.0, (-2.0, -2.0), 0.0, 400, 130.0, 399.0)
    seeds = trained(base_mask=[7.0, 7.5, 6.5], base_nomask=[9.0, 9.5, 8.5])
    found = design_difference({"base_mask": 1, "base_nomask": -1}, "fid", measured, seeds)
    assert isinstance(found, DesignDifference)
    assert (found.value, found.seed_error) == pytest.approx((-2.0, 0.0))
    assert found.seeds == {"base": 3}


def test_a_given_network_has_no_seeds() -> None:
    measured = Difference(-2.0, 0.0, (-2.0, -2.0), 0.0, 400, 130.0, 399.0)
    seeds = trained("stablediffusion", base_mask=[7.0, 7.5, 6.5])
    found = design_difference({"base_mask": 1, "stablediffusion": -1}, "fid", measured, seeds)
    assert isinstance(found, DesignDifference)
    assert found.ci95 == pytest.approx(
        tuple(stats.t.interval(0.95, 2, -2.0, np.std([7.0, 7.5, 6.5], ddof=1) / np.sqrt(3)))
    )


def test_evidence_has_how_many_recipes_were_tried_where_the_numbers_differ() -> None:
    summary = summary_of({"base_mask": {"pre_error": 7.0}, "base_concat": {"pre_error": 6.9}})
    seeds = Trained({}, (), {"base_mask": 28, "base_concat": 1})
    found = {one.id: one for one in judge(judged_run(3, summary, "mini", seeds=seeds))}["T3.b"]
    assert found.evidence.endswith("training recipes tried: base_concat 1, base_mask 28")
    alike = Trained({}, (), {"base_mask": 2, "base_concat": 2})
    found = {one.id: one for one in judge(judged_run(3, summary, "mini", seeds=alike))}["T3.b"]
    assert "recipes" not in found.evidence


# --- branch and size -------------------------------------------------------------------------------------------------


def test_a_contrast_of_two_rows_is_their_difference() -> None:
    summary = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    difference = summary.difference("large_mask", "base_mask", "fid")
    contrast = summary.contrast({"large_mask": 1, "base_mask": -1}, "fid")
    assert isinstance(difference, Difference)
    assert isinstance(contrast, Difference)
    assert contrast.ci95 == pytest.approx(difference.ci95)
    assert [contrast.value, contrast.stderr, contrast.p_value] == pytest.approx(
        [difference.value, difference.stderr, difference.p_value]
    )


def test_a_contrast_is_over_the_same_items_or_not_at_all() -> None:
    summary = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}})
    assert summary.contrast({"base_mask": 1, "lama": -1}, "fid") == "fid was not measured on lama"
    assert summary.contrast({"lama": 1, "base_mask": -1}, "fid") == "fid was not measured on lama"
    one = summary_of({"base_mask": {"fid": 1.0}, "large_mask": {"fid": 1.5}}, sources=1)
    assert one.contrast({"base_mask": 1, "large_mask": -1}, "fid") == "fewer than two independent sources"


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
        "training on": -0.05,
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
    assert found["training on"].designs == "no fid of trainings of vanilla_finetuned"
    assert {found[name].designs.value for name in list(found)[:4]} == set()


def test_the_vanilla_decoder_of_editing_is_paint_by_examples() -> None:
    rows = {"paint_by_example": {"clip_score": 85.0}, "vanilla_finetuned": {"clip_score": 85.5}}
    found = {effect.name: effect.measured for effect in effects_of(summary_of(rows), "clip_score", NoSeeds())}
    training = found["training on"]
    assert isinstance(training, Difference)
    assert training.value == pytest.approx(0.5)
    assert found["interaction"] == "clip_score was not measured on large_mask"
