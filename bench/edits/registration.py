"""Estimates the global shift and zoom between an edited picture and the true picture, from the known pixels.

In the model, the edited picture is the true picture after four changes: it is shifted, zoomed about its centre,
multiplied by a gain, and increased by an offset. The shift has two numbers, and each of the other three changes has one
number. These five numbers are chosen so that the squared difference over the known pixels is as small as possible. The
Gauss-Newton method of Lucas and Kanade ("An iterative image registration technique with an application to stereo
vision", 1981) finds the numbers. It first compares small copies of the two pictures, and then larger copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Registration", "register"]

Grey = npt.NDArray[np.float32]

SIDE = 128
"""Approximate longest side, in pixels, of the finest copy of a picture on which the numbers are estimated."""
COARSEST = 32
"""Smallest possible longest side, in pixels, of the copy with which the estimation begins.

A picture with a shorter longest side is used as it is.
"""
STEPS = 4
"""Number of steps of the Gauss-Newton method at each of these sides."""
SMOOTHING = 1.0
"""Standard deviation in pixels of the Gaussian with which both pictures are smoothed before they are compared."""
BORDER = 3
"""Distance in pixels from the edge of the picture, and from the hole, within which no pixel is used."""
LEAST = 200
"""Smallest number of known pixels with which the numbers are estimated."""
LEAST_GAIN = 0.1
"""Smallest gain with which an estimate is accepted. With a smaller one, the two pictures hardly resemble each other."""
WORST_CONDITION = 1e7
"""Largest condition number of the normal equations with which an estimate is accepted."""


@dataclass(frozen=True)
class Registration:
    """An estimated shift and zoom, and how much of the difference between the two pictures they explain."""

    right: float
    """Shift to the right in pixels: a detail of the truth lies this far to the right in the edited picture."""
    down: float
    """Shift downwards in pixels."""
    zoom: float
    """Zoom about the centre minus 1; 0.01 means that the edited picture shows everything 1 % larger."""
    explained: float
    """Share of the squared difference over known pixels that shift and zoom explain beyond gain and offset, 0 to 1."""

    @property
    def shift(self) -> float:
        """Length of the shift in pixels."""
        return float(np.hypot(self.right, self.down))


def register(truth: Grey, edited: Grey, known: npt.NDArray[np.bool_]) -> Registration | None:
    """Estimate the shift and the zoom of an edited picture.

    Args:
        truth: luminance of the true picture, H×W.
        edited: luminance of the edited picture, H×W, on the same scale.
        known: H×W booleans, True for the pixels that should not have changed.

    Returns:
        The estimate, or None if too few pixels are known, if the known pixels have too little texture, or if the two
            pictures differ too much.
    """
    right = down = zoom = explained = 0.0
    for factor in _factors(max(truth.shape)):
        first, second, valid = (_reduced(one, factor) for one in (truth, edited, known.astype(np.float32)))
        used = _inner(valid > 1 - 1e-3)
        if used.sum() < LEAST:
            continue
        found = _refine(_smooth(first), _smooth(second), used, (right / factor, down / factor, zoom))
        if found is None:
            return None
        right, down, zoom, explained = found[0] * factor, found[1] * factor, found[2], found[3]
    if _inner(known).sum() < LEAST:
        return None
    return Registration(right, down, zoom, explained)


def _refine(
    truth: Grey, edited: Grey, used: npt.NDArray[np.bool_], start: tuple[float, float, float]
) -> tuple[float, float, float, float] | None:
    """Improve an estimate of shift and zoom by comparing reduced copies of the two pictures.

    Args:
        truth: reduced copy of the true picture, H×W.
        edited: reduced copy of the edited picture, H×W.
        used: H×W booleans, True for the pixels that are compared.
        start: the estimate so far: shift to the right and shift downwards, in pixels of the copies, and zoom.

    Returns:
        The new shift to the right and downwards, in pixels of the copies, the new zoom, and the explained share; see
            `Registration`. The result is None if the new estimate is not accepted.
    """
    height, width = truth.shape
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:height, :width])
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    right, down, zoom = start
    target = edited[used]
    plain = _residual(truth[used], target)
    for _ in range(STEPS):
        warped = _warped(truth, right, down, zoom)
        across, along = np.gradient(warped)[1], np.gradient(warped)[0]
        columns = [-across, -along, -(across * x + along * y), warped, np.ones_like(warped)]
        solution = _solved([column[used] for column in columns], target)
        if solution is None or abs(solution[3]) < LEAST_GAIN:
            return None
        right += solution[0] / solution[3]
        down += solution[1] / solution[3]
        zoom += solution[2] / solution[3]
        if not (abs(zoom) < 0.3 and max(abs(right), abs(down)) < 0.3 * max(truth.shape)):
            return None
    rest = _residual(_warped(truth, right, down, zoom)[used], target)
    return right, down, zoom, max(0.0, 1 - rest / plain) if plain > 0 else 0.0


def _solved(columns: list[Grey], target: Grey) -> npt.NDArray[np.float64] | None:
    """Return a factor for each column, found by the method of least squares.

    The sum of the columns, each multiplied by its factor, is as close as possible to the target. The result is None if
    the columns do not determine the factors. Each column is first divided by its length, so that the condition of the
    normal equations does not depend on units.
    """
    matrix = np.stack(columns, 1).astype(np.float64)
    lengths = np.sqrt(np.square(matrix).sum(0))
    if not (lengths > 0).all():
        return None
    matrix /= lengths
    normal = matrix.T @ matrix
    if np.linalg.cond(normal) > WORST_CONDITION:
        return None
    solution: npt.NDArray[np.float64] = np.linalg.solve(normal, matrix.T @ target) / lengths
    return solution


def _residual(picture: Grey, target: Grey) -> float:
    """Fit the gain and the offset of a picture to a target, and return the mean squared difference that remains."""
    centred, wanted = picture.astype(np.float64) - picture.mean(), target.astype(np.float64) - target.mean()
    spread = float(centred @ centred)
    gain = float(centred @ wanted) / spread if spread > 0 else 0.0
    return float(np.square(wanted - gain * centred).mean())


def _warped(picture: Grey, right: float, down: float, zoom: float) -> Grey:
    """Shift a picture by some pixels, and zoom it about its centre; see `Registration`."""
    height, width = picture.shape
    factor = 1 + zoom
    matrix = np.array(
        [
            [factor, 0, right + (1 - factor) * (width - 1) / 2],
            [0, factor, down + (1 - factor) * (height - 1) / 2],
        ]
    )
    moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _factors(longest: int) -> list[int]:
    """Return, for each reduced copy of a picture, the factor by which it is smaller. The smallest copy is first.

    Args:
        longest: longest side of the picture in pixels.
    """
    factors = [max(1, round(longest / SIDE))]
    while longest // (2 * factors[-1]) >= COARSEST:
        factors.append(2 * factors[-1])
    return factors[::-1]


def _reduced(picture: Grey, factor: int) -> Grey:
    """Reduce a picture. Each pixel of the result is the mean of a square block of `factor`×`factor` pixels.

    Pixels at the right and the bottom edge that do not fill a block are ignored.
    """
    height, width = (side // factor for side in picture.shape)
    squares = picture[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return np.asarray(squares.mean((1, 3)), np.float32)


def _smooth(picture: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), SMOOTHING), np.float32)


def _inner(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return H×W booleans: True for known pixels more than `BORDER` pixels away from the hole and from the edge."""
    padded = np.pad(known.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_C, 3)[1:-1, 1:-1]
    inner: npt.NDArray[np.bool_] = distance > BORDER
    return inner
