"""Paste-back: the known pixels are copied over another method's image, without any blending."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.wrapper import Over
from bench.generation.method import Batch

__all__ = ["PasteBack"]


class PasteBack(Over):
    """Paste-back: unchanged known pixels and the other method's hole; the seam shows the error."""

    def __call__(self, batch: Batch) -> Tensor:
        return torch.where(batch.mask > 0, self.of(batch), batch.image)
