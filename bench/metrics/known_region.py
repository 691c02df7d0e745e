"""The error over known pixels, computed for every possible interpretation of the paper's Pre_error.

The paper's text defines a mean squared error over the non-edited pixels. The only released code differs from the text
in two ways. It sums the squared differences and does not average them (buxiangzhiren/Asymmetric_VQGAN at b13d880:
eval.py). It also reads images that another script computed in half precision and saved (inpaint_st.py at 406c5cd).
Therefore this module computes both the mean and the sum. It computes each of them for four versions of the image:
unchanged, rounded, truncated, and as the released script saves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.measure import Arrays, Extra, Measure

__all__ = [
    "KnownRegionMeasure",
    "border_step",
    "known_region_error",
    "psnr",
    "released_uint8",
    "ring_error",
    "to_uint8",
]

RING = 4
"""Width of the ring in pixels. The ring consists of the known pixels at most this far away from the hole."""

FLOAT_ERROR = 1e-4
"""Fraction of a grey level that is added before truncation, so that a float32 rounding error cannot lower a pixel by a
whole level. It is larger than the rounding errors of float32 between 0 and 255."""


def to_uint8(image: Tensor, *, rounding: str) -> Tensor:
    """Convert an image in [0, 1] to uint8, as a program does when it saves the image with 8 bits.

    Before truncation, the function adds `FLOAT_ERROR`. The addition protects pixels that already had 8 bits, such as
    pictures of other programs, or true pixels that were pasted into an image. If grey level k is converted to [-1, 1]
    and back in float32, the result can be a little less than k. Truncation alone would then result in k - 1. This
    happens for 95 of the 256 levels. The order of the operations determines which levels these are.

    An earlier Table 2 of the mini profile, with 256 items, shows the effect. Without the addition, the row with pasted
    true pixels would have a Pre_error of 0.247e-5 instead of 0. The FID of this row would change by -0.072, and its
    LPIPS by +0.0002. The effect on a decoder's output is much smaller: one value in 10,000 differs, Pre_error changes
    by at most 0.00033e-5, FID by 0.0005 and LPIPS by 0.00001. The released scripts add nothing, because they save only
    the output of decoders.

    Args:
        image: image of any shape; it is clamped to [0, 1] first.
        rounding: `truncate` to cut off the fraction of a grey level, as the released scripts do; or `round` to take the
            nearest grey level, as diffusers does.

    Raises:
        ValueError: `rounding` is neither `truncate` nor `round`.
    """
    levels = image.clamp(0, 1) * 255
    if rounding == "truncate":
        return (levels + FLOAT_ERROR).to(torch.uint8)
    if rounding == "round":
        return levels.round().to(torch.uint8)
    raise ValueError(f"unknown rounding {rounding!r}: expected truncate or round")


def released_uint8(image: Tensor) -> Tensor:
    """Return the grey levels that the released scripts save for a decoder's output x.

    The decoder of these scripts runs under autocast and returns float16. Adding 1, dividing by 2, clamping and
    multiplying by 255 are also float16 operations, and each of them rounds its result. The product is truncated
    (buxiangzhiren/Asymmetric_VQGAN at 406c5cd: inpaint_st.py).

    Args:
        image: (x + 1) / 2, clamped to [0, 1], in float32 or float64, of any shape. The function computes x from the
            image and rounds x to float16. If the decoder's x was already float16, as under autocast on a GPU, the
            result equals exactly what the script would save. A test checks this for every float16 value.

    Returns:
        Grey levels as uint8, in the shape of the image.
    """
    decoded = (2 * image - 1).half()
    return (((decoded + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)


@cache
def _released_cost(device: torch.device) -> Tensor:
    """Return the squared error that `released_uint8` alone causes, for each true grey level from 0 to 255.

    The errors are those of a perfect decoder, whose output is the true picture. The result has 256 float64 values in
    [0, 1]. It is computed on the CPU, and copied to the device only once.
    """
    levels = torch.arange(256, dtype=torch.float64)
    return ((released_uint8(levels / 255).double() - levels) / 255).square().to(device)


def known_region_error(image: Tensor, truth: Tensor, mask: Tensor, *, decoded: bool = False) -> dict[str, Tensor]:
    """Compute the squared error over known pixels in several ways, for each item.

    Args:
        image: images B×3×H×W float in [0, 1].
        truth: true images B×3×H×W uint8.
        mask: masks B×1×H×W, 1 = hole.
        decoded: True if the images are a decoder's output, which the released scripts compute in half precision. Use
            False for all other images, such as finished 8-bit pictures or images with pasted true pixels. With False,
            the `_released` values are equal to the values of the truncated image.

    Returns:
        Tensors of B float64 values, by name:

        - `pre_sse01`, `pre_sse01_rounded`, `pre_sse01_float` and `pre_sse01_released` are sums of squared differences
          over channels and known pixels, for values in [0, 1]. The four sums belong to the truncated image, the rounded
          image, the unchanged image, and the result of `released_uint8`.
        - `known_values` is the number of differences in each sum.
        - `pre_error`, `pre_error_rounded`, `pre_error_float` and `pre_error_released` are these sums divided by
          `known_values`. These means are NaN for an image without a known pixel.
        - `pre_mse01_all` is `pre_sse01` divided by 3HW, the number of all values of the image.
        - `pre_floor` is the mean error over known pixels that truncation alone causes, if the image's error is
          symmetric and much smaller than one grey level. Each true value above 0 adds half a squared level to the sum
          of the errors.
        - `pre_floor_released` is the `pre_error_released` of a perfect decoder, whose output is the true picture. If
          grey levels are uniformly distributed, it is about 0.145 squared levels.
    """
    known = (mask == 0).expand_as(truth)
    count = known.sum((1, 2, 3)).double()
    exact = truth.double() / 255
    truncated = to_uint8(image, rounding="truncate").double() / 255
    versions = {
        "": truncated,
        "_rounded": to_uint8(image, rounding="round").double() / 255,
        "_float": image.double().clamp(0, 1),
        "_released": released_uint8(image).double() / 255 if decoded else truncated,
    }
    result = {"known_values": count}
    for suffix, version in versions.items():
        squared = ((version - exact).square() * known).sum((1, 2, 3))
        result[f"pre_sse01{suffix}"] = squared
        result[f"pre_error{suffix}"] = squared / count
    result["pre_mse01_all"] = result["pre_sse01"] / truth[0].numel()
    result["pre_floor"] = 0.5 / 255**2 * ((truth > 0) & known).sum((1, 2, 3)) / count
    cost = _released_cost(truth.device)[truth.int()]
    result["pre_floor_released"] = (cost * known).sum((1, 2, 3)) / count
    return result


def ring_error(saved: Tensor, truth: Tensor, mask: Tensor, *, ring: Tensor | None = None) -> dict[str, Tensor]:
    """Compute the mean squared error of the truncated image for known pixels near the hole and far from it.

    Args:
        saved: truncated images B×3×H×W uint8.
        truth: true images B×3×H×W uint8.
        mask: masks B×1×H×W, 1 = hole.
        ring: result of `near_hole` for the mask; None to compute it here.

    Returns:
        Two tensors of B float64 values. `pre_error_ring` is the mean over the known pixels at most `RING` pixels away
        from the hole. `pre_error_interior` is the mean over all other known pixels. If an item has no pixel for one of
        these means, the mean is NaN.
    """
    near = near_hole(mask) if ring is None else ring
    squared = (saved.double() / 255 - truth.double() / 255).square()
    known = mask == 0
    result = {}
    for name, region in (("ring", known & near), ("interior", known & ~near)):
        chosen = region.expand_as(squared)
        result[f"pre_error_{name}"] = (squared * chosen).sum((1, 2, 3)) / chosen.sum((1, 2, 3))
    return result


def near_hole(mask: Tensor) -> Tensor:
    """Return which pixels are near the hole.

    Args:
        mask: masks B×1×H×W, 1 = hole.

    Returns:
        B×1×H×W booleans, True for each pixel that is in the hole or at most `RING` pixels away from the hole.
    """
    if mask.device.type != "cpu":  # otherwise a GPU would wait while the CPU computes distances
        return near_by_disc(mask)
    distances = [
        cv2.distanceTransform((hole == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        if hole.any() and not hole.all()
        else np.full(hole.shape, np.inf if not hole.any() else 0.0, np.float32)
        for hole in mask[:, 0].cpu().numpy().astype(np.uint8)
    ]
    return torch.from_numpy(np.stack(distances) <= RING).unsqueeze(1).to(mask.device)


def near_by_disc(mask: Tensor) -> Tensor:
    """Return the result of `near_hole`, computed on the mask's device.

    A pixel is near the hole if the disc of radius `RING` around it contains a pixel of the hole.

    Args:
        mask: masks B×1×H×W of a float type, 1 = hole.
    """
    offsets = torch.arange(-RING, RING + 1, device=mask.device)
    disc = (offsets[:, None].square() + offsets.square() <= RING**2).to(mask.dtype)
    count = functional.conv2d(mask, disc[None, None], padding=RING)
    return count > 0.5  # a count is a whole number, from which a convolution by FFT differs a little


def psnr(saved: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio (PSNR) in dB of each whole truncated image, as B float64 values.

    The value is NaN for an item whose truncated image equals the truth, because the ratio would be infinite.

    Args:
        saved: truncated images B×3×H×W uint8.
        truth: true images B×3×H×W uint8.
    """
    squared = (saved.double() / 255 - truth.double() / 255).square().mean((1, 2, 3))
    return -10 * torch.where(squared > 0, squared, torch.nan).log10()


