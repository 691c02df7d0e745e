"""Tests of the gallery: items are chosen by paired differences, and pictures are exact and limited in size."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bench.data.items import Item
from bench.reporting import choice, gallery
from bench.reporting.choice import Compared, ComparedRows, Pick, choose, compared, drawn
from bench.reporting.gallery import Gallery, fill
from bench.reporting.pixels import Images, error_outside, masked

pytestmark = pytest.mark.blackbox

LPIPS = Compared("lpips", "LPIPS", False, 1.0, 4)
CLIP = Compared("clip_score", "CLIP score", True, 1.0, 2)


def chosen(picks: Sequence[Pick]) -> dict[tuple[str, str], int]:
    return {(pick.row, pick.rank): pick.place for pick in picks}


def test_best_worst_and_median_are_chosen_by_the_paired_difference() -> None:
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    values = {"vanilla": {"lpips": base}, "mine": {"lpips": np.array([1.1, 1.6, 3.0, 4.3, 4.8])}}
    picks = choose(ComparedRows(values, [LPIPS], {}, "vanilla"))
    assert chosen(picks) == {("mine", "best"): 1, ("mine", "median"): 2, ("mine", "worst"): 3}
    assert [pick.difference for pick in picks] == pytest.approx([-0.4, 0.3, 0.0])
    assert [pick.rank for pick in picks] == list(choice.RANKS)


def test_the_order_is_reversed_for_scores() -> None:
    values = {"vanilla": {"clip_score": np.zeros(3)}, "mine": {"clip_score": np.array([0.0, 5.0, -5.0])}}
    assert chosen(choose(ComparedRows(values, [CLIP], {}, "vanilla"))) == {
        ("mine", "best"): 1,
        ("mine", "median"): 0,
        ("mine", "worst"): 2,
    }


def test_ties_follow_the_manifest_and_values_that_are_not_finite_are_left_out() -> None:
    base = np.zeros(6)
    values = {"vanilla": {"lpips": base}, "mine": {"lpips": np.array([np.nan, 1.0, 1.0, 0.0, 0.0, np.inf])}}
    assert chosen(choose(ComparedRows(values, [LPIPS], {}, "vanilla"))) == {
        ("mine", "best"): 3,
        ("mine", "median"): 4,
        ("mine", "worst"): 2,
    }


def test_rows_are_ranked_by_their_own_values_without_a_reference() -> None:
    values = {"mine": {"lpips": np.array([0.3, 0.1, 0.2])}}
    picks = choose(ComparedRows(values, [LPIPS], {}, ""))
    assert chosen(picks) == {("mine", "best"): 1, ("mine", "median"): 2, ("mine", "worst"): 0}
    assert picks[0].difference == 0.1


def test_the_gallery_uses_the_tables_metrics_that_each_item_has() -> None:
    values = {"mine": {"lpips": np.zeros(2), "pre_error": np.zeros(2), "psnr": np.zeros(2)}}
    names = [metric.name for metric in compared(["fid", "lpips", "pre_error"], values)]
    assert names == ["lpips", "pre_error"]
    assert [metric.name for metric in compared(["fid", "inception_score"], values)] == ["lpips"]
    assert compared(["fid"], {"mine": {"psnr": np.zeros(2)}}) == []


def test_items_are_drawn_by_seed_if_no_metric_distinguishes_them() -> None:
    assert drawn(100, 0) == drawn(100, 0)
    assert drawn(100, 0) != drawn(100, 1)
    assert len({pick.place for pick in drawn(100, 0)}) == choice.LEAST_ITEMS


def test_values_are_printed_like_in_the_table() -> None:
    error = Compared("pre_error", "Pre_error [1e-5]", False, 1e5, 2)
    assert error.shown(0.0246) == "2,460.00"
    assert error.shown(-0.0000123, "+") == "\N{MINUS SIGN}1.23"
    assert [error.shown(-1e-9, sign) for sign in ("", "+")] == ["0.00", "+0.00"]
    assert {error.shown(value, "+") for value in (np.nan, np.inf, -np.inf)} == {"no value"}


# --- pictures --------------------------------------------------------------------------------------------------------


class Noise:
    """Provide items and rows of noise, which compresses worst, and record the requests."""

    def __init__(self, side: int, rows: int, *, known: bool = True) -> None:
        self.side, self.rows, self.known = side, [f"row{number}" for number in range(rows)], known
        self.asked: list[int] = []

    def pixels(self, *seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (self.side, self.side, 3), np.uint8)

    def item(self, place: int) -> Item:
        mask = np.ones((self.side, self.side), np.uint8)
        if self.known:
            mask[: self.side // 2] = 0
        return Item(f"item{place}", f"source{place}", self.pixels(place), mask, caption="a <b>cat</b>")

    def __call__(self, places: Sequence[int]) -> tuple[list[Item], Mapping[str, np.ndarray]]:
        self.asked += places
        made = {
            row: np.stack([self.pixels(place, number + 1) for place in places]) for number, row in enumerate(self.rows)
        }
        return [self.item(place) for place in places], made


def filled(images: Images, rows: Sequence[str], count: int, **options: int) -> Gallery:
    values = {row: {"lpips": np.random.default_rng(number).random(count)} for number, row in enumerate(rows)}
    found = ComparedRows(values, [LPIPS], {row: row.capitalize() for row in rows}, rows[0])
    return fill(choose(found), images, found, of=count, **options)


def decoded(uri: str) -> np.ndarray:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))).convert("RGB"))


def size(found: Gallery) -> int:
    pictures = [
        picture.uri
        for item in found.items
        for picture in (
            *item.given.values(),
            *(part for made in item.made for part in (made.image, made.error) if part),
        )
    ]
    return sum(len(uri) for uri in pictures)


def test_small_pictures_are_kept_bit_for_bit_with_the_error_of_the_true_pixels() -> None:
    images = Noise(24, 3)
    found = filled(images, images.rows, 50)
    assert (found.side, found.resolution, found.of, found.pixelated) == (24, 24, 50, True)
    assert len(found.items) == found.wanted
    for shown in found.items:
        place = int(shown.id.removeprefix("item"))
        item = images.item(place)
        assert [picture.label for picture in shown.given.values()] == ["input", "masked"]
        assert np.array_equal(decoded(shown.given["input"].uri), item.image)
        assert np.array_equal(decoded(shown.given["masked"].uri), masked(item))
        for number, made in enumerate(shown.made):
            pixels = images.pixels(place, number + 1)
            assert np.array_equal(decoded(made.image.uri), pixels)
            assert made.error is not None
            assert np.array_equal(decoded(made.error.uri), error_outside(item, pixels))
            assert re.fullmatch(r"0\.\d{4}", made.values["lpips"])


def test_large_pictures_are_scaled_down_after_the_error_is_computed() -> None:
    images = Noise(300, 2)
    found = filled(images, images.rows, 4)
    assert (found.side, found.resolution, found.pixelated) == (256, 300, False)
    shown = found.items[0]
    place = int(shown.id.removeprefix("item"))
    true = error_outside(images.item(place), images.pixels(place, 1))
    assert shown.made[0].error is not None
    seen = decoded(shown.made[0].error.uri)
    assert seen.shape == (256, 256, 3)
    assert (
        abs(float(seen[:128].mean()) - float(true[:150].mean())) < 5
    )  # scaled before, the noise would be averaged out
    assert seen[140:].mean() < 2


def test_an_item_without_a_hole_shows_its_caption_and_no_error() -> None:
    images = Noise(16, 2, known=False)
    shown = filled(images, images.rows, 5).items[0]
    assert [picture.label for picture in shown.given.values()] == ["the caption's own picture"]
    assert [made.error for made in shown.made] == [None, None]
    assert shown.caption == "a <b>cat</b>"


def test_an_exemplar_of_any_size_is_shown() -> None:
    images = Noise(16, 2)

    def with_exemplar(places: Sequence[int]) -> tuple[list[Item], Mapping[str, np.ndarray]]:
        items, made = images(places)
        return [replace(item, exemplar=np.zeros((90, 40, 3), np.uint8)) for item in items], made

    picture = filled(with_exemplar, images.rows, 5).items[0].exemplar
    assert picture is not None
    assert max(decoded(picture.uri).shape) == 16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "rows", "count", "room"),
    [
        (16, 2, 3, gallery.ROOM),
        (64, 14, 256, 2_000_000),
        (64, 120, 30_000, 2_500_000),
        (512, 8, 5_000, gallery.ROOM),
        (512, 30, 40, 2_500_000),
    ],
)
def test_the_pictures_stay_within_the_size_limit(side: int, rows: int, count: int, room: int) -> None:
    images = Noise(side, rows)
    found = filled(images, images.rows, count, room=room)
    assert size(found) <= room
    assert len(found.items) >= min(found.wanted, choice.LEAST_ITEMS) - 2
    assert len(images.asked) <= len(found.items) + 10
    assert len(images.asked) == len(set(images.asked))


def test_an_item_above_the_size_limit_leaves_an_empty_gallery() -> None:
    images = Noise(32, 40)
    found = filled(images, images.rows, 20, room=20_000)
    assert found.items == ()
    assert found.wanted > 10
