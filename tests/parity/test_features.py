"""Tests of Inception's features and logits against the packages', with equal random weights."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cleanfid.inception_pytorch
import pytest
import torch
from cleanfid.inception_torchscript import InceptionV3W
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import NoTrainInceptionV3

from bench.metrics.inception import InceptionMeasure
from bench.metrics.networks.inception_input import clean
from tests.parity.conftest import Within

pytestmark = pytest.mark.reference

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def measure(ported: Path) -> InceptionMeasure:
    return InceptionMeasure(ported, ["lama", "torchfidelity", "clean"])


@pytest.fixture
def pytorch_fid(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Return clean-fid's copy of pytorch-fid's network."""
    monkeypatch.setattr(cleanfid.inception_pytorch, "load_state_dict_from_url", lambda *_, **__: weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clean-fid calls torchvision in a way of the past
        return cleanfid.inception_pytorch.InceptionV3([3], resize_input=False).eval()


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_features_and_logits_equal_torch_fidelitys(
    measure: InceptionMeasure, ported: Path, images: torch.Tensor, within: Within
) -> None:
    names = ["2048", "logits_unbiased"]
    features, logits = FeatureExtractorInceptionV3("x", names, feature_extractor_weights_path=ported)(images)
    found = measure.features(images)["torchfidelity"]
    assert (features[0] - features[1]).abs().max() > 0.1 * features.abs().max()
    within("features, torchfidelity", "torch-fidelity", found, features, 1e-4)
    within("logits", "torch-fidelity", measure.network.logits(found), logits, 1e-4)


def test_features_equal_torchmetrics_without_antialiasing(
    measure: InceptionMeasure, ported: Path, images: torch.Tensor, within: Within, apart: Within
) -> None:
    """The default of torchmetrics smooths before it drops pixels, which is another protocol."""
    found = measure.features(images)["torchfidelity"]
    plain = NoTrainInceptionV3("x", ["2048"], str(ported), antialias=False)(images)
    within("features, torchfidelity", "torchmetrics, antialias=False", found, plain, 1e-4)
    smooth = NoTrainInceptionV3("x", ["2048"], str(ported))(images)
    apart("features, torchfidelity", "torchmetrics, antialias=True", found, smooth, 1e-2)


def test_the_lama_features_equal_pytorch_fids(
    measure: InceptionMeasure, pytorch_fid: nn.Module, images: torch.Tensor, within: Within
) -> None:
    resized = nn.functional.interpolate(images / 255, size=(299, 299), mode="bilinear", align_corners=False)
    expected = pytorch_fid(resized)[0][:, :, 0, 0]
    within("features, lama", "pytorch-fid's port in clean-fid", measure.features(images)["lama"], expected, 1e-4)


class Exported(nn.Module):
    """End like NVIDIA's program, with features of a map."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*network.blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.slow
def test_the_clean_features_equal_clean_fids(
    measure: InceptionMeasure, pytorch_fid: nn.Module, images: torch.Tensor, tmp_path: Path, within: Within
) -> None:
    """clean-fid runs a program; here it is pytorch-fid's network, written as one."""
    with torch.inference_mode(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        program = torch.jit.trace(Exported(pytorch_fid).eval(), torch.zeros(1, 3, 299, 299))
        program.save(str(tmp_path / "inception-2015-12-05.pt"))
        reference = InceptionV3W(str(tmp_path), download=False)
        expected = reference(clean(images) * 128 + 128)
    within("features, clean", "clean-fid clean", measure.features(images)["clean"], expected, 1e-4)