def border_step(saved: Tensor, mask: Tensor) -> Tensor:
    """Return how much an image changes across the border of the hole, for each item.

    Args:
        saved: truncated images B×3×H×W uint8.
        mask: masks B×1×H×W, 1 = hole.

    Returns:
        B float64 values in [0, 1]. Each is the mean absolute difference of two neighbouring pixels, over the channels
        and over all horizontal and vertical pairs with exactly one pixel in the hole. The value is NaN if an image has
        no such pair.
    """
    values, hole = saved.double() / 255, mask > 0
    total, count = (torch.zeros(len(saved), dtype=torch.float64, device=saved.device) for _ in range(2))
    for axis in (2, 3):
        first, last = (slice(0, -1), slice(1, None))
        one, other = (tuple(part if place == axis else slice(None) for place in range(4)) for part in (first, last))
        across = hole[one] != hole[other]
        total += ((values[one] - values[other]).abs() * across).sum((1, 2, 3))
        count += 3 * across.sum((1, 2, 3))
    return total / count


class KnownRegionMeasure(Measure):
    """A measure of the metrics that `known_region_error`, `ring_error`, `psnr` and `border_step` compute.

    The measure also computes `border_excess`, which is the `border_step` of the image minus the `border_step` of the
    true image.
    """

    sees_hole = False
    protocol: Mapping[str, Any] = {
        "known_region": "mask = 0; squared error in [0, 1] on the truncated image",
        "truncation": f"{FLOAT_ERROR:g} of a level is added before",
        "released": "a decoder's output x in float16: x, x + 1, / 2, clamp, * 255, truncated; others as truncated",
        "ring": f"known pixels at most {RING} from the hole's nearest",
        "border": "neighbours of which one lies in the hole; excess over the truth's step",
        "version": 3,
    }

    def to(self, device: torch.device | str) -> Self:
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, dict[str, Tensor]]:
        return {}, {}

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: dict[str, Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            if "ring" not in kept:
                kept["ring"] = near_hole(mask)
                kept["border"] = border_step(truth, mask)
            found = known_region_error(image, truth, mask, decoded=extra.decoded)
            saved = to_uint8(image, rounding="truncate")
            found |= ring_error(saved, truth, mask, ring=kept["ring"])
            found |= {"psnr": psnr(saved, truth), "border_step": border_step(saved, mask)}
            found["border_excess"] = found["border_step"] - kept["border"]
            return found
