"""Notes below a table: how far the hole reaches into the first stage's latents of known cells."""

import numpy as np
import pytest

from bench.reporting.notes import latent_gap, leak_by_distance, leak_note

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
