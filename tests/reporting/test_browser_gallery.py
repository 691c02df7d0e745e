"""Tests of the list of all items in a real browser: filters, order, pages, opened items, comparisons and the address.

The page shows `COUNT` items whose pictures have one known colour each.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect
from playwright.sync_api import Page as Tab

from bench.reporting.page import report_page
from tests.helpers.browser import DESKTOP, LUMINANCE, PHONE, SCREENSHOTS, View
from tests.helpers.sheets import EVIL, Flat, filled_gallery
from tests.reporting.test_page import page

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

COUNT, ROWS, PER_PAGE = 120, 3, 48
IMAGES = Flat(COUNT, ROWS)
VALUES = IMAGES.compared.values
FULL = filled_gallery(IMAGES)
CHOSEN = {shown.place for shown in FULL.items}
Colour = tuple[int, int, int]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page."""
    path = tmp_path_factory.mktemp("sheet") / "report.html"
    path.write_text(report_page(replace(page(), gallery=FULL)), encoding="utf-8")
    return path


def order(metric: str, row: str, *, difference: bool = True) -> list[int]:
    """Return the indices of all items, the one with the smallest number first."""
    base = VALUES["row0"][metric] if difference else 0.0
    return [int(place) for place in np.argsort(VALUES[row][metric] - base, kind="stable")]


def shown(tab: Tab) -> list[int]:
    """Return the indices of the items on the page of the list."""
    names = tab.locator(".card-id").all_inner_texts()
    return [int(name.removeprefix("item").split()[0]) for name in names]


def choose(tab: Tab, key: str, value: str) -> None:
    tab.locator(f"[data-key={key}]").select_option(value)


def write(tab: Tab, key: str, text: str) -> None:
    tab.locator(f"[data-key={key}]").fill(text)
    tab.wait_for_function(
        "([key, text]) => (new URLSearchParams(location.hash.slice(1)).get(key) ?? '') === text", arg=[key, text]
    )


def state(tab: Tab) -> dict[str, str]:
    """Return the state in the address."""
    found = tab.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert isinstance(found, dict)
    return found


def colour(picture: Locator) -> Colour:
    """Return the colour in the middle of a thumbnail, once it is drawn."""
    script = """async (canvas) => {
        for (let tries = 0; tries < 100; tries += 1) {
            const pixel = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height - 2, 1, 1).data;
            if (pixel[3]) return [...pixel].slice(0, 3);
            await new Promise((done) => setTimeout(done, 20));
        }
    }"""
    return tuple(picture.evaluate(script))  # type: ignore[return-value]


def seen(tab: Tab, across: float) -> Colour:
    """Return the colour that the comparison shows at a place, in parts of its width, near its lower end."""
    box = tab.locator("[data-frame]").bounding_box()
    assert box is not None
    clip = {"x": box["x"] + across * box["width"], "y": box["y"] + 0.85 * box["height"], "width": 1, "height": 1}
    script = """async (data) => {
        const image = new Image();
        image.src = "data:image/png;base64," + data;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").drawImage(image, 0, 0);
        return [...canvas.getContext("2d").getImageData(0, 0, 1, 1).data].slice(0, 3);
    }"""
    return tuple(tab.evaluate(script, base64.b64encode(tab.screenshot(clip=clip)).decode()))  # type: ignore[arg-type,return-value]


def alike(one: Colour, other: Colour) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 16


def eventually(tab: Tab, holds: Callable[[], bool]) -> None:
    for _ in range(60):
        if holds():
            return
        tab.wait_for_timeout(50)
    raise AssertionError("expected this to hold within three seconds")


def unchosen() -> int:
    return next(place for place in range(1, COUNT) if place not in CHOSEN)


# --- the list --------------------------------------------------------------------------------------------------------


