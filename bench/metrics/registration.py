"""Estimates the shift, the zoom and the blur between images and the true images, from the known pixels.

In the model, an image is the true image after five changes: it is shifted, zoomed about its centre, blurred by a
Gaussian, multiplied by a gain, and increased by an offset. The shift has two numbers, and each of the other changes has
one number. These six numbers are chosen so that the squared difference over the known pixels is as small as possible.

The estimation begins at a shift by whole pixels, which the masked correlation of Padfield finds ("Masked object
registration in the Fourier domain", 2012). The Gauss-Newton method of Lucas and Kanade ("An iterative image
registration technique with an application to stereo vision", 1981) then finds the six numbers, first on small copies of
the images, and then on the images themselves. Of large images, blocks of pixels at equal distances are compared. Both
images are smoothed by the same filter. The smoothing, the blur and the shift by a part of a pixel are computed by one
kernel, from its Fourier transform, so that the interpolation itself blurs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Registration", "luminance", "register"]

SIDE = 128
"""Approximate longest side, in pixels, of the small copies on which the estimation begins."""
SHORTEST = 16
"""Smallest number of pixels of a side to which images are reduced for the small copies."""
STEPS = 6
"""Number of steps of the Gauss-Newton method on the small copies, and again on the images themselves."""
MARGIN = 4
"""Number of pixels next to an edge of the image, and next to a hole, that are not used."""
LEAST = 200
"""Smallest number of used pixels with which an estimate is made."""
LEAST_GAIN = 0.1
"""Smallest gain with which an estimate is accepted. With a smaller one, the two images hardly resemble each other."""
FARTHEST = 0.25
"""Largest shift, as a share of the image's side."""
MOST_ZOOM = 0.2
"""Largest zoom, up or down."""
BLURS = (-0.5, 4.0)
"""Smallest and largest variance of the blur in squared pixels. A negative variance sharpens."""
NOISE = 1.0
"""Smallest standard deviation, in grey levels, that the difference between the two images is assumed to have."""
ALIKE = 1e-3
"""Largest difference between the correlations of two shifts that are equally good. The shorter one is then chosen."""
ROUNDING = 1e-6
"""Largest error of a correlation that comes from the rounding of the Fourier transforms."""
UNCERTAIN = 0.1
"""Largest standard error of an estimate: of the shift in pixels, of the zoom as the shift of the pixels at the edge,
and of the variance of the blur in squared pixels. A number that is less certain is not reported."""
BLOCKS = 48
"""Largest number of blocks of pixels that are compared along a side. Of more blocks, every second one is compared, or
every third one, and so on, so that a large image needs little time and memory."""
BLOCK = 16
"""Number of pixels that are interpolated together."""
TAPS = 7
"""Number of pixels on each side of a place from which the value at the place is interpolated."""
DRIFT = 3
"""Number of pixels by which the largest zoom moves the first pixel of a block against the pixel in its middle."""
FREQUENCIES = 16
"""Number of frequencies at which the Fourier transform of the kernel is summed."""


@dataclass(frozen=True)
class Registration:
    """The estimated changes of the B images of a batch, each as B float64 values.

    A value is NaN if the known pixels do not determine it: if too few pixels are known, if they have too little
    texture, or if the two images hardly resemble each other. If all known pixels are equal and determine the changes,
    the changes are exactly 0.
    """

    right: Tensor
    """Shift to the right in pixels: a detail of the truth lies this far to the right in the image."""
    down: Tensor
    """Shift downwards in pixels."""
    zoom: Tensor
    """Zoom about the centre minus 1; 0.01 means that the image shows everything 1 % larger."""
    variance: Tensor
    """Variance of the Gaussian blur in squared pixels; negative if the image is sharper than the truth."""
    explained: Tensor
    """Share of the squared difference over known pixels that these changes explain beyond gain and offset, 0 to 1; NaN
    if no other value is determined."""


