"""Tests of the diagnostics of known pixels: injected faults are found, and equal pixels give exactly 0."""

import numpy as np
import pytest
import torch
from skimage import color

from bench.metrics.diagnostics import CHANGES, DiagnosticsMeasure, SeenTruth, diagnose
from bench.metrics.measure import Extra
from bench.metrics.ranges import out_of_range
from bench.tables.build import DIAGNOSES
from benchmarks.diagnostics import diagnosed, found
from benchmarks.faults import CLEAN, FAULTS, crop

DRAWS = 32


def as_tensors(truth: np.ndarray, edited: np.ndarray, hole: np.ndarray) -> tuple[torch.Tensor, SeenTruth, torch.Tensor]:
    one, other = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] for pixels in (truth, edited))
    return other.float() / 255, SeenTruth.of(one), torch.from_numpy(hole)[None, None].float()


@pytest.mark.property
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "all four"])
def test_an_injected_fault_is_recovered_within_five_percent(fault: str) -> None:
    edit, expected = FAULTS[fault]
    values = found(edit, DRAWS)
    for metric, true in expected.items():
        known = values[metric][np.isfinite(values[metric])]
        assert len(known) >= 0.9 * DRAWS
        assert np.median(known) == pytest.approx(true, rel=0.01)
        assert np.mean(np.abs(known / true - 1) <= 0.05) >= 0.9


@pytest.mark.property
def test_shift_zoom_and_blur_are_found_together() -> None:
    edit, expected = FAULTS["all four"]
    values = found(edit, DRAWS)
    for metric in ("shift_right", "zoom", "blur"):
        assert np.nanmedian(values[metric]) == pytest.approx(expected[metric], rel=0.02)


@pytest.mark.property
@pytest.mark.parametrize("side", [48, 96])
def test_equal_known_pixels_give_exactly_nothing(side: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [crop(rng, side) for _ in range(DRAWS)]
    changed = [one.seen().copy() for one in drawn]
    for pixels, one in zip(changed, drawn, strict=True):
        pixels[one.hole] = rng.integers(0, 256, (one.hole.sum(), 3))
    values = diagnosed([one.seen() for one in drawn], changed, [one.hole for one in drawn])
    for name, found_values in values.items():
        assert set(found_values[np.isfinite(found_values)].tolist()) == {0.0}, name
        assert np.isfinite(found_values).mean() > 0.7


@pytest.mark.property
def test_the_hole_has_no_influence() -> None:
    rng = np.random.default_rng(1)
    one = crop(rng)
    edited = FAULTS["blur of 0.7"][0](one, rng)
    other = edited.copy()
    other[one.hole] = rng.integers(0, 256, (one.hole.sum(), 3))
    first, second = (diagnosed([one.seen()], [pixels], [one.hole]) for pixels in (edited, other))
    for name, values in first.items():
        assert values[0] == pytest.approx(second[name][0], rel=1e-9, abs=1e-12), name


@pytest.mark.blackbox
def test_nothing_known_gives_no_value() -> None:
    one = crop(np.random.default_rng(0))
    values = diagnose(*as_tensors(one.seen(), one.seen(), np.ones_like(one.hole)))
    assert all(torch.isnan(value).all() for value in values.values())


@pytest.mark.blackbox
def test_a_flat_picture_has_colours_but_no_shift_and_no_contrast() -> None:
    flat = np.full((64, 64, 3), 100, np.uint8)
    values = {name: value.item() for name, value in diagnose(*as_tensors(flat, flat + 3, np.zeros((64, 64)))).items()}
    assert (values["red_shift"], values["changed_2"], values["changed_4"]) == (3, 1, 0)
    assert values["colour_shift"] == pytest.approx(values["colour_field"], rel=1e-9) == pytest.approx(1.1, abs=0.3)
    names = ("shift_right", "shift_down", "shift", "zoom", "blur", "explained", "contrast_change", "sharpness_change")
    assert all(np.isnan(values[name]) for name in names)


@pytest.mark.blackbox
def test_too_few_known_pixels_have_no_shift() -> None:
    one = crop(np.random.default_rng(0))
    hole = np.ones_like(one.hole)
    hole[40:60, 40:60] = False
    values = diagnose(*as_tensors(one.seen(), one.seen(), hole))
    assert torch.isnan(values["shift"]).item()
    assert values["colour_shift"].item() == 0


@pytest.mark.reference
def test_the_colour_shift_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        one = crop(rng)
        truth, edited = one.seen(), FAULTS["3 levels of red"][0](one, rng)
        values = diagnose(*as_tensors(truth, edited, one.hole))
        means = [color.rgb2lab(pixels)[~one.hole].mean(0) for pixels in (truth, edited)]
        assert values["colour_shift"].item() == pytest.approx(color.deltaE_ciede2000(*means), rel=1e-9)


@pytest.mark.blackbox
def test_opposite_casts_of_two_halves_show_in_the_field_only() -> None:
    grey = np.full((96, 96, 3), 120, np.uint8)
    edited = grey.copy()
    edited[:, :48, 0] += 6
    edited[:, 48:, 0] -= 6
    values = diagnose(*as_tensors(grey, edited, np.zeros((96, 96))))
    assert values["colour_field"].item() > 10 * values["colour_shift"].item()


@pytest.mark.reference
def test_shares_contrast_and_sharpness_equal_a_direct_computation() -> None:
    rng = np.random.default_rng(3)
    one = crop(rng)
    truth, edited = one.seen(), CLEAN["noise of 2 levels"](one, rng)
    values = diagnose(*as_tensors(truth, edited, one.hole))
    known = ~one.hole
    for levels in CHANGES:
        share = (np.abs(edited.astype(int) - truth).max(-1) > levels)[known].mean()
        assert values[f"changed_{levels}"].item() == pytest.approx(share, abs=1e-12)
    grey = [pixels @ np.array([0.299, 0.587, 0.114]) for pixels in (truth, edited)]
    contrast = [values[known].std() for values in grey]
    steps = []
    for one_grey in grey:
        across = np.diff(one_grey, axis=1)[known[:, 1:] & known[:, :-1]]
        along = np.diff(one_grey, axis=0)[known[1:] & known[:-1]]
        steps.append(np.sqrt(np.square(across).sum() + np.square(along).sum()))
    assert values["contrast_change"].item() == pytest.approx(100 * (contrast[1] / contrast[0] - 1), rel=1e-6)
    assert values["sharpness_change"].item() == pytest.approx(100 * (steps[1] / steps[0] - 1), rel=1e-6)


@pytest.mark.blackbox
def test_every_shown_metric_is_measured_and_lies_in_its_range() -> None:
    rng = np.random.default_rng(4)
    one = crop(rng)
    image, truth, mask = as_tensors(one.seen(), FAULTS["all four"][0](one, rng), one.hole)
    measure = DiagnosticsMeasure()
    values = measure.keep(image, truth.pixels, mask, measure.keep_truth(truth.pixels)[1], Extra([None]))
    assert set(DIAGNOSES) == set(values) - {"explained"}
    assert all(out_of_range(name, float(value)) is None for name, value in values.items())
