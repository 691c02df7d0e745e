"""Finds traces of a JPEG compression in the pixels of a picture.

A JPEG file stores each 8×8 block of the luminance as 64 coefficients of a discrete cosine transform. Each coefficient
is stored as a multiple of a step. After decompression, the coefficients of the pixels still lie close to multiples of
these steps. The coefficients of a picture do not have this property if the picture was never compressed, or was resized
or cropped afterwards.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

__all__ = ["has_jpeg_traces"]

SIDE = 8
STEPS = np.arange(3, 61)
"""Quantisation steps that are tried. Steps of 1 and 2 are hidden by the rounding of the pixels."""
FEWEST = 24
"""Smallest number of coefficients not near 0 with which a step can be judged; see `FAR`."""
CLOSE = 0.5
"""Smallest mean of cos(2π c / step) over these coefficients c that counts as a trace; 1 means exact multiples."""
DEVIATIONS = 4.0
"""Number of standard errors by which this mean must exceed 0."""
FREQUENCIES = 3
"""Number of frequencies that must show a trace."""
FEWEST_LEVELS = 32
"""Smallest number of grey levels of a picture that can be judged. With fewer, as in line art, regular patterns of the
drawing look like steps."""
MOST_BLOCKS = 1024
"""Largest number of blocks that are looked at. In a larger picture, they are evenly spaced."""
BIN = 0.125
"""Width of the bins into which coefficients are sorted. It is small beside the smallest step."""
LARGEST = 256.0
"""Largest size of a coefficient that is looked at."""
CENTRES = (np.arange(round(LARGEST / BIN)) + 0.5) * BIN
FAR = (CENTRES[:, None] > STEPS / 2).astype(np.float64)
"""For each bin and step, 1 if the coefficients in the bin are nearer to another multiple of the step than to 0."""
WAVES = FAR * np.cos(2 * np.pi * CENTRES[:, None] / STEPS)


def has_jpeg_traces(luminance: npt.NDArray[np.float32]) -> bool:
    """Return whether a picture shows the quantisation of a JPEG compression whose blocks begin at its top left corner.

    Args:
        luminance: H×W luminance from 0 to 255, by the formula of JFIF: 0.299 R + 0.587 G + 0.114 B.
    """
    if len(np.unique(luminance.round())) < FEWEST_LEVELS:
        return False
    height, width = (side // SIDE for side in luminance.shape)
    blocks = luminance[: height * SIDE, : width * SIDE].reshape(height, SIDE, width, SIDE).swapaxes(1, 2)
    chosen = blocks.reshape(-1, SIDE, SIDE)[:: max(1, -(-height * width // MOST_BLOCKS))]
    sizes = np.abs(dctn(chosen - 128.0, axes=(1, 2), norm="ortho").reshape(-1, SIDE * SIDE)[:, 1:])
    counts = _histograms(sizes)
    far = counts @ FAR
    close = np.divide(counts @ WAVES, far, out=np.zeros_like(far), where=far > 0)
    least = np.maximum(CLOSE, DEVIATIONS * np.sqrt(0.5 / np.maximum(far, 1)))
    traced = ((far >= FEWEST) & (close > least)).any(1)
    return int(traced.sum()) >= FREQUENCIES


def _histograms(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a histogram of each column of an array, as one row with a count for each bin of `CENTRES`.

    Values above the last bin are not counted.
    """
    columns = sizes.shape[1]
    bins = (sizes / BIN).astype(np.int64)
    inside = bins < len(CENTRES)
    places = (bins + len(CENTRES) * np.arange(columns))[inside]
    counts = np.bincount(places, minlength=columns * len(CENTRES))
    return counts.reshape(columns, len(CENTRES)).astype(np.float64)
