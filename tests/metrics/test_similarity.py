"""Tests of structural similarity against scikit-image, and of the exclusion of the hole."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as reference

from bench.metrics.measure import Extra
from bench.metrics.similarity import SimilarityMeasure, WindowedTruth, structural_similarity
from bench.runtime.copies import ReadBack


def pictures(count: int = 3, side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images whose values are whole levels, and noisy truths."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    noise = torch.randint(-20, 21, truth.shape, generator=generator)
    return (truth + noise).clamp(0, 255).float() / 255, truth


def smooth_pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Return nearly flat images and truths, whose variances are a small part of their squares."""
    ramp = torch.linspace(200, 240, 40).to(torch.uint8).expand(3, 3, 40, 40)
    return (ramp + torch.arange(40).remainder(3).view(40, 1)).float() / 255, ramp.contiguous()


@pytest.mark.reference
@pytest.mark.parametrize("made", [pictures, smooth_pictures])
def test_similarity_equals_that_of_scikit_image(made: Callable[[], tuple[torch.Tensor, torch.Tensor]]) -> None:
    image, truth = made()
    whole, _ = structural_similarity(image, WindowedTruth.of(truth), torch.zeros(3, 1, 40, 40))
    for value, one, true in zip(whole, image.numpy(), truth.numpy(), strict=True):
        expected = reference(
            (one * 255).round().astype(np.float64) / 255,
            true / 255,
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert float(value) == pytest.approx(expected, rel=1e-12)  # both are float64


@pytest.mark.property
def test_pixels_of_the_hole_do_not_change_the_known_similarity() -> None:
    image, truth = pictures()
    mask = torch.zeros(3, 1, 40, 40)
    mask[:, :, 30:, 25:] = 1
    painted = torch.where(mask > 0, torch.rand(image.shape), image)
    whole, known = structural_similarity(image, WindowedTruth.of(truth), mask)
    other_whole, other_known = structural_similarity(painted, WindowedTruth.of(truth), mask)
    assert torch.equal(known, other_known)
    assert (other_whole < whole).all()
    assert (known < 1).all()


@pytest.mark.blackbox
def test_a_hole_without_a_known_window_has_no_known_similarity() -> None:
    image, truth = pictures()
    mask = torch.zeros(3, 1, 40, 40)
    mask[1, :, ::8, ::8] = 1
    measure = SimilarityMeasure()
    arrays, kept = measure.keep_truth(truth)
    assert arrays == {}
    found = ReadBack(measure.keep(image, truth, mask, kept, Extra([None] * 3))).wait()
    assert np.isnan(found["ssim_known"]).tolist() == [False, True, False]
    assert found["ssim_known"][0] == pytest.approx(found["ssim"][0], abs=1e-12)
    same = ReadBack(measure.keep(truth.float() / 255, truth, mask, kept, Extra([None] * 3))).wait()
    assert same["ssim"] == pytest.approx(1)
