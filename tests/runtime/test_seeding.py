"""Tests of seeds, which are hashes of the words of their purpose and differ between purposes."""

import hashlib
import itertools

import numpy as np
import pytest

from bench.runtime.seeding import numpy_generator, seed_for, standard_normal


@pytest.mark.reference
@pytest.mark.parametrize(
    ("run_seed", "purpose", "text"),
    [
        (0, ("item", "mask"), b"0\x1fitem\x1fmask"),
        (7, ("item", 3, "latents"), b"7\x1fitem\x1f3\x1flatents"),
        (12, (), b"12"),
        (1, ("Bücher",), b"1\x1fB\xc3\xbccher"),
    ],
)
def test_a_seed_equals_the_first_63_bits_of_the_hash_of_its_purpose(
    run_seed: int, purpose: tuple[str | int, ...], text: bytes
) -> None:
    assert seed_for(run_seed, *purpose) == int(hashlib.sha256(text).hexdigest()[:16], 16) // 2


@pytest.mark.golden
def test_a_seed_does_not_change_with_a_version() -> None:
    r"""The value is half of the first 16 digits of `printf '0\037item\037mask' | sha256sum`."""
    assert seed_for(0, "item", "mask") == 8568620444678852385


@pytest.mark.blackbox
def test_words_joined_differently_give_another_seed() -> None:
    purposes: list[tuple[int, tuple[str | int, ...]]] = [
        (0, ("ab", "c")), (0, ("a", "bc")), (0, ("abc",)), (0, ("a", "b", "c")), (0, ("c", "ab")), (0, ("abc", "")),
        (1, ("2",)), (12, ()), (1, (23,)), (12, (3,)), (123, ()),
    ]  # fmt: skip
    seeds = [seed_for(run_seed, *words) for run_seed, words in purposes]
    assert all(first != second for first, second in itertools.combinations(seeds, 2))


@pytest.mark.reference
def test_draws_equal_numpys_for_that_seed() -> None:
    words = (3, "item", "noise")
    expected = np.random.Generator(np.random.PCG64(seed_for(*words)))
    assert np.array_equal(numpy_generator(*words).random(5), expected.random(5))
    drawn = standard_normal((2, 3), *words)
    again = np.random.Generator(np.random.PCG64(seed_for(*words))).standard_normal((2, 3), dtype=np.float32)
    assert (drawn.dtype, drawn.shape) == (np.float32, (2, 3))
    assert np.array_equal(drawn, again)
