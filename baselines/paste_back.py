"""Paste-back: the known pixels laid over another method's image, without any blending."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.over import Over
from bench.generation.decoding import Batch

__all__ = ["PasteBack"]


class PasteBack(Over):
    """Known pixels exactly as they were, the hole as the other method has it; the seam is where the error goes."""

    def __call__(self, batch: Batch) -> Tensor:
        return torch.where(batch.mask > 0, self.of(batch), batch.image)
