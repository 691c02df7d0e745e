"""Tests of the small plots of pages: shared scales, points that lie on one another, and labels that stay apart."""

import itertools
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as drawn

from bench.metrics.summary import Measurement
from bench.metrics.turns import at_turn
from bench.reporting.cost_plot import COSTS, CostedRow, Quality, cost_plots
from bench.reporting.leaderboard_plot import leaderboard_plots
from bench.reporting.page import template
from bench.reporting.plots import BOTTOM, LEFT, LINE_HEIGHT, RIGHT, TOP, Area, Axis, Plot, Plots, Point, Series, look_of
from bench.reporting.turns_plot import turns_plots
from bench.tables.grid import Grid
from bench.tables.leaderboard import LatentSizes, LeaderboardRow
from bench.tables.turns import TurnsTable
from tests.reporting.test_page import table

pytestmark = pytest.mark.property

EVIL = "</svg><script>alert(1)</script>"
numbers = drawn.floats(-1e6, 1e6).map(lambda value: round(value, 6))


def points(places: list[tuple[float, float]], **more: object) -> tuple[Point, ...]:
    return tuple(
        Point(x, y, f"row {number}: {y}", str(number), **more)  # type: ignore[arg-type]
        for number, (x, y) in enumerate(places, 1)
    )


def plot(places: list[tuple[float, float]]) -> Plot:
    x, y = (Axis.of(name, of) for name, of in zip("xy", zip(*places, strict=True), strict=True))
    return Plot("LPIPS", x, y, (Series("rows", points(places)),))


def rendered(found: Plots) -> str:
    page = '{% import "plots.html" as plots %}{{ plots.plots(found) }}'
    return template("index.html").environment.from_string(page).render(found=found)


# --- axes ------------------------------------------------------------------------------------------------------------


@given(drawn.lists(numbers, min_size=1, max_size=20))
def test_all_values_lie_inside_their_axis_in_their_order(values: list[float]) -> None:
    axis = Axis.of("LPIPS", values)
    shares = [axis.share(value) for value in sorted(values)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)
    assert axis.ticks
    assert all(axis.low <= tick.value <= axis.high for tick in axis.ticks)


def test_an_axis_is_logarithmic_for_a_wide_range_of_positive_values_only() -> None:
    assert Axis.of("x", [1, 31]).log
    assert not Axis.of("x", [1, 29]).log
    assert not Axis.of("x", [0, 31]).log
    assert Axis.of("x", [0.1, 0.2], log=True).log
    assert {"1", "10", "100", "1,000"} <= {tick.words for tick in Axis.of("x", [1, 1000]).ticks}
    assert not Axis.of("x", [1e-300, 1]).log
    assert Axis.of("x", [1e-300, 1], log=True).low == pytest.approx(1e-13, rel=0.9)


def test_a_logarithmic_axis_has_no_place_for_zero_and_clips_an_interval_that_reaches_it() -> None:
    axis = Axis.of("error", [0.0, 2.0, 20.0], log=True)
    assert axis.has(2)
    assert not axis.has(0)
    assert not axis.has(math.nan)
    point = Point(2, 2.0, "one", low=-1.0, high=3.0)
    zero = replace(point, y=0.0)
    marks = Plot("error", Axis.of("x", [1, 3]), axis, (Series("rows", (point, zero)),)).drawing.marks
    assert [mark.point for mark in marks] == [point]
    assert marks[0].low == BOTTOM
    with pytest.raises(ValueError, match="axis error"):
        Axis.of("error", [0.0], log=True)


def test_an_axis_of_many_names_prints_few_of_them_and_the_last_one() -> None:
    axis = Axis.named("commit", [f"{number:07x}" for number in range(23)])
    assert 2 <= len(axis.ticks) <= 4
    assert axis.ticks[-1].words == "0000016"
    assert [tick.words for tick in Axis.named("commit", ["abc"]).ticks] == ["abc"]


def test_an_axis_of_integers_has_ticks_at_integers_only() -> None:
    assert [tick.value for tick in Axis.of("turn", [1, 2, 3], whole=True).ticks] == [1, 2, 3]
    assert [tick.value for tick in Axis.of("turn", [1], whole=True).ticks] == [1]


# --- labels ----------------------------------------------------------------------------------------------------------


