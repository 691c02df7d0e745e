"""Tests of LPIPS from local weights against the lpips package."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lpips
import pytest
import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.metrics import lpips as learned_distance
from bench.metrics.lpips import LPIPSMeasure, LPIPSNetwork
from bench.metrics.measure import Extra
from benchmarks.random_weights import backbone_weights


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(backbone_weights("vgg"), path)
    return path


@pytest.fixture(scope="module")
def reference(backbone: Path) -> lpips.LPIPS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision in a way of the past
        network = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    weights = torch.load(backbone, weights_only=True)
    names = network.net.state_dict()  # such as slice1.0.weight, numbered as torchvision's features
    network.net.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in names})
    return network


@pytest.mark.reference
def test_distances_and_gradients_equal_those_of_lpips(backbone: Path, reference: lpips.LPIPS) -> None:
    ours = LPIPSNetwork(backbone)
    torch.manual_seed(0)
    image, target = (torch.rand(2, 3, 64, 64) * 2 - 1 for _ in range(2))
    found, expected = [], []
    for network, kept in ((ours, found), (reference, expected)):
        x = image.clone().requires_grad_()
        distance = network(x, target).flatten()
        (gradient,) = torch.autograd.grad(distance.sum(), x)
        kept += [distance.detach(), gradient]
    for first, second in zip(found, expected, strict=True):
        assert (first - second).abs().max() <= 1e-5 * second.abs().max()
    assert float(ours(image, image).abs().max()) == 0


@pytest.mark.reference
def test_the_quick_computation_equals_the_plain_one(backbone: Path) -> None:
    network = LPIPSNetwork(backbone)
    image, target = (torch.rand(2, 3, 48, 80, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with torch.inference_mode():
        plain, quick = network.levels(image), network.quick_levels(image)
        for first, second in zip(plain, quick, strict=True):
            assert (first - second).abs().max() < 1e-5
        wanted = network.levels(target)
        distance = network.between(plain, wanted)
        assert network.quick_between(quick, wanted).numpy() == pytest.approx(distance.numpy(), rel=1e-5)


@pytest.mark.golden
def test_the_protocol_names_the_network(backbone: Path, tmp_path: Path) -> None:
    """The words are fixed, since two runs are compared only if their protocols are equal."""
    torch.save(backbone_weights("alex"), tmp_path / "alexnet.pth")
    for path, net, name in ((backbone, "vgg", "VGG16"), (tmp_path / "alexnet.pth", "alex", "AlexNet")):
        assert LPIPSMeasure(path, net).protocol == {
            "image": "uint8 RGB, truncated, at the items' own size; 2x - 1",
            "network": f"{name}, learned heads of LPIPS 0.1",
            "version": 2,
        }
    assert LPIPSMeasure(backbone).protocol == LPIPSMeasure(backbone, "vgg").protocol


@pytest.mark.blackbox
def test_the_distance_is_stored_under_the_given_name_without_a_gradient(backbone: Path) -> None:
    measure = LPIPSMeasure(backbone, name="other")
    truth = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    _, kept = measure.keep_truth(truth)
    assert list(measure.keep(truth / 255, truth, torch.zeros(1, 1, 32, 32), kept, Extra([None]))) == ["other"]
    assert not measure.network(truth.float(), truth.float()).requires_grad


@pytest.mark.blackbox
def test_the_network_goes_to_the_device(backbone: Path) -> None:
    measure = LPIPSMeasure(backbone)
    assert measure.to("meta") is measure
    network = measure.network
    assert {x.device.type for x in (*network.parameters(), network.shift, network.scale)} == {"meta"}
    image = torch.zeros(2, 3, 32, 32, device="meta")
    assert network(image, image).device.type == "meta"


@pytest.mark.blackbox
def test_a_state_dict_contains_only_the_weights(backbone: Path) -> None:
    names = LPIPSNetwork(backbone).state_dict()
    assert {name.partition(".")[0] for name in names} == {"layers", "heads"}


@pytest.mark.blackbox
def test_the_quick_computation_on_the_cpu_uses_winograds_convolution(
    backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VGG16 has 13 convolutions; a kernel is transformed once for all images."""
    calls: list[str] = []

    def counted(name: str) -> Callable[..., Tensor]:
        original = getattr(learned_distance, name)

        def call(*arguments: Any) -> Tensor:
            calls.append(name)
            return original(*arguments)

        return call

    for name in ("convolve_relu", "kernel_of"):
        monkeypatch.setattr(learned_distance, name, counted(name))
    network, image = LPIPSNetwork(backbone), torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        for _ in range(2):
            network.quick_levels(image)
    assert (calls.count("convolve_relu"), calls.count("kernel_of")) == (24, 12)


@pytest.mark.blackbox
def test_missing_and_wrong_files_and_networks_are_named(backbone: Path, tmp_path: Path) -> None:
    path = tmp_path / "vgg.pth"
    with pytest.raises(BadInputError, match=r"vgg\.pth: expected torchvision's VGG16, found no file"):
        LPIPSNetwork(path)
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(BadInputError, match=r"vgg\.pth: expected torchvision's VGG16, found other tensors: .*0\.bias"):
        LPIPSNetwork(path)
    with pytest.raises(BadInputError, match=r"vgg16\.pth: expected torchvision's AlexNet, found other tensors"):
        LPIPSNetwork(backbone, "alex")
    with pytest.raises(BadInputError, match="net: expected vgg or alex, found squeeze"):
        LPIPSNetwork(backbone, "squeeze")


@pytest.mark.reference
def test_the_measure_equals_lpips_on_the_saved_image(backbone: Path, reference: lpips.LPIPS) -> None:
    """LaMa calls the package on images in [0, 1], which the package rescales."""
    measure = LPIPSMeasure(backbone).to("cpu")
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (3, 3, 48, 64), generator=generator, dtype=torch.uint8)
    saved = torch.randint(0, 256, truth.shape, generator=generator, dtype=torch.uint8)
    image = (saved.float() + 0.6) / 255
    mask, extra = torch.zeros(3, 1, 48, 64), Extra([None] * 3)
    stored, kept = measure.keep_truth(truth)
    found = measure.keep(image, truth, mask, kept, extra)["lpips"]
    with torch.inference_mode():
        expected = reference(saved / 255, truth / 255, normalize=True).flatten().numpy()
    assert stored == {}
    assert (found.shape, found.dtype) == ((3,), torch.float64)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert measure.keep(truth / 255, truth, mask, kept, extra)["lpips"].tolist() == [0, 0, 0]
    _, part = measure.keep_truth(truth[1:2])
    one = measure.keep(image[1:2], truth[1:2], mask[1:2], part, Extra([None]))["lpips"]
    assert one.tolist() == pytest.approx([found[1].item()], rel=1e-5)
