"""Tests of the table in a real browser: order, hidden rows and columns, meanings, a phone, print and the fragment.

Each control is used with the mouse, with the keyboard alone and by touch.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bench.reporting.page import report_page
from tests.helpers.browser import DESKTOP, PHONE, View
from tests.reporting.explored import LABELS, explored_page

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

OWN = [*LABELS]
Act = Callable[[Page, Locator], None]
"""Function that presses a control in one way."""


def click(_: Page, control: Locator) -> None:
    control.click()


def press(page: Page, control: Locator) -> None:
    """Move the focus to a control with the key Tab alone, and press the key that activates it."""
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")
    for _ in range(200):
        page.keyboard.press("Tab")
        if control.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Space" if control.evaluate("one => one.type === 'checkbox'") else "Enter")
            return
    raise AssertionError("the key Tab does not reach the control")


def tap(_: Page, control: Locator) -> None:
    control.tap()


WAYS: list[tuple[tuple[dict[str, int], str, bool], Act]] = [
    ((DESKTOP, "light", False), click),
    ((DESKTOP, "light", False), press),
    ((DESKTOP, "light", True), tap),
]
by_all_ways = pytest.mark.parametrize(("view", "act"), WAYS, indirect=["view"], ids=["mouse", "keyboard", "touch"])
on_a_phone = pytest.mark.parametrize("view", [(PHONE, "light", True)], indirect=True)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page whose table is known."""
    found = tmp_path_factory.mktemp("explored") / "report.html"
    found.write_text(report_page(explored_page()), encoding="utf-8")
    return found


def rows(page: Page) -> list[str]:
    """Return the keys of the visible rows of the main table in their order."""
    return page.locator(".results tbody tr:visible").evaluate_all("all => all.map((one) => one.dataset.row)")  # type: ignore[no-any-return]


def columns(page: Page) -> list[str]:
    """Return the names of the visible columns of the main table, and check that each row has as many cells."""
    found = page.locator(".results thead th:visible").evaluate_all("all => all.map((one) => one.dataset.key)")
    for row in page.locator(".results tbody tr:visible").all():
        assert row.locator("> :visible").count() == len(found)
    return found  # type: ignore[no-any-return]


def head(page: Page, title: str) -> Locator:
    return page.locator(".results thead").get_by_role("button", name=title)


def fragment(page: Page) -> str:
    return page.evaluate("decodeURIComponent(location.hash)")  # type: ignore[no-any-return]


# --- order ---


@by_all_ways
def test_a_heading_sorts_upwards_downwards_and_then_restores_the_order(view: View, act: Act) -> None:
    page, title = view.page, "LPIPS (mini features)"
    column = page.locator(".results th[data-key=lpips]")
    expect(column).to_have_attribute("aria-sort", "none")
    act(page, head(page, title))
    assert rows(page) == ["large, 2", "base", "pasted", "first", "cited"]
    expect(column).to_have_attribute("aria-sort", "ascending")
    assert fragment(page) == "#sort=up:lpips"
    act(page, head(page, title))
    assert rows(page) == ["first", "pasted", "base", "large, 2", "cited"]
    expect(column).to_have_attribute("aria-sort", "descending")
    page.reload()
    assert rows(page) == ["first", "pasted", "base", "large, 2", "cited"]
    act(page, head(page, title))
    assert rows(page) == OWN
    expect(column).to_have_attribute("aria-sort", "none")
    assert fragment(page) == ""


def test_unmeasured_cells_are_last_in_both_orders_and_an_exact_ratio_is_the_largest(view: View) -> None:
    page = view.page
    head(page, "FID").click()
    assert rows(page) == ["large, 2", "base", "first", "pasted", "cited"]
    head(page, "FID").click()
    assert rows(page) == ["first", "base", "large, 2", "pasted", "cited"]
    head(page, "error to StableDiffusion").click()
    assert rows(page) == ["base", "large, 2", "pasted", "first", "cited"]
    head(page, "error to StableDiffusion").click()
    assert rows(page) == ["pasted", "large, 2", "base", "first", "cited"]
    assert page.locator(".results th[aria-sort=descending]").count() == 1


def test_the_labels_are_sorted_as_words(view: View) -> None:
    head(view.page, "Method").click()
    shown = [LABELS[row] for row in rows(view.page)]
    assert shown == sorted(shown, key=str.casefold)


