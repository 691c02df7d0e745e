"""Tests of the metrics that a choice replaces, and of differences between numbers on different items."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config.schema import Choice, ReferenceChange
from bench.metrics.frechet import frechet_estimate
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.metrics.uncertainty import Difference, mean_estimate
from bench.runtime.not_available import NotAvailable
from bench.tables.sensitivity import USUAL, View, counterpart, difference, needed, restricted, view_of
from tests.helpers.imports import HEAVY, loaded_with

COLUMNS = ["fid", "fid_40_50", "lpips", "pre_error"]
CHOICES = {
    "round": Choice("rounded", saved="round"),
    "clean": Choice("clean", metrics={"fid": "fid_clean"}),
    "online": Choice("edges", bins="online"),
    "half": Choice("half", items=0.5),
    "squashed": Choice("squashed", reference=ReferenceChange(fit="squash")),
}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("round", ["fid_saved_round", "fid_saved_round_40_50", "lpips_saved_round", "pre_error_saved_round"]),
        ("clean", ["fid_clean", "fid_clean_40_50", None, None]),
        ("online", [None, "fid_40_50", None, None]),
        ("half", COLUMNS),
        ("squashed", ["fid", "fid_40_50", None, None]),
    ],
)
def test_a_choice_changes_only_what_it_names(choice: str, expected: list[str | None]) -> None:
    assert [counterpart(metric, CHOICES[choice]) for metric in COLUMNS] == expected


@pytest.mark.blackbox
def test_only_shown_metrics_are_estimated() -> None:
    names = needed(COLUMNS, CHOICES)
    online = View("online")
    assert names[online] == ["fid_40_50"]
    assert names[View(share=0.5)] == COLUMNS
    assert names[View(reference="squashed")] == ["fid", "fid_40_50"]
    rounded = [f"{metric}_saved_round" for metric in ("fid", "lpips", "pre_error")]
    expected = [*COLUMNS, rounded[0], "fid_saved_round_40_50", *rounded[1:], "fid_clean", "fid_clean_40_50"]
    assert names[USUAL] == expected  # in one order in every process
    arrays = {
        "a.features": np.zeros((4, 2)),
        "a.features_saved_round": np.zeros((4, 2)),
        "b.features": np.zeros((4, 2)),
    }
    values = {"lpips": np.zeros(4), "lpips_saved_round": np.zeros(4), "psnr": np.zeros(4)}
    sets = {"fid": "a.features", "kid": "a.features", "fid_clean": "b.features"}
    scored = Scored({"row": {**arrays, **values}}, arrays, sets, list("abcd"), range(4), np.full(4, 0.45))
    found = restricted(scored, names[USUAL])
    assert set(found.rows["row"]) == {*arrays, "lpips", "lpips_saved_round"}
    assert set(found.sets) == {"fid", "fid_clean"}
    assert set(restricted(scored, names[online]).rows["row"]) == {"a.features"}


@pytest.mark.reference
def test_the_difference_of_a_bin_and_its_error_count_items_that_move() -> None:
    """The standard error is compared with that over resamples of the items."""
    draw = np.random.default_rng(0)

    def both(values: np.ndarray, areas: np.ndarray) -> list[Summary]:  # type: ignore[type-arg]
        sources = [str(index) for index in range(len(values))]
        scored = Scored({"row": {"x": values}}, {}, {}, sources, range(len(values)), areas)
        return [Summary(scored, 2, ((40, 50),), rule) for rule in ("offline", "online")]

    def sample(count: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        areas = draw.choice([0.45, 0.5, 0.6], count, p=[0.6, 0.3, 0.1])
        return draw.standard_normal(count) + 3 * (areas == 0.5), areas

    values, areas = sample(400)
    usual, other = both(values, areas)
    found = difference(other.found("row", "x_40_50"), usual.found("row", "x_40_50"), usual.scored.sources)
    assert not isinstance(found, NotAvailable)
    inside, more = values[areas == 0.45], values[areas <= 0.5]
    assert found.value == pytest.approx(more.mean() - inside.mean(), rel=1e-12)
    moved = []
    for _ in range(2000):
        values, areas = sample(400)
        moved.append(values[areas <= 0.5].mean() - values[areas == 0.45].mean())
    assert found.stderr == pytest.approx(np.std(moved), rel=0.15)
    assert other.statistic("x_40_50")["items"] == "share of hole in (40 %, 50 %]"
    assert usual.statistic("x_40_50")["items"] == "share of hole in [40 %, 50 %)"


@pytest.mark.blackbox
def test_equal_numbers_differ_by_zero_and_missing_ones_give_a_reason() -> None:
    there = np.ones(4, np.bool_)
    found = mean_estimate([1.0, 2.0, 3.0, 5.0]), there
    same = difference(found, found, list("abcd"))
    assert not isinstance(same, NotAvailable)
    assert (same.value, same.stderr) == (0, 0)
    none = NotAvailable("none")
    assert difference(none, found, list("abcd")) == difference(found, none, list("abcd")) == none
    assert difference(found, found, list("aaaa")) == NotAvailable("fewer than two independent sources")


@pytest.mark.blackbox
def test_tables_do_not_import_torch(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert not HEAVY & loaded_with("bench.tables.sensitivity, bench.tables.sensitivity_render", tmp_path)


@pytest.mark.blackbox
def test_a_view_names_the_bins_the_share_and_the_reference_set() -> None:
    assert str(USUAL) == str(view_of("round", CHOICES)) == str(view_of("", CHOICES)) == ""
    names = [str(view_of(name, CHOICES)) for name in ("online", "half", "squashed")]
    assert names == ["online bins", "50% of the items", "reference squashed"]


@pytest.mark.reference
def test_half_of_the_items_and_another_reference_give_the_distance_of_just_these_features() -> None:
    draw = np.random.default_rng(1)
    images, truth, others = (draw.standard_normal((40, 3)) + shift for shift in (0.0, 0.1, 1.0))
    sources = [str(index) for index in range(40)]
    scored = Scored(
        {"row": {"a.features": images}}, {"a.features": truth}, {"fid": "a.features"}, sources, range(40), np.ones(40)
    )
    half = Summary(scored, 2, share=0.5).measurement("row", "fid")
    assert half.n == 20
    assert half.value == pytest.approx(frechet_estimate(images[1::2], truth[1::2]).value, rel=1e-9)
    few = replace(scored, truth={"a.features": others[:30]}, references=range(30), reference="others")
    other = Summary(few, 2)
    assert other.measurement("row", "fid").value == pytest.approx(frechet_estimate(images, others[:30]).value, rel=1e-9)
    statistics = [summary.statistic("fid") for summary in (Summary(scored, 2), Summary(scored, 2, share=0.5), other)]
    assert statistics[1] == {**statistics[0], "share of the items": 0.5}
    assert statistics[2] == {**statistics[0], "reference": "others"}
    assert isinstance(
        difference(other.found("row", "fid"), Summary(scored, 2).found("row", "fid"), sources), Difference
    )
