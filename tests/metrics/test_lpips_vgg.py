"""LPIPS from local weights against the lpips package itself."""

import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from bench.errors import BadInputError
from bench.metrics.lpips_vgg import LPIPSVGG, LPIPSMeasure
from bench.metrics.measure import Extra


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG16's convolutions with random weights, named as torchvision's file names them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save({f"features.{name}": x for name, x in make_layers(cfgs["D"]).state_dict().items()}, path)
    return path


def test_distances_and_gradients_are_the_packages(backbone: Path) -> None:
    ours = LPIPSVGG(backbone)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    theirs.net.load_state_dict(ours.net.net.state_dict())
    image, target = (torch.rand(2, 3, 64, 64) * 2 - 1 for _ in range(2))
    found, expected = [], []
    for network, kept in ((ours, found), (theirs, expected)):
        x = image.clone().requires_grad_()
        distance = network(x, target).flatten()
        (gradient,) = torch.autograd.grad(distance.sum(), x)
        kept += [distance.detach(), gradient]
    for first, second in zip(found, expected, strict=True):
        assert (first - second).abs().max() <= 1e-5 * second.abs().max()
    assert float(ours(image, image).abs().max()) == 0


def test_missing_and_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"vgg\.pth: expected VGG16's weights"):
        LPIPSVGG(tmp_path / "vgg.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg.pth")
    with pytest.raises(BadInputError, match=r"found no features\.0\.bias in it|found no features"):
        LPIPSVGG(tmp_path / "vgg.pth")


def test_the_measure_is_the_package_on_the_saved_image(backbone: Path) -> None:
    """As LaMa calls it: on images in [0, 1], which the package rescales."""
    measure = LPIPSMeasure(backbone).to("cpu")
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (3, 3, 48, 64), generator=generator, dtype=torch.uint8)
    saved = torch.randint(0, 256, truth.shape, generator=generator, dtype=torch.uint8)
    image = (saved.float() + 0.6) / 255
    mask, extra = torch.zeros(3, 1, 48, 64), Extra([None] * 3)
    stored, kept = measure.keep_truth(truth)
    found = measure.keep(image, truth, mask, kept, extra)["lpips"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    theirs.net.load_state_dict(measure.network.net.net.state_dict())
    with torch.inference_mode():
        expected = theirs(saved / 255, truth / 255, normalize=True).flatten().numpy()
    assert stored == {}
    assert (found.shape, found.dtype) == ((3,), np.float64)
    assert found == pytest.approx(expected, rel=1e-5)
    assert measure.keep(truth / 255, truth, mask, kept, extra)["lpips"].tolist() == [0, 0, 0]
    _, part = measure.keep_truth(truth[1:2])
    one = measure.keep(image[1:2], truth[1:2], mask[1:2], part, Extra([None]))["lpips"]
    assert one[0] == pytest.approx(found[1], rel=1e-5)
