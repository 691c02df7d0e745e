"""Inception networks from local weights against the packages they come from, with random weights."""

import hashlib
import warnings
from pathlib import Path

import cleanfid.inception_pytorch
import numpy as np
import pytest
import torch
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import inception_v3

from bench.errors import BadInputError
from bench.metrics.inception import CleanInception, FidelityInception, InceptionMeasure, LamaInception
from bench.metrics.measure import Extra

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Of the right shapes and names, and of sizes that keep activations from fading over the layers."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    tensors = {}
    for name, shape in ((name, x.shape) for name, x in network.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue  # the published file has none
        if len(shape) > 1:
            tensors[name] = torch.randn(shape) * (2 / shape[1:].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            tensors[name] = torch.rand(shape) + 0.5
        else:
            tensors[name] = 0.1 * torch.randn(shape)
    return tensors


@pytest.fixture(scope="module")
def ported(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(weights, path)
    return path


class Exported(nn.Module):
    """A few layers that end as NVIDIA's program does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 2048)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("program") / "inception-2015-12-05.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(Exported()).save(path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def images(count: int = 2, height: int = 96, width: int = 80) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def assert_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Relative to the largest value; features of unlike images must differ by far more."""
    scale = expected.abs().max()
    assert found.dtype == torch.float32
    assert (expected[0] - expected[1]).abs().max() > 100 * tolerance * scale
    assert (found - expected).abs().max() <= tolerance * scale


def test_lamas_features_are_pytorch_fids(weights: Weights, ported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two networks are written apart; summation in another order costs less than 1e-4."""
    monkeypatch.setattr(cleanfid.inception_pytorch, "load_state_dict_from_url", lambda *_, **__: weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # clean-fid calls torchvision in a way of the past
        reference = cleanfid.inception_pytorch.InceptionV3([3], resize_input=False).eval()
    for size in ((96, 80), (512, 384)):
        image = images(2, *size)
        resized = nn.functional.interpolate(image / 255, size=(299, 299), mode="bilinear", align_corners=False)
        with torch.inference_mode():
            expected = reference(resized)[0][:, :, 0, 0]
            found = LamaInception(ported).features(image)
        assert_close(found, expected, 1e-4)


def test_fidelitys_features_and_logits_are_the_packages(ported: Path) -> None:
    reference = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=ported
    ).eval()
    network = FidelityInception(ported)
    with torch.inference_mode():
        features, logits = reference(images())
        found = network.features(images())
        assert_close(found, features, 1e-6)
        assert_close(network.logits(found), logits, 1e-6)
        assert (LamaInception(ported).features(images()) - found).abs().max() > 1e-2 * found.abs().max()


def test_cleans_features_are_the_packages(exported: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        reference = InceptionV3W(str(exported.parent), download=False)
    resize = build_resizer("clean")
    resized = np.stack([resize(one).transpose(2, 0, 1) for one in images().permute(0, 2, 3, 1).numpy()])
    with torch.inference_mode():
        expected = reference(torch.from_numpy(resized))
        found = CleanInception(exported, sha256(exported)).features(images())
    assert_close(found, expected, 1e-6)


def test_the_measure_keeps_features_of_what_would_be_saved_and_logits_where_there_are_some(
    ported: Path, exported: Path
) -> None:
    truth = images(3)
    image = (truth.float() + 0.7) / 255
    mask = torch.zeros(3, 1, 96, 80)
    extra = Extra([None] * 3)
    fidelity = InceptionMeasure(FidelityInception(ported)).to("cpu")
    of_truth, kept = fidelity.keep_truth(truth)
    found = fidelity.keep(image, truth, mask, kept, extra)
    assert {name: (values.shape, values.dtype) for name, values in found.items()} == {
        "features": ((3, 2048), np.float32),
        "logits": ((3, 1008), np.float32),
    }
    assert np.array_equal(found["features"], of_truth["features"])
    one = fidelity.keep(image[1:2], truth[1:2], mask[1:2], kept, Extra([None]))
    scale = float(np.abs(found["features"]).max())
    assert one["features"][0] == pytest.approx(found["features"][1], abs=1e-5 * scale)  # in another batch
    clean = InceptionMeasure(CleanInception(exported, sha256(exported)))
    assert clean.keep(image, truth, mask, None, extra).keys() == {"features"}
    assert clean.protocol != fidelity.protocol


@pytest.mark.parametrize("network", [LamaInception, FidelityInception])
def test_missing_and_wrong_files_are_named(
    network: type[LamaInception | FidelityInception], weights: Weights, tmp_path: Path
) -> None:
    path = tmp_path / "inception.pth"
    with pytest.raises(BadInputError, match=r"inception\.pth: expected the Inception weights.*found no file"):
        network(path)
    path.write_bytes(b"<html>")
    with pytest.raises(BadInputError, match=r"inception\.pth: expected the Inception weights.*a broken file"):
        network(path)
    torch.save([1, 2], path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*found no tensors by name"):
        network(path)
    torch.save({**weights, "fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*size mismatch for fc\.weight"):
        network(path)
    torch.save({name: x for name, x in weights.items() if name != "Mixed_7c.branch1x1.conv.weight"}, path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*Missing key.*Mixed_7c\.branch1x1\.conv\.weight"):
        network(path)


def test_a_weight_file_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"fc.weight": Trap()}, tmp_path / "inception.pth")
    with pytest.raises(BadInputError, match="a broken file or another"):
        LamaInception(tmp_path / "inception.pth")
    assert not (tmp_path / "sprung").exists()


def test_only_the_known_program_is_run(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=rf"with SHA-256 f58cb9b6\w+, found {sha256(exported)}"):
        CleanInception(exported)
    with pytest.raises(BadInputError, match=r"none\.pt: expected NVIDIA's.*found no file"):
        CleanInception(tmp_path / "none.pt")
    other = tmp_path / "other.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(nn.ReLU()).save(other)
    with pytest.raises(BadInputError, match=r"other\.pt: .*a program without `layers`"):
        CleanInception(other, sha256(other))