def test_all_items_are_listed_with_the_worst_first(view: View) -> None:
    tab = view.page
    worst = order("lpips", "row1")[::-1]
    assert shown(tab) == worst[:PER_PAGE]
    expect(tab.locator("[data-found]")).to_have_text(f"{COUNT} of {COUNT} items found. Shown: 1 to {PER_PAGE}.")
    extremes = tab.locator("[data-extremes]")
    expect(extremes).to_contain_text(f"LPIPS of Row1 minus Row0. Worst: item{worst[0]}")
    expect(extremes).to_contain_text(f"Best: item{worst[-1]}")
    difference = VALUES["row1"]["lpips"][worst[0]] - VALUES["row0"]["lpips"][worst[0]]
    assert tab.locator(".card-value").first.inner_text() == f"{difference:+.4f}"
    pictures = tab.locator(".card").first.locator("canvas")
    assert [picture.get_attribute("aria-label") for picture in pictures.all()] == ["masked", "Row1"]
    assert alike(colour(pictures.nth(1)), IMAGES.colour(worst[0], 1))


def test_the_list_is_ordered_by_each_metric_and_its_direction(view: View) -> None:
    tab = view.page
    choose(tab, "items-by", "psnr")
    assert shown(tab) == order("psnr", "row1")[:PER_PAGE]  # a high value is good
    choose(tab, "items-sort", "best")
    assert shown(tab) == order("psnr", "row1")[::-1][:PER_PAGE]
    choose(tab, "items-number", "value")
    assert shown(tab) == order("psnr", "row1", difference=False)[::-1][:PER_PAGE]
    choose(tab, "items-row", "row0")
    choose(tab, "items-number", "")  # the reference row has no difference to itself
    assert shown(tab) == order("psnr", "row0", difference=False)[::-1][:PER_PAGE]
    choose(tab, "items-sort", "run")
    assert shown(tab) == list(range(PER_PAGE))
    choose(tab, "items-sort", "largest")
    assert shown(tab)[:8] == list(range(13, COUNT, 14))[:8]


def test_pages_show_all_items_once(view: View) -> None:
    tab = view.page
    before, after = (tab.get_by_role("button", name=name) for name in ("Previous page", "Next page"))
    expect(before).to_be_disabled()
    found = shown(tab)
    after.click()
    found += shown(tab)
    after.click()
    found += shown(tab)
    expect(after).to_be_disabled()
    assert sorted(found) == list(range(COUNT))
    assert state(tab) == {"items-page": "3"}
    choose(tab, "items-page", "2")
    expect(tab.locator("[data-found]")).to_contain_text("Shown: 49 to 96.")
    before.click()
    assert state(tab) == {}


def test_filters_leave_the_items_that_fulfil_all_of_them(view: View) -> None:
    tab = view.page
    write(tab, "items-find", "SOURCE 3")
    third = {place for place in range(COUNT) if place % 7 == 3}
    assert set(shown(tab)) == third
    expect(tab.locator("[data-found]")).to_contain_text(f"{len(third)} of {COUNT} items found.")
    write(tab, "items-hole-from", "40")
    write(tab, "items-hole-to", "60")
    middle = {place for place in third if 40 <= 100 * (1 + place % 14) / 16 <= 60}
    assert set(shown(tab)) == middle
    write(tab, "items-hole-to", "")
    write(tab, "items-hole-from", "")
    write(tab, "items-from", "0")
    write(tab, "items-to", "0.25")
    difference = VALUES["row1"]["lpips"] - VALUES["row0"]["lpips"]
    assert set(shown(tab)) == {place for place in third if 0 <= difference[place] <= 0.25}
    choose(tab, "items-by", "psnr")  # a range belongs to one metric
    assert set(shown(tab)) == third
    tab.get_by_role("button", name="Clear filters").click()
    expect(tab.locator("[data-found]")).to_contain_text(f"{COUNT} of {COUNT} items found.")
    write(tab, "items-find", "cat 119")
    assert shown(tab) == [119]
    write(tab, "items-find", "nothing like this")
    expect(tab.locator("[data-found]")).to_have_text(f"None of {COUNT} items found.")


