"""Tests of the error outside the hole, near it and far from it, by hand on small images."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from bench.metrics import known_region
from bench.metrics.known_region import (
    KnownRegionMeasure,
    border_step,
    known_region_error,
    near_by_disc,
    near_hole,
    psnr,
    released_uint8,
    ring_error,
    to_uint8,
)
from bench.metrics.measure import Extra
from bench.runtime.copies import ReadBack
from bench.store import Arrays
from tests.helpers.boxes import SIDE, boxes


def truncated(image: torch.Tensor) -> torch.Tensor:
    return to_uint8(image, rounding="truncate")


def truth_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, :2] = 1
    return truth, mask


@pytest.mark.blackbox
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


@pytest.mark.reference
def test_truncation_costs_its_floor_and_rounding_costs_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 256, (1, 3, 128, 128), generator=generator, dtype=torch.uint8)
    image = truth.double() / 255 + 1e-4 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    error = known_region_error(image, truth, torch.zeros(1, 1, 128, 128))
    assert error["pre_error"].item() == pytest.approx(error["pre_floor"].item(), rel=0.02)
    assert error["pre_error_rounded"].item() == 0
    assert error["pre_error_float"].item() == pytest.approx(1e-8, rel=0.05)


def uneven() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return truth with many 0 and 255, images with errors of parts and whole levels, and scattered holes."""
    generator = np.random.default_rng(7)
    truth = generator.choice([0, 0, 1, 2, 100, 254, 255], size=(2, 3, 5, 7))
    image = (truth + generator.normal(0, 1.5, size=truth.shape)) / 255
    mask = (generator.random((2, 1, 5, 7)) < 0.4).astype(np.float32)
    return torch.from_numpy(truth.astype(np.uint8)), torch.from_numpy(mask), torch.from_numpy(image)


def saved_in_half_precision(value: float) -> int:
    """Return the saved level of one value in [0, 1] by single operations on float16 scalars."""
    one, two, most = np.float16(1), np.float16(2), np.float16(255)
    return int((np.float16(2 * value - 1) + one) / two * most)


@pytest.mark.reference
def test_every_reading_equals_a_loop_over_single_values() -> None:
    truth, mask, image = uneven()
    found, pasted = (known_region_error(image, truth, mask, decoded=decoded) for decoded in (True, False))
    for item in range(2):
        sums, known, above_zero = {"": 0.0, "_rounded": 0.0, "_float": 0.0, "_released": 0.0}, 0, 0
        floor = 0.0
        for channel, row, column in itertools.product(range(3), range(5), range(7)):
            if mask[item, 0, row, column] != 0:
                continue
            true = int(truth[item, channel, row, column])
            level = min(max(float(image[item, channel, row, column]), 0.0), 1.0) * 255
            known, above_zero = known + 1, above_zero + (true >= 1)
            sums[""] += (math.floor(level) - true) ** 2
            sums["_rounded"] += (math.floor(level + 0.5) - true) ** 2
            sums["_float"] += (level - true) ** 2
            sums["_released"] += (saved_in_half_precision(level / 255) - true) ** 2
            floor += (saved_in_half_precision(true / 255) - true) ** 2
        assert found["known_values"][item] == known
        for suffix, total in sums.items():
            assert found[f"pre_sse01{suffix}"][item].item() == pytest.approx(total / 65025, rel=1e-12)
            assert found[f"pre_error{suffix}"][item].item() == pytest.approx(total / 65025 / known, rel=1e-12)
        assert pasted["pre_sse01_released"][item].item() == pytest.approx(sums[""] / 65025, rel=1e-12)
        assert pasted["pre_error_released"][item].item() == pytest.approx(sums[""] / 65025 / known, rel=1e-12)
        for one in (found, pasted):
            assert one["pre_floor_released"][item].item() == pytest.approx(floor / known / 65025, rel=1e-12)
        # The mean over all values is of the truncated image, as the released script saves it.
        assert found["pre_mse01_all"][item].item() == pytest.approx(sums[""] / 65025 / 105, rel=1e-12)
        # A value of 0 cannot fall a level short.
        assert found["pre_floor"][item].item() == pytest.approx(above_zero / known / 2 / 65025, rel=1e-12)


@pytest.mark.blackbox
def test_a_black_picture_has_no_floor() -> None:
    truth = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    truth[:, 0, 0] = 1
    assert known_region_error(truth / 255, truth, torch.zeros(1, 1, 4, 4))["pre_floor"].item() == pytest.approx(
        4 / 48 / 2 / 255**2, rel=1e-12
    )