def test_points_that_lie_on_one_another_have_one_label_with_all_their_numbers() -> None:
    places = [(1.0, 1.0), (5.0, 5.0), (1.0, 1.0), (1.01, 1.0), (1.0, 1.0), (9.0, 1.0)]
    drawing = plot(places).drawing
    assert sorted(label.words for label in drawing.labels) == ["1, 3–5", "2", "6"]
    assert len(drawing.marks) == len(places)


def test_a_common_label_of_very_many_points_says_how_many_it_leaves_out() -> None:
    series = Series("rows", tuple(Point(1, 1, "", str(2 * number)) for number in range(20)))
    (label,) = Plot("x", Axis.of("x", [1]), Axis.of("y", [1]), (series,)).drawing.labels
    assert label.words == "0, 2, 4, 6, 8, 10, 14 more"


@settings(deadline=None, max_examples=30)
@given(drawn.lists(drawn.tuples(drawn.integers(0, 30), drawn.integers(0, 30)), min_size=1, max_size=12))
def test_every_point_is_named_in_one_label_and_labels_do_not_cover_each_other(
    places: list[tuple[float, float]],
) -> None:
    drawing = plot(places).drawing
    named = [number for label in drawing.labels for number in _numbers(label.words)]
    assert sorted(named) == list(range(1, len(places) + 1))
    assert all(LEFT <= mark.x <= RIGHT and TOP <= mark.y <= BOTTOM for mark in drawing.marks)
    for one, other in itertools.combinations(drawing.labels, 2):
        first, second = sorted((one, other), key=lambda label: label.x)
        apart = second.x - first.x >= 6 * len(first.words) or abs(one.y - other.y) > LINE_HEIGHT - 0.1
        assert apart, (first, second)


def _numbers(words: str) -> list[int]:
    found: list[int] = []
    for part in words.split(", "):
        first, _, last = part.partition("–")
        found += range(int(first), int(last or first) + 1)
    return found


def test_series_with_equal_values_are_spread_and_labelled_at_the_right_end() -> None:
    across, upwards = Axis.of("turn", [1, 2], whole=True), Axis.of("LPIPS", [0.1, 0.3])
    series = tuple(
        Series(f"row {number}", (Point(1, 0.2, "a"), Point(2, 0.2, "b", str(number))), joined=True)
        for number in range(1, 9)
    )
    drawing = Plot("LPIPS", across, upwards, series, spread=True).drawing
    at_once = [mark.x for mark in drawing.marks if mark.point.x == 1]
    assert len(set(at_once)) == len(series)
    assert all(LEFT <= mark.x <= RIGHT for mark in drawing.marks)
    heights = sorted(label.y for label in drawing.labels)
    assert [label.words for label in drawing.labels] == [one.points[1].label for one in series]
    assert min(after - before for before, after in itertools.pairwise(heights)) >= LINE_HEIGHT - 0.01
    assert all(label.x > RIGHT for label in drawing.labels)


def test_series_are_told_apart_without_colours() -> None:
    looks = [look_of(number) for number in range(36)]
    assert len({(look.colour, look.shape) for look in looks}) == 36
    assert len({look.shape for look in looks[:6]}) == len({look.dashes for look in looks[:6]}) == 6


# --- drawing ---------------------------------------------------------------------------------------------------------


def test_a_drawing_contains_every_part_and_escapes_all_texts() -> None:
    commits = Axis.named("commit", ["aaa", EVIL])
    series = Series(EVIL, (Point(0, 1, EVIL, low=0.5, high=1.5), Point(1, 2, "two", flagged=True)), joined=True)
    area = Area("margin", ((0, 0.5, 1.5), (1, 0.6, 1.6)))
    found = Plot(EVIL, commits, Axis.of("FID", [0.5, 2]), (series,), area)
    html = rendered(Plots(((found,),), Grid(["Commit", "FID"], [[EVIL, "1.0"]]), EVIL))
    assert "<script>" not in html
    for part in ("plot-line", "plot-interval", "plot-flag", "plot-area", "<title>two</title>", "margin", "<details"):
        assert part in html
    assert html.count("plot-mark") == 2
    assert 'style="' not in html
    assert not re.search(r"#[0-9a-f]{3,6}\b", html)


def test_a_margin_at_a_single_position_is_drawn_across_the_plot() -> None:
    one = Plot("FID", Axis.named("commit", ["a"]), Axis.of("FID", [1, 3]), (), Area("margin", ((0, 1, 3),)))
    corners = [tuple(map(float, corner.split(","))) for corner in one.drawing.areas[0].split()]
    assert {x for x, _ in corners} == {LEFT, RIGHT}


