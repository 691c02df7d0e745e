"""Tests of the report in a real browser: gallery, zoom, phone, dark and light mode, and offline use.

`tests.helpers.browser` starts the browser; `conftest.py` makes the report.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.browser import DESKTOP, LUMINANCE, PHONE, SCREENSHOTS, View
from tests.reporting.conftest import ROWS

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

Place = tuple[float, float, float]
"""Zoom, and where a picture's upper left corner lies, in sides of its frame."""


def places(page: Page) -> list[set[Place]]:
    """Return the transforms of the pictures of each visible item."""
    script = """() => [...document.querySelectorAll("[data-item]:not([hidden])")].map(
        (item) => [...item.querySelectorAll(".view")].map((frame) => {
            const outer = frame.getBoundingClientRect(), inner = frame.firstElementChild.getBoundingClientRect();
            return [inner.width, inner.left - outer.left, inner.top - outer.top].map((side) => side / outer.width);
        }))"""
    return [{tuple(round(part, 2) for part in place) for place in item} for item in page.evaluate(script)]  # type: ignore[misc]


def zoom(page: Page) -> float:
    """Return the zoom of the first item, and check that its pictures agree and that other items are unchanged."""
    moved, *others = places(page)
    assert len(moved) == 1
    assert all(item == {(1, 0, 0)} for item in others)
    return moved.copy().pop()[0]


def test_the_gallery_shows_the_selection(view: View) -> None:
    page = view.page
    chosen = page.locator("#chosen")
    items = page.locator("[data-item]:visible")
    ranks = page.locator(".picks li:visible .rank")
    assert [words.lower() for words in ranks.all_inner_texts()] == ["best", "median", "worst"]
    before = items.locator("h4").all_inner_texts()
    chosen.get_by_role("combobox", name=re.compile("^Row")).select_option("paste_back")
    chosen.get_by_role("combobox", name=re.compile("^by")).select_option("pre_error")
    assert "StableDiffusion, pasted back: Pre_error" in page.locator(".picks li:visible").first.inner_text()
    assert page.locator("[data-made=paste_back].chosen:visible").count() == items.count() > 0
    assert set(page.locator(".reading:visible").evaluate_all("all => all.map((one) => one.dataset.metric)")) == {
        "pre_error"
    }
    chosen.get_by_role("combobox", name=re.compile("^Row")).select_option("")
    chosen.get_by_role("combobox", name=re.compile("^by")).select_option("")
    assert items.count() == page.locator("[data-item]").count() > len(before)
    assert items.first.locator(".view").count() == 2 + 2 * len(ROWS)
    loaded = page.locator(".view img").evaluate_all(
        "all => all.every((image) => image.complete && image.naturalWidth === 64)"
    )
    assert loaded


def test_buttons_and_wheel_zoom_all_pictures_of_an_item_together(view: View) -> None:
    page = view.page
    item = page.locator("[data-item]:visible").first
    assert zoom(page) == 1
    item.get_by_label("Zoom in").click()
    assert zoom(page) == 1.5
    expect(item.locator("[data-level]")).to_have_text("1.5×")
    item.get_by_label("Whole pictures").click()
    assert zoom(page) == 1
    picture = item.locator(".view").nth(3)
    picture.click()
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(200)
    assert zoom(page) > 2
    assert page.evaluate("scrollY") == scrolled
    box = picture.bounding_box()
    assert box is not None
    before = places(page)[0]
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 30, box["y"] + box["height"] / 2 - 20, steps=4)
    page.mouse.up()
    assert places(page)[0] != before
    assert zoom(page) > 2
    picture.dblclick()
    assert zoom(page) == 1


def test_the_wheel_scrolls_the_page_unless_pictures_have_focus(view: View) -> None:
    page = view.page
    picture = page.locator("[data-item]:visible .view").first
    picture.scroll_into_view_if_needed()
    picture.hover()
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") > before
    assert zoom(page) == 1


