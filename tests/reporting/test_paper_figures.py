"""Tests of the paper's figures: the choice of items and windows, and the agreement of text and pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from bench.config.schema import FigureSpec
from bench.data.items import Item
from bench.data.words import Word, words_as_lines
from bench.reporting.choice import drawn_places
from bench.reporting.paper_figures import PaperFigures
from bench.reporting.pixels import framed
from bench.reporting.windows import RATIO, border_window, known_window, word_window

SIDE, COUNT = 32, 20
DETAILS = FigureSpec("Figure 1", "details", ["vanilla", "ours", "absent"])
BORDERS = FigureSpec("Figure 4", "borders", ["pasted", "vanilla", "ours"])
CAPTIONS = FigureSpec("Figure 7", "captions", ["vanilla"])


class FakeItems:
    """Provide grey items of ten sources; the first two have no known pixels, and the third only its frame."""

    manifest: ClassVar = {"resolution": SIDE}
    sources: ClassVar = [f"source {index // 2}" for index in range(COUNT)]

    def __len__(self) -> int:
        return COUNT

    def masks(self, start: int, stop: int) -> np.ndarray:
        masks = np.zeros((COUNT, SIDE, SIDE), np.uint8)
        masks[:, 8:20, 8:20] = 1
        masks[:2] = 1
        masks[2, 1:-1, 1:-1] = 1
        return masks[start:stop]

    def item(self, place: int) -> Item:
        picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
        return Item(f"item {place}", self.sources[place], picture, self.masks(place, place + 1)[0], f"words {place}")


def images(rows: Sequence[str], places: Sequence[int]) -> tuple[list[Item], dict[str, np.ndarray]]:
    """Return images with an error of 30 in one corner."""
    made = np.full((len(places), SIDE, SIDE, 3), 100, np.uint8)
    made[:, -3:, :3] = 130
    return [FakeItems().item(place) for place in places], {row: made for row in rows}


def drawn(folder: Path, **specs: FigureSpec) -> Any:
    errors = np.arange(COUNT, dtype=np.float64)
    errors[[0, 1]] = np.nan
    figures = PaperFigures(
        FakeItems(),  # type: ignore[arg-type]
        images,
        {"vanilla": "Vanilla", "ours": "Ours"},
        {"vanilla": errors},
        3,
        "a table",
    )
    figures.write(folder, specs)
    return json.loads((folder / "figures.json").read_text())["figures"]


@pytest.mark.blackbox
def test_details_show_the_worst_items_with_one_per_source(tmp_path: Path) -> None:
    found = drawn(tmp_path, details=DETAILS)["details"]
    assert found["items"] == [f"item {place}" for place in (19, 17, 15, 13, 11, 9)]
    assert found["rows"] == ["vanilla", "ours"]
    assert all(window[0] >= 20 and window[1] == 0 for window in found["windows"])
    assert found["rule"].startswith("The 6 items with the largest error of Vanilla over known pixels, one item of")
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"details.{suffix}").stat().st_size > 1000


@pytest.mark.blackbox
def test_items_without_a_known_square_are_skipped(tmp_path: Path) -> None:
    class Last(FakeItems):
        def masks(self, start: int, stop: int) -> np.ndarray:
            return np.ones((stop - start, SIDE, SIDE), np.uint8)

    figures = PaperFigures(Last(), images, {"vanilla": "V"}, {"vanilla": np.ones(COUNT)}, 0, "")  # type: ignore[arg-type]
    figures.write(tmp_path, {"details": DETAILS})
    said = json.loads((tmp_path / "figures.json").read_text())["figures"]["details"]
    assert said == {"of": "Figure 1", "reason": "no item has a fully known square of a quarter of its side"}
    assert not (tmp_path / "details.png").exists()


@pytest.mark.blackbox
def test_borders_and_captions_show_items_drawn_by_seed(tmp_path: Path) -> None:
    found = drawn(tmp_path, borders=BORDERS, captions=CAPTIONS)
    expected = [f"item {place}" for place in drawn_places(COUNT, 3)]
    assert found["borders"]["items"] == found["captions"]["items"] == expected
    assert found["borders"]["rows"] == ["vanilla", "ours"]  # what was not measured is left out
    assert found["captions"]["windows"] == [[0, 0, SIDE, SIDE]] * 6
    with Image.open(tmp_path / "borders.png") as borders, Image.open(tmp_path / "captions.png") as captions:
        assert borders.height > captions.height


@pytest.mark.blackbox
def test_a_figure_of_details_is_not_drawn_without_its_first_row(tmp_path: Path) -> None:
    assert drawn(tmp_path, details=FigureSpec("Figure 1", "details", ["absent", "ours"])) == {}


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(5))
def test_windows_are_the_best_squares_of_an_exhaustive_search(seed: int) -> None:
    draw = np.random.default_rng(seed)
    mask = (draw.random((SIDE, SIDE)) < 0.02).astype(np.uint8)
    error = draw.random((SIDE, SIDE))
    window, side = known_window(mask, error), SIDE // 4
    squares = [
        (slice(row, row + side), slice(column, column + side))
        for row in range(SIDE - side + 1)
        for column in range(SIDE - side + 1)
    ]
    known = [square for square in squares if not mask[square].any()]
    assert window is not None
    assert not mask[window].any()
    assert error[window].sum() == pytest.approx(max(error[square].sum() for square in known))
    assert known_window(np.ones_like(mask), error) is None
    rows, columns = border_window(mask)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (SIDE // 3, SIDE // 3)


@pytest.mark.blackbox
def test_a_frame_covers_nothing_of_its_square() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for window in [(slice(0, 16), slice(48, 64)), (slice(20, 36), slice(3, 19))]:
        marked = framed(picture, window)
        assert (marked[window] == picture[window]).all()
        assert (marked == (255, 0, 0)).all(-1).sum() in (32 + 1, 4 * 16 + 4)


@pytest.mark.blackbox
@pytest.mark.parametrize("corner", [(0, 0), (10, 17), (33, 40)])
def test_a_square_at_a_border_shows_both_of_its_sides(corner: tuple[int, int]) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[corner[0] : corner[0] + 24, corner[1] : corner[1] + 24] = 1
    share = mask[border_window(mask)].mean()
    assert 0.15 < share < 0.85


@pytest.mark.blackbox
def test_a_border_at_the_rim_alone_is_still_found() -> None:
    mask = np.ones((64, 64), np.uint8)
    mask[0] = 0
    assert border_window(mask)[0] == slice(0, 21)


class WordItems(FakeItems):
    """Provide items with a word outside the hole and one across its border; the words of item 3 are read wrong."""

    def lines(self, start: int, stop: int) -> list[dict[str, Any]]:
        return [{"id": f"item {place}", "words": words_as_lines(self.words(place))} for place in range(start, stop)]

    def words(self, place: int) -> tuple[Word, ...]:
        height = (10, 12)[place % 2]
        return Word("near", 0, 21, 12, 31, height), Word("over", 4, 4, 16, 14, height)

    def pick(self, places: Sequence[int]) -> list[Item]:
        return [self.item(place) for place in places]

    def item(self, place: int) -> Item:
        item = super().item(place)
        item.image[21, 0, 0], item.image[4, 4, 0] = (1, 2) if place != 3 else (3, 3)
        return item


def read(crops: Sequence[np.ndarray]) -> list[str]:
    """Return the text that stands for the red level of the first pixel of each crop."""
    return [{1: "near", 2: "OVER"}.get(int(crop[0, 0, 0]), "neer心") for crop in crops]


@pytest.mark.blackbox
@pytest.mark.parametrize("region", ["outside", "crossing"])
def test_a_figure_of_words_states_what_was_read(tmp_path: Path, region: str) -> None:
    def made(rows: Sequence[str], places: Sequence[int]) -> tuple[list[Item], dict[str, np.ndarray]]:
        items = WordItems().pick(places)
        true = np.stack([item.image for item in items])
        return items, {row: true if row == "ours" else np.full_like(true, 100) for row in rows}

    figures = PaperFigures(WordItems(), made, {"vanilla": "Vanilla", "ours": "Ours"}, {}, 3, "a table", read)  # type: ignore[arg-type]
    spec = FigureSpec("Figure 1", f"words_{region}", ["vanilla", "ours", "absent"])
    figures.write(tmp_path, {"words": spec})
    found = json.loads((tmp_path / "figures.json").read_text())["figures"]["words"]
    assert found["rows"] == ["vanilla", "ours"]
    assert found["read"]["vanilla"] == ["neer心"] * 6  # the font of the figure lacks the last letter
    words = [word["text"] for word in found["words"]]
    assert [text.lower() for text in found["read"]["input"]] == words
    assert found["read"]["ours"] == found["read"]["input"]
    assert set(words) == {"near"} if region == "outside" else "over" in words
    assert [word["height"] for word in found["words"]] == [10, 10, 10, 12, 12, 12]
    assert "item 3" not in found["items"]
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"words.{suffix}").stat().st_size > 1000


@pytest.mark.blackbox
def test_a_figure_of_words_needs_a_reader_and_known_words(tmp_path: Path) -> None:
    class Wordless(WordItems):
        def words(self, place: int) -> tuple[Word, ...]:
            return ()

    spec, reasons = FigureSpec("Figure 1", "words_outside", ["vanilla"]), []
    for items, reader in ((WordItems(), None), (Wordless(), read)):
        PaperFigures(items, images, {"vanilla": "V"}, {}, 0, "", reader).write(tmp_path, {"words": spec})  # type: ignore[arg-type]
        reasons.append(json.loads((tmp_path / "figures.json").read_text())["figures"]["words"]["reason"])
    assert reasons == [
        "no measure of this run reads text", "no item has a known word of this kind that is read right"
    ]  # fmt: skip
    assert not (tmp_path / "words.png").exists()


@pytest.mark.property
@pytest.mark.parametrize("corner", [(0, 0), (54, 24), (20, 10)])
def test_the_window_of_a_word_contains_its_box(corner: tuple[int, int]) -> None:
    word = Word("a", corner[1], corner[0], corner[1] + 40, corner[0] + 10, 10)
    rows, columns = word_window(word, 64)
    assert 0 <= rows.start <= word.top < word.bottom <= rows.stop <= 64
    assert 0 <= columns.start <= word.left < word.right <= columns.stop <= 64
    assert (columns.stop - columns.start) / (rows.stop - rows.start) == pytest.approx(RATIO, abs=0.1)
