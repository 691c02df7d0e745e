"""Tests of the half-life of the known region on curves whose half-life follows by hand."""

import math

import numpy as np
import pytest

from bench.metrics.half_life import EXACT_IN_EVERY_TURN, HalfLife, doubling, half_life
from bench.runtime.not_available import NotAvailable


@pytest.mark.reference
@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([1, 2], 1.0),
        ([1, 4], 0.5),  # grows by the factor 4 in a turn, and thus by 2 in half a turn
        ([3, 3 * 2**0.5, 6, 12], 2.0),
        ([1, 1.5, 1.5 * 1.5], 1 + math.log(2 / 1.5) / math.log(1.5)),
        ([1, 1, 1.9, 3.8], 2 + math.log(2 / 1.9) / math.log(2)),
        ([1, 0.5, 4], 1 + math.log(4) / math.log(8)),
        ([1, 0, 2], 2.0),  # nothing can be interpolated on a logarithmic scale between 0 and 2
        ([1, 3, 1], math.log(2) / math.log(3)),  # the first time counts
        ([1, 1.2, 1.99], math.inf),
        ([5], math.inf),
    ],
)
def test_the_doubling_of_known_curves_is_found(errors: list[float], expected: float) -> None:
    assert doubling(errors) == pytest.approx(expected, abs=1e-12)


@pytest.mark.property
def test_the_doubling_of_exponential_growth_needs_the_same_time_at_every_scale() -> None:
    for rate in (0.1, 0.37, 1.0, 2.5):
        for scale in (1e-9, 1.0, 1e5):
            errors = scale * np.exp2(rate * np.arange(12))
            assert doubling(errors) == pytest.approx(1 / rate, rel=1e-9)


@pytest.mark.blackbox
@pytest.mark.parametrize("errors", [[0, 1], [], [1, -1], [1, math.nan], [1, math.inf]])
def test_errors_that_cannot_double_are_refused(errors: list[float]) -> None:
    with pytest.raises(ValueError, match="first is above 0"):
        doubling(errors)


def found_in(errors: np.ndarray, sources: list[str]) -> HalfLife:  # type: ignore[type-arg]
    found = half_life(errors, sources)
    assert isinstance(found, HalfLife)
    return found


@pytest.mark.reference
def test_items_without_known_pixels_in_a_turn_count_in_no_turn() -> None:
    errors = np.array([[1.0, 1.0, 9.0], [2.0, 2.0, np.nan]])
    found = found_in(errors, ["a", "b", "c"])
    assert (found.turns, found.items, found.sources, found.measured) == (1.0, 2, 2, 1)
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.shown() == "1.00 [1.00, 1.00]"


@pytest.mark.blackbox
def test_items_of_one_source_give_no_interval_and_few_sources_are_marked() -> None:
    errors = np.array([[1.0, 1.2, 0.9], [2.0, 2.6, 1.9]])
    alone = found_in(errors, ["a", "a", "a"])
    assert alone.shown() == "0.94 [unknown, unknown]"
    assert alone.decided_by_few
    assert not found_in(np.tile(errors, 2), list("abcdef")).decided_by_few


@pytest.mark.property
def test_the_interval_contains_the_half_life_and_narrows_with_more_sources() -> None:
    draw = np.random.default_rng(3)
    widths = []
    for count in (10, 1000):
        rates = draw.uniform(0.3, 0.7, count)
        errors = np.exp2(np.outer(np.arange(8), rates))
        found = found_in(errors, [str(place) for place in range(count)])
        assert found.low <= found.turns <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 3  # by the square root of 100, if all draws were alike


@pytest.mark.property
def test_copies_of_an_item_of_one_source_do_not_narrow_the_interval() -> None:
    errors = np.exp2(np.outer(np.arange(6), np.random.default_rng(4).uniform(0.2, 0.9, 8)))
    names = [str(place) for place in range(8)]
    alone, copied = found_in(errors, names), found_in(np.tile(errors, 5), names * 5)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), rel=1e-9)


@pytest.mark.blackbox
def test_a_half_life_beyond_the_measured_turns_says_so() -> None:
    found = found_in(np.array([[1.0, 1.0], [1.1, 1.2], [1.2, 1.4]]), ["a", "b"])
    assert math.isinf(found.turns)
    assert found.shown() == "more than 2"
    some = found_in(np.array([[1.0, 1.0], [3.0, 1.0]]), ["a", "b"])
    assert some.shown() == f"{math.log(2) / math.log(2):.2f} [{math.log(2) / math.log(3):.2f}, more than 1]"


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (np.zeros((3, 2)), EXACT_IN_EVERY_TURN),
        (np.array([[0.0, 0.0], [1.0, 0.0]]), "exact in turn 1"),
        (np.ones((1, 2)), "one turn"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "no item has a known pixel"),
    ],
)
def test_an_undefined_half_life_has_a_reason(errors: np.ndarray, said: str) -> None:  # type: ignore[type-arg]
    found = half_life(errors, ["a", "b"])
    assert isinstance(found, NotAvailable)
    assert said in found.reason