# --- quality against cost --------------------------------------------------------------------------------------------


def test_plots_share_scales_and_a_group_keeps_its_appearance_in_all_of_them() -> None:
    def row(number: int, group: str, **costs: float) -> CostedRow:
        return CostedRow(str(number), f"row {number}", costs, {"lpips": Quality(number / 10, 0.01, "x")}, group)

    rows = [
        row(1, "factor 8", parameters=1e6, tera_flop=0.1),
        row(2, "factor 16", parameters=2e6),
        row(3, "factor 16", parameters=5e6, tera_flop=0.4),
    ]
    ((first, second),) = cost_plots(rows, {"lpips": "LPIPS", "fid": "FID"}, COSTS)
    assert first.y == second.y
    assert [len(series.points) for series in first.series] == [1, 2]
    assert [len(series.points) for series in second.series] == [1, 1]
    assert [series.name for series in first.series] == [series.name for series in second.series]
    point = first.series[0].points[0]
    assert (point.x, point.y, point.label) == (1.0, 0.1, "1")
    assert (point.low, point.high) == pytest.approx((0.09, 0.11))


def test_a_leaderboard_has_one_shape_for_each_factor_and_lists_the_numbers_of_its_points() -> None:
    def row(key: str, factor: int, value: float) -> LeaderboardRow:
        sizes = LatentSizes(f"space{factor}", 4, factor)
        values = {"psnr": value, "psnr_stderr": 1.0}
        return LeaderboardRow(key, key, sizes, "float32", values, {"parameters": value * 1e6})

    unmeasured = LeaderboardRow("d", "d", LatentSizes("s", 4, 8), "float16")
    rows = [row("a", 16, 20.0), row("b", 8, 30.0), row("c", 8, 31.0), unmeasured]
    found = leaderboard_plots(rows, ["psnr"], "mini")
    ((one,),) = found.lines
    assert [(series.name, len(series.points)) for series in one.series] == [("factor 8", 2), ("factor 16", 1)]
    assert found.listed is not None
    listed = {line[0]: line for line in found.listed.lines}
    for series in one.series:
        for point in series.points:
            assert listed[point.label][-1] in point.words
    assert len(listed) == 4
    assert [line[-1] for line in found.listed.lines] == ["30.00 ± 1.00", "31.00 ± 1.00", "–", "20.00 ± 1.00"]


# --- turns -----------------------------------------------------------------------------------------------------------


def repeated(errors: list[list[float]]) -> TurnsTable:
    """Return the table of repeated edits whose rows have the given values of `pre_error` in each turn."""
    whole = table(len(errors))
    rows = tuple(
        replace(row, measured={at_turn("pre_error", turn): Measurement(value, n=4) for turn, value in enumerate(of, 1)})
        for row, of in zip(whole.rows, errors, strict=True)
    )
    return TurnsTable(replace(whole, rows=rows), len(errors[0]), ("pre_error", "lpips"), (), {}, "small")


def test_values_by_turn_are_drawn_with_a_number_at_the_end_of_each_line() -> None:
    found = turns_plots(repeated([[1e-5, 3e-5, 9e-5], [2e-5, 2e-5, 4e-5]]), logarithmic="pre_error")
    ((one,),) = found.lines
    assert one.y.log
    assert [point.y for point in one.series[0].points] == pytest.approx([1, 3, 9])
    assert [point.label for point in one.series[0].points] == ["", "", "1"]
    assert [series.label for _, series in found.legend] == ["1", "2"]
    assert found.listed is not None
    assert found.listed.lines[0][2:] == ["1.00", "3.00", "9.00"]
    assert "no place" not in found.note


def test_a_row_whose_error_is_zero_is_named_instead_of_drawn_on_a_logarithmic_axis() -> None:
    found = turns_plots(repeated([[1e-5, 3e-5], [0.0, 0.0]]), logarithmic="pre_error")
    ((one,),) = found.lines
    assert {mark.point.label for mark in one.drawing.marks} == {"", "1"}
    label = repeated([[0.0], [0.0]]).rows[1].label
    assert found.note.endswith(f"the logarithmic axis of Pre_error [1e-5] cannot show: {label}.")
    assert turns_plots(repeated([[0.0, 0.0]]), logarithmic="pre_error").lines == ()
