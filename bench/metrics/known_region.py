"""The error outside the hole, in every normalisation that the paper's Pre_error may mean.

The paper's text defines a mean squared error over the non-edited pixels; the only code there ever was sums instead of
averaging (buxiangzhiren/Asymmetric_VQGAN at b13d880: eval.py). One accumulation serves all readings.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["known_region_error", "to_uint8"]

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
