"""Poisson and Laplacian blending: what the seam becomes, what stays, and that the hole's original is never seen."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.blending import LaplacianBlend, PoissonBlend
from bench.generation.decoding import Batch
from tests.baselines.pictures import Painted, batch_of, noise, scene, with_other_hole


def laplacian(x: Tensor) -> Tensor:
    """Of B×3×H×W, with the picture's own last lines beyond its edges."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=x.dtype).expand(3, 1, 3, 3)
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)


def jump(error: Tensor) -> float:
    """Largest difference between neighbours."""
    return max(float(error.diff(dim=axis).abs().max()) for axis in (2, 3))


@pytest.fixture
def batch() -> Batch:
    """Two images, the hole of one of which reaches the picture's edges."""
    made = scene(40, 48)
    made.mask[1, :, :, 30:] = 1
    made.mask[1, :, 20:25, 33:36] = 0
    return made


def test_poisson_removes_a_constant_difference(batch: Batch) -> None:
    offset = torch.tensor([0.2, -0.3, 0.1])[:, None, None]
    blended = PoissonBlend(Painted(batch.image + offset))(batch)
    torch.testing.assert_close(blended, batch.image, rtol=0, atol=1e-6)


def test_poisson_keeps_the_known_and_the_gradients(batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    blended = PoissonBlend(Painted(painted))(batch)
    hole = (batch.mask > 0).expand_as(painted)
    assert torch.equal(blended[~hole], batch.image[~hole])
    # On the rim the second differences run between the two pictures, so the claim is about the difference of both.
    gained = torch.where(hole, blended.double() - painted.double(), batch.image.double() - painted.double())
    assert laplacian(gained)[hole].abs().max() < 1e-5
    inside = (functional.max_pool2d(1 - batch.mask, 3, 1, 1) == 0).expand_as(painted)
    torch.testing.assert_close(laplacian(blended)[inside], laplacian(painted)[inside], rtol=0, atol=1e-5)


def test_poisson_is_bounded_by_the_differences_on_the_rim(batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    gained = (PoissonBlend(Painted(painted))(batch) - painted)[(batch.mask > 0).expand_as(painted)]
    assert gained.abs().max() <= (batch.image - painted).abs().max()


@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_without_known_pixels_nothing_changes(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    whole = batch_of(batch.image, torch.ones_like(batch.mask))
    assert torch.equal(blend(Painted(painted))(whole), painted)


@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_without_a_hole_it_is_the_image(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    blended = blend(Painted(painted))(batch_of(batch.image, torch.zeros_like(batch.mask)))
    torch.testing.assert_close(blended, batch.image, rtol=0, atol=1e-6)


@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_the_original_in_the_hole_is_not_seen(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    method = blend(Painted(noise(*batch.image.shape, seed=3)))
    assert torch.equal(method(batch), method(with_other_hole(batch)))
    assert method.training == "as long as it took"
    assert method.to(torch.device("cpu")) is method


@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_images_do_not_depend_on_their_batch(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    together = blend(Painted(painted))(batch)
    for index in range(2):
        part = slice(index, index + 1)
        alone = blend(Painted(painted[part]))(batch_of(batch.image[part], batch.mask[part]))
        assert torch.equal(alone, together[part])


@pytest.mark.parametrize("levels", [None, 1, 4, 9])
def test_laplacian_of_equal_pictures_is_the_picture(levels: int | None, batch: Batch) -> None:
    assert torch.equal(LaplacianBlend(Painted(batch.image), levels=levels)(batch), batch.image)


def test_laplacian_spreads_the_seam() -> None:
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 64:] = 1
    image = noise(1, 3, 128, 128)
    painted = image + 0.4
    errors = [LaplacianBlend(Painted(painted), levels=levels)(batch_of(image, mask)) - image for levels in (1, 3)]
    assert jump(torch.where(mask > 0, painted, image) - image) == pytest.approx(0.4)
    assert jump(errors[1]) < jump(errors[0]) < 0.2
    # Three halvings reach no farther than some tens of pixels.
    assert errors[1][..., :20].abs().max() < 1e-6
    assert (errors[1][..., 110:] - 0.4).abs().max() < 1e-6


def test_a_level_at_least_is_wanted(batch: Batch) -> None:
    with pytest.raises(ValueError, match="levels: expected 1 or more, found 0"):
        LaplacianBlend(Painted(batch.image), levels=0)