def test_each_further_table_is_sorted_by_itself(view: View) -> None:
    page = view.page
    details = page.locator("details.more", has_text="Difference to StableDiffusion").last
    details.locator("summary").click()
    names = details.locator("tbody th")
    before = names.all_inner_texts()
    details.get_by_role("button", name="LPIPS").click()
    assert names.all_inner_texts() == ["Ours (large) w/ mask", "Ours (base) w/ mask", "Mine"]
    assert rows(page) == OWN
    page.reload()
    assert page.locator("details.more", has_text="Difference to StableDiffusion").last.locator("tbody th").evaluate_all(
        "all => all.map((one) => one.textContent)"
    ) == ["Ours (large) w/ mask", "Ours (base) w/ mask", "Mine"]
    assert before == ["Ours (base) w/ mask", "Ours (large) w/ mask", "Mine"]


# --- hidden rows and columns ---


@by_all_ways
def test_rows_and_columns_are_hidden_and_shown_again(view: View, act: Act) -> None:
    page = view.page
    act(page, page.locator(".chooser summary"))
    act(page, page.get_by_label("Ours (large) w/ mask", exact=True))
    act(page, page.get_by_label("LPIPS (mini features)", exact=True))
    act(page, page.get_by_label("error to StableDiffusion", exact=True))
    rest = ["first", "base", "pasted", "cited"]
    assert rows(page) == rest
    assert columns(page) == ["", "fid", "pre_error"]
    expect(page.locator("[data-hidden]")).to_have_text("1 row and 2 columns are hidden")
    page.reload()
    assert (rows(page), columns(page)) == (rest, ["", "fid", "pre_error"])
    act(page, page.locator(".chooser summary"))
    expect(page.get_by_label("Ours (large) w/ mask", exact=True)).not_to_be_checked()
    act(page, page.get_by_role("button", name="Show all columns"))
    assert (rows(page), columns(page)) == (rest, ["", "fid", "lpips", "pre_error", "pre_error/ratio"])
    act(page, page.get_by_role("button", name="Show all rows"))
    assert rows(page) == OWN
    expect(page.locator("[data-hidden]")).to_have_text("")
    assert fragment(page) == ""


def test_all_rows_and_columns_can_be_hidden_and_shown_again(view: View) -> None:
    page = view.page
    page.locator(".chooser summary").click()
    for box in page.locator(".chooser input").all():
        box.uncheck()
    assert (rows(page), columns(page)) == ([], [""])
    page.reload()
    assert (rows(page), columns(page)) == ([], [""])
    page.locator(".chooser summary").click()
    for button in page.locator(".chooser button").all():
        button.click()
    assert (rows(page), fragment(page)) == (OWN, "")


# --- the fragment ---


def test_a_link_shows_the_same_view_in_another_window(view: View, browser: Browser, report: Path) -> None:
    page = view.page
    head(page, "FID").click()
    page.get_by_role("checkbox", name="95 % intervals").check()
    page.locator(".chooser summary").click()
    page.get_by_label("Ours (large) w/ mask", exact=True).uncheck()
    page.get_by_label("Pre_error [1e-5]", exact=True).uncheck()
    page.locator("#pairs summary").click()
    page.locator("#pairs select").first.select_option("first")
    other = View(browser, report, DESKTOP, "light", touch=False)
    other.page.goto("about:blank")
    other.page.goto(page.url)
    assert rows(other.page) == rows(page) == ["base", "first", "pasted", "cited"]
    assert columns(other.page) == columns(page) == ["", "fid", "lpips", "pre_error/ratio"]
    expect(other.page.locator("[data-row=base] .interval").first).to_be_visible()
    expect(other.page.locator("#pairs select").first).to_have_value("first")
    assert other.wrong == []
    other.context.close()


def test_a_link_to_a_section_keeps_the_view(view: View) -> None:
    page = view.page
    head(page, "FID").click()
    sorted_rows, address = rows(page), page.url
    page.get_by_role("link", name="Claims").click()
    assert page.url == address
    expect(page.locator("#claims-title")).to_be_in_viewport()
    page.keyboard.press("Tab")  # the focus goes on in the section
    assert page.evaluate("document.getElementById('claims').contains(document.activeElement)")
    page.get_by_role("link", name="Compare two rows").click()
    expect(page.locator("#pairs table")).to_be_visible()
    page.wait_for_url(f"{address}&open=1")
    assert rows(page) == sorted_rows


@pytest.mark.parametrize(
    "damaged",
    [
        "#sort=up:nothing",
        "#sort=sideways:lpips",
        "#sort=up",
        "#sort=%E0%A4%A",
        "#sort_2=up:99",
        "#hide_rows=,,nobody,%25&hide_columns=%25E0%25A4%25A",
        "#column=nothing&intervals=maybe",
        "#pair=first",
        "#pair=first,nobody&&&==",
        "#open=99,x,-1,1.5",
        "#=",
        "#__proto__=1&constructor=2",
        "#no-such-section",
        "#%",
    ],
)
def test_a_damaged_fragment_shows_the_first_view(view: View, report: Path, damaged: str) -> None:
    page = view.page
    page.goto("about:blank")
    page.goto(report.as_uri() + damaged)
    assert (rows(page), columns(page)) == (OWN, ["", "fid", "lpips", "pre_error", "pre_error/ratio"])
    assert page.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 0
    expect(page.locator(".results .interval").first).to_be_hidden()
    expect(page.locator("#pairs table")).to_be_hidden()
    head(page, "FID").click()  # the controls still work
    assert rows(page)[0] == "large, 2"