@pytest.mark.blackbox
def test_an_image_without_a_known_pixel_has_no_mean() -> None:
    truth, mask = truth_and_mask()
    error = known_region_error(truth / 255, truth, torch.ones_like(mask))
    assert error["pre_error"].isnan().all()
    assert error["pre_sse01"].tolist() == [0, 0]


@pytest.mark.blackbox
def test_rounding_rules_convert_to_eight_bits() -> None:
    image = torch.tensor([-0.1, 0.0, 0.5, 254.6 / 255, 1.0, 2.0], dtype=torch.float64)
    assert to_uint8(image, rounding="truncate").tolist() == [0, 0, 127, 254, 255, 255]
    assert to_uint8(image, rounding="round").tolist() == [0, 0, 128, 255, 255, 255]
    assert {to_uint8(image, rounding=rule).dtype for rule in ("truncate", "round")} == {torch.uint8}
    with pytest.raises(ValueError, match="truncate or round"):
        to_uint8(image, rounding="nearest")


@pytest.mark.property
def test_float32_changes_no_grey_level() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    through = (levels.float() / 127.5 - 1 + 1) / 2
    assert torch.equal(to_uint8(through, rounding="truncate"), levels)
    assert to_uint8(torch.tensor([(7 - 1e-3) / 255]), rounding="truncate").item() == 6


def as_the_script_saves(decoded: npt.NDArray[np.float16]) -> npt.NDArray[np.uint8]:
    """Apply the released script's operations to its decoder's output in NumPy's float16."""
    half = np.float16
    with np.errstate(over="ignore"):
        unit = np.clip((decoded + half(1)) / half(2), half(0), half(1))
    return (unit * half(255)).astype(np.uint8)


def in_unit_interval(decoded: torch.Tensor) -> torch.Tensor:
    """Return the values that a measure receives for a decoder's output."""
    return ((decoded.float() + 1) / 2).clamp(0, 1)


@pytest.mark.reference
def test_every_float16_value_is_saved_like_in_the_released_script() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    assert len(every) == 63488
    decoded = torch.from_numpy(every.copy())
    expected = as_the_script_saves(every)
    assert np.array_equal(released_uint8(in_unit_interval(decoded)).numpy(), expected)
    # PyTorch's float16 on the CPU rounds each operation as NumPy's does.
    directly = (((decoded + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)
    assert np.array_equal(directly.numpy(), expected)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("error", "released", "truncated"), [(0.0, 0.144, None), (0.1, 0.350, 0.497), (0.3, 0.446, 0.501),
                                         (1.0, 1.292, 1.329)],
)  # fmt: skip
def test_saving_in_half_precision_costs_less_than_truncation(
    error: float, released: float, truncated: float | None
) -> None:
    """Costs are in squared grey levels per value, for uniformly distributed truth and normally distributed errors.

    The standard error of these means over 786,432 values is below 0.002; 0.01 allows for how the errors are drawn.
    """
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 256, (4, 3, 256, 256), generator=generator, dtype=torch.uint8)
    noise = torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    decoded = (truth.double() + error * noise) / 127.5 - 1
    mask = torch.zeros(4, 1, 256, 256)
    half = known_region_error(in_unit_interval(decoded.half()), truth, mask, decoded=True)
    assert half["pre_error_released"].mean().item() * 255**2 == pytest.approx(released, abs=0.01)
    if truncated is None:
        assert half["pre_error_released"].tolist() == pytest.approx(half["pre_floor_released"].tolist(), rel=1e-12)
        return
    full = known_region_error(in_unit_interval(decoded), truth, mask, decoded=True)
    assert full["pre_error"].mean().item() * 255**2 == pytest.approx(truncated, abs=0.01)
    # A decoder that computes in float32 is saved in half precision all the same.
    assert full["pre_error_released"].tolist() == pytest.approx(half["pre_error_released"].tolist(), rel=1e-3)


