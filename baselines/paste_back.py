"""Paste-back: the true known pixels are copied over the image of another method, without any blending."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.wrapper import Over
from bench.generation.method import Batch

__all__ = ["PasteBack"]


class PasteBack(Over):
    """Paste-back: known pixels stay unchanged, and the wrapped method paints the hole. The seam may be visible."""

    def __call__(self, batch: Batch) -> Tensor:
        return torch.where(batch.mask > 0, self.of(batch), batch.image)
