"""Tests of the ways to save an image: the theoretical costs, and that JPEG equals a saved file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.metrics.image_encoding import PREFIX, WAYS, jpeg, saved
from bench.metrics.names import HOLE_ONLY, VARIANTS

SIDE = 64


def smooth(count: int = 2) -> torch.Tensor:
    """Return images B×3×H×W in (0, 1) between whole grey levels, with coloured edges."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 0.8 + 0.1
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


@pytest.mark.blackbox
def test_every_encoding_is_described_in_words() -> None:
    assert {f"{PREFIX}{way}" for way in WAYS} == set(VARIANTS) - {HOLE_ONLY}


@pytest.mark.reference
def test_truncation_costs_a_third_of_a_squared_level_and_rounding_a_twelfth() -> None:
    """The error is uniform over one level, from 0 to 1 or from -1/2 to 1/2."""
    image = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    count = image.numel()
    for way, bias, square, deviation in (("truncate", -1 / 2, 1 / 3, 0.3), ("round", 0, 1 / 12, 0.075)):
        error = saved(image, way).double() - 255 * image
        assert error.mean().item() == pytest.approx(bias, abs=5 * 0.29 / count**0.5)
        # The 1e-4 allows for values that FLOAT_ERROR counts for the level above.
        assert error.square().mean().item() == pytest.approx(square, abs=5 * deviation / count**0.5 + 1e-4)


@pytest.mark.reference
def test_truncation_costs_a_near_perfect_image_half_a_squared_level_and_rounding_nothing() -> None:
    truth = torch.randint(1, 255, (2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    noise = 0.05 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    image = (truth + noise) / 255
    errors = {way: (saved(image, way).double() - truth).square().mean().item() for way in ("truncate", "round")}
    assert errors["truncate"] == pytest.approx(0.5, abs=0.02)
    assert errors["round"] == 0


@pytest.mark.reference
def test_jpeg_encoding_equals_a_saved_file_and_changes_the_image(tmp_path: Path) -> None:
    image = smooth()
    found = jpeg(image)
    truncated = saved(image, "truncate")
    for index, pixels in enumerate(truncated.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
        expected = np.asarray(Image.open(tmp_path / "a.jpg"))
        assert np.array_equal(found[index].permute(1, 2, 0).numpy(), expected)
    assert found.shape == image.shape
    assert found.dtype == torch.uint8
    change = (found.double() - truncated.double()).square().mean()
    assert 0 < change < (jpeg(image, quality=30).double() - truncated.double()).square().mean()


@pytest.mark.blackbox
def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(KeyError, match="webp"):
        saved(smooth(), "webp")
