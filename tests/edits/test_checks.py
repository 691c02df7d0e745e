"""Tests of the checks: each injected fault is found, and clean pictures give no finding."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from bench.edits.checks import Check, EditFacts, checks, edit_facts, picture_facts
from bench.edits.pairing import Pairs, pair
from bench.edits.pictures import Mask
from benchmarks.diagnostics import KINDS, alarms, diagnosed
from benchmarks.faults import CLEAN
from tests.helpers.photographs import Photograph, Pixels, jpeg, photograph

PICTURES = 8
"""Number of pictures in each drawn set."""
Edit = Callable[[Photograph, np.random.Generator], Pixels]


def clean(one: Photograph, rng: np.random.Generator) -> Pixels:
    return noisy(one.filled(), rng)


def blurred(one: Photograph, rng: np.random.Generator) -> Pixels:
    return one.edited(rng)


def sharpened(one: Photograph, rng: np.random.Generator) -> Pixels:
    pixels = one.filled().astype(np.float64)
    return np.clip(2 * pixels - cv2.GaussianBlur(pixels, (0, 0), 1), 0, 255).round().astype(np.uint8)


def coloured(one: Photograph, rng: np.random.Generator) -> Pixels:
    return noisy(np.clip(one.filled() + np.array([0, 0, 3]), 0, 255), rng)


def shifted(one: Photograph, rng: np.random.Generator) -> Pixels:
    return noisy(one.shifted(), rng)


def zoomed(one: Photograph, rng: np.random.Generator) -> Pixels:
    return noisy(one.zoomed(1.01), rng)


def pasted(one: Photograph, rng: np.random.Generator) -> Pixels:
    return one.filled()


def compressed(one: Photograph, rng: np.random.Generator) -> Pixels:
    return jpeg(clean(one, rng), 90)


def noisy(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.clip(pixels + rng.normal(0, 2, pixels.shape), 0, 255).round().astype(np.uint8)


def found_in(edit: Edit, seed: int, *, inverted: bool = False) -> tuple[Check, ...]:
    """Return the findings on a drawn set of pictures."""
    rng = np.random.default_rng(seed)
    drawn = [photograph(rng) for _ in range(PICTURES)]
    truth, edited = [one.pixels for one in drawn], [edit(one, rng) for one in drawn]
    holes = [~one.hole if inverted else one.hole for one in drawn]
    pairs = pair(truth, {"mine": edited}, holes)
    facts = [picture_facts(one, Mask(hole)) for one, hole in zip(truth, holes, strict=True)]
    return checks(pairs, facts, {"mine": facts_of(truth, edited, holes)})


def facts_of(truth: list[Pixels], edited: list[Pixels], holes: list[np.ndarray] | None) -> list[EditFacts]:
    """Return the properties of edited pictures of equal size."""
    none = np.zeros(truth[0].shape[:2], np.bool_)
    values = diagnosed(truth, edited, [none] * len(truth) if holes is None else holes)
    return [
        edit_facts(one, found, None if holes is None else holes[place], {name: v[place] for name, v in values.items()})
        for place, (one, found) in enumerate(zip(truth, edited, strict=True))
    ]


def kinds(found: tuple[Check, ...]) -> set[str]:
    return {check.kind for check in found} - {"duplicate"}  # the same crop may be drawn twice


FAULTS = {
    shifted: ("moved", 1.0),
    zoomed: ("moved", 0.95),
    blurred: ("blurred", 1.0),
    sharpened: ("blurred", 1.0),
    coloured: ("cast", 1.0),
    pasted: ("pasted", 1.0),
    compressed: ("jpeg", 0.9),
}
"""Kind of the finding, and the least share of draws in which it is found, for each fault."""


@pytest.mark.property
@pytest.mark.slow
@pytest.mark.parametrize("edit", FAULTS)
def test_each_injected_fault_is_found_in_most_draws(edit: Edit) -> None:
    kind, least = FAULTS[edit]
    found = [kinds(found_in(edit, seed)) for seed in range(20)]
    assert np.mean([kind in one for one in found]) >= least
    assert set().union(*found) == {kind}


@pytest.mark.property
@pytest.mark.parametrize("edit", FAULTS)
def test_each_injected_fault_is_found(edit: Edit) -> None:
    assert kinds(found_in(edit, 0)) == {FAULTS[edit][0]}


@pytest.mark.property
def test_an_inverted_mask_is_found() -> None:
    for seed in range(5):
        assert "inverted" in kinds(found_in(clean, seed, inverted=True))


@pytest.mark.property
def test_clean_pictures_give_no_finding() -> None:
    for seed in range(5):
        assert kinds(found_in(clean, seed)) == set()


@pytest.mark.property
@pytest.mark.parametrize(
    "kind", ["equal", *(pytest.param(kind, marks=pytest.mark.slow) for kind in CLEAN if kind != "equal")]
)
def test_legitimate_differences_give_no_finding_on_known_pixels(kind: str) -> None:
    assert alarms(CLEAN[kind], 10) == dict.fromkeys(KINDS, 0)


@pytest.mark.property
@pytest.mark.slow
def test_the_rates_over_two_hundred_draws() -> None:
    """The rates stand in docs/score.md."""
    rates = {}
    for name, edit, inverted, kind in (
        ("shift", shifted, False, "moved"),
        ("zoom", zoomed, False, "moved"),
        ("pasted", pasted, False, "pasted"),
        ("jpeg", compressed, False, "jpeg"),
        ("blur", blurred, False, "blurred"),
        ("cast", coloured, False, "cast"),
        ("inverted", clean, True, "inverted"),
    ):
        rates[name] = np.mean([kind in kinds(found_in(edit, seed, inverted=inverted)) for seed in range(200)])
    alarms = [kinds(found_in(clean, 1000 + seed)) for seed in range(200)]
    print(rates, alarms)
    assert not any(alarms)
    assert all(rate >= 0.95 for rate in rates.values()), rates


def one_pair(truth: Pixels, edited: Pixels, hole: np.ndarray | None) -> Pairs:
    return pair([truth], {"mine": [edited]}, None if hole is None else [hole])


@pytest.mark.property
@pytest.mark.parametrize(("flat", "found"), [(0, True), (4, True), (5, False), (7, False)])
def test_shifts_are_reported_only_if_half_of_all_pictures_have_texture(flat: int, found: bool) -> None:
    rng = np.random.default_rng(0)
    drawn = [photograph(rng) for _ in range(PICTURES)]
    plain = np.full_like(drawn[0].pixels, 100)
    truth = [plain] * flat + [one.pixels for one in drawn[flat:]]
    edited = [plain] * flat + [shifted(one, rng) for one in drawn[flat:]]
    pairs, facts = pair(truth, {"mine": edited}, None), [picture_facts(one, None) for one in truth]
    texts = [one.text for one in checks(pairs, facts, {"mine": facts_of(truth, edited, None)}) if one.kind == "moved"]
    assert len(texts) == found
    counted = "8 of 8 pictures are" if not flat else f"{8 - flat} of {8 - flat} pictures with enough texture are"
    assert all(counted in text for text in texts)


@pytest.mark.blackbox
def test_identical_pictures_are_said_to_be_identical() -> None:
    one = photograph(np.random.default_rng(0))
    (facts,) = facts_of([one.pixels], [one.pixels], [one.hole])
    found = checks(
        one_pair(one.pixels, one.pixels, one.hole), [picture_facts(one.pixels, Mask(one.hole))], {"mine": [facts]}
    )
    assert [check.kind for check in found] == ["identical"]
    assert "1 of 1 pictures are identical to their truth" in found[0].text


@pytest.mark.blackbox
def test_masks_that_are_soft_or_cover_all_or_nothing_are_named() -> None:
    rng = np.random.default_rng(0)
    drawn = [photograph(rng) for _ in range(3)]
    holes = [drawn[0].hole, np.ones_like(drawn[1].hole), np.zeros_like(drawn[2].hole)]
    truth = [one.pixels for one in drawn]
    edited = [np.clip(one + rng.integers(-1, 2, one.shape), 0, 255).astype(np.uint8) for one in truth]
    facts = [picture_facts(one, Mask(hole, grey)) for one, hole, grey in zip(truth, holes, (0.02, 0, 0), strict=True)]
    edits = facts_of(truth, edited, holes)
    found = checks(pair(truth, {"mine": edited}, holes), facts, {"mine": edits})
    assert [check.kind for check in found] == ["soft", "whole", "empty"]
    assert [text in check.text for check, text in zip(found, ("1 of 3 masks have grey", ": 1.", ": 2."), strict=True)]


@pytest.mark.blackbox
def test_another_size_is_named_with_its_aspect_ratio() -> None:
    one = photograph(np.random.default_rng(0))
    pairs = one_pair(one.pixels, one.pixels[:48], None)
    (found,) = checks(pairs, [picture_facts(one.pixels, None)], {})
    assert found.kind == "size"
    assert "has 96×48 pixels, and its truth has 96×96 (an aspect ratio that differs by 50.0%)" in found.text
    half = one_pair(one.pixels, one.pixels[::2, ::2], None)
    (found,) = checks(half, [picture_facts(one.pixels, None)], {})
    assert "the same aspect ratio" in found.text


@pytest.mark.blackbox
def test_duplicates_and_equal_editors_are_named() -> None:
    rng = np.random.default_rng(0)
    first, second = photograph(rng), photograph(rng)
    truth = [first.pixels, first.pixels, second.pixels]
    made = first.edited(rng)
    edited = [made, made, made]
    facts = [picture_facts(one, None) for one in truth]
    edits = facts_of(truth, edited, None)
    found = checks(pair(truth, {"a": edited, "b": edited}, None), facts, {"a": edits, "b": edits})
    texts = [check.text for check in found if check.kind in ("duplicate", "same")]
    assert "truth: 2 pictures are identical (0, 1), so they are not independent." in texts
    assert "a: 3 pictures are identical although their truths differ (0, 1, 2)." in texts
    assert "a and b: 3 of 3 pictures are identical in every pixel." in texts
