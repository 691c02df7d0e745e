"""The base class of methods that change the images of another method."""

from __future__ import annotations

from typing import Self

import torch

from bench.generation.method import Method, as_method

__all__ = ["Over"]


class Over(Method):
    """A method that wraps another method, `of`, and changes the images of the wrapped method."""

    of: Method

    def __init__(self, of: Method) -> None:
        self.of = as_method(of)
        self.training = self.of.training

    def to(self, device: torch.device) -> Self:
        self.of.to(device)
        return self
