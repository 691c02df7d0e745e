"""Tests of the notes below a table: the bias of FID, the cost of saving, and sources that decide a difference."""

import numpy as np
import pytest

from bench.config.schema import TableSpec
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.reporting.notes import effective_sources, floor_note, frechet_bias
from bench.runtime.not_available import NotAvailable
from bench.tables.headline import RELEASED, TRUNCATED


@pytest.mark.blackbox
@pytest.mark.parametrize("dimensions", [4, 30])
def test_frechet_distances_are_extrapolated_to_infinitely_many_items(dimensions: int) -> None:
    generator = np.random.default_rng(1)
    truth, noise = generator.normal(size=(2, 40, dimensions))
    rows = {"one": {"net.features": truth + noise, "lpips": np.ones(40)}, "other": {"lpips": np.ones(40)}}
    scored = Scored(
        rows, {"net.features": truth}, {"fid": "net.features"}, [str(i) for i in range(40)], range(40), np.zeros(40)
    )
    summary = Summary(scored, 2)
    found = summary.extrapolation("one", "fid")
    assert not isinstance(found, NotAvailable)
    (text,) = frechet_bias(summary, {"one": "One", "other": "Other", "cited": "Cited"})
    assert text.endswith(f": One {found.limit:.2f} ± {found.stderr:.2f} ({found.values[0]:.2f} at 40).")
    assert "the values for 40 and 20 items" in text
    assert (" (an upper limit, as 20 items are fewer than 30 dimensions)" in text) == (dimensions == 30)
    assert list(frechet_bias(Summary(scored, 41), {"one": "One"})) == []


@pytest.mark.reference
def test_the_sources_that_decide_a_difference_are_listed() -> None:
    """Two of eight items are of one photograph and carry (8 + 8)² of a sum of squares of 256 + 4 · 16."""
    base = np.zeros(8)
    other = np.array([8.0, 8.0, -4.0, -4.0, -4.0, -4.0, 0.0, 0.0])
    even = np.array([1.0, -1.0] * 4)
    rows = {"base": {"error": base}, "other": {"error": other}, "even": {"error": even}, "shift": {"error": base + 1}}
    sources = ["coffee", "coffee", "a", "b", "c", "d", "e", "f"]
    summary = Summary(Scored(rows, {}, {}, sources, range(8), np.zeros(8)), 2)
    labels = {"base": "Base", "other": "Other", "shift": "Shift", "cited": "Cited"}
    counts, few = effective_sources(summary, "base", labels, {"error": "Error", "fid": "FID"})
    effective = (256 + 64) ** 2 / (256**2 + 4 * 16**2)
    assert counts.endswith(f"from the lowest to the highest: Error {effective:.3g}.")
    assert few == (
        "Few sources decide these differences, so no verdict rests on them: 2 of 7 sources (coffee, a) carry 85 % of "
        "the variance of Other - Base in Error."
    )
    (counts,) = effective_sources(summary, "base", {"even": "Even"}, {"error": "Error"})
    assert counts.endswith("Error 6.")
    assert list(effective_sources(summary, "base", {"shift": "Shift"}, {"error": "Error"})) == []


def errors() -> Summary:
    values = {"pre_error": 200e-5, "pre_floor": 0.8e-5, "pre_error_released": 190e-5, "pre_floor_released": 0.2e-5}
    row = {name: np.full(4, value) for name, value in values.items()}
    return Summary(Scored({"vanilla": row}, {}, {}, list("abcd"), range(4), np.zeros(4)), 2)


@pytest.mark.blackbox
def test_the_floor_belongs_to_the_reading_that_the_table_shows() -> None:
    spec = TableSpec(2, "t", ["fid", "pre_error"], reference="vanilla")
    text = floor_note(0.8e-5, TRUNCATED, errors(), spec)
    assert "over known pixels of the truncated 8-bit image." in text
    assert "Truncation alone adds an error of 0.80e-5 for a decoder whose errors are symmetric and much smaller" in text
    assert "The ratio of such a decoder would be ÷ 250." in text
    assert "float16" not in text
    released = TableSpec(2, "t", ["fid", "pre_error_released"], reference="vanilla")
    text = floor_note(0.2e-5, RELEASED, errors(), released)
    assert "float16 until it is truncated" in text
    assert "a perfect decoder's image has an error of 0.20e-5. The ratio of such a decoder would be ÷ 950." in text


@pytest.mark.blackbox
def test_the_floor_is_shown_alone_without_a_column_of_ratios() -> None:
    for spec in (TableSpec(2, "t", ["fid", "pre_error"]), TableSpec(1, "t", ["fid"], reference="vanilla")):
        text = floor_note(0.8e-5, TRUNCATED, errors(), spec)
        assert "grey level. The ring contains the known pixels at most 4 pixels from the hole." in text
        assert "÷" not in text
