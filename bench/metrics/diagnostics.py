"""Measures what happened to the known pixels: a colour cast, a shift, a zoom, a blur, and how many pixels changed.

Every number compares an image with its truth over known pixels, and is exactly 0 if all known pixels are equal. The
colours are compared by CIEDE2000 (`bench.metrics.colour_difference`), and shift, zoom and blur are estimated together
(`bench.metrics.registration`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from bench.metrics.colour_difference import ciede2000, lab
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.registration import luminance, register

__all__ = ["CHANGES", "DiagnosticsMeasure", "SeenTruth", "colours", "contrasts", "diagnose", "shares_changed"]

CHANGES = (1, 2, 4, 8)
"""Numbers of grey levels. For each, the share of known pixels that changed by more levels is measured."""
GRID = 32
"""Number of places along each side of the image at which the low-frequency colours are compared."""
FIELD = 1 / 16
"""Standard deviation of the Gaussian that leaves the low frequencies, as a share of the image's longest side."""
FLAT = 1.0
"""Standard deviation of the true luminance, in grey levels, below which contrast and sharpness have no value."""


@dataclass(frozen=True)
class SeenTruth:
    """Properties of the true images of a batch, which the diagnostics of all rows share."""

    pixels: Tensor
    """True images B×3×H×W uint8."""
    lab: Tensor
    """True images in CIELAB, B×3×H×W float64."""
    luminance: Tensor
    """Luminance of the true images, B×H×W float64 in grey levels."""

    @classmethod
    def of(cls, truth: Tensor) -> SeenTruth:
        """Convert true images B×3×H×W uint8."""
        return cls(truth, lab(truth), luminance(truth))


def diagnose(image: Tensor, truth: SeenTruth, mask: Tensor) -> dict[str, Tensor]:
    """Compare the known pixels of images with those of the true images.

    The image is rounded to 8 bits, because truncation alone would make it half a grey level darker. Only the shares of
    changed pixels belong to the truncated image, like `pre_error`.

    Args:
        image: images B×3×H×W float in [0, 1].
        truth: true images of the same shape.
        mask: masks B×1×H×W, 1 = hole.

    Returns:
        B float64 values for each name: those of `colours`, `contrasts` and `shares_changed`, and

        - `shift_right` and `shift_down` in pixels, and `shift`, the length of the shift;
        - `zoom` about the centre in percent; 1 means that the image shows everything 1 % larger;
        - `blur`, the standard deviation in pixels of the Gaussian that makes the image from the truth; it is negative
          if the truth would have to be blurred by this Gaussian of the image;
        - `explained`, the share of the squared difference that shift, zoom and blur explain, from 0 to 1.

        All values are NaN for an image without a known pixel. The last group and those of `contrasts` are also NaN if
        the known pixels have too little texture; see `bench.metrics.registration.Registration`.
    """
    known = mask[:, 0] == 0
    rounded = to_uint8(image, rounding="round")
    grey = luminance(rounded)
    found = register(truth.luminance, grey, known)
    return {
        **colours(rounded, truth, known),
        "shift_right": found.right,
        "shift_down": found.down,
        "shift": torch.hypot(found.right, found.down),
        "zoom": 100 * found.zoom,
        "blur": found.variance.sign() * found.variance.abs().sqrt(),
        "explained": found.explained,
        **contrasts(grey, truth.luminance, known),
        **shares_changed(to_uint8(image, rounding="truncate"), truth.pixels, known),
    }


def colours(image: Tensor, truth: SeenTruth, known: Tensor) -> dict[str, Tensor]:
    """Compare the mean colours of known pixels, over the image and around each place.

    Args:
        image: images B×3×H×W uint8.
        truth: true images of the same shape.
        known: B×H×W booleans, True for the known pixels.

    Returns:
        B float64 values for each name, NaN for an image without a known pixel:

        - `red_shift`, `green_shift` and `blue_shift`: mean of the image minus mean of the truth, in grey levels;
        - `colour_shift`: CIEDE2000 between the two mean colours in CIELAB;
        - `colour_field`: mean of CIEDE2000 over the image, after a Gaussian has blurred the known pixels of both images
          in CIELAB. It is larger than `colour_shift` if colours changed in different ways at different places.
    """
    weight = known.double()
    count = weight.sum((1, 2))[:, None]
    moved = lab(image) - truth.lab
    mean, change = (((one * weight[:, None]).sum((2, 3)) / count) for one in (truth.lab, moved))
    levels = ((image.double() - truth.pixels.double()) * weight[:, None]).sum((2, 3)) / count
    red, green, blue = levels.unbind(1)
    share = _blurred(weight[:, None])
    near = share.clamp_min(1e-12)
    local, local_change = (_blurred(one * weight[:, None]) / near for one in (truth.lab, moved))
    field = (ciede2000(local, local + local_change) * share[:, 0]).sum((1, 2)) / share.sum((1, 2, 3))
    return {
        "red_shift": red,
        "green_shift": green,
        "blue_shift": blue,
        "colour_shift": ciede2000(mean, mean + change),
        "colour_field": field,
    }