@pytest.mark.blackbox
def test_the_floor_of_half_precision_is_the_error_of_the_true_picture() -> None:
    levels = np.arange(256, dtype=np.float64)
    saved = as_the_script_saves((levels / 127.5 - 1).astype(np.float16))
    cost = ((saved - levels) / 255) ** 2
    truth = torch.tensor([[0, 3, 255], [128, 200, 7]], dtype=torch.uint8).expand(1, 3, 2, 3)
    mask = torch.tensor([[0.0, 0, 1], [0, 1, 0]]).expand(1, 1, 2, 3)
    floor = known_region_error(torch.zeros(1, 3, 2, 3), truth, mask)["pre_floor_released"]
    assert floor.tolist() == pytest.approx([cost[[0, 3, 128, 7]].mean()], rel=1e-12)
    assert cost[0] == cost[255] == 0
    assert (cost * 255**2).mean() == pytest.approx(0.1445, abs=5e-5)


@pytest.mark.blackbox
def test_a_finished_picture_is_not_saved_in_half_precision() -> None:
    truth = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    mask = torch.zeros(1, 1, 16, 16)
    finished = known_region_error(truth / 255, truth, mask, decoded=False)
    assert finished["pre_error_released"].tolist() == finished["pre_sse01_released"].tolist() == [0]
    decoded = known_region_error(truth / 255, truth, mask, decoded=True)
    assert decoded["pre_error_released"].tolist() == pytest.approx(decoded["pre_floor_released"].tolist(), rel=1e-12)
    assert decoded["pre_error_released"].item() > 0
    assert decoded["pre_error"].item() == 0


@pytest.mark.blackbox
@pytest.mark.parametrize("decoded", [False, True])
def test_the_measure_receives_whether_an_image_was_decoded(decoded: bool) -> None:
    truth, mask, image = boxes(2)
    measure = KnownRegionMeasure()
    found = measure.keep(image, truth, mask, {}, Extra([None] * 2, decoded=decoded))
    expected = known_region_error(image, truth, mask, decoded=decoded)
    assert found["pre_error_released"].tolist() == expected["pre_error_released"].tolist()
    assert (found["pre_error_released"] == found["pre_error"]).all() == (not decoded)


def measured(truth: torch.Tensor, mask: torch.Tensor, image: torch.Tensor) -> Arrays:
    measure = KnownRegionMeasure().to("cpu")
    stored, kept = measure.keep_truth(truth)
    assert stored == {}
    return ReadBack(measure.keep(image, truth, mask, kept, Extra([None] * len(truth)))).wait()


@pytest.mark.property
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


@pytest.mark.blackbox
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


@pytest.mark.property
def test_the_hole_does_not_affect_the_known_region() -> None:
    truth, mask, _ = boxes(2)
    found = measured(truth, mask, torch.where(mask > 0, 1 - truth / 255, truth / 255))
    for name in ("pre_error", "pre_error_ring", "pre_error_interior", "pre_sse01"):
        assert found[name].tolist() == [0, 0]


@pytest.mark.blackbox
def test_an_empty_region_has_no_value() -> None:
    truth, _, image = boxes(2)
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[0] = 1
    found = measured(truth, mask, image)
    assert np.isnan([found[name][0] for name in ("pre_error", "pre_error_ring", "pre_error_interior")]).all()
    assert np.isnan(found["pre_error_ring"][1])
    assert found["pre_error_interior"][1] == pytest.approx(found["pre_error"][1])
    assert found["pre_error"][1] > 0
    assert found["known_values"].tolist() == [0, 3 * SIDE * SIDE]


@pytest.mark.blackbox
def test_the_hole_is_near_itself_and_nothing_is_near_no_hole() -> None:
    """This includes pictures that are smaller than the width of the ring."""
    for side in (2, 9):
        mask = torch.zeros(3, 1, side, side)
        mask[1] = 1
        mask[2, :, 0, 0] = 1
        near = near_hole(mask)
        assert (near.shape, near.dtype) == (mask.shape, torch.bool)
        assert (near[0].any().item(), near[1].all().item()) == (False, True)
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        assert torch.equal(near[2, 0], rows**2 + columns**2 <= 16)


@pytest.mark.property
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.9, 1.0])
def test_discs_find_the_same_pixels_as_distances(share: float) -> None:
    drawn = torch.rand(4, 1, 33, 50, generator=torch.Generator().manual_seed(round(1000 * share)))
    mask = (drawn < share).float()
    near = near_by_disc(mask)
    assert torch.equal(near, near_hole(mask))
    assert near.any().item() == mask.any().item()