def test_the_list_shows_the_pictures_of_every_row_on_request(view: View) -> None:
    tab = view.page
    tab.get_by_label("Show the pictures of every row").check()
    pictures = tab.locator(".card").nth(1).locator("canvas")
    names = [picture.get_attribute("aria-label") for picture in pictures.all()]
    assert names == ["input", "masked", "Row0", "Row1", "Row2"]
    place = shown(tab)[1]
    assert alike(colour(pictures.nth(4)), IMAGES.colour(place, 2))


def test_texts_of_any_kind_are_shown_as_they_are(view: View) -> None:
    tab = view.page
    write(tab, "items-find", "alert")
    assert shown(tab) == [0]
    name = tab.locator(".card-id").inner_text()
    assert name == f"item0 {EVIL}".replace("\u202e", "\\u202e")
    tab.locator(".card").click()
    expect(tab.locator("#opened-title")).to_have_text(name)
    assert state(tab)["item"] == name
    tab.reload()
    expect(tab.locator("#opened-title")).to_have_text(name)


def test_a_range_contains_its_ends_as_they_are_shown(view: View) -> None:
    tab = view.page
    choose(tab, "items-number", "value")
    choose(tab, "items-sort", "run")
    text = tab.locator(".card-value").nth(5).inner_text()
    write(tab, "items-from", text)
    write(tab, "items-to", text)
    assert 5 in shown(tab)
    tab.get_by_role("button", name="Clear filters").click()
    write(tab, "items-hole-from", "6.25")
    write(tab, "items-hole-to", "6.25")
    assert shown(tab) == [*range(0, COUNT, 14)]


def test_items_with_the_same_or_an_empty_id_are_told_apart(browser: Browser, tmp_path: Path) -> None:
    ids = ["same", "same", "", "same (2)"]
    sheet = FULL.sheet
    assert sheet is not None
    lines = replace(sheet.lines, ids=(*ids, *sheet.lines.ids[len(ids) :]))
    path = tmp_path / "report.html"
    path.write_text(report_page(replace(page(), gallery=replace(FULL, sheet=replace(sheet, lines=lines)))))
    opened = View(browser, path, DESKTOP, "light", touch=False)
    tab = opened.page
    choose(tab, "items-sort", "run")
    for place, address in enumerate(["same", "same (2))", " (3)", "same (2)"]):
        tab.locator(".card").nth(place).click()
        assert state(tab)["item"] == address
        tab.reload()
        expect(tab.locator("[data-about]")).to_contain_text(f"source source {place}")
        tab.keyboard.press("Escape")
        expect(tab.locator(".card").nth(place)).to_be_focused()  # the address opened the item, so no card had the focus
    opened.context.close()
    assert opened.wrong == []


# --- an opened item --------------------------------------------------------------------------------------------------


def opened(tab: Tab, place: int) -> Locator:
    write(tab, "items-find", f"cat {place}")
    tab.locator(".card").filter(has_text=re.compile(rf"item{place}(?!\d)")).first.click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def test_a_chosen_item_opens_with_its_full_pictures_and_others_with_thumbnails(view: View) -> None:
    tab = view.page
    place = min(CHOSEN - {0})
    dialog = opened(tab, place)
    tiles = dialog.locator("[data-tiles] .view")
    assert tiles.locator("img").count() == 2 + 2 * ROWS
    expect(dialog).to_contain_text("These are the pictures of a chosen item.")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    assert "item" not in state(tab)
    dialog = opened(tab, unchosen())
    assert tiles.locator("img").count() == 0
    assert tiles.locator("canvas").count() == 2 + ROWS
    expect(dialog).to_contain_text("These pictures are thumbnails with at most 16 pixels a side")
    assert alike(colour(tiles.locator("canvas").last), IMAGES.colour(unchosen(), 2))


def test_an_opened_item_shows_every_value_and_its_place_from_the_worst(view: View) -> None:
    tab = view.page
    place = order("lpips", "row2")[-4]
    dialog = opened(tab, place)
    row = dialog.locator(".item-values tbody tr").nth(2)
    value, difference = VALUES["row2"]["lpips"][place], (VALUES["row2"]["lpips"] - VALUES["row0"]["lpips"])[place]
    expect(row.locator("td").first).to_have_text(f"{value:.4f}{difference:+.4f}; 4 of {COUNT}")
    assert dialog.locator(".item-values td").count() == ROWS * 2
    assert "source" in dialog.locator("[data-about]").inner_text()


