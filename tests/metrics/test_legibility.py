"""Tests of the legibility of text, with a reader that reads the colour of a crop's first pixel as a text."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.data.words import Word
from bench.metrics.legibility import LegibilityMeasure, as_compared, counted, edit_distance, likeness
from bench.metrics.measure import Extra
from bench.metrics.names import MetricName
from bench.metrics.networks.text_reader import Reading, TextReader
from bench.metrics.ranges import out_of_range

SIDE = 40
TEXTS = ("", "horse", "hore", "Stone", "cloud", "2N")
"""Text that the reader reads in a crop, by the red level of the crop's first pixel."""
HOLE = np.zeros((SIDE, SIDE), np.bool_)
HOLE[:, 20:] = True
OUTSIDE = Word("horse", 0, 0, 20, 10, 10)
CROSSING = Word("stone", 10, 12, 30, 22, 12)
INSIDE = Word("cloud", 20, 30, 40, 40, 16)


class ColourReader(TextReader):
    """A reader that reads the first pixel of a crop, and finds the boxes that it was given."""

    def __init__(self, boxes: Sequence[Word] = (), score: float = 0.9) -> None:
        self.protocol = {"recogniser": "colours"}
        self.boxes, self.score, self.asked = boxes, score, 0

    def read(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[Reading]:
        self.asked += len(crops)
        return [Reading(TEXTS[int(crop[0, 0, 0])], self.score) for crop in crops]

    def find(self, picture: npt.NDArray[np.uint8]) -> list[Word]:
        return list(self.boxes)


def image(**texts: str) -> torch.Tensor:
    """Return a true image 1×3×S×S in which each box begins with the colour of a text."""
    pixels = np.full((1, 3, SIDE, SIDE), 200, np.uint8)
    for name, text in texts.items():
        word = {"outside": OUTSIDE, "crossing": CROSSING, "inside": INSIDE}[name]
        pixels[0, 0, word.top, word.left] = TEXTS.index(text)
    return torch.from_numpy(pixels)


def measured(
    truth: torch.Tensor,
    images: Sequence[torch.Tensor],
    words: tuple[Word, ...] | None,
    reader: ColourReader | None = None,
    hole: npt.NDArray[np.bool_] = HOLE,
) -> list[dict[str, float]]:
    """Return the values of one item for the images of several rows."""
    measure = LegibilityMeasure(reader or ColourReader())
    mask = torch.from_numpy(hole)[None, None].float()
    _, kept = measure.keep_truth(truth)
    found = [
        measure.keep(made.float() / 255, truth, mask, kept, Extra([None], holes=hole[None], words=[words]))
        for made in images
    ]
    return [{name: float(values[0]) for name, values in arrays.items()} for arrays in found]


TRUTH = image(outside="horse", crossing="Stone", inside="cloud")
ALL = (OUTSIDE, CROSSING, INSIDE)


@pytest.mark.blackbox
def test_words_outside_and_across_the_border_are_measured_apart() -> None:
    (same, worse) = measured(TRUTH, [TRUTH, image(outside="hore", crossing="Stone", inside="")], ALL)
    assert same["text_accuracy_outside"] == same["text_accuracy_crossing"] == 1
    assert worse["text_accuracy_outside"] == 0
    assert worse["text_ned_outside"] == pytest.approx(1 - 1 / 5)
    assert worse["text_accuracy_crossing"] == worse["text_ned_crossing"] == 1
    assert (worse["text_words_outside"], worse["text_words_crossing"], worse["text_left_out"]) == (1, 1, 0)


@pytest.mark.blackbox
def test_a_word_belongs_to_the_class_of_its_height() -> None:
    (found,) = measured(TRUTH, [TRUTH], ALL)
    known = {name for name, value in found.items() if np.isfinite(value) and name.endswith("px")}
    assert known == {
        "text_accuracy_outside_10px", "text_ned_outside_10px", "text_accuracy_crossing_12px", "text_ned_crossing_12px"
    }  # fmt: skip


@pytest.mark.blackbox
def test_a_word_that_is_read_wrong_in_the_truth_is_left_out_and_counted() -> None:
    wrong = image(outside="hore", crossing="Stone")
    (found,) = measured(wrong, [wrong], (OUTSIDE, CROSSING))
    assert np.isnan(found["text_accuracy_outside"])
    assert found["text_accuracy_crossing"] == 1
    assert (found["text_words_outside"], found["text_left_out"]) == (0, 1)


@pytest.mark.blackbox
def test_a_mask_that_leaves_nothing_known_has_no_word() -> None:
    (found,) = measured(TRUTH, [TRUTH], ALL, hole=np.ones((SIDE, SIDE), np.bool_))
    assert all(np.isnan(value) for name, value in found.items() if "accuracy" in name or "ned" in name)
    assert found["text_words_outside"] == found["text_words_crossing"] == found["text_left_out"] == 0


@pytest.mark.blackbox
@pytest.mark.parametrize("words", [(), None], ids=["stated", "not found"])
def test_a_picture_without_text_has_no_value_and_is_counted(words: tuple[Word, ...] | None) -> None:
    (found,) = measured(TRUTH, [TRUTH], words)
    assert np.isnan(found["text_accuracy_outside"])
    said = counted({name: np.array([value]) for name, value in found.items()})
    assert said is not None
    assert said.endswith("there are 1 of 1 pictures without such a word.")
    assert counted({"pre_error": np.zeros(1)}) is None


@pytest.mark.blackbox
def test_what_is_read_in_the_truth_counts_if_words_are_detected() -> None:
    boxes = [Word("", word.left, word.top, word.right, word.bottom, 10) for word in (OUTSIDE, CROSSING)]
    made = [TRUTH, image(outside="hore", crossing="Stone")]
    same, worse = measured(TRUTH, made, None, ColourReader(boxes))
    assert same["text_accuracy_outside_10px"] == same["text_accuracy_crossing_10px"] == 1
    assert worse["text_ned_outside"] == pytest.approx(0.8)
    (unsure,) = measured(TRUTH, [TRUTH], None, ColourReader(boxes, score=0.4))
    assert unsure["text_words_outside"] == unsure["text_left_out"] == 0  # as in a picture without text
    assert np.isnan(unsure["text_accuracy_outside"])


@pytest.mark.blackbox
def test_a_detection_of_one_or_two_letters_is_no_word() -> None:
    boxes = [Word("", OUTSIDE.left, OUTSIDE.top, OUTSIDE.right, OUTSIDE.bottom, 10)]
    truth = image(outside="2N", crossing="Stone")
    (found,) = measured(truth, [truth], None, ColourReader(boxes))
    assert found["text_words_outside"] == found["text_left_out"] == 0
    assert np.isnan(found["text_accuracy_outside"])


@pytest.mark.blackbox
def test_equal_crops_of_several_rows_are_read_once() -> None:
    reader = ColourReader()
    measured(TRUTH, [TRUTH, TRUTH, image(outside="hore", crossing="Stone"), TRUTH], ALL, reader)
    assert reader.asked == 2 + 1


@pytest.mark.property
def test_a_batch_has_the_values_of_its_items() -> None:
    others = [TRUTH, image(outside="hore", crossing="cloud"), image(outside="", crossing="Stone")]
    measure, hole = LegibilityMeasure(ColourReader()), np.stack([HOLE] * 3)
    truth, mask = torch.cat([TRUTH] * 3), torch.from_numpy(hole)[:, None].float()
    words = [ALL, (OUTSIDE,), None]
    extra = Extra([None] * 3, holes=hole, words=words)
    together = measure.keep(torch.cat(others).float() / 255, truth, mask, measure.keep_truth(truth)[1], extra)
    for place, (other, known) in enumerate(zip(others, words, strict=True)):
        (alone,) = measured(TRUTH, [other], known)
        for name, values in together.items():
            np.testing.assert_equal(float(values[place]), alone[name])


@cache
def distance(first: str, second: str) -> int:
    """Return the edit distance by its recursive definition."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        distance(first[1:], second) + 1,
        distance(first, second[1:]) + 1,
        distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


@pytest.mark.reference
@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_edit_distance_equals_its_recursive_definition(first: str, second: str) -> None:
    assert edit_distance(first, second) == distance(first, second)
    longer = max(len(first), len(second), 1)
    assert likeness(first, second) == pytest.approx(1 - distance(first, second) / longer)


@pytest.mark.property
@given(st.text(), st.text())
def test_a_likeness_is_a_share_and_is_1_only_for_equal_texts(first: str, second: str) -> None:
    value = likeness(first, second)
    assert 0 <= value <= 1
    assert (value == 1) == (first == second)
    assert value == likeness(second, first)


@pytest.mark.blackbox
def test_only_letters_and_digits_are_compared_without_case() -> None:
    assert as_compared(" No. 7-A ") == "no7a"


@pytest.mark.blackbox
def test_the_protocol_states_the_reader_and_the_heights() -> None:
    first, second = (LegibilityMeasure(ColourReader(), heights).protocol for heights in ((10, 12), (10, 16)))
    assert first["reader"] == {"recogniser": "colours"}
    assert first != second
    for wrong in ((), (12, 10), (0, 10), (10, 10)):
        with pytest.raises(ValueError, match="expected positive heights in ascending order"):
            LegibilityMeasure(ColourReader(), wrong)


@pytest.mark.blackbox
def test_the_values_are_shares_and_the_ending_of_a_height_is_no_bin_of_mask_area() -> None:
    name = "text_accuracy_outside_10px"
    assert MetricName.parse(name) == MetricName(name)
    assert MetricName.parse(f"{name}_40_50").bin == (40, 50)
    assert out_of_range(name, 1.2) == "expected 0 to 1, found 1.2"
    assert out_of_range("text_left_out", -1) == "expected 0 or more, found -1"
