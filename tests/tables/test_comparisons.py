"""Tests of the comparisons of a run: their families and adjusted p-values."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.metrics.uncertainty import Difference, holm
from bench.runtime.not_available import NotAvailable
from bench.tables.claims import Claim, Comparison
from bench.tables.comparisons import Comparisons, PairDifference, TableRows
from tests.tables.runs import summary_of

pytestmark = pytest.mark.blackbox


def compared(*, further: tuple[str, ...] = ()) -> Comparisons:
    values = {"stablediffusion": 7.0, "base_mask": 6.977, "large_mask": 6.97, "paste_back": 6.98}
    summary = summary_of({row: {"fid": value, "lpips": value} for row, value in values.items()})
    paper = tuple(row for row in values if row not in further)
    return Comparisons(summary, TableRows("stablediffusion", paper, further, tuple(values)))


def single(found: Comparisons, row: str) -> float:
    difference = found.difference(Comparison(row, "stablediffusion", "fid"))
    assert isinstance(difference, Difference)
    return difference.p_value


def test_p_values_are_adjusted_over_the_rows_and_not_over_the_metrics() -> None:
    found = compared()
    table = found.table()
    alone = {row: single(found, row) for row in ("large_mask", "base_mask", "paste_back")}
    assert sorted(alone.values()) == list(alone.values())
    low, middle, high = alone
    assert table[low]["fid"].p_holm == pytest.approx(3 * alone[low])
    assert table[middle]["fid"].p_holm == pytest.approx(max(2 * alone[middle], 3 * alone[low]))
    assert table[high]["fid"].p_holm == pytest.approx(max(alone[high], 2 * alone[middle]))
    assert table[low]["lpips"].p_holm == pytest.approx(table[low]["fid"].p_holm)


def test_rows_outside_the_paper_do_not_change_its_p_values() -> None:
    found = compared(further=("paste_back",))
    table = found.table()
    assert table["large_mask"]["fid"].p_holm == pytest.approx(2 * single(found, "large_mask"))
    assert table["paste_back"]["fid"].p_holm == pytest.approx(single(found, "paste_back"))


def test_a_pair_of_no_family_has_no_adjusted_p_value() -> None:
    assert compared().p_value(Comparison("base_mask", "large_mask", "fid")) is None


def test_each_pair_of_rows_has_one_difference_in_each_metric() -> None:
    found = compared()
    pairs = found.pairs(["fid", "lpips"])
    rows = found.rows.competing
    assert len(pairs) == 2 * 6
    assert all(rows.index(pair.other) < rows.index(pair.row) for pair in pairs)
    for pair in pairs:
        comparison = Comparison(pair.row, pair.other, pair.metric)
        assert pair.difference == found.difference(comparison)
        assert pair.p_holm == found.p_value(comparison)
    assert {pair.other for pair in pairs if pair.p_holm is not None} == {"stablediffusion"}


def test_a_pair_differs_only_by_an_adjusted_p_value_and_enough_sources() -> None:
    clear = Difference(-0.25, 0.05, (-0.35, -0.15), 1e-7, sources=6, effective_sources=5.5, freedom=5.0)
    pair = PairDifference("base_mask", "stablediffusion", "fid", clear, 0.01)
    assert pair.differs
    assert not replace(pair, p_holm=0.05).differs
    assert not replace(pair, p_holm=None).differs
    assert not replace(pair, difference=replace(clear, effective_sources=4.9)).differs
    assert not replace(pair, difference=NotAvailable("8 items, too few")).differs


def test_a_table_of_many_rows_has_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tables.comparisons.MOST_PAIRED", 3)
    assert compared().pairs(["fid"]) == []


def test_a_pair_compared_by_paper_and_harness_belongs_to_the_paper() -> None:
    """Each metric has its own comparisons; another metric of a row does not change a p-value."""
    values = {"base_mask": 7.0, "base_nomask": 7.03, "large_mask": 7.025, "large_nomask": 7.03}
    summary = summary_of({row: dict.fromkeys(("fid", "lpips", "pre_error"), value) for row, value in values.items()})
    shared, own, papers = (("base_mask", row) for row in ("large_mask", "base_nomask", "large_nomask"))
    metrics = ("fid", "lpips", "pre_error")
    claims = [
        Claim("x9", "text", "", "order", by="harness", run=2, metrics=("fid",), pairs=(shared, own)),
        Claim("T2.z", 2, "", "order", run=2, metrics=metrics, pairs=(shared, papers)),
    ]
    found = Comparisons(summary, TableRows(None, tuple(values)), claims)

    def alone(pair: tuple[str, str]) -> float:
        difference = found.difference(Comparison(*pair, "fid"))
        assert isinstance(difference, Difference)
        return difference.p_value

    for metric in metrics:
        assert found.p_value(Comparison(*papers, metric)) == pytest.approx(2 * alone(papers))
        assert found.p_value(Comparison(*shared, metric)) == pytest.approx(max(alone(shared), 2 * alone(papers)))
    assert found.p_value(Comparison(*own, "fid")) == pytest.approx(alone(own))
    assert found.p_value(Comparison(*own, "lpips")) is None


def test_a_row_is_named_by_its_label_if_it_has_one() -> None:
    rows = TableRows("stablediffusion", ("stablediffusion",), labels={"stablediffusion": "StableDiffusion*"})
    assert (rows.label("stablediffusion"), rows.label("lama")) == ("StableDiffusion*", "lama")
    assert TableRows(None, ()).label("stablediffusion") == "stablediffusion"


def test_a_star_needs_more_than_a_few_sources() -> None:
    clear = summary_of({"stablediffusion": {"fid": 9.0}, "base_mask": {"fid": 7.0}})
    values = np.where(np.arange(400) < 3, 1000.0, 0.0) + 9.0
    few = summary_of({"stablediffusion": {"fid": values}, "base_mask": {"fid": -9.0}})
    rows = TableRows("stablediffusion", ("stablediffusion", "base_mask"))
    assert Comparisons(clear, rows).table()["base_mask"]["fid"].differs
    assert not Comparisons(few, rows).table()["base_mask"]["fid"].differs
    assert not clear.table("stablediffusion")["base_mask"]["fid"].differs  # its p-value is not adjusted


def measured_on_80(rows: Mapping[str, np.ndarray]) -> Summary:
    sources = [f"photo {index}" for index in range(80)]
    arrays = {row: {"error": values} for row, values in rows.items()}
    return Summary(Scored(arrays, {}, {}, sources, range(80), np.zeros(80)), 1000)


def best_of(found: Summary, *names: str, higher: bool = False) -> str | None:
    return Comparisons(found, TableRows(None, (), (), names)).best("error", higher_is_better=higher)


def test_the_best_row_is_named_only_where_every_difference_holds() -> None:
    generator = np.random.default_rng(20)
    base = generator.normal(5, 1, size=80)
    a, b = (base - shift + generator.normal(0, 0.1, size=80) for shift in (2.0, 1.0))
    noise = generator.normal(0, 0.1, size=80)
    unknown = np.full(80, np.nan)
    other = np.concatenate([[np.nan], base[1:] - 3])
    twin = a + noise - noise.mean() + 1e-3
    found = measured_on_80({"base": base, "a": a, "b": b, "twin": twin, "none": unknown, "other": other})
    assert best_of(found, "base", "a", "b") == "a"
    assert best_of(found, "base", "b") == "b"
    assert best_of(found, "a", "b", higher=True) == "b"
    assert best_of(found, "base", "a", "b", higher=True) == "base"
    assert best_of(found, "base", "a", "b", "twin") is None  # a and its twin are alike
    assert best_of(found, "base", "b", "none") == "b"  # what has no value does not compete
    assert best_of(found, "a", "none") is best_of(found, "a") is best_of(found, "none") is None  # nor is it beaten
    assert best_of(found, "base", "a", "other") is None  # of which an item was not measured
    assert best_of(found, "a", "a") is None


def test_the_best_row_has_its_p_values_adjusted_over_the_others() -> None:
    generator = np.random.default_rng(21)
    best = generator.normal(size=80)
    others = {f"row {index}": best + generator.normal(0.28, 1, size=80) for index in range(12)}
    found = measured_on_80({"best": best, **others})
    differences = {name: found.difference("best", name, "error") for name in others}
    alone = {name: one.p_value for name, one in differences.items() if isinstance(one, Difference)}
    clear = [name for name, p_value in alone.items() if p_value < 0.05]
    assert any(alone[name] > 0.01 for name in clear)
    assert all(best_of(found, "best", name) == "best" for name in clear)
    holds = max(holm([alone[name] for name in clear])) < 0.05
    assert best_of(found, "best", *clear) == ("best" if holds else None)
    assert best_of(found, "best", *others) is None


def test_the_best_row_is_judged_by_the_p_values_on_the_page() -> None:
    """No row is printed bold that has no star against the reference row, whichever rows share its family."""
    generator = np.random.default_rng(3)
    reference = generator.normal(size=80)
    rows = {"reference": reference, "ours": reference - 0.25 + generator.normal(0, 1, size=80)}
    rows |= {f"row {index}": reference + 5 + generator.normal(0, 1, size=80) for index in range(3)}
    found = measured_on_80(rows)
    for further in ((), ("row 0", "row 1", "row 2")):
        paper = tuple(row for row in rows if row not in further)
        comparisons = Comparisons(found, TableRows("reference", paper, further, tuple(rows)))
        star = comparisons.table()["ours"]["error"].differs
        assert comparisons.best("error", higher_is_better=False) == ("ours" if star else None)


def test_a_row_is_not_the_best_at_a_p_value_of_exactly_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured_on_80({"first": np.array([3.0, 5.0] * 40), "second": np.array([2.0, 3.0] * 40)})
    difference = found.difference("second", "first", "error")
    assert isinstance(difference, Difference)
    assert best_of(found, "first", "second") == "second"
    for level, expected in ((difference.p_value, None), (np.nextafter(difference.p_value, 1), "second")):
        monkeypatch.setattr("bench.tables.comparisons.LEVEL", level)
        assert best_of(found, "first", "second") == expected
