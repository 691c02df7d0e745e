"""Tests of the plots of pages in a real browser: colours in both themes and in print, sizes and the keyboard."""

import itertools
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bench.reporting.page import template
from bench.reporting.plots import Area, Axis, Plot, Plots, Point, Series
from bench.tables.grid import Grid
from tests.helpers.browser import DESKTOP, PHONE, SCREENSHOTS, View

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

TEXT, GRAPHIC = 4.5, 3.0
"""Smallest contrasts of texts and of graphics that WCAG 2 asks for at its level AA."""
PAGE = (
    '{% extends "base.html" %}{% import "parts.html" as parts %}{% import "plots.html" as plots %}'
    "{% block body %}{{ parts.theme() }}<main>{{ plots.plots(found) }}</main>{% endblock %}"
)
PARTS = ".plot figcaption, .plot text, .plot-legend li, .plot-mark, .plot-line, .plot-interval, .plot-flag, .plot-axis"
COLOURS = """(parts) => [...document.querySelectorAll(parts)].map((one) => {
    const style = getComputedStyle(one), text = one.matches("figcaption, text, li");
    const filled = one.matches("text, .plot-mark"), colour = filled ? style.fill : text ? style.color : style.stroke;
    return [one.getAttribute("class") ?? one.tagName, text, colour];
})"""
"""Script that returns the name of each part of the plots, whether it is a text, and its colour."""
GROUND = "() => getComputedStyle(document.body).backgroundColor"
BOXES = """() => [...document.querySelectorAll(".plot svg")].map(
    (plot) => [...plot.querySelectorAll(".plot-label")].map((one) => {
        const box = one.getBoundingClientRect();
        return [box.left, box.top, box.right, box.bottom];
    }))"""
EDGES = "() => [...document.querySelectorAll('.plot svg *')].map((one) => one.getBoundingClientRect().right)"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with every part of plots: lines, intervals, points on one another, a flag and an area."""
    across, upwards = Axis.of("turn", range(1, 5), whole=True), Axis.of("Pre_error [1e-5]", [0.5, 40], log=True)
    series = [
        Series(
            f"row {number}",
            tuple(
                Point(
                    turn, turn + number, f"row {number} in turn {turn}", str(number) * (turn == 4), turn, 2.0 * turn + 6
                )
                for turn in range(1, 5)
            ),
            joined=True,
            label=str(number),
        )
        for number in range(1, 7)
    ]
    by_turn = Plot("Pre_error [1e-5]", across, upwards, tuple(series), spread=True)
    sizes, quality = Axis.of("parameters [millions]", [1, 2, 40]), Axis.of("LPIPS", [0.1, 0.3])
    places = [(1, 0.1), (1, 0.1), (1, 0.105), (2, 0.1), (40, 0.3), (40, 0.295), (41, 0.3), (2, 0.2)]
    points = tuple(Point(x, y, f"row {n}", str(n), flagged=n == 8) for n, (x, y) in enumerate(places, 1))
    margin = Area("margin", ((1, 0.12, 0.2), (40, 0.12, 0.2)))
    by_size = Plot("LPIPS", sizes, quality, (Series("rows", points), *(Series("", ()) for _ in range(5))), margin)
    found = Plots(((by_turn,), (by_size,)), Grid(["No.", "LPIPS"], [["1", "0.1"]]), "A note.")
    path = tmp_path_factory.mktemp("plots") / "plots.html"
    path.write_text(template("report.html").environment.from_string(PAGE).render(found=found))
    return path


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, given as `rgb(R, G, B)`."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def assert_visible(page: Page, ground: str) -> None:
    """Check the contrast of every part of the plots against the ground of the page."""
    parts = page.evaluate(COLOURS, PARTS)
    assert len({name for name, _, _ in parts}) >= 8
    weak = [(name, colour) for name, text, colour in parts if contrast(colour, ground) < (TEXT if text else GRAPHIC)]
    assert weak == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_part_of_a_plot_is_visible_in_both_themes(browser: Browser, drawn: Path, scheme: str) -> None:
    opened = View(browser, drawn, DESKTOP, scheme, touch=False)
    ground = opened.page.evaluate(GROUND)
    assert (contrast(ground, "rgb(255, 255, 255)") > 10) == (scheme == "dark")
    assert_visible(opened.page, ground)
    if SCREENSHOTS:
        opened.page.screenshot(path=f"{SCREENSHOTS}/plots-{scheme}.png", full_page=True)
    opened.context.close()
    assert opened.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_are_printed_dark_on_white_whatever_theme_was_chosen(browser: Browser, drawn: Path, scheme: str) -> None:
    opened = View(browser, drawn, DESKTOP, scheme, touch=False)
    page = opened.page
    page.get_by_role("button", name="Change between dark and light").click()
    chosen = page.evaluate(GROUND)
    page.emulate_media(media="print", color_scheme="light")  # a browser prints with the light scheme
    assert contrast(page.evaluate(GROUND), "rgb(255, 255, 255)") < 1.1
    assert_visible(page, "rgb(255, 255, 255)")
    assert (chosen == page.evaluate(GROUND)) == (scheme == "dark")
    opened.context.close()
    assert opened.wrong == []


@pytest.mark.parametrize(("size", "touch"), [(DESKTOP, False), (PHONE, True)])
def test_labels_stay_apart_and_plots_inside_the_page(
    browser: Browser, drawn: Path, size: dict[str, int], touch: bool
) -> None:
    opened = View(browser, drawn, size, "light", touch=touch)
    labels = opened.page.evaluate(BOXES)
    assert [len(of) for of in labels] == [6, 4]
    for of in labels:
        for one, other in itertools.combinations(of, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] + 3 or other[3] <= one[1] + 3
            assert apart, (one, other)
    assert max(opened.page.evaluate(EDGES)) <= size["width"]
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    opened.context.close()


def test_the_values_of_plots_are_reached_with_the_keyboard(browser: Browser, drawn: Path) -> None:
    opened = View(browser, drawn, DESKTOP, "light", touch=False)
    page = opened.page
    table = page.get_by_role("table")
    assert table.count() == 0
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert table.get_by_role("cell", name="0.1").is_visible()
    opened.context.close()