def luminance(image: Tensor) -> Tensor:
    """Return the luminance of images as B×H×W float64, weighted as in ITU-R BT.601.

    Args:
        image: images B×3×H×W of any number type; the scale stays the same.
    """
    red, green, blue = image.double().unbind(1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def register(truth: Tensor, image: Tensor, known: Tensor) -> Registration:
    """Estimate the changes from true images to images, for each item.

    Args:
        truth: luminance of the true images, B×H×W float64 in grey levels from 0 to 255.
        image: luminance of the images, in the same format. Their pixels in the hole have no influence.
        known: B×H×W booleans, True for the pixels that should not have changed.
    """
    seen = torch.where(known, image, truth)
    mean = (truth * known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)
    first, second = truth - mean[:, None, None], seen - mean[:, None, None]
    factor = _reduction(*truth.shape[1:])
    small = [_reduced(one, factor) for one in (first, second, known.double())]
    whole = small[2] > 1 - 1e-6
    start = _whole_shift(small[0], small[1], whole)
    if factor > 1:
        rough, _, _ = _refine(small[0], small[1], _used(whole), start)
        start = rough.moved(factor)
    used = _used(known)
    found, errors, explained = _refine(first, second, used, start)
    sure = (used.sum((1, 2)) >= LEAST) & (found.gain > LEAST_GAIN)
    size = max(truth.shape[1:]) / 2

    def certain(values: Tensor, error: Tensor) -> Tensor:
        return torch.where(sure & (error < UNCERTAIN), values, torch.nan)

    right, down, zoom, variance = errors.unbind(1)
    return Registration(
        certain(found.right, right),
        certain(found.down, down),
        certain(found.stretch / size, zoom),
        certain(found.variance, variance),
        torch.where(sure & (errors < UNCERTAIN).any(1), explained, torch.nan),
    )


@dataclass(frozen=True)
class _Changes:
    """The six numbers of the model for each of B items, each as B float64 values."""

    right: Tensor
    down: Tensor
    stretch: Tensor
    """The zoom, as the shift in pixels of a pixel that is half of the longest side away from the centre."""
    variance: Tensor
    gain: Tensor
    offset: Tensor

    def moved(self, factor: int) -> _Changes:
        """Return the same shift and zoom in pixels of an image that is larger by `factor`, and no other change."""
        none = torch.zeros_like(self.right)
        return _Changes(self.right * factor, self.down * factor, self.stretch * factor, none, none + 1, none)


def _refine(truth: Tensor, image: Tensor, used: Tensor, start: _Changes) -> tuple[_Changes, Tensor, Tensor]:
    """Improve the six numbers by the Gauss-Newton method.

    Args:
        truth: luminance of the true images, B×H×W.
        image: luminance of the images, in the same shape.
        used: B×H×W booleans, True for the pixels that are compared, all of which lie in blocks.
        start: the numbers with which the method begins.

    Returns:
        The improved numbers; the standard errors of the first four, B×4; and the explained share of each item.
    """
    height, width = truth.shape[1:]
    half = max(height, width) / 2
    none = torch.zeros_like(start.right)
    still = _Changes(none, none, none, none, none + 1, none)
    rows, columns = _Blocks.of(height, truth.device), _Blocks.of(width, truth.device)
    used = used[:, rows.pixels][:, :, columns.pixels]
    target, _ = _moved(image, still, rows, columns)
    plain, _ = _moved(truth, still, rows, columns)
    now = start
    for _ in range(STEPS):
        moved, inside = _moved(truth, now, rows, columns)
        weight = (used & inside).double()
        derivatives = torch.stack([*_slopes(moved, now, rows, columns), moved, torch.ones_like(moved)], 1).flatten(2)
        rest = (target - now.gain[:, None, None] * moved - now.offset[:, None, None]).flatten(1)
        weighted = derivatives * weight.flatten(1)[:, None]
        normal = weighted @ derivatives.transpose(1, 2)
        pull = (weighted @ rest[:, :, None])[:, :, 0]
        # The small addition is far below one pixel with any texture, and makes the matrix regular if there is none.
        normal = normal + torch.eye(6, dtype=normal.dtype, device=normal.device) * 1e-6
        inverse = torch.linalg.inv_ex(normal).inverse
        step = (inverse @ pull[:, :, None])[:, :, 0]
        count = weight.sum((1, 2))
        squares = (weight.flatten(1) * rest.square()).sum(1) / (count - 6).clamp_min(1)
        errors = (inverse.diagonal(dim1=1, dim2=2)[:, :4].clamp_min(0) * squares.clamp_min(NOISE**2)[:, None]).sqrt()
        now = _Changes(
            (now.right + step[:, 0].clamp(-2, 2)).clamp(-FARTHEST * width, FARTHEST * width),
            (now.down + step[:, 1].clamp(-2, 2)).clamp(-FARTHEST * height, FARTHEST * height),
            (now.stretch + step[:, 2].clamp(-4, 4)).clamp(-MOST_ZOOM * half, MOST_ZOOM * half),
            (now.variance + step[:, 3].clamp(-1, 1)).clamp(*BLURS),
            now.gain + step[:, 4],
            now.offset + step[:, 5],
        )
    moved, inside = _moved(truth, now, rows, columns)
    weight = (used & inside).double()
    before, after = (_unexplained(one, target, weight) for one in (plain, moved))
    explained = torch.where(before > 0, 1 - after / before, 0).clamp_min(0)
    return now, errors, explained


def _unexplained(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return, for each item, the weighted sum of squares of what remains of the target after the best gain and offset
    of an image. All three arguments are B×H×W.
    """
    total = weight.sum((1, 2), keepdim=True).clamp_min(1)
    one, other = (values - (weight * values).sum((1, 2), keepdim=True) / total for values in (image, target))
    spread, together = ((weight * one * values).sum((1, 2), keepdim=True) for values in (one, other))
    gain = torch.where(spread > 0, together / spread, 0)
    return (weight * (other - gain * one).square()).sum((1, 2))


@dataclass(frozen=True)
class _Blocks:
    """The blocks of pixels that are compared along one side of the images."""

    side: int
    """Number of pixels along the side."""
    begins: Tensor
    """Place of the first pixel of each block; the blocks have `BLOCK` pixels."""
    count: int
    """Number of pixels of the blocks that lie on the images."""

    @classmethod
    def of(cls, side: int, device: torch.device) -> _Blocks:
        """Choose at most `BLOCKS` blocks at equal distances."""
        count = math.ceil(side / BLOCK)
        apart = math.ceil(count / BLOCKS)
        chosen = range((count - 1) % apart // 2, count, apart)
        beyond = max(0, (chosen[-1] + 1) * BLOCK - side)
        begins = BLOCK * torch.arange(chosen.start, chosen.stop, chosen.step, device=device)
        return cls(side, begins, len(chosen) * BLOCK - beyond)

    @property
    def places(self) -> Tensor:
        """Places of all pixels of the blocks. Those of the last block may lie beyond the side."""
        return (self.begins[:, None] + torch.arange(BLOCK, device=self.begins.device)).flatten()

    @property
    def pixels(self) -> Tensor:
        """Places of the pixels of the blocks that lie on the images."""
        return self.places[: self.count]

    @property
    def centred(self) -> Tensor:
        """Places of `pixels` relative to the centre of the side, float64."""
        return self.pixels.double() - (self.side - 1) / 2

    @property
    def inner(self) -> Tensor:
        """Booleans for the pixels of the side, True for a pixel of a block if its neighbours lie in blocks too, or
        beyond the side.
        """
        chosen = torch.zeros(self.side, dtype=torch.bool, device=self.begins.device)
        chosen[self.pixels] = True
        before, after = functional.pad(chosen[:-1], (1, 0), value=True), functional.pad(chosen[1:], (0, 1), value=True)
        return chosen & before & after


def _slopes(image: Tensor, changes: _Changes, rows: _Blocks, columns: _Blocks) -> list[Tensor]:
    """Return the derivatives of moved images by the first four numbers of the model, each B×H×W.

    They are differences between neighbouring pixels. Such a derivative is a little too small in fine texture, which
    makes the steps of the Gauss-Newton method inexact, but not the numbers at which the method arrives.

    Args:
        image: pixels of moved and smoothed true images, B×`rows.pixels`×`columns.pixels`.
        changes: the numbers by which they were moved.
        rows: blocks of rows of the pixels.
        columns: blocks of columns of the pixels.
    """
    half = max(rows.side, columns.side) / 2
    padded = functional.pad(image[:, None], [1] * 4, mode="replicate")[:, 0]
    left, right, up, down = padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]
    gain = changes.gain[:, None, None]
    across, along, blurred = gain * (left - right) / 2, gain * (up - down) / 2, left + right + up + down - 4 * image
    grown = 1 + changes.stretch[:, None, None] / half
    x, y = (
        (columns.centred - changes.right[:, None])[:, None, :],
        (rows.centred - changes.down[:, None])[:, :, None],
    )
    return [across, along, (across * x + along * y) / grown / half, gain * blurred / 2]


def _moved(image: Tensor, changes: _Changes, rows: _Blocks, columns: _Blocks) -> tuple[Tensor, Tensor]:
    """Shift, zoom and blur images B×H×W, and smooth them.

    Returns:
        The pixels in blocks of the images, B×`rows.pixels`×`columns.pixels`; and booleans of the same shape, True for
        the pixels that come from inside the original image.
    """
    zoom = changes.stretch / (max(rows.side, columns.side) / 2)
    down = _Axis.of(rows, changes.down, zoom, changes.variance)
    right = _Axis.of(columns, changes.right, zoom, changes.variance)
    moved = right.interpolated(down.interpolated(image.transpose(1, 2)).transpose(1, 2))
    return moved, down.inside[:, :, None] & right.inside[:, None, :]


@dataclass(frozen=True)
class _Axis:
    """The interpolation of images along their last axis, in blocks of `BLOCK` pixels."""

    index: Tensor
    """Places of the pixels that each block reads, B×blocks×window."""
    weights: Tensor
    """Weights of these pixels for each pixel of the block, B×blocks×`BLOCK`×window."""
    inside: Tensor
    """Booleans for the B images and the pixels of the blocks, True for pixels that are read from inside the image."""

    @classmethod
    def of(cls, chosen: _Blocks, shift: Tensor, zoom: Tensor, variance: Tensor) -> _Axis:
        """Compute the weights of the chosen blocks, from B shifts in pixels, zooms and variances of the blur."""
        side, blocks, device = chosen.side, len(chosen.begins), shift.device
        places, centre = chosen.places.double(), (side - 1) / 2
        source = centre + (places - centre - shift[:, None]) / (1 + zoom[:, None])
        nearest = source.round()
        taps = _kernel(source - nearest, zoom, variance).reshape(len(shift), blocks, BLOCK, -1)
        nearest = nearest.reshape(-1, blocks, BLOCK)
        begin = nearest[:, :, BLOCK // 2, None] - BLOCK // 2 - TAPS - DRIFT
        window = BLOCK + 2 * (TAPS + DRIFT)
        first = (nearest - begin).long() - TAPS
        place = first[..., None] + torch.arange(2 * TAPS + 1, device=device)
        weights = torch.zeros(*first.shape, window, dtype=taps.dtype, device=device).scatter(3, place, taps)
        index = (begin + torch.arange(window, device=device)).clamp(0, side - 1).long()
        source = source[:, : len(chosen.pixels)]
        inside = (source >= MARGIN - 1) & (source <= side - MARGIN)
        return cls(index, weights, inside)

    def interpolated(self, image: Tensor) -> Tensor:
        """Return the pixels of the blocks of images B×N×side, interpolated along the last axis."""
        count, lines, _ = image.shape
        index = self.index.flatten(1)[:, None].expand(count, lines, -1)
        read = image.gather(2, index).reshape(count, lines, *self.index.shape[1:])
        return torch.einsum("blnw,bnpw->blnp", read, self.weights).flatten(2)[..., : self.inside.shape[1]]


def _kernel(beyond: Tensor, zoom: Tensor, variance: Tensor) -> Tensor:
    """Return the weights of the pixels around a place between pixels.

    The Fourier transform of the kernel is cos(w/2)⁴ · exp(-variance · w² / 2) for a frequency w up to pi. The cosine is
    the filter 1, 4, 6, 4, 1 that smooths both images, and the exponential function is the blur. Both act on the pixels
    of the image after the zoom, so w is divided by 1 + zoom. The integral over w is a sum.

    Args:
        beyond: places relative to their nearest pixels, B×N, from -0.5 to 0.5.
        zoom: B zooms minus 1.
        variance: B variances in squared pixels.

    Returns:
        The weights of the pixels from `TAPS` before to `TAPS` after the nearest one, B×N×(2 `TAPS` + 1).
    """
    device = beyond.device
    frequency = (torch.arange(FREQUENCIES, dtype=torch.float64, device=device) + 0.5) * (math.pi / FREQUENCIES)
    scaled = frequency / (1 + zoom[:, None])
    share = (scaled / 2).cos() ** 4 * (-variance[:, None] * scaled.square() / 2).exp() / FREQUENCIES
    angle, steps = beyond[:, :, None] * frequency, torch.arange(-TAPS, TAPS + 1, device=device) * frequency[:, None]
    return (angle.cos() * share[:, None]) @ steps.cos() + (angle.sin() * share[:, None]) @ steps.sin()


def _whole_shift(truth: Tensor, image: Tensor, known: Tensor) -> _Changes:
    """Return the shift by whole pixels with the largest correlation of the known pixels.

    The correlation of each shift is computed from the pixels that are known in both images, as Padfield describes. In a
    periodic texture, many shifts have about the largest correlation. The result is then the shortest of them. It is no
    shift, unless another shift at least halves what a linear function of the truth leaves unexplained.

    Args:
        truth: luminance of the true images, B×H×W.
        image: luminance of the images, in the same shape.
        known: B×H×W booleans, True for the known pixels.
    """
    height, width = truth.shape[1:]
    size = (2 * height, 2 * width)
    mask = known.double()
    first, second = truth * mask, image * mask
    spectra = [torch.fft.rfft2(one, s=size) for one in (mask, first, first.square(), second, second.square())]
    weight, one, one_squared, other, other_squared = spectra

    def correlated(left: Tensor, right: Tensor) -> Tensor:
        found: Tensor = torch.fft.irfft2(left * right.conj(), s=size)
        return found

    count = correlated(weight, weight).round().clamp_min(0)
    safe = count.clamp_min(1)
    ones, others = correlated(weight, one), correlated(other, weight)
    together = correlated(other, one) - ones * others / safe
    spread_one = (correlated(weight, one_squared) - ones.square() / safe).clamp_min(0)
    spread_other = (correlated(other_squared, weight) - others.square() / safe).clamp_min(0)
    scale = (spread_one * spread_other).sqrt()
    least = 1e-6 * scale.amax((1, 2), keepdim=True)
    similar = torch.where((scale > least) & (count >= LEAST), together / scale.clamp_min(1e-12), 0)
    rows, columns = (torch.fft.fftfreq(side, 1 / side, device=truth.device).round() for side in size)
    allowed = (rows.abs() <= FARTHEST * height)[:, None] & (columns.abs() <= FARTHEST * width)
    enough = count >= 0.3 * count.amax((1, 2), keepdim=True)
    similar = torch.where(allowed & enough, similar, -1)
    # Distances are squared whole numbers. Their order breaks ties, and it is the same in every batch.
    distance = (rows.square()[:, None] + columns.square()).double()
    order = torch.arange(distance.numel(), device=distance.device).double().reshape(size) / distance.numel()
    alike = _peaks(similar) & (similar >= similar.amax((1, 2), keepdim=True) - ALIKE)
    place = torch.where(alike, distance + order, torch.inf).flatten(1).argmin(1)
    best = similar.flatten(1).gather(1, place[:, None])[:, 0]
    better = (1 - best.square()) < 0.5 * (1 - similar[:, 0, 0].clamp_min(0).square())
    none = torch.zeros_like(best)
    down = torch.where(better, rows.double()[place // size[1]], none)
    right = torch.where(better, columns.double()[place % size[1]], none)
    return _Changes(right, down, none, none, none + 1, none)


def _peaks(similar: Tensor) -> Tensor:
    """Return booleans B×H×W, True where a value is hardly smaller than its eight neighbours.

    The first and the last row are neighbours, and so are the first and the last column.
    """
    padded = functional.pad(similar[:, None], [1] * 4, mode="circular")
    return similar >= functional.max_pool2d(padded, 3, stride=1)[:, 0] - ROUNDING


def _reduction(height: int, width: int) -> int:
    """Return the factor of the small copies of images. A side has at least `SHORTEST` pixels on them, if it has as many
    on the images.
    """
    return max(1, min(round(max(height, width) / SIDE), min(height, width) // SHORTEST))


def _reduced(image: Tensor, factor: int) -> Tensor:
    """Reduce images B×H×W. Each pixel of the result is the mean of a square block of `factor`×`factor` pixels.

    Pixels at the right and the bottom edge that do not fill a block are ignored.
    """
    return functional.avg_pool2d(image[:, None], factor)[:, 0] if factor > 1 else image


def _used(known: Tensor) -> Tensor:
    """Return B×H×W booleans: True for the pixels that are compared.

    They are the known pixels inside the compared blocks at least `MARGIN` pixels away from a hole and from the edge.
    """
    rows, columns = (_Blocks.of(side, known.device).inner for side in known.shape[1:])
    padded = functional.pad((~known).float(), [MARGIN] * 4, value=1.0)[:, None]
    window = 2 * MARGIN + 1
    near = functional.max_pool2d(functional.max_pool2d(padded, (1, window), stride=1), (window, 1), stride=1)
    return (near[:, 0] < 0.5) & rows[:, None] & columns
