"""Paste-back: the known pixels laid over another method's image, without any blending."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.generation.decoding import Batch, Method

__all__ = ["PasteBack"]


class PasteBack:
    """Known pixels exactly as they were, the hole as the other method has it; the seam is where the error goes."""

    def __init__(self, of: Method) -> None:
        self.of = of

    @property
    def training(self) -> str:
        return self.of.training

    def to(self, device: torch.device) -> PasteBack:
        self.of.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        return torch.where(batch.mask > 0, self.of(batch), batch.image)