def _blurred(image: Tensor) -> Tensor:
    """Return the sums of images B×C×H×W under a Gaussian around `GRID`×`GRID` places."""
    height, width = image.shape[2:]
    deviation = FIELD * max(height, width)

    def weights(side: int) -> Tensor:
        places, centres = (
            torch.arange(count, dtype=torch.float64, device=image.device).add(0.5) * (side / count)
            for count in (side, GRID)
        )
        return (-((centres[:, None] - places) / deviation).square() / 2).exp()

    return weights(height) @ image @ weights(width).T


def contrasts(image: Tensor, truth: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Compare the contrast and the sharpness of known pixels.

    Args:
        image: luminance of the images, B×H×W in grey levels.
        truth: luminance of the true images, in the same format.
        known: B×H×W booleans, True for the known pixels.

    Returns:
        B float64 values for each name, in percent of the truth, NaN for an image whose known true pixels are flat:

        - `contrast_change`: how much larger the standard deviation is;
        - `sharpness_change`: how much larger the root mean square difference is between horizontal and vertical
          neighbours that are both known. Blur lowers it, and noise raises it.
    """
    rows, columns = known[:, 1:] & known[:, :-1], known[:, :, 1:] & known[:, :, :-1]

    def spread(values: Tensor) -> Tensor:
        mean = (values * known).sum((1, 2)) / known.sum((1, 2))
        return (((values - mean[:, None, None]).square() * known).sum((1, 2)) / known.sum((1, 2))).sqrt()

    def steps(values: Tensor) -> Tensor:
        return (
            (values.diff(dim=1).square() * rows).sum((1, 2)) + (values.diff(dim=2).square() * columns).sum((1, 2))
        ).sqrt()

    contrast, sharpness = spread(truth), steps(truth)
    textured = (contrast >= FLAT) & (sharpness > 0)
    return {
        "contrast_change": torch.where(textured, 100 * (spread(image) / contrast - 1), torch.nan),
        "sharpness_change": torch.where(textured, 100 * (steps(image) / sharpness - 1), torch.nan),
    }


def shares_changed(saved: Tensor, truth: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Return the shares of known pixels that changed.

    A pixel changed by more than n grey levels if one of its channels did.

    Args:
        saved: truncated images B×3×H×W uint8.
        truth: true images B×3×H×W uint8.
        known: B×H×W booleans, True for the known pixels.

    Returns:
        B float64 values from 0 to 1 for each of the names `changed_1`, `changed_2`, `changed_4` and `changed_8`. They
        are NaN for an image without a known pixel.
    """
    largest = (saved.short() - truth.short()).abs().amax(1)
    count = known.sum((1, 2)).double()
    return {f"changed_{levels}": ((largest > levels) & known).sum((1, 2)) / count for levels in CHANGES}


class DiagnosticsMeasure(Measure):
    """A measure of the metrics that `diagnose` computes."""

    sees_hole = False
    protocol: Mapping[str, Any] = {
        "diagnostics": "mask = 0; the image rounded to 8 bits against the truth",
        "colour": f"CIEDE2000 of means in CIELAB (D65); the field blurred by {FIELD:g} of the side at {GRID} places",
        "registration": "shift, zoom, Gaussian blur, gain and offset of BT.601 luminance by least squares",
        "contrast": "standard deviation, and root mean square of neighbours' differences, of BT.601 luminance",
        "changed": f"share of pixels with a channel of the truncated image more than {CHANGES} levels off",
        "version": 1,
    }

    def to(self, device: torch.device | str) -> Self:
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, SeenTruth]:
        return {}, SeenTruth.of(truth)

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: SeenTruth, extra: Extra) -> Arrays:
        with torch.inference_mode():
            return diagnose(image, kept, mask)
