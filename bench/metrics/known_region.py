"""The error outside the hole, in every reading that the paper's Pre_error may have.

The paper's text defines a mean squared error over the non-edited pixels. The only code that was ever released sums the
squared differences instead of averaging them (buxiangzhiren/Asymmetric_VQGAN at b13d880: eval.py), and it reads images
that a script saved in half precision (inpaint_st.py at 406c5cd). So both the mean and the sum are kept, each of the
image as it is, rounded, truncated, and saved as the released script saves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.metrics.measure import Arrays, Extra

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
"""Known pixels at most this far from the hole belong to the ring."""

FLOAT_ERROR = 1e-4
"""A part of a grey level that is added before truncation: rounding in float32 between 0 and 255 adds up to less."""


def to_uint8(image: Tensor, *, rounding: str) -> Tensor:
    """An image in [0, 1] as uint8, the way it would be saved.

    Before it truncates, the function adds `FLOAT_ERROR`. That is for pictures that had 8 bits before, such as those of
    other programs or true pixels that were pasted back. Level k comes back from [-1, 1] in float32 as k or a little
    less, which truncation alone would make k - 1: so it does with 95 of the 256 levels, and with which of them depends
    on the order of operations. Measured on an earlier Table 2 of the mini profile, with 256 items: without the
    addition, the row of pasted pixels would have a Pre_error of 0.247e-5 instead of 0, and its FID would move by
    -0.072 and its LPIPS by +0.0002. A decoder's output is hardly concerned: one value in 10,000 changes; Pre_error
    moves by at most 0.00033e-5, FID by 0.0005 and LPIPS by 0.00001. The released scripts add nothing; they save nothing
    but decoders' output.

    Args:
        image: any shape; clamped to [0, 1] first.
        rounding: `truncate`, as the released scripts save, or `round`, as diffusers does.
    """
    levels = image.clamp(0, 1) * 255
    if rounding == "truncate":
        return (levels + FLOAT_ERROR).to(torch.uint8)
    if rounding == "round":
        return levels.round().to(torch.uint8)
    raise ValueError(f"unknown rounding {rounding!r}: expected truncate or round")


def released_uint8(image: Tensor) -> Tensor:
    """The levels that the released scripts save of a decoder's output x.

    Their decoder runs under autocast and gives float16. Adding 1, dividing by 2, clamping and multiplying by 255 are
    float16 operations as well, each of which rounds its result, and the product is truncated
    (buxiangzhiren/Asymmetric_VQGAN at 406c5cd: inpaint_st.py).

    Args:
        image: (x + 1) / 2, clamped to [0, 1], in float32 or float64; any shape. The function computes x from it and
            rounds x to float16. Where x was float16 before, as it is under autocast on a GPU, the levels are exactly
            those that the script would save: a test goes through every value that float16 has.

    Returns:
        uint8 of the same shape.
    """
    decoded = (2 * image - 1).half()
    return (((decoded + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)


@cache
def _released_cost() -> Tensor:
    """For each true level from 0 to 255, the squared error in [0, 1] of a perfect decoder whose image is saved so."""
    levels = torch.arange(256, dtype=torch.float64)
    return ((released_uint8(levels / 255).double() - levels) / 255).square()


def known_region_error(image: Tensor, truth: Tensor, mask: Tensor, *, decoded: bool = False) -> dict[str, Tensor]:
    """Squared error over known pixels, for each item.

    Args:
        image: B×3×H×W float in [0, 1].
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.
        decoded: whether the image is a decoder's output. A finished picture of 8 bits, or one that true pixels were
            pasted into, was never in half precision: its `_released` values are those of the truncated image.

    Returns:
        float64 tensors of B values. `pre_sse01`, `pre_sse01_rounded`, `pre_sse01_float` and `pre_sse01_released` are
        sums over channels and known pixels of the squared difference in [0, 1]: of the truncated image, of the rounded
        one, of the untouched one, and of the one that `released_uint8` gives. `known_values` is how many differences
        were summed. `pre_error`, `pre_error_rounded`, `pre_error_float` and `pre_error_released` are the sums divided
        by it: NaN for an image without a known pixel. `pre_mse01_all` divides the truncated sum by 3HW instead.
        `pre_floor` is the mean error that truncation alone costs an image whose error is symmetric and far below one
        grey level: half a squared level for each value above zero. `pre_floor_released` is the `pre_error_released` of
        a perfect decoder, whose output is the true picture: about 0.145 squared levels for each value where levels are
        uniformly distributed.
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
    """Mean squared error of the truncated image near the hole and far from it, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.
        ring: what `near_hole` gives for the mask, where that is known.

    Returns:
        float64 tensors of B values: `pre_error_ring` over known pixels at most RING pixels from the hole,
        `pre_error_interior` over the other known ones; NaN where there are none.
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
    """Where the nearest pixel of the hole is at most RING pixels away, B×1×H×W bool, for a mask B×1×H×W."""
    distances = [
        cv2.distanceTransform((hole == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        if hole.any() and not hole.all()
        else np.full(hole.shape, np.inf if not hole.any() else 0.0, np.float32)
        for hole in mask[:, 0].cpu().numpy().astype(np.uint8)
    ]
    return torch.from_numpy(np.stack(distances) <= RING).unsqueeze(1).to(mask.device)


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of the truncated image, hole included, for each item; NaN for no error at all.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        truth: B×3×H×W uint8.
    """
    squared = (to_uint8(image, rounding="truncate").double() / 255 - truth.double() / 255).square().mean((1, 2, 3))
    return -10 * torch.where(squared > 0, squared, torch.nan).log10()


def border_step(image: Tensor, mask: Tensor) -> Tensor:
    """How far the truncated image jumps across the hole's border, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        mask: B×1×H×W, 1 = hole.

    Returns:
        B means of the absolute difference in [0, 1] over all pairs of neighbours (beside or above one another) of which
        one lies in the hole; NaN where there is no such pair.
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


class KnownRegionMeasure:
    """Keeps everything that `known_region_error` and `ring_error` give, `psnr`, and `border_step`.

    `border_excess` is how much larger than the truth's the step is.
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
