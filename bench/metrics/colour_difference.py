"""Converts images to CIELAB and computes the colour difference CIEDE2000.

The formulas of the difference are those of Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula:
implementation notes, supplementary test data, and mathematical observations" (2005). CIELAB is computed from sRGB
(IEC 61966-2-1) with the white point D65.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["ciede2000", "lab"]

TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""Matrix from linear sRGB to CIE XYZ, with the rounding of ITU-R BT.709's primaries that scikit-image uses."""
WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65, for the observer of 1931."""
CUBE_ROOT_FROM, SLOPE = 0.008856, 7.787
"""Ratio to the white above which CIELAB uses the cube root, and the slope of the line below it."""


def lab(image: Tensor) -> Tensor:
    """Convert images B×3×H×W uint8 sRGB to CIELAB.

    Returns:
        L* from 0 to 100, a* and b* as B×3×H×W float64.
    """
    level = torch.arange(256, dtype=torch.float64, device=image.device) / 255
    linear = torch.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)
    red, green, blue = linear[image.int()].unbind(1)
    ratios = torch.stack(
        [
            (one * red + two * green + three * blue) / white
            for (one, two, three), white in zip(TO_XYZ, WHITE, strict=True)
        ]
    )
    x, y, z = torch.where(ratios > CUBE_ROOT_FROM, ratios ** (1 / 3), SLOPE * ratios + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """Return the colour difference CIEDE2000 with the weights kL = kC = kH = 1.

    A difference of about 1 is just visible under good conditions. Equal colours have a difference of exactly 0.

    Args:
        first: colours in CIELAB, B×3×…, float64.
        second: colours of the same shape.

    Returns:
        B×… values of 0 or more.
    """
    (light, a, b), (other_light, other_a, other_b) = first.unbind(1), second.unbind(1)
    chroma = (torch.hypot(a, b) + torch.hypot(other_a, other_b)) / 2
    more = 1.5 - 0.5 * _saturated(chroma)  # the factor 1 + G of the red-green axis
    chroma, hue = torch.hypot(more * a, b), _hue(more * a, b)
    other_chroma, other_hue = torch.hypot(more * other_a, other_b), _hue(more * other_a, other_b)
    coloured = chroma * other_chroma > 0
    turn = torch.where(coloured, _within_half_turn(other_hue - hue), 0)
    middle_hue = torch.where(coloured, hue + turn / 2, hue + other_hue)
    middle_light, middle_chroma = (light + other_light) / 2, (chroma + other_chroma) / 2
    lighter, stronger = other_light - light, other_chroma - chroma
    turned = 2 * (chroma * other_chroma).sqrt() * (turn / 2).sin()
    weight = (
        1
        - 0.17 * (middle_hue - math.radians(30)).cos()
        + 0.24 * (2 * middle_hue).cos()
        + 0.32 * (3 * middle_hue + math.radians(6)).cos()
        - 0.20 * (4 * middle_hue - math.radians(63)).cos()
    )
    squared = (middle_light - 50).square()
    lighter = lighter / (1 + 0.015 * squared / (20 + squared).sqrt())
    stronger = stronger / (1 + 0.045 * middle_chroma)
    turned = turned / (1 + 0.015 * middle_chroma * weight)
    from_blue = ((middle_hue.remainder(2 * math.pi) - math.radians(275)) / math.radians(25)).square()
    rotation = -2 * _saturated(middle_chroma) * (math.radians(60) * (-from_blue).exp()).sin()
    total = lighter.square() + stronger.square() + turned.square() + rotation * stronger * turned
    return total.clamp_min(0).sqrt()


def _saturated(chroma: Tensor) -> Tensor:
    """Return √(C⁷ / (C⁷ + 25⁷)) of a chroma C."""
    seventh = chroma**7
    return (seventh / (seventh + 25.0**7)).sqrt()


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """Return the hue of colours as an angle from 0 to 2 pi."""
    return torch.atan2(b, a).remainder(2 * math.pi)


def _within_half_turn(angle: Tensor) -> Tensor:
    """Return the same direction as an angle from -pi to pi."""
    return angle - 2 * math.pi * torch.round(angle / (2 * math.pi))