def test_a_fragment_that_changes_by_hand_changes_the_view(view: View) -> None:
    view.page.evaluate("location.hash = 'sort=down:lpips&hide_rows=first'")
    expect(view.page.locator(".results tbody tr:visible").first).to_have_attribute("data-row", "pasted")
    assert rows(view.page) == ["pasted", "base", "large, 2", "cited"]


@by_all_ways
def test_open_tables_are_open_again_after_a_reload(view: View, act: Act) -> None:
    page = view.page
    details = page.locator("details.more")
    for number in (1, 2):
        act(page, details.nth(number).locator("summary"))
    page.wait_for_url("**#open=2%2C3")
    page.reload()
    assert details.evaluate_all("all => all.map((one) => one.open)") == [False, True, True, False]
    act(page, details.nth(2).locator("summary"))
    page.wait_for_url("**#open=2")
    assert details.evaluate_all("all => all.map((one) => one.open)") == [False, True, False, False]


# --- meanings ---


def test_each_word_with_a_meaning_shows_it_under_the_pointer_and_with_the_focus(view: View) -> None:
    page, tip = view.page, view.page.get_by_role("tooltip")
    found = page.locator("[data-meaning]:visible")
    assert found.count() > 15
    for trigger in found.all():
        meaning = page.locator(str(trigger.get_attribute("href"))).text_content()
        page.mouse.move(0, 0)
        trigger.scroll_into_view_if_needed()
        trigger.hover()
        expect(tip).to_have_text(str(meaning))
        expect(trigger).to_have_attribute("aria-describedby", "shown-tip")
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        trigger.focus()
        expect(tip).to_have_text(str(meaning))
        assert tip.evaluate("one => one.getBoundingClientRect().right <= innerWidth")
        trigger.evaluate("one => one.blur()")
        expect(tip).to_be_hidden()


def test_a_tip_stays_while_the_pointer_is_on_it(view: View) -> None:
    page, tip = view.page, view.page.get_by_role("tooltip")
    page.locator(".results").get_by_label("Meaning of LPIPS").hover()
    tip.hover()
    page.wait_for_timeout(400)
    expect(tip).to_be_visible()
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()


@on_a_phone
def test_a_tap_shows_a_meaning_and_a_tap_elsewhere_hides_it(view: View) -> None:
    page, tip = view.page, view.page.get_by_role("tooltip")
    for trigger in (
        page.locator(".results").get_by_label("Meaning of FID"),
        page.locator(".key a", has_text="÷"),
        page.locator(".claims .verdict").first,
        page.locator(".measured:visible").first,
    ):
        trigger.tap()
        expect(tip).to_be_visible()
        assert tip.evaluate("one => one.getBoundingClientRect().left >= 0")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        page.locator("h2", has_text="Gallery").tap()
        expect(tip).to_be_hidden()
    assert fragment(page) == ""


def test_the_arrow_keys_move_among_the_numbers(view: View) -> None:
    page, tip = view.page, view.page.get_by_role("tooltip")
    numbers = page.locator(".results .measured")
    assert numbers.evaluate_all("all => all.filter((one) => one.tabIndex === 0).length") == 1
    numbers.first.focus()
    expect(tip).to_contain_text("95 %: 70.15 to 90.85")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".results [data-row=first] td").nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(tip).to_contain_text("bold: better than every other measured row of this column")
    expect(tip).to_contain_text("minus StableDiffusion: \N{MINUS SIGN}0.3750")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".results [data-row=base] td").first).to_be_focused()
    assert numbers.evaluate_all("all => all.filter((one) => one.tabIndex === 0).length") == 1


# --- two rows ---


def test_two_rows_are_compared(view: View) -> None:
    page = view.page
    page.get_by_role("link", name="Compare two rows").click()
    lines = page.locator("#pairs tbody tr:visible")
    assert lines.count() == 2
    expect(lines.last).to_contain_text("Ours (large) w/ mask minus Ours (base) w/ mask")
    expect(lines.last).to_contain_text("Ours (large) w/ mask is better")
    first, second = page.locator("#pairs select").all()
    first.select_option("pasted")
    second.select_option("base")
    assert lines.count() == 1
    expect(lines).to_contain_text("undecided: the rows may be equal")
    second.select_option("pasted")
    assert lines.count() == 0
    expect(page.locator("[data-same]")).to_have_text("Choose two different rows.")
    second.focus()
    page.keyboard.press("ArrowUp")  # the keyboard alone
    page.keyboard.press("ArrowUp")
    expect(second).to_have_value("base")
    page.reload()
    expect(page.locator("#pairs select").first).to_have_value("pasted")
    expect(lines).to_contain_text("Mine minus Ours (base) w/ mask")


