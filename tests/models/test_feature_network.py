"""Tests of the shapes of the feature network, and of the perceptual distance against the formula of LPIPS."""

import pytest
import torch

from bench.metrics.perceptual import perceptual_distance
from bench.models.feature_network import FeatureNetwork


@pytest.mark.blackbox
def test_feature_maps_halve_and_heads_have_their_sizes() -> None:
    torch.manual_seed(0)
    network = FeatureNetwork((8, 12, 16), {"shape": 8, "letters": 26}).eval()
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        assert [tuple(x.shape[1:]) for x in network.maps(image)] == [(8, 64, 64), (12, 32, 32), (16, 16, 16)]
        assert network.pooled(image).shape == (2, 16)
        assert {name: x.shape[1] for name, x in network(image).items()} == {"shape": 8, "letters": 26}
        assert torch.allclose(network.pooled(image)[:1], network.pooled(image[:1]), atol=1e-6)


@pytest.mark.reference
def test_the_perceptual_distance_equals_the_formula() -> None:
    first = torch.tensor([[3.0, 4.0]]).reshape(1, 2, 1, 1)
    second = torch.tensor([[0.0, 2.0]]).reshape(1, 2, 1, 1)
    expected = 0.6**2 + 0.2**2
    assert perceptual_distance([first], [second]).item() == pytest.approx(expected)
    assert perceptual_distance([first, first], [second, second]).item() == pytest.approx(2 * expected)
    assert perceptual_distance([7 * first], [first]).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.blackbox
def test_the_distance_is_given_for_each_item_and_accepts_empty_features() -> None:
    maps = torch.rand(3, 4, 5, 5)
    other = maps.clone()
    other[1] = maps[1].flip(0)
    distance = perceptual_distance([maps], [other])
    assert distance.shape == (3,)
    assert distance[0] == distance[2] == 0 < distance[1]
    assert perceptual_distance([torch.zeros_like(maps)], [torch.zeros_like(maps)]).tolist() == [0, 0, 0]
