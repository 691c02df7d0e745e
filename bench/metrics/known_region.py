"""The error outside the hole, in every reading that the paper's Pre_error can have.

The paper's text defines a mean squared error over the non-edited pixels. The only released code sums the squared
differences instead of averaging them (buxiangzhiren/Asymmetric_VQGAN at b13d880: eval.py), and it reads images that a
script saved in half precision (inpaint_st.py at 406c5cd). Therefore both the mean and the sum are computed, each for
the image as it is, rounded, truncated, and saved like the released script saves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor

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
"""Largest distance in pixels from the hole of known pixels that belong to the ring."""

FLOAT_ERROR = 1e-4
"""Fraction of a grey level added before truncation; it exceeds the float32 rounding errors between 0 and 255."""


def to_uint8(image: Tensor, *, rounding: str) -> Tensor:
    """Return an image in [0, 1] as uint8, the way it would be saved.

    Before it truncates, the function adds `FLOAT_ERROR`. The addition is for pictures that had 8 bits before, such as
    those of other programs or true pixels that were pasted back. After a conversion to [-1, 1] and back in float32,
    level k is k or a little less, and truncation alone could make it k - 1. This happens with 95 of the 256 levels; the
    order of operations determines which ones.

    An earlier Table 2 of the mini profile, with 256 items, shows the effect. Without the addition, the row of pasted
    pixels would have a Pre_error of 0.247e-5 instead of 0, and its FID would change by -0.072 and its LPIPS by +0.0002.
    A decoder's output hardly changes: one value in 10,000 differs, Pre_error changes by at most 0.00033e-5, FID by
    0.0005 and LPIPS by 0.00001. The released scripts add nothing, because they save only decoders' output.

    Args:
        image: image of any shape; it is clamped to [0, 1] first.
        rounding: `truncate` to save like the released scripts, or `round` to save like diffusers.
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
        image: (x + 1) / 2, clamped to [0, 1], in float32 or float64, of any shape. The function computes x from it and
            rounds x to float16. If x was float16 before, as under autocast on a GPU, the levels are exactly those that
            the script would save; a test checks every value that float16 has.

    Returns:
        Grey levels as uint8, in the shape of the image.
    """
    decoded = (2 * image - 1).half()
    return (((decoded + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)


@cache
def _released_cost() -> Tensor:
    """Return, for each true level 0 to 255, a perfect decoder's squared error in [0, 1] after `released_uint8`."""
    levels = torch.arange(256, dtype=torch.float64)
    return ((released_uint8(levels / 255).double() - levels) / 255).square()


def known_region_error(image: Tensor, truth: Tensor, mask: Tensor, *, decoded: bool = False) -> dict[str, Tensor]:
    """Return the squared error over known pixels for each item, in several readings.

    Args:
        image: B×3×H×W float in [0, 1].
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.
        decoded: whether the image is a decoder's output. A finished 8-bit picture, or an image into which true pixels
            were pasted, was never in half precision; its `_released` values are those of the truncated image.

    Returns:
        Tensors of B float64 values, by name. `pre_sse01`, `pre_sse01_rounded`, `pre_sse01_float` and
        `pre_sse01_released` are sums over channels and known pixels of the squared difference in [0, 1]. They are
        computed for the truncated image, the rounded one, the unchanged one, and the result of `released_uint8`.
        `known_values` is the number of summed differences. `pre_error`, `pre_error_rounded`, `pre_error_float` and
        `pre_error_released` are the sums divided by this number, and NaN for an image without a known pixel.
        `pre_mse01_all` is the truncated sum divided by 3HW instead. `pre_floor` is the mean error caused by truncation
        alone in an image whose error is symmetric and far below one grey level: half a squared level for each value
        above zero. `pre_floor_released` is the `pre_error_released` of a perfect decoder, whose output is the true
        picture: about 0.145 squared levels for each value if levels are uniformly distributed.
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
    cost = _released_cost().to(truth.device)[truth.int()]
    result["pre_floor_released"] = (cost * known).sum((1, 2, 3)) / count
    return result


def ring_error(image: Tensor, truth: Tensor, mask: Tensor, *, ring: Tensor | None = None) -> dict[str, Tensor]:
    """Return the mean squared error of the truncated image near the hole and far from it, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.
        ring: result of `near_hole` for the mask; None to compute it.

    Returns:
        Tensors of B float64 values: `pre_error_ring` over known pixels at most RING pixels from the hole, and
        `pre_error_interior` over the other known pixels; NaN if there are none.
    """
    near = near_hole(mask) if ring is None else ring
    saved = to_uint8(image, rounding="truncate")
    squared = (saved.double() / 255 - truth.double() / 255).square()
    known = mask == 0
    result = {}
    for name, region in (("ring", known & near), ("interior", known & ~near)):
        chosen = region.expand_as(squared)
        result[f"pre_error_{name}"] = (squared * chosen).sum((1, 2, 3)) / chosen.sum((1, 2, 3))
    return result


def near_hole(mask: Tensor) -> Tensor:
    """Return the pixels at most RING pixels away from the hole, B×1×H×W bool, for a mask B×1×H×W."""
    distances = [
        cv2.distanceTransform((hole == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        if hole.any() and not hole.all()
        else np.full(hole.shape, np.inf if not hole.any() else 0.0, np.float32)
        for hole in mask[:, 0].cpu().numpy().astype(np.uint8)
    ]
    return torch.from_numpy(np.stack(distances) <= RING).unsqueeze(1).to(mask.device)


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB of the truncated image, including the hole, for each item.

    The ratio is NaN for an item without any error.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        truth: B×3×H×W uint8.
    """
    squared = (to_uint8(image, rounding="truncate").double() / 255 - truth.double() / 255).square().mean((1, 2, 3))
    return -10 * torch.where(squared > 0, squared, torch.nan).log10()


def border_step(image: Tensor, mask: Tensor) -> Tensor:
    """Return the mean step of the truncated image across the hole's border, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        mask: B×1×H×W, 1 = hole.

    Returns:
        B means of the absolute difference in [0, 1] over all horizontal and vertical pairs of neighbours of which one
        lies in the hole; NaN if there is no such pair.
    """
    saved, hole = to_uint8(image, rounding="truncate").double() / 255, mask > 0
    total, count = (torch.zeros(len(image), dtype=torch.float64, device=image.device) for _ in range(2))
    for axis in (2, 3):
        first, last = (slice(0, -1), slice(1, None))
        one, other = (tuple(part if place == axis else slice(None) for place in range(4)) for part in (first, last))
        across = hole[one] != hole[other]
        total += ((saved[one] - saved[other]).abs() * across).sum((1, 2, 3))
        count += 3 * across.sum((1, 2, 3))
    return total / count


class KnownRegionMeasure(Measure):
    """A measure of `known_region_error`, `ring_error`, `psnr`, `border_step` and `border_excess`.

    `border_excess` is the step across the border minus that of the true image.
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
                kept["border"] = border_step(truth.float() / 255, mask)
            found = known_region_error(image, truth, mask, decoded=extra.decoded)
            found |= ring_error(image, truth, mask, ring=kept["ring"])
            found |= {"psnr": psnr(image, truth), "border_step": border_step(image, mask)}
            found["border_excess"] = found["border_step"] - kept["border"]
            return {name: values.cpu().numpy() for name, values in found.items()}
