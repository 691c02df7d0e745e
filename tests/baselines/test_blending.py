"""Tests of Poisson and Laplacian blending: the seam, the known pixels and the independence of the hole's original."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines import blending
from baselines.blending import LaplacianBlend, PoissonBlend
from bench.generation.method import Batch, UnfitImageError
from tests.baselines.pictures import Painted, batch_of, noise, scene, with_other_hole


def laplacian(x: Tensor) -> Tensor:
    """Return the Laplacian of B×3×H×W; the outermost lines are repeated beyond the edges."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=x.dtype).expand(3, 1, 3, 3)
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)


Picture = npt.NDArray[np.float64]


def one_line_halved(line: list[Picture]) -> list[Picture]:
    """Return every second value of a line averaged with weights 1, 4, 6, 4, 1 of 16 and mirrored at its ends."""
    last = len(line) - 1

    def at(place: int) -> Picture:
        return line[abs(place) if place <= last else 2 * last - place]

    return [(at(k - 2) + 4 * at(k - 1) + 6 * at(k) + 4 * at(k + 1) + at(k + 2)) / 16 for k in range(0, len(line), 2)]


def one_line_doubled(line: list[Picture]) -> list[Picture]:
    """Return a line of twice the length by the same weights; its ends are extended by a neighbour."""
    before, after = [line[1], *line[:-1]], [*line[1:], line[-1]]
    found = []
    for left, here, right in zip(before, line, after, strict=True):
        found += [(left + 6 * here + right) / 8, (here + right) / 2]
    return found


def resampled(picture: Picture, *, double: bool) -> Picture:
    """Return H×W×C that is halved or doubled along rows, then along columns."""
    line = one_line_doubled if double else one_line_halved
    rows = np.stack(line(list(picture)))
    return np.stack(line(list(rows.swapaxes(0, 1)))).swapaxes(0, 1)


def extended(difference: Picture, known: Picture) -> Picture:
    """Return the differences; unknown ones are taken from the next coarser level that has them."""
    if known.all():
        return difference
    weight = resampled(known, double=False)
    sums = resampled(difference * known, double=False)
    coarse = extended(sums / np.where(weight > 0, weight, 1), (weight > 0).astype(float))
    return np.where(known > 0, difference, resampled(coarse, double=True))


def burt_and_adelson(image: Picture, painted: Picture, hole: Picture, levels: int) -> Picture:
    """Blend two pictures H×W×C as in the paper: their Laplacian pyramids, weighted level by level, are added up."""
    known = 1 - hole
    pictures = [painted + extended(np.where(hole > 0, 0, image - painted), known), painted]
    weights, gaussians = [known], [[one] for one in pictures]
    for _ in range(levels):
        weights.append(resampled(weights[-1], double=False))
        for pyramid in gaussians:
            pyramid.append(resampled(pyramid[-1], double=False))
    blended = weights[-1] * gaussians[0][-1] + (1 - weights[-1]) * gaussians[1][-1]
    for level in reversed(range(levels)):
        bands = [pyramid[level] - resampled(pyramid[level + 1], double=True) for pyramid in gaussians]
        blended = resampled(blended, double=True) + weights[level] * bands[0] + (1 - weights[level]) * bands[1]
    return np.asarray(blended)


def jump(error: Tensor) -> float:
    """Return the largest difference between neighbours."""
    return max(float(error.diff(dim=axis).abs().max()) for axis in (2, 3))


@pytest.fixture
def batch() -> Batch:
    """Return two images; the hole of one of them reaches the edges."""
    made = scene(40, 48)
    made.mask[1, :, :, 30:] = 1
    made.mask[1, :, 20:25, 33:36] = 0
    return made


@pytest.mark.property
def test_poisson_blending_removes_a_constant_difference(batch: Batch) -> None:
    offset = torch.tensor([0.2, -0.3, 0.1])[:, None, None]
    blended = PoissonBlend(Painted(batch.image + offset))(batch)
    torch.testing.assert_close(blended, batch.image, rtol=0, atol=1e-6)


