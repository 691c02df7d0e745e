"""What methods share that rest on another one's images."""

from __future__ import annotations

from typing import Self

import torch

from bench.generation.decoding import Method

__all__ = ["Over"]


class Over:
    """Works on the images of the method `of`."""

    def __init__(self, of: Method) -> None:
        self.of = of

    @property
    def training(self) -> str:
        return self.of.training

    def to(self, device: torch.device) -> Self:
        self.of.to(device)
        return self
