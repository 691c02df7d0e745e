"""Tests of the features of a small network after each resize that precedes Inception."""

import numpy as np
import pytest
import torch

from bench.metrics.measure import Extra
from bench.metrics.networks.inception_input import FLAVOURS
from bench.metrics.resized_features import ResizedFeatures
from bench.models.feature_network import FeatureNetwork


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    torch.manual_seed(0)
    return FeatureNetwork((8, 10, 12), {"shape": 4}).eval()


@pytest.mark.blackbox
def test_each_flavour_resizes_the_saved_image_in_its_own_way(network: FeatureNetwork) -> None:
    truth = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    measure = ResizedFeatures(network, 19).to("cpu")
    kept, _ = measure.keep_truth(truth)
    # Saving the truth itself as floats gives the truth again.
    found = measure.keep(truth / 255, truth, torch.zeros(3, 1, 32, 32), None, Extra([None] * 3))
    assert list(kept) == list(found) == list(FLAVOURS)
    for name, flavour in FLAVOURS.items():
        with torch.inference_mode():
            prepared = flavour.prepare(truth, 19)
            assert prepared.shape == (3, 3, 19, 19)
            assert kept[name] == pytest.approx(network.pooled(prepared).numpy(), rel=1e-5, abs=1e-6)
        assert np.array_equal(found[name], kept[name])
    assert not np.allclose(found["lama"], found["clean"], rtol=1e-3)


@pytest.mark.golden
def test_the_protocol_names_the_network_and_the_side(network: FeatureNetwork) -> None:
    """The words are fixed, since two runs are compared only if their protocols are equal."""
    protocol = dict(ResizedFeatures(network, 19).protocol)
    flavours = protocol.pop("flavours")
    assert protocol == {"image": "uint8 RGB, truncated", "features": "means of the last level", "version": 1}
    assert list(flavours) == list(FLAVOURS)
    assert all(said["resize"].endswith(", 19") and "299" not in said["resize"] for said in flavours.values())


@pytest.mark.blackbox
def test_the_network_goes_to_the_device() -> None:
    measure = ResizedFeatures(FeatureNetwork((8, 12), {"shape": 4}), 19)
    assert measure.to("meta") is measure
    assert {parameter.device.type for parameter in measure.network.parameters()} == {"meta"}


@pytest.mark.blackbox
def test_a_side_of_one_pixel_is_the_smallest() -> None:
    truth = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    measure = ResizedFeatures(FeatureNetwork((4,), {"shape": 4}).eval(), 1)
    kept, _ = measure.keep_truth(truth)
    assert {features.shape for features in kept.values()} == {(2, 4)}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": 19, "flavours": ["lama", "other"]}, "flavours: expected some of lama, .*, found lama, other"),
        ({"side": 19, "flavours": []}, "flavours: .*, found an empty list"),
        ({"side": 0}, "side: expected 1 or more, found 0"),
    ],
)  # fmt: skip
def test_invalid_settings_are_refused(network: FeatureNetwork, arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        ResizedFeatures(network, **arguments)
