"""Tests of DISTS: equal images, the known region, and files that are missing or changed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import BadInputError
from bench.metrics import dists
from bench.metrics.dists import DISTSMeasure, channel_weights
from bench.metrics.measure import Extra
from bench.runtime.copies import ReadBack
from benchmarks.random_weights import backbone_weights, random_images


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(backbone_weights("vgg"), path)
    return path


def measured(measure: DISTSMeasure, image: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> np.ndarray:  # type: ignore[type-arg]
    arrays, kept = measure.keep_truth(truth)
    assert arrays == {}
    (values,) = ReadBack(measure.keep(image, truth, mask, kept, Extra([None] * len(image)))).wait().values()
    return np.asarray(values)


@pytest.mark.property
def test_equal_images_have_the_distance_zero_and_others_one_between_zero_and_two(backbone: Path) -> None:
    truth, other = random_images(3, 48, 40), random_images(3, 48, 40, seed=1)
    mask = torch.zeros(3, 1, 48, 40)
    assert measured(DISTSMeasure(backbone), truth / 255, truth, mask).tolist() == [0, 0, 0]
    found = measured(DISTSMeasure(backbone), other / 255, truth, mask)
    assert ((found > 0.01) & (found < 2)).all()


@pytest.mark.property
def test_only_known_pixels_change_the_known_distance(backbone: Path) -> None:
    truth, image = random_images(2, 64, 64), random_images(2, 64, 64, seed=1) / 255
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 16:40, 20:50] = 1
    measure = DISTSMeasure(backbone, known=True)
    painted = torch.where(mask > 0, 1 - image, image)
    pasted = torch.where(mask > 0, image, truth / 255)
    assert measured(measure, image, truth, mask).tolist() == measured(measure, painted, truth, mask).tolist()
    assert measured(measure, pasted, truth, mask).tolist() == [0, 0]
    assert (measured(DISTSMeasure(backbone), pasted, truth, mask) > 0).all()
    assert not measure.sees_hole
    assert DISTSMeasure(backbone).sees_hole


@pytest.mark.blackbox
def test_an_item_without_a_known_pixel_has_no_known_distance(backbone: Path) -> None:
    truth = random_images(2, 32, 32)
    mask = torch.stack([torch.ones(1, 32, 32), torch.zeros(1, 32, 32)])
    assert np.isnan(measured(DISTSMeasure(backbone, known=True), truth / 255, truth, mask)).tolist() == [True, False]


@pytest.mark.blackbox
def test_changed_or_missing_learned_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    textures, structures = channel_weights()
    assert textures.numel() == structures.numel() == 1475
    assert (textures >= 0).all()
    assert (structures >= 0).all()
    torch.save({"alpha": textures + 1e-3, "beta": structures}, tmp_path / "weights.pt")
    with pytest.raises(BadInputError, match=r"weights\.pt: expected the learned weights of DISTS .* SHA-256"):
        channel_weights(tmp_path / "weights.pt")
    monkeypatch.setattr(dists, "FILE", "nowhere/weights.pt")
    with pytest.raises(BadInputError, match=r"torchmetrics 1\.8 or newer"):
        channel_weights()


@pytest.mark.blackbox
def test_a_bad_backbone_or_side_is_refused(backbone: Path, tmp_path: Path) -> None:
    torch.save(backbone_weights("alex"), tmp_path / "alexnet.pth")
    with pytest.raises(BadInputError, match=r"alexnet\.pth: expected torchvision's VGG16, found other tensors"):
        DISTSMeasure(tmp_path / "alexnet.pth")
    with pytest.raises(BadInputError, match="side: expected 1 or more"):
        DISTSMeasure(backbone, 0)
