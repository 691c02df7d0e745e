"""Tests of the Inception measure: its values, protocols and files. tests/parity compares its values with packages."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import BadInputError
from bench.metrics.inception import InceptionMeasure, load_inception
from bench.metrics.measure import Extra
from benchmarks.random_weights import inception_weights, random_images
from tests.helpers.weights import saved_inception

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return inception_weights()


@pytest.fixture(scope="module")
def ported(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_inception(tmp_path_factory.mktemp("weights"), weights)


class Exported(nn.Module):
    """End a few layers like NVIDIA's program."""

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


@pytest.mark.blackbox
def test_the_measure_returns_logits_and_features_of_every_flavour(ported: Path) -> None:
    truth = random_images(3, 96, 80)
    image, mask = (truth.float() + 0.7) / 255, torch.zeros(3, 1, 96, 80)
    measure = InceptionMeasure(ported, ["clean", "torchfidelity"]).to("cpu")
    of_truth, kept = measure.keep_truth(truth)
    found = measure.keep(image, truth, mask, kept, Extra([None] * 3))
    assert {name: (values.shape, values.dtype) for name, values in found.items()} == {
        "clean": ((3, 2048), torch.float32),
        "torchfidelity": ((3, 2048), torch.float32),
        "logits": ((3, 1008), torch.float32),
    }
    assert of_truth.keys() == {"clean", "torchfidelity"}
    # A saturated pixel is no brighter with 0.7 more, and of others the same is saved.
    assert all(np.array_equal(found[name], of_truth[name]) for name in of_truth)
    assert np.abs(np.asarray(found["clean"]) - np.asarray(found["torchfidelity"])).max() > 1e-2


@pytest.mark.property
def test_features_depend_neither_on_the_batch_nor_on_other_flavours(ported: Path) -> None:
    images = random_images(3, 96, 80)
    together = InceptionMeasure(ported, ["lama", "torchfidelity", "clean"]).features(images)
    for name, features in together.items():
        alone = InceptionMeasure(ported, [name])
        one = alone.features(images[1:2])[name][0]
        assert (one - features[1]).abs().max() <= 1e-5 * features.abs().max()
        assert ("logits" in alone.keep(images / 255, images, images[:, :1], None, Extra([None] * 3))) == (
            name == "torchfidelity"
        )


@pytest.mark.blackbox
def test_each_flavour_has_a_protocol_of_its_own(ported: Path, exported: Path) -> None:
    protocols = [InceptionMeasure(ported, [name]).protocol for name in ("lama", "torchfidelity", "clean")]
    protocols.append(InceptionMeasure(exported, ["clean"], sha256(exported)).protocol)
    assert all(protocols.count(one) == 1 for one in protocols)
    assert protocols[2]["flavours"] == protocols[3]["flavours"]  # the same network in two files
    assert "bicubic" in protocols[2]["flavours"]["clean"]["resize"]


@pytest.mark.reference
def test_the_exported_program_gives_the_clean_features(exported: Path) -> None:
    measure = InceptionMeasure(exported, ["clean"], sha256(exported))
    images = random_images(2, 40, 40)
    found = measure.keep(images / 255, images, images[:, :1], None, Extra([None] * 2))
    assert {name: values.shape for name, values in found.items()} == {"clean": (2, 2048)}


@pytest.mark.blackbox
def test_unknown_flavours_are_refused_and_a_program_has_one(ported: Path, exported: Path) -> None:
    with pytest.raises(BadInputError, match="flavours: expected some of lama, torchfidelity, clean, found tf1"):
        InceptionMeasure(ported, ["tf1"])
    with pytest.raises(BadInputError, match=r"flavours: .*found an empty list"):
        InceptionMeasure(ported, [])
    with pytest.raises(
        BadInputError, match=r"05\.pt: expected the Inception weights.* for lama, clean, found a TorchScript program"
    ):
        InceptionMeasure(exported, ["lama", "clean"], sha256(exported))


@pytest.mark.blackbox
def test_missing_and_wrong_files_are_named(weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "inception.pth"
    with pytest.raises(BadInputError, match=r"inception\.pth: expected the Inception weights.*found no file"):
        load_inception(path)
    path.write_bytes(b"<html>")
    with pytest.raises(
        BadInputError, match=r"inception\.pth: expected the Inception weights.*a broken or different file"
    ):
        load_inception(path)
    torch.save([1, 2], path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*found a file that does not contain only named tensors"):
        load_inception(path)
    torch.save({**weights, "fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*size mismatch for fc\.weight"):
        load_inception(path)
    torch.save({name: x for name, x in weights.items() if name != "Mixed_7c.branch1x1.conv.weight"}, path)
    with pytest.raises(BadInputError, match=r"inception\.pth: .*Missing key.*Mixed_7c\.branch1x1\.conv\.weight"):
        load_inception(path)


@pytest.mark.blackbox
def test_a_weight_file_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"fc.weight": Trap()}, tmp_path / "inception.pth")
    with pytest.raises(BadInputError, match="a broken or different file"):
        load_inception(tmp_path / "inception.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.blackbox
def test_only_the_known_program_is_run(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=rf"with SHA-256 f58cb9b6\w+, found {sha256(exported)}"):
        InceptionMeasure(exported, ["clean"])
    with pytest.raises(BadInputError, match=r"none\.pt: expected the Inception weights.*found no file"):
        InceptionMeasure(tmp_path / "none.pt", ["clean"])
    other = tmp_path / "other.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(nn.ReLU()).save(other)
    with pytest.raises(BadInputError, match=r"other\.pt: .*a program without the submodule layers"):
        InceptionMeasure(other, ["clean"], sha256(other))
