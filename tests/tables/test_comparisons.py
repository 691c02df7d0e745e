"""The comparisons of a run: which family each one belongs to, and its adjusted p-value."""

import numpy as np
import pytest

from bench.metrics.uncertainty import Difference
from bench.tables.claims import Claim, Comparison
from bench.tables.comparisons import Comparisons, TableRows
from tests.tables.runs import summary_of


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


def test_rows_that_the_paper_does_not_have_cost_its_rows_nothing() -> None:
    found = compared(further=("paste_back",))
    table = found.table()
    assert table["large_mask"]["fid"].p_holm == pytest.approx(2 * single(found, "large_mask"))
    assert table["paste_back"]["fid"].p_holm == pytest.approx(single(found, "paste_back"))


def test_a_pair_of_no_family_has_no_adjusted_p_value() -> None:
    assert compared().p_value(Comparison("base_mask", "large_mask", "fid")) is None


def test_a_pair_that_both_the_paper_and_the_harness_compare_is_the_papers() -> None:
    """Of each metric apart: what one row shows on another metric costs nothing."""
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


def test_a_row_is_called_by_its_label_where_it_has_one() -> None:
    rows = TableRows("stablediffusion", ("stablediffusion",), labels={"stablediffusion": "StableDiffusion*"})
    assert (rows.label("stablediffusion"), rows.label("lama")) == ("StableDiffusion*", "lama")
    assert TableRows(None, ()).label("stablediffusion") == "stablediffusion"


def test_a_star_asks_for_more_than_a_handful_of_sources() -> None:
    clear = summary_of({"stablediffusion": {"fid": 9.0}, "base_mask": {"fid": 7.0}})
    values = np.where(np.arange(400) < 3, 1000.0, 0.0) + 9.0
    few = summary_of({"stablediffusion": {"fid": values}, "base_mask": {"fid": -9.0}})
    rows = TableRows("stablediffusion", ("stablediffusion", "base_mask"))
    assert Comparisons(clear, rows).table()["base_mask"]["fid"].differs
    assert not Comparisons(few, rows).table()["base_mask"]["fid"].differs
    assert not clear.table("stablediffusion")["base_mask"]["fid"].differs  # its p-value is not adjusted
