"""Scores of a batch: nothing for a perfect image, regions that add up, and the same number in every batch."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from bench.metrics.scoring import Protocol, Scorer, Scores
from bench.models.feature_network import FeatureNetwork

SIDE = 32


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    torch.manual_seed(0)
    return FeatureNetwork((8, 12), {"shape": 2}).eval()


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Truth, masks of one box each, and images that differ from the truth everywhere."""
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(count, 1, SIDE, SIDE)
    for index in range(count):
        mask[index, :, 3 + index : 12 + index, 5 : 14 + 2 * index] = 1
    image = (truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    return truth, mask, image


def score(network: FeatureNetwork, truth: torch.Tensor, mask: torch.Tensor, image: torch.Tensor) -> Scores:
    return Scorer(network, truth, mask).score(image)


def test_a_perfect_image_has_no_error(network: FeatureNetwork) -> None:
    _, mask, _ = batch(2)
    levels = torch.arange(256, dtype=torch.uint8)
    truth = levels.repeat(24).reshape(2, 3, SIDE, SIDE)
    scorer = Scorer(network, truth, mask)
    found = scorer.score(truth / 255)
    for name, values in found.per_item.items():
        if name not in ("known_values", "pre_floor"):
            assert values == pytest.approx([0, 0], abs=1e-12), name  # float32 steps squared are far below
    assert np.array_equal(found.features, scorer.truth_features)
    assert found.features.shape == (2, 12)


def test_the_hole_counts_for_looks_and_not_for_the_known_region(network: FeatureNetwork) -> None:
    truth, mask, _ = batch(2)
    image = torch.where(mask > 0, 1 - truth / 255, truth / 255)
    found = score(network, truth, mask, image).per_item
    assert (found["lpips"] > 1e-3).all()
    for name in ("pre_error", "pre_error_ring", "pre_error_interior", "pre_sse01"):
        assert found[name].tolist() == [0, 0]


def test_ring_and_interior_add_up_to_the_known_region(network: FeatureNetwork) -> None:
    truth, mask, image = batch(3)
    found = score(network, truth, mask, image).per_item
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
def test_the_ring_ends_four_pixels_from_the_hole(
    network: FeatureNetwork, distance: int, region: str, other: str
) -> None:
    truth, mask, _ = batch(1)
    image = truth / 255
    right = int(torch.nonzero(mask[0, 0, 5]).max())
    image[0, :, 5, right + distance] = 1 - image[0, :, 5, right + distance].round()
    found = score(network, truth, mask, image).per_item
    assert found[f"pre_error_{region}"][0] > 0
    assert found[f"pre_error_{other}"][0] == 0


def test_where_there_is_nothing_to_measure_there_is_no_number(network: FeatureNetwork) -> None:
    truth, _, image = batch(2)
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[0] = 1
    found = score(network, truth, mask, image).per_item
    assert np.isnan([found[name][0] for name in ("pre_error", "pre_error_ring", "pre_error_interior")]).all()
    assert np.isnan(found["pre_error_ring"][1])
    assert found["pre_error_interior"][1] == pytest.approx(found["pre_error"][1])
    assert found["pre_error"][1] > 0
    assert np.isfinite(found["lpips"]).all()
    assert found["known_values"].tolist() == [0, 3 * SIDE * SIDE]


def test_scores_do_not_depend_on_the_batch(network: FeatureNetwork) -> None:
    truth, mask, image = batch(5)
    whole = score(network, truth, mask, image)
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        part = score(network, truth[start:stop], mask[start:stop], image[start:stop])
        assert part.per_item.keys() == whole.per_item.keys()
        for name, values in part.per_item.items():
            assert values == pytest.approx(whole.per_item[name][start:stop], rel=1e-5, nan_ok=True), name
        assert part.features == pytest.approx(whole.features[start:stop], rel=1e-5, abs=1e-6)


def test_a_protocols_hash_depends_on_every_field() -> None:
    protocol = Protocol("mini", "0" * 64)
    assert Protocol("mini", "0" * 64).hash == protocol.hash
    hashes = {protocol.hash}
    for field in fields(Protocol):
        value = getattr(protocol, field.name)
        hashes.add(replace(protocol, **{field.name: value + (1 if isinstance(value, int) else "x")}).hash)
    assert len(hashes) == 1 + len(fields(Protocol))
