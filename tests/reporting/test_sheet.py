"""Tests of the sheet of all items: thumbnails, values, rules for what fits, and texts that contain HTML."""

import base64
import json
import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from jinja2.utils import htmlsafe_json_dumps
from PIL import Image

from bench.data.items import Item
from bench.reporting import sheet as module
from bench.reporting.choice import ComparedRows, Pick, choose, extremes
from bench.reporting.page import report_page
from bench.reporting.sheet import Places, Thumbnails, lines_of, pictured_places, thumbnails
from tests.helpers.sheets import EVIL, LPIPS, PSNR, Flat, filled_gallery
from tests.reporting.test_gallery import Noise
from tests.reporting.test_page import page

pytestmark = pytest.mark.blackbox


def sprite(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(BytesIO(base64.b64decode(data))).convert("RGB")


def size(found: Thumbnails) -> int:
    return sum(len(uri) for strip in found.strips for uri in strip.sprites)


def made(images: Flat | Noise, places: list[int], room: int = module.ROOM) -> Thumbnails:
    labels = {row: row.capitalize() for row in images.rows}
    found = thumbnails(Places(places, []), images, images, labels, room=room)
    assert found is not None
    return found


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


# --- thumbnails ------------------------------------------------------------------------------------------------------


def test_every_item_has_a_thumbnail_of_each_picture_at_its_place_in_a_sprite() -> None:
    images = Flat(150, 2, side=32)
    found = made(images, list(range(150)))
    assert found.places == tuple(range(150))
    assert found.captions[149] == "cat 149"
    assert [(strip.key, strip.label) for strip in found.strips] == [
        ("input", "input"), ("masked", "masked"), ("row:row0", "Row0"), ("row:row1", "Row1"),
    ]  # fmt: skip
    for number, strip in ((-1, found.strips[0]), (1, found.strips[3])):
        assert strip.shapes is None
        assert len(strip.sprites) == 2
        for place in (0, 17, 127, 128, 149):
            inside = place % found.block
            corner = (inside % found.columns * found.side, inside // found.columns * found.side)
            pixels = np.asarray(sprite(strip.sprites[place // found.block]))[corner[1] :, corner[0] :][:32, :32]
            assert abs(pixels.astype(int) - images.colour(place, number)).mean() < 8


def test_pictures_of_other_shapes_keep_their_shape_and_missing_pictures_stay_empty() -> None:
    images = Flat(3, 1)

    def shaped(places: list[int]) -> tuple[list[Item], dict[str, np.ndarray]]:
        items = [
            replace(images.item(place), exemplar=np.zeros((40, 20, 3), np.uint8) if place else None) for place in places
        ]
        return items, images(places)[1]  # type: ignore[return-value]

    found = thumbnails(Places([0, 1, 2], []), shaped, images.read, {"row0": "Row"})  # type: ignore[arg-type]
    assert found is not None
    assert {strip.key: strip.shapes for strip in found.strips} == {
        "input": None, "masked": None, "row:row0": None, "exemplar": ((0, 0), (8, 16), (8, 16)),
    }  # fmt: skip


def test_thumbnails_get_smaller_before_items_lose_theirs() -> None:
    images = Noise(64, 2)
    order = list(range(24))
    whole = made(images, order)
    assert whole.side == 64
    fewer = made(images, order, room=size(whole) // 2)
    assert (fewer.side, len(fewer.places)) == (48, 24)
    assert size(fewer) <= size(whole) // 2
    least = made(images, order, room=size(whole) // 8)
    assert least.side == 32
    assert 6 <= len(least.places) < 20
    assert size(least) <= size(whole) // 8
    assert least.places == tuple(range(len(least.places)))


def test_no_item_has_a_thumbnail_without_room() -> None:
    images = Noise(32, 2)
    assert thumbnails(Places([0, 1], []), images, images, {"row0": "a", "row1": "b"}, room=100) is None
    assert thumbnails(Places([], []), images, images, {}) is None


def test_images_are_made_once_and_only_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Flat(200, 3)
    monkeypatch.setattr(module, "AT_ONCE", 10 * 4 * 16 * 16 * 3)
    made(images, list(reversed(range(200))))
    assert max(map(len, images.asked)) == 10
    assert sorted(place for places in images.asked for place in places) == list(range(200))


# --- which items -----------------------------------------------------------------------------------------------------


def test_extremes_alternate_between_worst_and_best_of_each_row() -> None:
    values = {
        "base": {"lpips": np.zeros(4)},
        "one": {"lpips": np.array([3.0, 1.0, np.nan, 2.0])},
        "two": {"lpips": np.array([0.0, 1.0, 2.0, 3.0])},
    }
    rows = ComparedRows(values, [LPIPS], {row: row for row in values}, "base")
    assert list(extremes(rows)) == [0, 1, 3, 0, 3, 3, 2, 1, 1, 0, 1, 2, 0, 3]


def test_chosen_items_and_extremes_have_thumbnails_if_not_all_images_can_be_made() -> None:
    images = Flat(300, 2)
    rows, picks = images.compared, choose(images.compared)
    some = pictured_places(rows, picks, 30_000)
    assert len(some.with_rows) == module.MOST_DECODED // 2
    assert len(some.with_rows) + len(some.given) == module.MOST_READ
    assert set(some.with_rows[: len(picks)]) >= {pick.place for pick in picks}
    assert set(some.with_rows) >= set(range(300))  # every item with a value comes before those without
    assert sorted(pictured_places(rows, picks, 300).with_rows) == list(range(300))


def test_only_listed_items_have_thumbnails() -> None:
    images = Flat(100, 3)
    rows = images.compared
    places = pictured_places(rows, choose(rows), 30)
    assert sorted(places.with_rows + places.given) == [*range(30)]


def test_the_items_have_thumbnails_in_the_order_of_the_run_if_no_metric_compares_them() -> None:
    rows = ComparedRows({"row": {}}, [], {"row": "Row"}, "")
    assert pictured_places(rows, [Pick("", "", "drawn", 2, 0.0)], 4) == Places([2, 0, 1, 3], [])


def test_items_without_images_of_rows_have_thumbnails_of_their_input() -> None:
    images = Flat(150, 2, side=32)
    found = thumbnails(Places([140, 3], [7, *range(20, 140)]), images, images.read, {"row0": "a", "row1": "b"})
    assert found is not None
    assert images.asked == [[3], [140]]
    assert (found.with_rows, found.places[:3], len(found.places)) == (2, (3, 140, 7), 123)
    strips = {strip.key: strip for strip in found.strips}
    assert strips["masked"].shapes is None
    assert strips["row:row1"].shapes == ((32, 32), (32, 32), *[(0, 0)] * 121)
    picture = np.asarray(sprite(strips["input"].sprites[0]))[:32, 64:96]
    assert abs(picture.astype(int) - images.colour(7, -1)).mean() < 8


# --- texts and values ------------------------------------------------------------------------------------------------


def test_lines_have_every_value_and_the_area_of_each_hole() -> None:
    images = Flat(20, 2)
    rows = images.compared
    lines = lines_of(images.manifest, rows)
    assert lines.ids[3] == "item3"
    assert lines.areas[3] == 4 / 16
    assert (lines.of, lines.left_out) == (20, ())
    assert np.array_equal(numbers(lines.values["row1"]["lpips"]), rows.values["row1"]["lpips"].astype(np.float32))


def test_metrics_and_then_items_are_left_out_of_lines_without_room() -> None:
    images = Flat(1000, 3)
    rows = images.compared
    fewer = lines_of(images.manifest, rows, room=60_000)
    assert (len(fewer.ids), fewer.left_out) == (1000, (PSNR.title,))
    assert {tuple(values) for values in fewer.values.values()} == {("lpips",)}
    least = lines_of(images.manifest, rows, room=20_000)
    assert 300 < len(least.ids) < 500
    assert least.of == 1000
    assert len(numbers(least.values["row2"]["lpips"])) == len(least.ids)


@pytest.mark.parametrize("text", ["image" * 9, "\N{SNOWMAN}" * 9, "<&'>" * 9, "\x00" * 9])
def test_the_texts_of_items_need_no_more_than_the_room_for_lines(text: str) -> None:
    items = [{"id": f"{text}{place}", "source": f"{text}{place % 500}", "mask_area": 1.0} for place in range(1000)]
    sheet = module.Sheet((), {}, "", lines_of(items, ComparedRows({}, [], {}, ""), room=40_000), None)
    assert 50 < len(sheet.lines.ids) < 1000
    assert len(htmlsafe_json_dumps(sheet.data())) < 42_000


def test_long_captions_take_the_room_of_thumbnails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 16)
    images = Flat(64, 2)
    assert len(made(images, [*range(64)]).places) == 64
    original = images.item
    monkeypatch.setattr(images, "item", lambda place: replace(original(place), caption="cat " * 25_000))
    found = made(images, [*range(64)])
    assert len(found.places) == 48
    assert size(found) + sum(map(len, found.captions)) < 1.3 * module.ROOM


def test_the_data_of_the_page_cannot_end_its_element() -> None:
    images = Flat(10, 2)
    text = report_page(replace(page(), gallery=filled_gallery(images)))
    found = re.findall(r'<script type="application/json" data-sheet>(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    assert len(re.findall(r"<script\b", text)) == 2
    data = json.loads(found[0])
    assert data["ids"][0] == f"item0 {EVIL}".replace("\u202e", "\\u202e")  # shown as an escape, as elsewhere
    assert data["sources"][data["source"][9]] == "source 2"
    assert data["metrics"][1]["title"].startswith("PSNR </script>")
    assert "All 10 items of the run are listed here." in text


def test_items_without_values_still_have_lines() -> None:
    rows = ComparedRows({"row": {}}, [LPIPS], {"row": "Row"}, "")
    data = module.Sheet.of([{"id": "a", "source": "a", "mask_area": 1.0}], rows, [], lambda _: None).data()
    assert (data["ids"], data["sources"], data["areas"], data["metrics"]) == (["a"], None, [1.0], [])
    assert data["pictures"] is None


def test_a_page_that_is_too_large_loses_chosen_items_then_thumbnails_then_the_sheet() -> None:
    gallery = filled_gallery(Flat(40, 3))
    steps = []
    smaller = gallery.smaller()
    while smaller is not None:
        sheet = smaller.sheet
        steps.append((len(smaller.items), sheet is not None, sheet is not None and sheet.thumbnails is not None))
        smaller = smaller.smaller()
    assert steps == [
        (len(gallery.items) // 2, True, True), (len(gallery.items) // 2, True, False), *steps[2:-2], (0, True, False),
        (0, False, False),
    ]  # fmt: skip
    assert [count for count, _, _ in steps] == sorted((count for count, _, _ in steps), reverse=True)


def test_a_page_without_room_says_what_is_missing() -> None:
    gallery = filled_gallery(Flat(40, 2))
    assert gallery.sheet is not None
    bare = replace(gallery, sheet=replace(gallery.sheet, thumbnails=None))
    assert "This page has no room for their pictures." in report_page(replace(page(), gallery=bare))
    assert gallery.sheet.thumbnails is not None
    few = replace(gallery.sheet.thumbnails, places=gallery.sheet.thumbnails.places[:12], with_rows=7)
    some = replace(gallery, sheet=replace(gallery.sheet, thumbnails=few))
    text = report_page(replace(page(), gallery=some))
    for words in (
        "The images of the rows are shown for 7 of them: the chosen items, and the items on which a row differs most",
        "5 other items have only their input pictures.",
        "28 items are listed without pictures.",
    ):
        assert words in text
