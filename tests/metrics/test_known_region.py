"""The error outside the hole, by hand on small images."""

import pytest
import torch

from bench.metrics.known_region import known_region_error, to_uint8


def truth_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, :2] = 1
    return truth, mask


def test_only_known_pixels_count_and_the_normalisations_agree() -> None:
    truth, mask = truth_and_mask()
    image = truth.double() / 255
    image[:, :, 0] = 0.9  # in the hole
    image[1, 0, 3, 3] += 10 / 255 + 1e-9
    error = known_region_error(image + 1e-9, truth, mask)
    assert error["known_values"].tolist() == [24, 24]
    assert error["pre_sse01"].tolist() == pytest.approx([0, (10 / 255) ** 2])
    assert error["pre_error"].tolist() == pytest.approx([0, (10 / 255) ** 2 / 24])
    assert error["pre_mse01_all"].tolist() == pytest.approx([0, (10 / 255) ** 2 / 48])


def test_truncation_costs_what_its_floor_says_and_rounding_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 256, (1, 3, 128, 128), generator=generator, dtype=torch.uint8)
    image = truth.double() / 255 + 1e-4 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    error = known_region_error(image, truth, torch.zeros(1, 1, 128, 128))
    assert error["pre_error"].item() == pytest.approx(error["pre_floor"].item(), rel=0.02)
    assert error["pre_error_rounded"].item() == 0
    assert error["pre_error_float"].item() == pytest.approx(1e-8, rel=0.05)


def test_an_image_without_a_known_pixel_has_no_mean() -> None:
    truth, mask = truth_and_mask()
    error = known_region_error(truth / 255, truth, torch.ones_like(mask))
    assert error["pre_error"].isnan().all()
    assert error["pre_sse01"].tolist() == [0, 0]


def test_rounding_rules() -> None:
    image = torch.tensor([-0.1, 0.0, 0.5, 254.6 / 255, 1.0, 2.0], dtype=torch.float64)
    assert to_uint8(image, rounding="truncate").tolist() == [0, 0, 127, 254, 255, 255]
    assert to_uint8(image, rounding="round").tolist() == [0, 0, 128, 255, 255, 255]
    with pytest.raises(ValueError, match="truncate or round"):
        to_uint8(image, rounding="nearest")


def test_float32_alone_costs_no_level() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    through = (levels.float() / 127.5 - 1 + 1) / 2
    assert torch.equal(to_uint8(through, rounding="truncate"), levels)
    assert to_uint8(torch.tensor([(7 - 1e-3) / 255]), rounding="truncate").item() == 6
