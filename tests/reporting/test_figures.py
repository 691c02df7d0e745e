"""Tests of the figure: a column for each item, a line for each row, and the error outside the mask."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from bench.data.items import Item
from bench.reporting.figures import draw_borders, draw_rows, draw_tradeoff
from bench.reporting.pixels import ERROR_GAIN
from bench.reporting.windows import border_window

pytestmark = pytest.mark.blackbox

SIDE = 16
GREY = 100


def items(count: int) -> list[Item]:
    """Return grey items with a hole in the upper half."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2] = 1
    return [
        Item(f"{index}", f"{index}", np.full((SIDE, SIDE, 3), GREY, np.uint8), mask.copy()) for index in range(count)
    ]


def images(count: int) -> np.ndarray:
    return np.full((count, SIDE, SIDE, 3), GREY, np.uint8)


def draw(path: Path, shown: list[Item], rows: dict[str, np.ndarray]) -> np.ndarray:
    draw_rows(path, shown, list(rows.items()), title="Table 2, profile mini")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def area(picture: np.ndarray, *colour: int) -> np.ndarray:
    """Return the pixels that have exactly this colour."""
    found: np.ndarray = (picture == np.array(colour, np.uint8)).all(-1)
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_every_item_has_its_column(tmp_path: Path, count: int) -> None:
    colours = [(200, 40 * index, 30) for index in range(count)]
    shown = items(count)
    for item, colour in zip(shown, colours, strict=True):
        item.image[:] = colour
    made = np.stack([item.image for item in shown])
    picture = draw(tmp_path / "rows.png", shown, {"one": made, "two": made})
    places = [np.argwhere(area(picture, *colour)) for colour in colours]
    sizes = [len(found) for found in places]
    assert min(sizes) > 5000  # four squares, one of them half covered, of an inch or so at more than 50 dots
    assert max(sizes) < 1.2 * min(sizes)
    edges = [(found[:, 1].min(), found[:, 1].max()) for found in places]
    assert all(left[1] < right[0] for left, right in pairwise(edges))


def test_the_figure_grows_with_items_and_rows(tmp_path: Path) -> None:
    def size(count: int, rows: int) -> tuple[int, ...]:
        return draw(tmp_path / "rows.png", items(count), {f"row {row}": images(count) for row in range(rows)}).shape

    height, width, _ = size(2, 1)
    assert 100 < width < 2000
    assert 100 < height < 2000
    assert size(4, 1)[1] > width + 100
    assert size(2, 3)[0] > height + 100


def test_errors_are_amplified_and_drawn_only_outside_the_hole(tmp_path: Path) -> None:
    made = images(2)
    made[:, : SIDE // 2] += 30
    made[:, SIDE // 2 :] -= 20
    picture = draw(tmp_path / "rows.png", items(2), {"row": made})
    outside, inside = ERROR_GAIN * 20, ERROR_GAIN * 30
    assert area(picture, outside, outside, outside).sum() > 1000
    assert area(picture, inside, inside, inside).sum() < 50  # of blended edges at most
    assert area(picture, 130, 130, 130).sum() > 1000


def test_a_row_with_another_number_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        draw(tmp_path / "rows.png", items(2), {"row": images(3)})
    assert not (tmp_path / "rows.png").exists()


@pytest.mark.parametrize(
    "label",
    [
        "",
        "a",
        "stabilityai/stable-diffusion-2-inpainting",
        "many words " * 12,
        r"of $BASE\new$ and {_}",
        r"C:\new <b>&",
        "† × –",
    ],
)
def test_every_label_is_drawn_as_plain_text(tmp_path: Path, label: str) -> None:
    draw_rows(tmp_path / "rows.png", items(1), [(label, images(1))], title=label)
    with Image.open(tmp_path / "rows.png") as picture:
        assert min(picture.size) > 100


def test_rows_of_one_label_are_both_shown(tmp_path: Path) -> None:
    shown = items(1)
    draw_rows(tmp_path / "one.png", shown, [("same", images(1))], title="")
    draw_rows(tmp_path / "two.png", shown, [("same", images(1)), ("same", images(1))], title="")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.height > one.height


def test_items_are_shown_without_any_row(tmp_path: Path) -> None:
    picture = draw(tmp_path / "rows.png", items(2), {})
    assert area(picture, GREY, GREY, GREY).sum() > 1000


def test_a_tradeoff_is_drawn_for_every_metric_and_cost(tmp_path: Path) -> None:
    rows = pandas.DataFrame(
        {
            "label": ["a", "a", "b"],
            "lpips": [0.3, 0.2, float("nan")],
            "lpips_stderr": [0.01, 0.02, float("nan")],
            "fid": [3.0, 2.0, 1.0],
            "parameters": [10, 20, 30],
            "tera_flop": [1.0, 2.0, 3.0],
        }
    )
    costs = {"parameters": "parameters", "tera_flop": "TFLOP"}
    draw_tradeoff(tmp_path / "one.png", rows, costs=costs, qualities=["lpips", "fid"])
    draw_tradeoff(tmp_path / "two.png", rows, costs={"parameters": "parameters"}, qualities=["lpips"])
    sizes = []
    for name in ("one.png", "two.png"):
        with Image.open(tmp_path / name) as opened:
            sizes.append(opened.size)
    assert sizes[0][0] > 1.5 * sizes[1][0]
    assert sizes[0][1] > 1.5 * sizes[1][1]


def height(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.height


def test_captions_replace_masks_and_errors_if_everything_is_generated(tmp_path: Path) -> None:
    whole = [replace(item, mask=np.ones_like(item.mask), caption="a red circle") for item in items(2)]
    for name, shown in (("edited", items(2)), ("generated", whole)):
        draw_rows(tmp_path / f"{name}.png", shown, [("row", images(2))], title="")
    # Two lines of pictures in place of four: what was given and the row's.
    assert height(tmp_path / "generated.png") < 0.6 * height(tmp_path / "edited.png")


def test_the_exemplar_is_shown(tmp_path: Path) -> None:
    colour = (10, 220, 120)
    exemplar = np.full((5, 5, 3), colour, np.uint8)
    shown = [replace(item, exemplar=exemplar) for item in items(2)]
    picture = draw(tmp_path / "rows.png", shown, {"row": images(2)})
    assert area(picture, *colour).sum() > 2000
    assert not area(draw(tmp_path / "none.png", items(2), {"row": images(2)}), *colour).any()


def test_the_longest_border_is_shown(tmp_path: Path) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[30:40, 4:12] = 1
    rows, columns = border_window(mask)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (16, 16)
    inside = mask[rows, columns]
    assert inside.sum() == mask.sum()  # all of the only hole
    item = Item("a", "s", np.zeros((48, 48, 3), np.uint8), mask)
    made = np.full((1, 48, 48, 3), 128, np.uint8)
    draw_borders(tmp_path / "borders.png", [item], [("one", made), ("other", made)], title="Borders")
    with Image.open(tmp_path / "borders.png") as drawn:
        assert drawn.width > 100


def test_every_figure_has_a_repeatable_pdf(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_rows(tmp_path / f"{name}.png", items(2), [("row", images(2))], title="Table 2\nsix items\nby rule")
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
