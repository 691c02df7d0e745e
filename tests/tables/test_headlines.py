"""Tests of the headlines: row, metric, change and verdict, and no claim beyond the interval."""

import pytest

from bench.config.schema import Row, TableSpec
from bench.metrics.spread import Spread
from bench.metrics.summary import UNBOUNDED, Measurement
from bench.metrics.uncertainty import Difference
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Table, TableDesign, build_table
from bench.tables.headlines import headlines

pytestmark = pytest.mark.property

LABELS = ("Ours (base) w/ mask", "Ours (base) w/o mask")


def difference(value: float, half: float, *, effective: float = 6.0) -> Difference:
    return Difference(value, half / 2.5, (value - half, value + half), 0.01, 6, effective, 5.0)


def spread(stderr: float, effective: float = 6.0) -> Spread:
    return Spread(stderr, 6, effective, 5.0, 0.0)


def table(metric: str, found: list[Measurement], reference: str | None) -> Table:
    rows = {"vanilla": Row("Vanilla", {}, published={2: "StableDiffusion"})}
    rows |= {f"row{place}": Row("", {}, published={2: label}) for place, label in enumerate(LABELS[: len(found)])}
    measured = {"vanilla": {metric: Measurement(0.084)}, **{f"row{n}": {metric: one} for n, one in enumerate(found)}}
    spec = TableSpec(2, "A table", [metric], reference=reference)
    return build_table(TableDesign(spec, rows, "mini", "small"), measured, training={})


def said(metric: str, *rows: Measurement, reference: str | None = "vanilla") -> str:
    """Return the only headline of a table with one column."""
    (line,) = headlines(table(metric, list(rows), reference))
    return str(line)


def ratio(value: float, low: float, high: float, *, effective: float = 6.0) -> Measurement:
    """Return a ratio of positive quantities whose interval is about from `low` to `high`."""
    stderr = (high - low) / (2 * 2.571)  # the quantile of Student's distribution with 5 degrees of freedom
    return Measurement(value, stderr, 8, 6, spread=spread(stderr, effective))


def test_a_ratio_names_row_metric_reference_and_verdict() -> None:
    row = Measurement(0.001, ratio=ratio(84, 74, 94), difference=difference(-0.083, 0.01), p_holm=1e-5)
    assert said("pre_error", row) == (
        "Pre_error ÷ 84 [74, 94], better: Ours (base) w/ mask compared with StableDiffusion"
    )


def test_a_difference_has_its_sign_interval_and_unit() -> None:
    row = Measurement(21.5, difference=difference(1.5, 0.5), p_holm=0.001)
    assert said("psnr", row) == (
        "PSNR +1.50 [1.00, 2.00] dB, better: Ours (base) w/ mask compared with StableDiffusion"
    )
    assert "+1.5000 [1.0000, 2.0000], worse:" in said("lpips", row)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (Measurement(0.5, difference=difference(-0.1, 0.2), p_holm=0.4), "not significantly different"),
        (Measurement(0.5, difference=difference(-0.1, 0.05), p_holm=0.051), "not significantly different"),
        (Measurement(0.5, difference=difference(-0.1, 0.05), p_holm=0.049), "better"),
        (Measurement(0.5, difference=difference(-0.1, 0.2), p_holm=0.001), "not significantly different"),
        (Measurement(0.5, difference=difference(-0.1, 0.05, effective=2.0), p_holm=0.001), "no verdict"),
        (Measurement(0.5, difference=difference(-0.1, 0.05)), "not significantly different"),
    ],
)
def test_no_word_goes_beyond_the_interval_and_the_adjusted_p_value(row: Measurement, word: str) -> None:
    line = said("lpips", row)
    assert f", {word}: " in line
    assert (" §" in line) == (word == "no verdict")


@pytest.mark.parametrize(
    ("found", "shown", "word"),
    [
        (ratio(1.2, 0.9, 1.5), "÷ 1.2 [0.9, 1.5]", "not significantly different"),
        (ratio(84, 74, 94, effective=2.0), "÷ 84 [74, 94] §", "no verdict"),
        (Measurement(84.0, stderr_reason=UNBOUNDED), "-8,300.00 [-9,300.00, -7,300.00] 1e-5", "better"),
        (Measurement(0.0, 0.0, 8, 6), "-8,300.00 [-9,300.00, -7,300.00] 1e-5", "better"),
        (NotAvailable("exact"), "-8,300.00 [-9,300.00, -7,300.00] 1e-5", "better"),
    ],
)
def test_the_words_of_a_ratio_rest_on_the_interval_that_is_shown(
    found: Measurement | NotAvailable, shown: str, word: str
) -> None:
    row = Measurement(0.001, ratio=found, difference=difference(-0.083, 0.01), p_holm=1e-5)
    assert said("pre_error", row).startswith(f"Pre_error {shown}, {word}: ")


def test_a_ratio_below_1_of_a_metric_whose_lower_values_are_better_is_worse() -> None:
    row = Measurement(0.105, ratio=ratio(0.8, 0.7, 0.9), difference=difference(0.021, 0.01), p_holm=1e-5)
    assert said("pre_error", row).startswith("Pre_error ÷ 0.8 [0.7, 0.9], worse: ")


def test_a_metric_without_a_direction_gets_neutral_words() -> None:
    row = Measurement(0.5, difference=difference(0.4, 0.1), p_holm=0.001)
    far = Measurement(-2.0, difference=difference(-2.1, 0.1), p_holm=0.001)
    line = said("red_shift", far, row)
    assert ", significantly different: Ours (base) w/o mask compared with" in line  # it is nearer to 0
    assert "better" not in line.replace("w/", "")
    alike = Measurement(0.5, difference=difference(0.4, 0.5), p_holm=0.9)
    assert ", not significantly different: " in said("red_shift", alike)


def test_the_best_row_is_chosen_by_the_direction_of_the_metric() -> None:
    low, high = (Measurement(value, difference=difference(1.0, 0.5), p_holm=0.001) for value in (20.0, 22.0))
    assert "Ours (base) w/o mask compared" in said("psnr", low, high)
    assert "Ours (base) w/ mask compared" in said("lpips", low, high)


def test_a_row_without_a_comparison_is_shown_with_its_value() -> None:
    assert said("psnr", Measurement(21.5, 0.2, 8, 6)) == "PSNR 21.50 ± 0.20 dB: Ours (base) w/ mask"
    assert headlines(table("psnr", [Measurement(None, reason="too few")], "vanilla")) == ()
    assert headlines(table("psnr", [], "vanilla")) == ()  # only the reference row was measured
