"""Tests of the mini profile's measure: distances, features and classes of one small network."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.metrics.feature_measure import FeatureMeasure
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Extra
from bench.metrics.perceptual import perceptual_distance
from bench.models.feature_network import FeatureNetwork
from bench.runtime.copies import ReadBack
from bench.store import Arrays

SIDE = 32


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    torch.manual_seed(0)
    return FeatureNetwork((8, 10, 12), {"shape": 4, "texture": 3, "hue": 2}).eval()


def batch(count: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return truth, (truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)


def measured(measure: FeatureMeasure, truth: Tensor, image: Tensor) -> tuple[Arrays, Arrays]:
    stored, kept = measure.keep_truth(truth)
    mask = torch.zeros(len(truth), 1, SIDE, SIDE)
    found = measure.keep(image, truth, mask, kept, Extra([None] * len(truth)))
    return ReadBack(stored).wait(), ReadBack(found).wait()


@pytest.mark.blackbox
def test_distance_and_features_are_measured_on_the_saved_image(network: FeatureNetwork) -> None:
    truth, image = batch()
    stored, found = measured(FeatureMeasure(network).to("cpu"), truth, image)
    saved = to_uint8(image, rounding="truncate")
    with torch.inference_mode():
        maps, others = (network.maps(x.float() / 127.5 - 1) for x in (saved, truth))
        assert np.array_equal(found["lpips"], perceptual_distance(maps, others).double().numpy())
        assert np.array_equal(found["features"], network.pooled(saved.float() / 127.5 - 1).numpy())
        assert np.array_equal(stored["features"], network.pooled(truth.float() / 127.5 - 1).numpy())
    assert (found["lpips"].dtype, found["features"].dtype) == (np.float64, np.float32)


@pytest.mark.blackbox
def test_a_perfect_image_has_distance_zero(network: FeatureNetwork) -> None:
    truth, _ = batch()
    stored, found = measured(FeatureMeasure(network), truth, truth / 255)
    assert found["lpips"].tolist() == [0] * 4
    assert np.array_equal(found["features"], stored["features"])


@pytest.mark.blackbox
def test_classes_are_texture_by_shape_and_their_probabilities_add_up_to_one(network: FeatureNetwork) -> None:
    truth, image = batch()
    _, found = measured(FeatureMeasure(network), truth, image)
    with torch.inference_mode():
        logits = network(to_uint8(image, rounding="truncate").float() / 127.5 - 1)
    texture, shape = (logits[name].softmax(1).numpy() for name in ("texture", "shape"))
    probabilities = np.exp(found["log_probabilities"])
    assert probabilities.shape == (4, 12)
    assert probabilities.sum(1) == pytest.approx([1] * 4, rel=1e-5)
    assert probabilities.reshape(4, 3, 4) == pytest.approx(texture[:, :, None] * shape[:, None, :], rel=1e-5)


@pytest.mark.blackbox
def test_heads_can_be_selected_and_unknown_ones_are_refused(network: FeatureNetwork) -> None:
    truth, image = batch()
    _, found = measured(FeatureMeasure(network, heads=("hue",)), truth, image)
    assert found["log_probabilities"].shape == (4, 2)
    _, found = measured(FeatureMeasure(network, heads=()), truth, image)
    assert found.keys() == {"lpips", "features"}
    with pytest.raises(ValueError, match=r"^heads: expected some of shape, texture, hue, found colour, size$"):
        FeatureMeasure(network, heads=("shape", "colour", "size"))


@pytest.mark.property
def test_values_do_not_depend_on_the_batch(network: FeatureNetwork) -> None:
    truth, image = batch(5)
    _, whole = measured(FeatureMeasure(network), truth, image)
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        _, part = measured(FeatureMeasure(network), truth[start:stop], image[start:stop])
        for name, values in part.items():
            assert values == pytest.approx(whole[name][start:stop], rel=1e-5, abs=1e-6), name


@pytest.mark.blackbox
def test_the_distance_is_stored_under_the_given_name(network: FeatureNetwork) -> None:
    truth, image = batch()
    _, usual = measured(FeatureMeasure(network), truth, image)
    _, named = measured(FeatureMeasure(network, name="other"), truth, image)
    assert named.keys() == {"other", "features", "log_probabilities"}
    assert np.array_equal(named["other"], usual["lpips"])


@pytest.mark.golden
def test_the_protocol_names_the_network_and_the_attributes_of_a_class(network: FeatureNetwork) -> None:
    """The words are fixed, since two runs are compared only if their protocols are equal."""
    assert FeatureMeasure(network).protocol == {
        "image": "uint8 RGB, truncated, at the items' own size",
        "features": "means of the last level",
        "lpips": "all levels, unit length, no learned heads (w = 1)",
        "classes": ["texture", "shape"],
        "version": 1,
    }
    assert FeatureMeasure(network, heads=("hue",)).protocol["classes"] == ["hue"]


@pytest.mark.blackbox
def test_the_network_goes_to_the_device(network: FeatureNetwork) -> None:
    measure = FeatureMeasure(FeatureNetwork((8, 12), {"shape": 4, "texture": 3}))
    assert measure.to("meta") is measure
    assert {parameter.device.type for parameter in measure.network.parameters()} == {"meta"}