def test_the_neighbours_of_an_item_follow_the_order_of_the_list(view: View) -> None:
    tab = view.page
    places = shown(tab)
    tab.locator(".card").first.click()
    dialog = tab.get_by_role("dialog")
    title = dialog.locator("#opened-title")
    expect(title).to_be_focused()
    expect(dialog.get_by_role("button", name="Previous item")).to_be_disabled()
    dialog.get_by_role("button", name="Next item").click()
    expect(title).to_contain_text(f"item{places[1]}")
    dialog.get_by_role("button", name="Previous item").click()
    expect(title).to_contain_text(f"item{places[0]}")
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.locator(".card").first).to_be_focused()


def test_a_chosen_item_has_a_button_for_the_comparison(view: View) -> None:
    tab = view.page
    item = tab.locator("[data-item]:visible").first
    name = item.locator("h4").inner_text()
    item.get_by_role("button", name="Compare").click()
    expect(tab.locator("#opened-title")).to_have_text(name)
    tab.keyboard.press("Escape")
    expect(item.get_by_role("button", name="Compare")).to_be_focused()


# --- the comparison --------------------------------------------------------------------------------------------------


def test_the_slider_shows_both_pictures_and_moves_by_mouse_and_keys(view: View) -> None:
    tab, place = view.page, unchosen()
    dialog = opened(tab, place)
    left, right = IMAGES.colour(place, -1), IMAGES.colour(place, 1)
    eventually(tab, lambda: alike(seen(tab, 0.25), left) and alike(seen(tab, 0.75), right))
    box = dialog.locator("[data-frame]").bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 80, steps=5)
    tab.mouse.up()
    assert state(tab)["at"] == "90"
    eventually(tab, lambda: alike(seen(tab, 0.75), left) and alike(seen(tab, 0.95), right))
    slider = dialog.locator("[data-slider]")
    expect(slider).to_be_focused()
    for _ in range(3):
        tab.keyboard.press("ArrowLeft")
    assert state(tab)["at"] == "87"
    tab.keyboard.press("Home")
    assert state(tab)["at"] == "0"
    eventually(tab, lambda: alike(seen(tab, 0.1), right))


def test_the_compared_pictures_are_chosen_and_swapped(view: View) -> None:
    tab, place = view.page, unchosen()
    dialog = opened(tab, place)
    names = dialog.locator("[data-pick=left] option").all_inner_texts()
    assert names == ["input", "masked", "Row0", "Row1", "Row2"]
    dialog.locator("[data-pick=left]").select_option("row:row0")
    dialog.locator("[data-pick=right]").select_option("row:row2")
    eventually(tab, lambda: alike(seen(tab, 0.25), IMAGES.colour(place, 0)))
    eventually(tab, lambda: alike(seen(tab, 0.75), IMAGES.colour(place, 2)))
    dialog.get_by_role("button", name="Swap").click()
    eventually(tab, lambda: alike(seen(tab, 0.25), IMAGES.colour(place, 2)))
    assert dialog.locator("[data-tag]").all_inner_texts() == ["Row2", "Row0"]


def test_blinking_changes_the_picture_slowly_until_it_is_stopped(view: View) -> None:
    tab, place = view.page, unchosen()
    dialog = opened(tab, place)
    tab.evaluate("""() => {
        window.changes = [];
        new MutationObserver(() => window.changes.push(performance.now()))
            .observe(document.querySelector("[data-frame]"), { attributeFilter: ["class"] });
    }""")
    dialog.get_by_role("button", name="Blink").click()
    stop = dialog.get_by_role("button", name="Stop blinking")
    expect(stop).to_have_attribute("aria-pressed", "true")
    eventually(tab, lambda: alike(seen(tab, 0.9), IMAGES.colour(place, -1)))
    eventually(tab, lambda: alike(seen(tab, 0.1), IMAGES.colour(place, 1)))
    eventually(tab, lambda: tab.evaluate("window.changes.length >= 4"))
    times = tab.evaluate("window.changes")
    assert (times[-1] - times[1]) / (len(times) - 2) > 650  # below 1.5 changes a second
    stop.click()
    count = tab.evaluate("window.changes.length")
    tab.wait_for_timeout(1600)
    assert tab.evaluate("window.changes.length") <= count + 1  # the stop itself changes the class
    eventually(tab, lambda: alike(seen(tab, 0.1), IMAGES.colour(place, -1)))