def test_keys_zoom_and_move_the_pictures(view: View) -> None:
    page = view.page
    stage = page.locator("[data-item]:visible [data-stage]").first
    page.locator("[data-item]:visible").first.get_by_label("Whole pictures").focus()
    page.keyboard.press("Tab")
    expect(stage).to_be_focused()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert zoom(page) == 2.25
    before = places(page)[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert places(page)[0] != before
    page.keyboard.press("-")
    assert zoom(page) == 1.5
    page.keyboard.press("Escape")
    assert zoom(page) == 1
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert zoom(page) == 1


def test_intervals_show_on_hover_and_focus_and_on_demand(view: View) -> None:
    page = view.page
    cell = page.locator("td.measured").filter(has_text="±").first
    tip = page.get_by_role("tooltip")
    expect(tip).to_be_hidden()
    cell.hover()
    expect(tip).to_be_visible()
    assert re.search(r"95 %: [\d.,]+ to [\d.,]+", tip.inner_text())
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    cell.focus()
    expect(tip).to_be_visible()
    expect(cell.locator(".interval")).to_be_hidden()
    page.get_by_role("checkbox", name="95 % intervals").check()
    expect(cell.locator(".interval")).to_be_visible()
    page.locator("details.more summary").first.click()  # what lies below the table is not covered by it
    expect(page.locator("details.more table").first).to_be_visible()


def test_the_command_is_copied(view: View) -> None:
    view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.page.get_by_role("button", name="Copy").click()
    expect(view.page.get_by_role("button", name="Copied")).to_be_visible()
    copied = view.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("python -m bench experiment=table2_inpaint_imagenet limit=10")


@pytest.mark.parametrize("view", [(PHONE, "light", True), (PHONE, "dark", True)], indirect=True)
def test_a_phone_shows_the_page_without_horizontal_scrolling(view: View) -> None:
    page = view.page
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    expect(page.locator("td.measured .interval").first).to_be_visible()  # there is no hover
    for details in page.locator("details").all():
        details.evaluate("(one) => { one.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    item = page.locator("[data-item]:visible").first
    item.get_by_label("Zoom in").tap()
    assert zoom(page) == 1.5


@pytest.mark.parametrize("view", [(PHONE, "light", True)], indirect=True)
def test_two_fingers_zoom_and_one_finger_moves(view: View) -> None:
    page = view.page
    picture = page.locator("[data-item]:visible .view").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = view.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": place[0], "y": place[1], "id": number} for number, place in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (x - 10, y), (x + 10, y))
    for step in range(1, 6):
        touch("touchMove", (x - 10 - 4 * step, y), (x + 10 + 4 * step, y))
    touch("touchEnd")
    assert zoom(page) == pytest.approx(3, rel=0.05)
    before = places(page)[0]
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x - 4 * step, y - 4 * step))
    touch("touchEnd")
    assert places(page)[0] != before
    assert zoom(page) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize(
    ("view", "dark"), [((DESKTOP, "light", False), False), ((DESKTOP, "dark", False), True)], indirect=["view"]
)
def test_dark_and_light_follow_the_system_until_the_button_is_pressed(view: View, dark: bool) -> None:
    page = view.page
    assert (page.evaluate(LUMINANCE) < 128) == dark
    page.get_by_label("Change between dark and light").click()
    assert (page.evaluate(LUMINANCE) < 128) != dark
    page.reload()
    assert (page.evaluate(LUMINANCE) < 128) != dark


@pytest.mark.parametrize(
    "view",
    [(size, scheme, size is PHONE) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")],
    indirect=True,
)
def test_words_are_not_clipped(view: View) -> None:
    script = """() => [...document.querySelectorAll("h1, h2, h3, p, td, th, figcaption, button, li")].filter((one) => {
        const style = getComputedStyle(one);
        return style.overflow !== "visible" && one.scrollWidth > one.clientWidth + 1;
    }).map((one) => one.textContent)"""
    assert view.page.evaluate(script) == []
    if SCREENSHOTS:
        size = view.page.viewport_size
        dark = view.page.evaluate(LUMINANCE) < 128
        path = Path(SCREENSHOTS) / f"report_{size['width'] if size else 0}_{'dark' if dark else 'light'}.png"
        view.page.screenshot(path=path, full_page=True)
