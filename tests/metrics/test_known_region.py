"""The error outside the hole, near it and far from it, by hand on small images."""

import numpy as np
import pytest
import torch

from bench.metrics.known_region import KnownRegionMeasure, border_step, known_region_error, psnr, ring_error, to_uint8
from bench.metrics.measure import Arrays, Extra

SIDE = 32


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


def boxes(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Truth, masks of one box each, and images that differ from the truth everywhere."""
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(count, 1, SIDE, SIDE)
    for index in range(count):
        mask[index, :, 3 + index : 12 + index, 5 : 14 + 2 * index] = 1
    image = (truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    return truth, mask, image


def measured(truth: torch.Tensor, mask: torch.Tensor, image: torch.Tensor) -> Arrays:
    measure = KnownRegionMeasure().to("cpu")
    stored, kept = measure.keep_truth(truth)
    assert stored == {}
    return measure.keep(image, truth, mask, kept, Extra([None] * len(truth)))


def test_ring_and_interior_add_up_to_the_known_region() -> None:
    truth, mask, image = boxes(3)
    found = measured(truth, mask, image)
    places = np.argwhere(np.ones((SIDE, SIDE)))
    for index, hole in enumerate(mask[:, 0].numpy() > 0):
        nearest = np.linalg.norm(places[:, None] - np.argwhere(hole)[None], axis=2).min(1)
        ring = 3 * np.count_nonzero((nearest > 0) & (nearest <= 4))
        interior = 3 * np.count_nonzero(nearest > 4)
        assert ring + interior == found["known_values"][index]
        total = ring * found["pre_error_ring"][index] + interior * found["pre_error_interior"][index]
        assert total == pytest.approx(found["pre_sse01"][index], rel=1e-9)


@pytest.mark.parametrize(("distance", "region", "other"), [(1, "ring", "interior"), (4, "ring", "interior"),
                                                           (5, "interior", "ring")])  # fmt: skip
def test_the_ring_ends_four_pixels_from_the_hole(distance: int, region: str, other: str) -> None:
    truth, mask, _ = boxes(1)
    image = truth / 255
    right = int(torch.nonzero(mask[0, 0, 5]).max())
    image[0, :, 5, right + distance] = 1 - image[0, :, 5, right + distance].round()
    found = measured(truth, mask, image)
    assert found[f"pre_error_{region}"][0] > 0
    assert found[f"pre_error_{other}"][0] == 0


def test_the_hole_does_not_count_for_the_known_region() -> None:
    truth, mask, _ = boxes(2)
    found = measured(truth, mask, torch.where(mask > 0, 1 - truth / 255, truth / 255))
    for name in ("pre_error", "pre_error_ring", "pre_error_interior", "pre_sse01"):
        assert found[name].tolist() == [0, 0]


def test_where_there_is_no_region_there_is_no_number() -> None:
    truth, _, image = boxes(2)
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[0] = 1
    found = measured(truth, mask, image)
    assert np.isnan([found[name][0] for name in ("pre_error", "pre_error_ring", "pre_error_interior")]).all()
    assert np.isnan(found["pre_error_ring"][1])
    assert found["pre_error_interior"][1] == pytest.approx(found["pre_error"][1])
    assert found["pre_error"][1] > 0
    assert found["known_values"].tolist() == [0, 3 * SIDE * SIDE]


def test_signal_to_noise_counts_the_hole_and_has_no_value_without_noise() -> None:
    truth, _, _ = boxes(2)
    image = truth / 255
    assert psnr(image, truth).isnan().all()
    off = torch.where(truth > 0, truth - 1, truth + 1)
    assert psnr(off / 255, truth).tolist() == pytest.approx([20 * np.log10(255)] * 2)


def test_the_measure_keeps_all_and_does_not_depend_on_the_batch_or_the_row_before() -> None:
    truth, mask, image = boxes(5)
    whole = measured(truth, mask, image)
    expected = known_region_error(image, truth, mask) | ring_error(image, truth, mask) | {"psnr": psnr(image, truth)}
    for name, values in expected.items():
        assert whole[name].dtype == np.float64
        assert np.array_equal(whole[name], values.numpy()), name
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        part = measured(truth[start:stop], mask[start:stop], image[start:stop])
        for name, values in part.items():
            assert values == pytest.approx(whole[name][start:stop], rel=1e-12), name
    measure, extra = KnownRegionMeasure(), Extra([None] * 5)
    _, kept = measure.keep_truth(truth)
    measure.keep(1 - image, truth, mask, kept, extra)
    second = measure.keep(image, truth, mask, kept, extra)
    assert all(np.array_equal(second[name], values) for name, values in whole.items())


def test_a_step_across_the_border_is_what_the_hole_adds() -> None:
    mask = torch.zeros(3, 1, 8, 8)
    mask[:2, :, 2:5, 3:6] = 1
    image = torch.full((3, 3, 8, 8), 0.2)
    image[0] += 0.4 * mask[0]
    image[1, :, 2, 3] = 0.6  # a corner: two of its neighbours are known
    found = border_step(image, mask)
    assert found[0] == pytest.approx(0.4, abs=1 / 255)
    assert found[1] == pytest.approx(0.4 * 2 / 12, abs=1 / 255)
    assert torch.isnan(found[2])
