"""Structural similarity and signal-to-noise ratio, of whole images and of what is known.

Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004), by torchmetrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra

__all__ = ["SimilarityMeasure", "structural_similarity"]

WINDOW = 11
"""Side of the Gaussian window, in pixels."""
DEVIATION = 1.5


def structural_similarity(image: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean similarity of the truncated image, for each item.

    Args:
        image: B×3×H×W float in [0, 1], as decoded; H and W at least 11.
        truth: B×3×H×W uint8.
        mask: B×1×H×W, 1 = hole.

    Returns:
        Two float64 tensors of B values in [-1, 1]: over all windows, and over those that hold no pixel of the hole
        (NaN where there is none). Windows reach over no edge of the picture.
    """
    # In float32: twelve times as fast on a CPU, where windows of double precision have no quick kernel.
    _, similarity = structural_similarity_index_measure(
        to_uint8(image, rounding="truncate").float() / 255,
        truth.float() / 255,
        sigma=DEVIATION,
        kernel_size=WINDOW,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    edge = WINDOW // 2
    inner = similarity[:, :, edge:-edge, edge:-edge].double()
    free = functional.max_pool2d(mask.double(), WINDOW, stride=1) == 0
    known = (inner * free).sum((1, 2, 3)) / (free.sum((1, 2, 3)) * inner.shape[1])
    return inner.mean((1, 2, 3)), known


class SimilarityMeasure:
    """Keeps `ssim` and `ssim_known`."""

    sees_hole = False
    protocol: Mapping[str, Any] = {
        "image": "uint8 RGB, truncated, at the items' own size",
        "ssim": f"Gaussian window of {WINDOW} pixels and deviation {DEVIATION}, range 1, no padding, mean of channels",
        "known": "windows without a pixel of the hole",
        "version": 1,
    }

    def to(self, device: torch.device | str) -> Self:
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        return {}, None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        with torch.inference_mode():
            whole, known = structural_similarity(image, truth, mask)
            return {"ssim": whole.cpu().numpy(), "ssim_known": known.cpu().numpy()}