# --- phone, print, bold, no script ---


@on_a_phone
def test_a_phone_shows_one_column_with_its_intervals_and_no_sideways_scroll(view: View) -> None:
    page = view.page
    assert columns(page) == ["", "fid"]
    choice = page.locator("[data-one]")
    for name in ("lpips", "pre_error", "pre_error/ratio"):
        choice.select_option(name)
        assert columns(page) == ["", name]
        inner = page.locator(".scroll", has=page.locator(".results"))
        assert inner.evaluate("one => one.scrollWidth <= one.clientWidth")
    choice.select_option("lpips")
    expect(page.locator(".results td.chosen .interval").first).to_be_visible()
    page.reload()
    assert columns(page) == ["", "lpips"]
    page.locator(".chooser summary").tap()
    page.get_by_label("LPIPS (mini features)", exact=True).tap()
    assert columns(page) == ["", "fid"]
    assert choice.locator("option:not([disabled])").all_inner_texts() == [
        "FID (mini features)", "Pre_error [1e-5]", "error to StableDiffusion",
    ]  # fmt: skip
    expect(page.locator("#downloads dl")).to_be_hidden()
    page.locator("#downloads summary").tap()
    expect(page.get_by_role("link", name="table.csv")).to_be_visible()


def test_a_wide_window_shows_all_columns_whatever_a_phone_chose(view: View, report: Path) -> None:
    view.page.goto("about:blank")
    view.page.goto(f"{report.as_uri()}#column=lpips")
    assert columns(view.page) == ["", "fid", "lpips", "pre_error", "pre_error/ratio"]


def test_print_shows_no_controls_and_opens_every_table(view: View) -> None:
    page = view.page
    page.set_viewport_size({"width": 690, "height": 975})  # a page of A4 between its margins
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for hidden in (".controls", "nav", ".theme", "[data-copy]", "#downloads", ".what"):
        assert page.locator(f"{hidden}:visible").count() == 0
    others = page.locator("details.more:not(#pairs)")
    assert others.locator("table:visible").count() == others.count() > 2
    assert page.locator("#pairs:visible").count() == 0  # a pair of rows is chosen on the screen
    too_wide = "all => all.filter((one) => one.getBoundingClientRect().right > innerWidth).length"
    assert page.locator("table").evaluate_all(too_wide) == 0
    expect(page.locator(".results .interval").first).to_be_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.more[open]").count() == 0


def test_nothing_but_the_best_value_is_bold_in_tables(view: View) -> None:
    page = view.page
    bold = """all => all.filter((one) => one.children.length === 0 && one.textContent.trim()
        && Number(getComputedStyle(one).fontWeight) > 400).map((one) => one.textContent)"""
    assert page.locator("table, table *").evaluate_all(bold) == ["0.1250"]
    assert page.locator(".results").evaluate_all("all => all.map((one) => getComputedStyle(one).fontWeight)") == ["400"]


def test_the_controls_work_on_a_page_that_may_not_change_its_address(browser: Browser, report: Path) -> None:
    context = browser.new_context(offline=True)
    context.add_init_script("history.replaceState = () => { throw new DOMException('no', 'SecurityError'); };")
    page = context.new_page()
    page.goto(report.as_uri())
    head(page, "FID").click()
    page.locator(".chooser summary").click()
    page.get_by_label("Ours (large) w/ mask", exact=True).uncheck()
    assert (rows(page), fragment(page)) == (["base", "first", "pasted", "cited"], "")
    page.get_by_role("link", name="Claims").click()
    expect(page.locator("#claims-title")).to_be_in_viewport()
    assert rows(page) == ["base", "first", "pasted", "cited"]
    context.close()


def test_the_key_tab_reaches_a_number_after_the_window_has_another_size(view: View) -> None:
    page = view.page
    page.locator(".results [data-row=first] td").nth(2).focus()
    page.set_viewport_size(PHONE)
    expect(page.locator(".results .measured:visible[tabindex='0']")).to_have_count(1)


def test_without_scripts_the_table_shows_everything(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("[data-controls]:visible, [data-pairs]:visible, .sort").count() == 0
    assert page.locator(".results tbody tr:visible").count() == len(OWN)
    expect(page.locator(".results .interval").first).to_be_visible()
    page.locator(".key a", has_text="÷").click()
    expect(page.locator("#meanings", has_text="The reference row's error divided")).to_be_in_viewport()
    context.close()