@pytest.mark.property
def test_poisson_blending_keeps_known_pixels_and_gradients(batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    blended = PoissonBlend(Painted(painted))(batch)
    hole = (batch.mask > 0).expand_as(painted)
    assert torch.equal(blended[~hole], batch.image[~hole])
    # On the rim the second differences run between the two pictures, so the claim is about the difference of both.
    gained = torch.where(hole, blended.double() - painted.double(), batch.image.double() - painted.double())
    assert laplacian(gained)[hole].abs().max() < 1e-5
    inside = (functional.max_pool2d(1 - batch.mask, 3, 1, 1) == 0).expand_as(painted)
    torch.testing.assert_close(laplacian(blended)[inside], laplacian(painted)[inside], rtol=0, atol=1e-5)


@pytest.mark.property
def test_poisson_blending_is_bounded_by_the_differences_on_the_rim(batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    gained = (PoissonBlend(Painted(painted))(batch) - painted)[(batch.mask > 0).expand_as(painted)]
    assert gained.abs().max() <= (batch.image - painted).abs().max()


@pytest.mark.property
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_an_image_without_known_pixels_is_returned_unchanged(
    blend: type[PoissonBlend | LaplacianBlend], batch: Batch
) -> None:
    painted = noise(*batch.image.shape, seed=3)
    whole = batch_of(batch.image, torch.ones_like(batch.mask))
    assert torch.equal(blend(Painted(painted))(whole), painted)


@pytest.mark.property
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_blending_without_a_hole_returns_the_original_image(
    blend: type[PoissonBlend | LaplacianBlend], batch: Batch
) -> None:
    painted = noise(*batch.image.shape, seed=3)
    blended = blend(Painted(painted))(batch_of(batch.image, torch.zeros_like(batch.mask)))
    torch.testing.assert_close(blended, batch.image, rtol=0, atol=1e-6)


@pytest.mark.property
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_pixels_of_the_original_inside_the_hole_do_not_affect_the_result(
    blend: type[PoissonBlend | LaplacianBlend], batch: Batch
) -> None:
    method = blend(Painted(noise(*batch.image.shape, seed=3)))
    assert torch.equal(method(batch), method(with_other_hole(batch)))
    assert method.training == "as long as it took"
    assert method.to(torch.device("cpu")) is method


@pytest.mark.property
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_images_do_not_depend_on_their_batch(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    painted = noise(*batch.image.shape, seed=3)
    together = blend(Painted(painted))(batch)
    for index in range(2):
        part = slice(index, index + 1)
        alone = blend(Painted(painted[part]))(batch_of(batch.image[part], batch.mask[part]))
        assert torch.equal(alone, together[part])


@pytest.mark.property
@pytest.mark.parametrize("levels", [None, 1, 4, 9])
def test_laplacian_blending_of_equal_pictures_returns_the_picture(levels: int | None, batch: Batch) -> None:
    assert torch.equal(LaplacianBlend(Painted(batch.image), levels=levels)(batch), batch.image)


@pytest.mark.blackbox
def test_laplacian_blending_spreads_the_step_at_the_seam() -> None:
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


@pytest.mark.reference
@pytest.mark.parametrize(("levels", "taken"), [(1, 1), (2, 2), (3, 3), (None, 2)])
def test_laplacian_blending_equals_burt_and_adelsons_algorithm(levels: int | None, taken: int) -> None:
    """The default number of levels leaves 16 pixels of the shorter side, which are two levels for 64 pixels."""
    image, painted = noise(2, 3, 64, 128, seed=4), noise(2, 3, 64, 128, seed=5)
    mask = torch.zeros(2, 1, 64, 128)
    mask[0, :, 9:50, 20:71] = 1
    mask[1, :, 30:, 3:90] = 1
    mask[1, :, 40:44, 50:55] = 0
    found = LaplacianBlend(Painted(painted), levels=levels)(batch_of(image, mask))
    for index in range(2):
        one, other, hole = (x[index].permute(1, 2, 0).double().numpy() for x in (image, painted, mask))
        expected = torch.from_numpy(burt_and_adelson(one, other, hole, taken)).permute(2, 0, 1)
        torch.testing.assert_close(found[index].double(), expected, rtol=0, atol=2e-6)


def with_a_corner_missing(height: int, width: int) -> Batch:
    made = batch_of(noise(1, 3, height, width), torch.zeros(1, 1, height, width))
    made.mask[:, :, : height // 2, : width // 2] = 1
    return made


@pytest.mark.blackbox
@pytest.mark.parametrize(("side", "levels"), [(8, 1), (16, 1), (31, 1), (40, 1), (64, 2), (127, 2), (128, 3)])
def test_the_default_coarsest_level_has_sixteen_pixels(side: int, levels: int) -> None:
    known = with_a_corner_missing(side, side + 64)
    painted = Painted(noise(*known.image.shape, seed=5))
    found = LaplacianBlend(painted)(known)
    assert torch.equal(found, LaplacianBlend(painted, levels=levels)(known))
    assert not torch.equal(found, LaplacianBlend(painted, levels=levels + 1)(known))


@pytest.mark.blackbox
def test_a_picture_is_halved_no_further_than_one_pixel() -> None:
    known = with_a_corner_missing(8, 8)
    painted = Painted(noise(1, 3, 8, 8, seed=5))
    two, three, nine = (LaplacianBlend(painted, levels=levels)(known) for levels in (2, 3, 9))
    assert torch.equal(three, nine)
    assert not torch.allclose(two, three, atol=1e-3)


@pytest.mark.blackbox
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_the_blended_method_receives_the_same_batch(blend: type[PoissonBlend | LaplacianBlend], batch: Batch) -> None:
    asked: list[Batch] = []

    class Asked(Painted):
        def __call__(self, given: Batch) -> Tensor:
            asked.append(given)
            return self.images

    blend(Asked(batch.image))(batch)
    assert len(asked) == 1
    assert asked[0] is batch


@pytest.mark.reference
def test_poisson_blending_fills_one_pixel_with_the_mean_difference_around_it() -> None:
    known = batch_of(noise(1, 3, 5, 5), torch.zeros(1, 1, 5, 5))
    known.mask[0, 0, 2, 1] = 1
    painted = noise(1, 3, 5, 5, seed=3)
    missing = (known.image - painted)[0]
    around = (missing[:, 1, 1] + missing[:, 3, 1] + missing[:, 2, 0] + missing[:, 2, 2]) / 4
    found = PoissonBlend(Painted(painted))(known)[0, :, 2, 1]
    assert torch.allclose(found, painted[0, :, 2, 1] + around, atol=1e-6)


@pytest.mark.reference
def test_one_level_spreads_a_constant_difference_by_the_pyramid_weights() -> None:
    """The weights are computed by hand: 1 … 1, 0 … 0 are halved to …, 1, 15/16, 5/16, 0, … and doubled again."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 16:] = 1
    image = noise(1, 3, 32, 32)
    gained = image + 0.5 - LaplacianBlend(Painted(image + 0.5), levels=1)(batch_of(image, mask))
    expected = torch.tensor([128, 127, 124, 111, 80, 45, 20, 5, 0]) / 128
    for row in (0, 13, 31):
        assert torch.allclose(2 * gained[0, 1, row, 11:20], expected, atol=1e-6)


@pytest.mark.reference
def test_poisson_blending_equals_the_dense_solution() -> None:
    """The dense system has one line for each pixel of the hole, with this pixel and its neighbours in the picture."""
    image, painted = noise(1, 3, 6, 7, seed=6), noise(1, 3, 6, 7, seed=7)
    hole = np.zeros((6, 7), bool)
    hole[1:4, 2:] = hole[5, 0] = True
    missing, places = (image - painted)[0].double().numpy(), [tuple(place) for place in np.argwhere(hole)]
    lines, right = np.zeros((len(places), len(places))), np.zeros((len(places), 3))
    for line, (row, column) in enumerate(places):
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if not (0 <= near[0] < 6 and 0 <= near[1] < 7):
                continue
            lines[line, line] += 1
            if hole[near]:
                lines[line, places.index(near)] -= 1
            else:
                right[line] += missing[:, near[0], near[1]]
    gained = np.linalg.solve(lines, right)
    mask = torch.from_numpy(hole).float()[None, None]
    found = (PoissonBlend(Painted(painted))(batch_of(image, mask)) - painted)[0].double().numpy()[:, hole].T
    assert found == pytest.approx(gained, abs=1e-6)


@pytest.mark.blackbox
def test_blending_without_levels_is_refused(batch: Batch) -> None:
    with pytest.raises(ValueError, match="levels: expected 1 or more, found 0"):
        LaplacianBlend(Painted(batch.image), levels=0)


@pytest.mark.property
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_pictures_are_blended_at_the_same_time_and_stay_in_order(
    blend: type[PoissonBlend | LaplacianBlend], batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Barrier(2)

    class Meeting(blend):  # type: ignore[misc, valid-type]
        def correction(self, difference: Picture, hole: npt.NDArray[np.bool_]) -> Picture:
            both.wait(timeout=60)
            found: Picture = super().correction(difference, hole)
            return found

    painted = Painted(noise(*batch.image.shape, seed=3))
    expected = blend(painted)(batch)
    monkeypatch.setattr(blending, "_threads", lambda: threads)
    with ThreadPoolExecutor(2) as threads:
        assert torch.equal(Meeting(painted)(batch), expected)


@pytest.mark.blackbox
def test_an_error_in_a_thread_reaches_the_caller(batch: Batch) -> None:
    class Failing(PoissonBlend):
        def correction(self, difference: Picture, hole: npt.NDArray[np.bool_]) -> Picture:
            raise MemoryError("pretended")

    wait = Failing(Painted(batch.image)).begin(batch)
    with pytest.raises(MemoryError, match="pretended"):
        wait()


@pytest.mark.blackbox
def test_corrections_that_nobody_waits_for_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    go_on = Event()

    class Waiting(PoissonBlend):
        def correction(self, difference: Picture, hole: npt.NDArray[np.bool_]) -> Picture:
            begun.append(1)
            go_on.wait(60)
            return difference

    made = scene(count=8)
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(blending, "_threads", lambda: threads)
        wait = Waiting(Painted(made.image)).begin(made)
        del wait
        go_on.set()
    assert len(begun) <= 1


@pytest.mark.blackbox
@pytest.mark.parametrize("blend", [PoissonBlend, LaplacianBlend])
def test_images_of_another_shape_are_refused_before_they_are_blended(
    blend: type[PoissonBlend | LaplacianBlend], batch: Batch
) -> None:
    with pytest.raises(UnfitImageError, match="expected an image 2×3×40×48 from the method, found 2×1×40×48"):
        blend(Painted(batch.image[:, :1]))(batch)
