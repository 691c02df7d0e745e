"""The error outside the hole, in every normalisation that the paper's Pre_error may mean.

The paper's text defines a mean squared error over the non-edited pixels; the only code there ever was sums instead of
averaging (buxiangzhiren/Asymmetric_VQGAN at b13d880: eval.py). One accumulation serves all readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.metrics.measure import Arrays, Extra

__all__ = ["KnownRegionMeasure", "border_step", "known_region_error", "psnr", "ring_error", "to_uint8"]

RING = 4
"""Known pixels at most this far from the hole belong to the ring."""

FLOAT_ERROR = 1e-4
"""Of a grey level: a few roundings of float32 between 0 and 255 add up to less."""


def to_uint8(image: Tensor, *, rounding: str) -> Tensor:
    """An image in [0, 1] as uint8, the way it would be saved.

    Args:
        image: any shape; clamped to [0, 1] first.
        rounding: `truncate`, as the released scripts save, or `round`, as diffusers does. A value that float32 error
            alone keeps below a whole level counts as that level.
    """
    levels = image.clamp(0, 1) * 255
    if rounding == "truncate":
        return (levels + FLOAT_ERROR).to(torch.uint8)
    if rounding == "round":
        return levels.round().to(torch.uint8)
    raise ValueError(f"unknown rounding {rounding!r}: expected truncate or round")


def known_region_error(image: Tensor, truth: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Squared error over known pixels, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded.
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.

    Returns:
        float64 tensors of B values. `pre_sse01`, `pre_sse01_rounded` and `pre_sse01_float` are sums over channels and
        known pixels of the squared difference in [0, 1], for the truncated, rounded and untouched image; `known_values`
        is how many differences were summed. `pre_error`, `pre_error_rounded`, `pre_error_float` are the sums divided
        by it: NaN for an image without a known pixel. `pre_mse01_all` divides the truncated sum by 3HW instead.
        `pre_floor` is the mean error that truncation alone costs an image whose error is symmetric and far below one
        grey level: half a level squared for each value above zero.
    """
    known = (mask == 0).expand_as(truth)
    count = known.sum((1, 2, 3)).double()
    exact = truth.double() / 255
    versions = {
        "": to_uint8(image, rounding="truncate").double() / 255,
        "_rounded": to_uint8(image, rounding="round").double() / 255,
        "_float": image.double().clamp(0, 1),
    }
    result = {"known_values": count}
    for suffix, version in versions.items():
        squared = ((version - exact).square() * known).sum((1, 2, 3))
        result[f"pre_sse01{suffix}"] = squared
        result[f"pre_error{suffix}"] = squared / count
    result["pre_mse01_all"] = result["pre_sse01"] / truth[0].numel()
    result["pre_floor"] = 0.5 / 255**2 * ((truth > 0) & known).sum((1, 2, 3)) / count
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
        "ring": f"known pixels at most {RING} from the hole's nearest",
        "border": "neighbours of which one lies in the hole; excess over the truth's step",
        "version": 2,
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
            found = known_region_error(image, truth, mask) | ring_error(image, truth, mask, ring=kept["ring"])
            found |= {"psnr": psnr(image, truth), "border_step": border_step(image, mask)}
            found["border_excess"] = found["border_step"] - kept["border"]
            return {name: values.cpu().numpy() for name, values in found.items()}