@pytest.mark.blackbox
def test_a_precomputed_ring_is_used() -> None:
    truth, mask, image = boxes(2)
    nowhere, everywhere = torch.zeros_like(mask, dtype=torch.bool), torch.ones_like(mask, dtype=torch.bool)
    without, whole = (ring_error(truncated(image), truth, mask, ring=ring) for ring in (nowhere, everywhere))
    assert without["pre_error_ring"].isnan().all()
    assert whole["pre_error_interior"].isnan().all()
    known = known_region_error(image, truth, mask)["pre_error"].tolist()
    assert without["pre_error_interior"].tolist() == pytest.approx(known, rel=1e-12)
    assert whole["pre_error_ring"].tolist() == pytest.approx(known, rel=1e-12)


@pytest.mark.blackbox
def test_values_of_the_mask_are_computed_once_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, mask, image = boxes(2)
    seen: list[str] = []

    def counted(masks: torch.Tensor) -> torch.Tensor:
        seen.append("near_hole")
        return near_hole(masks)

    monkeypatch.setattr(known_region, "near_hole", counted)
    measure, extra = KnownRegionMeasure(), Extra([None] * 2)
    _, kept = measure.keep_truth(truth)
    for row in (image, 1 - image):
        measure.keep(row, truth, mask, kept, extra)
    assert seen == ["near_hole"]


@pytest.mark.blackbox
def test_signal_to_noise_includes_the_hole_and_is_missing_without_noise() -> None:
    truth, _, _ = boxes(2)
    assert psnr(truth, truth).isnan().all()
    off = torch.where(truth > 0, truth - 1, truth + 1)
    assert psnr(off, truth).tolist() == pytest.approx([20 * np.log10(255)] * 2)


@pytest.mark.property
def test_the_measure_does_not_depend_on_the_batch_or_the_previous_row() -> None:
    truth, mask, image = boxes(5)
    whole = measured(truth, mask, image)
    saved = truncated(image)
    expected = known_region_error(image, truth, mask) | ring_error(saved, truth, mask) | {"psnr": psnr(saved, truth)}
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


@pytest.mark.blackbox
def test_a_step_across_the_border_is_counted() -> None:
    mask = torch.zeros(3, 1, 8, 8)
    mask[:2, :, 2:5, 3:6] = 1
    image = torch.full((3, 3, 8, 8), 0.2)
    image[0] += 0.4 * mask[0]
    image[1, :, 2, 3] = 0.6  # a corner: two of its neighbours are known
    found = border_step(truncated(image), mask)
    assert found[0] == pytest.approx(0.4, abs=1 / 255)
    assert found[1] == pytest.approx(0.4 * 2 / 12, abs=1 / 255)
    assert torch.isnan(found[2])


@pytest.mark.reference
def test_the_excess_is_the_jump_of_the_image_beyond_the_truth() -> None:
    """The truth jumps by 51 levels at the border; the images jump by 153, by -51 and by 0."""
    mask = torch.zeros(3, 1, 6, 6)
    mask[..., 3:] = 1
    truth = torch.full((3, 3, 6, 6), 51, dtype=torch.uint8)
    truth[..., 3:] = 102
    image = torch.full((3, 3, 6, 6), 51 / 255)
    image[0, ..., 3:] = 204 / 255
    image[1, ..., 3:] = 0
    found = measured(truth, mask, image)
    assert found["border_step"].tolist() == pytest.approx([0.6, 0.2, 0], abs=1e-9)
    assert found["border_excess"].tolist() == pytest.approx([0.4, 0, -0.2], abs=1e-9)


@pytest.mark.blackbox
def test_the_border_contains_every_pair_of_neighbours_across_it() -> None:
    truth, mask, image = uneven()
    found, level = border_step(truncated(image), mask), np.floor(image.clamp(0, 1).numpy() * 255)
    for item in range(2):
        steps = []
        for row, column in itertools.product(range(5), range(7)):
            for other_row, other_column in ((row + 1, column), (row, column + 1)):
                if (
                    other_row < 5
                    and other_column < 7
                    and mask[item, 0, row, column] != mask[item, 0, other_row, other_column]
                ):
                    steps += list(np.abs(level[item, :, row, column] - level[item, :, other_row, other_column]) / 255)
        assert found[item].item() == pytest.approx(np.mean(steps), rel=1e-12)
    assert measured(truth, mask, image)["border_excess"] == pytest.approx(
        (found - border_step(truth, mask)).numpy(), abs=1e-12
    )


@pytest.mark.reference
def test_signal_to_noise_equals_the_formula() -> None:
    truth = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    saved = torch.zeros_like(truth)
    saved[0, 0, 0] = 255
    assert psnr(saved, truth).item() == pytest.approx(10 * math.log10(12 / 2), rel=1e-12)