def test_pictures_change_only_on_request_if_the_system_asks_for_less_motion(view: View) -> None:
    tab, place = view.page, unchosen()
    tab.emulate_media(reduced_motion="reduce")
    dialog = opened(tab, place)
    dialog.get_by_role("button", name="Blink").click()
    tab.wait_for_timeout(1600)
    assert alike(seen(tab, 0.9), IMAGES.colour(place, -1))
    expect(dialog).to_contain_text("This system asks for less motion")
    dialog.get_by_role("button", name="Show the other picture").click()
    eventually(tab, lambda: alike(seen(tab, 0.1), IMAGES.colour(place, 1)))


def scales(tab: Tab) -> set[float]:
    script = """() => [...document.querySelectorAll("dialog .view")].map(
        (view) => view.firstElementChild.getBoundingClientRect().width / view.getBoundingClientRect().width)"""
    return {round(scale, 2) for scale in tab.evaluate(script)}


def test_all_pictures_of_an_opened_item_zoom_together(view: View) -> None:
    tab = view.page
    dialog = opened(tab, unchosen())
    dialog.get_by_label("Zoom in").click()
    assert scales(tab) == {1.5}
    dialog.get_by_label("Whole pictures").click()
    dialog.locator("[data-tiles]").focus()
    tab.keyboard.press("+")
    tab.keyboard.press("+")
    assert scales(tab) == {2.25}
    tab.keyboard.press("Escape")
    assert scales(tab) == {1}
    expect(dialog).to_be_visible()  # the second press closes it
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


# --- the address -----------------------------------------------------------------------------------------------------


def test_every_state_survives_a_reload(view: View) -> None:
    tab = view.page
    tab.locator("[data-choose=row]").select_option("row2")
    tab.locator("[data-choose=metric]").select_option("")
    choose(tab, "items-row", "row2")
    choose(tab, "items-by", "psnr")
    choose(tab, "items-number", "value")
    choose(tab, "items-sort", "best")
    write(tab, "items-find", "source")
    write(tab, "items-hole-from", "10")
    write(tab, "items-from", "20.1")
    tab.get_by_label("Show the pictures of every row").check()
    choose(tab, "items-page", "2")
    places = shown(tab)
    tab.locator(".card").nth(3).click()
    dialog = tab.get_by_role("dialog")
    name = dialog.locator("#opened-title").inner_text()
    dialog.locator("[data-pick=left]").select_option("row:row0")
    dialog.locator("[data-slider]").focus()
    tab.keyboard.press("ArrowRight")
    dialog.get_by_role("button", name="Blink").click()
    before = state(tab)
    assert before == {
        "row": "row2", "by": "*", "items-row": "row2", "items-by": "psnr", "items-number": "value",
        "items-sort": "best", "items-find": "source", "items-hole-from": "10", "items-from": "20.1",
        "items-rows": "all", "items-page": "2", "item": name, "left": "row:row0", "at": "51", "mode": "blink",
    }  # fmt: skip
    tab.reload()
    assert state(tab) == before
    expect(dialog.locator("#opened-title")).to_have_text(name)
    expect(dialog.get_by_role("button", name="Stop blinking")).to_be_visible()
    assert dialog.locator("[data-pick=left]").input_value() == "row:row0"
    assert dialog.locator("[data-slider]").input_value() == "51"
    assert shown(tab) == places
    for key in ("items-find", "items-hole-from", "items-from", "items-row", "items-by", "items-number", "items-sort"):
        assert tab.locator(f"[data-key={key}]").input_value() == before[key]
    assert tab.locator("[data-choose=row]").input_value() == "row2"
    assert tab.locator("[data-choose=metric]").input_value() == ""


