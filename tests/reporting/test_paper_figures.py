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
from bench.reporting.gallery import drawn_places
from bench.reporting.paper_figures import PaperFigures
from bench.reporting.pixels import framed
from bench.reporting.windows import border_window, known_window

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
