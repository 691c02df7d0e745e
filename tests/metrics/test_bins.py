"""Tests of bins of mask area against LaMa's two formulas, also on their edges."""

import numpy as np
import pytest

from bench.metrics.bins import area_bin

EDGES = np.linspace(0, 1, 11)


def areas() -> np.ndarray:  # type: ignore[type-arg]
    """Return random areas, edges as float64 and float32, and their neighbouring numbers."""
    tenths = np.concatenate([EDGES, np.arange(11) / 10, np.arange(11).astype(np.float32) / np.float32(10)])
    near = np.concatenate([np.nextafter(tenths, 0), np.nextafter(tenths, 1)])
    drawn = np.random.default_rng(0).random(1000)
    return np.concatenate([tenths, near, drawn]).clip(0, 1)


def lama(x: np.ndarray, rule: str) -> np.ndarray:  # type: ignore[type-arg]
    if rule == "online":
        return np.clip(np.searchsorted(EDGES, x) - 1, 0, 9)
    found = np.searchsorted(EDGES, x, side="right") - 1
    found[found == 10] = 9
    return found


@pytest.mark.reference
@pytest.mark.parametrize("rule", ["offline", "online"])
def test_bins_equal_lamas_and_contain_every_item_once(rule: str) -> None:
    x = areas()
    found = np.array([area_bin(x, k / 10, (k + 1) / 10, rule=rule) for k in range(10)])
    assert (found.sum(0) == 1).all()
    assert np.array_equal(found.argmax(0), lama(x, rule))


@pytest.mark.blackbox
def test_an_area_of_one_half_is_above_by_the_offline_rule_and_below_by_the_online_one() -> None:
    half = [0.4, 0.5]
    assert area_bin(half, 0.4, 0.5).tolist() == [True, False]
    assert area_bin(half, 0.4, 0.5, rule="online").tolist() == [False, True]
    assert area_bin([0.0, 1.0], 0.9, 1.0).tolist() == [False, True]
    assert area_bin([0.0, 1.0], 0.0, 0.1, rule="online").tolist() == [True, False]


@pytest.mark.blackbox
def test_single_precision_areas_are_compared_as_double() -> None:
    """The float32 next to 0.7 is 0.69999999, below the edge; in float32 the edge itself would be the same number."""
    area = np.array([0.7], np.float32)
    assert area_bin(area, 0.6, 0.7).tolist() == [True]
    assert area_bin(area, 0.7, 0.8).tolist() == [False]


@pytest.mark.property
@pytest.mark.parametrize("side", [64, 256, 512])
def test_areas_of_power_of_two_images_lie_only_on_half_and_the_ends(side: int) -> None:
    x = np.arange(side * side + 1) / side**2
    differ = np.zeros(len(x), bool)
    for k in range(10):
        low, high = k / 10, (k + 1) / 10
        differ |= area_bin(x, low, high) != area_bin(x, low, high, rule="online")
    assert x[differ].tolist() == [0.5]


@pytest.mark.blackbox
def test_bins_with_any_edges_can_be_joined() -> None:
    x = areas()
    both = area_bin(x, 0.2, 0.25) | area_bin(x, 0.25, 0.4)
    assert np.array_equal(both, area_bin(x, 0.2, 0.4))
    assert area_bin(np.array([[0.22], [0.3]]), 0.2, 0.25).tolist() == [[True], [False]]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("x", "low", "high", "rule", "message"),
    [
        ([0.5], 0.4, 0.5, "outside", "'outside': expected offline or online"),
        ([0.5], 0.5, 0.4, "offline", "found 0.5 and 0.4"),
        ([0.5], 40, 50, "offline", "found 40 and 50"),
        ([0.5], 0.5, 0.5, "offline", "found 0.5 and 0.5"),
        ([0.5], 0.9, 1.5, "offline", "found 0.9 and 1.5"),
        ([0.5], -0.1, 0.5, "offline", "found -0.1 and 0.5"),
        ([1.5], 0.4, 0.5, "offline", r"^mask areas must lie in \[0, 1\]$"),
        ([-0.1], 0.4, 0.5, "offline", "mask areas must lie"),
        ([0.45, 1.01], 0.4, 0.5, "online", "mask areas must lie"),
        ([np.nan], 0.4, 0.5, "offline", "mask areas must lie"),
    ],
)
def test_an_invalid_bin_or_area_is_refused(x: list[float], low: float, high: float, rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        area_bin(x, low, high, rule=rule)
