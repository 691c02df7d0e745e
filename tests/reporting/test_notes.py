"""Notes below a table: how far the hole reaches into latents of known cells, and what FID owes to few items."""

import numpy as np
import pytest

from bench.metrics.summary import Scored, Summary
from bench.reporting.notes import frechet_bias, latent_gap, leak_by_distance, leak_note

SIDE, FACTOR = 32, 4


def block(count: int = 2) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    encoded = generator.normal(size=(count, 3, SIDE // FACTOR, SIDE // FACTOR)).astype(np.float32)
    return {"latents": encoded + 1, "encoded": encoded, "encoded_known": encoded.copy()}


def test_a_leak_is_found_at_its_distance() -> None:
    arrays = block()
    masks = np.zeros((2, SIDE, SIDE), np.uint8)
    masks[:, :5, :5] = 1  # touches the four cells of the corner
    arrays["encoded_known"][:, :, :2, :2] += 7  # in the hole: that counts for nothing
    assert set(leak_by_distance([arrays], masks).values()) == {0.0}
    arrays["encoded_known"][:, :, 3, 0] += 1  # two cells below the hole's last
    found = leak_by_distance([arrays], masks)
    assert {name for name, value in found.items() if value} == {"2"}
    cells = 4  # (3, 0), (3, 1), (0, 3), (1, 3) lie 2 away in each of the two items; (2, 3) and (3, 2) by the root of 5
    near = cells + 2
    assert found["2"] == pytest.approx(np.sqrt(1 / near) / arrays["encoded"].std(), rel=1e-5)
    assert next(leak_note(found)).count("%") == len(found)
    assert list(leak_note({})) == []


def test_where_there_is_no_hole_nothing_leaks() -> None:
    assert leak_by_distance([block()], np.zeros((2, SIDE, SIDE), np.uint8)) == {}


def test_the_gap_is_given_by_channel() -> None:
    text = latent_gap([block(), block()])
    assert text.count(" for ") == 1 + 3
    assert "+1." in text or "+0.9" in text


@pytest.mark.parametrize("dimensions", [4, 30])
def test_frechet_distances_are_told_for_infinitely_many_items(dimensions: int) -> None:
    generator = np.random.default_rng(1)
    truth, noise = generator.normal(size=(2, 40, dimensions))
    rows = {"one": {"net.features": truth + noise, "lpips": np.ones(40)}, "other": {"lpips": np.ones(40)}}
    scored = Scored(
        rows, {"net.features": truth}, {"fid": "net.features"}, [str(i) for i in range(40)], range(40), np.zeros(40)
    )
    summary = Summary(scored, 2)
    found = summary.extrapolation("one", "fid")
    assert not isinstance(found, str)
    (text,) = frechet_bias(summary, {"one": "One", "other": "Other", "cited": "Cited"})
    assert text.endswith(f": One {found.limit:.2f} ± {found.stderr:.2f} of {found.values[0]:.2f}.")
    assert "through 40 and 20 items" in text
    assert ("at most, as 20 items are fewer than the 30 features" in text) == (dimensions == 30)
    assert list(frechet_bias(Summary(scored, 41), {"one": "One"})) == []