@pytest.mark.parametrize(
    "fragment",
    [
        "#item=nobody&items-row=none&items-by=none&items-sort=none&items-page=-3&items-from=much&mode=never&at=1e9",
        "#items-page=999&left=none&right=none&row=none&by=none&items-number=none&items-rows=none",
        "#%E0%A4%A=%&&&==&item=%ff&items-find=%",
        "#item",
    ],
)
def test_unknown_and_damaged_fragments_show_the_first_state(view: View, report: Path, fragment: str) -> None:
    tab = view.page
    tab.goto("about:blank")
    tab.goto(report.as_uri() + fragment)
    expect(tab.get_by_role("dialog")).to_be_hidden()
    if "find" not in fragment:
        worst = order("lpips", "row1")[::-1]
        assert shown(tab) == (worst[96:] if "999" in fragment else worst[:PER_PAGE])
    assert tab.locator("[data-choose=row]").input_value() == "row1"


# --- phone, print and themes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [(PHONE, "light", True), (PHONE, "dark", True)], indirect=True)
def test_a_phone_opens_and_compares_by_touch_without_horizontal_scrolling(view: View) -> None:
    tab = view.page
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    tab.get_by_label("Show the pictures of every row").tap()
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    tab.locator(".card").first.tap()
    dialog = tab.get_by_role("dialog")
    assert dialog.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    box = dialog.locator("[data-frame]").bounding_box()
    assert box is not None
    fingers = view.context.new_cdp_session(tab)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": place[0], "y": place[1], "id": number} for number, place in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x - 0.06 * step * box["width"], y))
    touch("touchEnd")
    assert state(tab)["at"] == "20"
    touch("touchStart", (x - 10, y), (x + 10, y))
    for step in range(1, 6):
        touch("touchMove", (x - 10 - 4 * step, y), (x + 10 + 4 * step, y))
    touch("touchEnd")
    assert max(scales(tab)) > 2
    assert state(tab)["at"] == "20"  # two fingers do not move the slider
    dialog.get_by_role("button", name="Close").tap()
    expect(dialog).to_be_hidden()


def test_print_shows_chosen_items_without_controls(view: View) -> None:
    tab = view.page
    tab.locator(".card").first.click()
    tab.emulate_media(media="print")
    expect(tab.locator("[data-item]:not([hidden])").first).to_be_visible()
    for control in ("[data-all-items]", "dialog", "[data-filters]", "[data-open]"):
        expect(tab.locator(control).first).to_be_hidden()


@pytest.mark.parametrize(
    "view",
    [(size, scheme, size is PHONE) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")],
    indirect=True,
)
def test_every_control_has_a_name_and_no_text_is_bold(view: View) -> None:
    tab = view.page
    tab.locator(".card").nth(1).click()
    nameless = """() => [...document.querySelectorAll(
        "#gallery :is(input, select, button, canvas, img, [tabindex])"
    )].filter(
        (one) => !one.labels?.length && !one.getAttribute("aria-label") && !one.textContent.trim() && !one.alt
    ).map((one) => one.outerHTML)"""
    assert tab.evaluate(nameless) == []
    bold = """() => [...document.querySelectorAll("#gallery *")].filter(
        (one) => getComputedStyle(one).fontWeight > 500 && !one.closest("h2, h3, h4, thead") && one.textContent.trim()
    ).map((one) => one.outerHTML.slice(0, 80))"""
    assert tab.evaluate(bold) == []
    if SCREENSHOTS:
        size = tab.viewport_size
        dark = tab.evaluate(LUMINANCE) < 128
        path = Path(SCREENSHOTS) / f"opened_{size['width'] if size else 0}_{'dark' if dark else 'light'}.png"
        tab.screenshot(path=path)
