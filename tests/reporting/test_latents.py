"""Tests of statements on latents: the reach of a hole into known cells, and the gap between samples and encodings."""

import numpy as np
import pytest

from bench.reporting.latents import LatentStatistics

SIDE, FACTOR = 32, 4


def block(count: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    encoded = generator.normal(size=(count, 3, SIDE // FACTOR, SIDE // FACTOR)).astype(np.float32)
    return {"latents": encoded + 1, "encoded": encoded, "encoded_known": encoded.copy()}


def statistics(*blocks: dict[str, np.ndarray], masks: np.ndarray | None = None) -> LatentStatistics:
    return LatentStatistics.of((arrays, masks) for arrays in blocks)


@pytest.mark.blackbox
def test_a_leak_is_reported_at_its_distance() -> None:
    arrays = block()
    masks = np.zeros((2, SIDE, SIDE), np.uint8)
    masks[:, :5, :5] = 1  # touches the four cells of the corner
    arrays["encoded_known"][:, :, :2, :2] += 7  # in the hole: that counts for nothing
    assert set(statistics(arrays, masks=masks).leak().values()) == {0.0}
    arrays["encoded_known"][:, :, 3, 0] += 1  # two cells below the hole's last
    found = statistics(arrays, masks=masks)
    assert {name for name, value in found.leak().items() if value} == {"2"}
    cells = 4  # (3, 0), (3, 1), (0, 3), (1, 3) lie 2 away in each of the two items; (2, 3) and (3, 2) by the root of 5
    near = cells + 2
    assert found.leak()["2"] == pytest.approx(np.sqrt(1 / near) / arrays["encoded"].std(), rel=1e-5)
    assert next(found.leak_note()).count("%") == len(found.leak())


@pytest.mark.blackbox
@pytest.mark.parametrize("masks", [np.zeros((2, SIDE, SIDE), np.uint8), None])
def test_items_without_a_hole_have_no_leak(masks: np.ndarray | None) -> None:
    found = statistics(block(), masks=masks)
    assert found.leak() == {}
    assert list(found.leak_note()) == []


@pytest.mark.property
def test_statistics_of_blocks_sum_to_those_of_the_whole() -> None:
    masks = np.zeros((2, SIDE, SIDE), np.uint8)
    masks[:, :5, :5] = 1
    blocks = [block(seed=seed) for seed in range(3)]
    for arrays in blocks:
        arrays["encoded_known"][:, :, 4:] += 0.1
    whole = {name: np.concatenate([arrays[name] for arrays in blocks]) for name in blocks[0]}
    apart, together = statistics(*blocks, masks=masks), statistics(whole, masks=np.concatenate([masks] * 3))
    assert apart.leak() == pytest.approx(together.leak(), rel=1e-12)
    assert apart.gap_note() == together.gap_note()


@pytest.mark.blackbox
def test_the_gap_is_reported_by_channel() -> None:
    arrays = block()
    text = statistics(arrays, arrays).gap_note()
    assert text.count(" and ") == 1 + 3
    mean, deviation = arrays["latents"][:, 0].mean(), arrays["latents"][:, 0].std()
    assert f"{mean:+.2f} ({deviation:.2f}) and {mean - 1:+.2f} ({deviation:.2f})" in text
