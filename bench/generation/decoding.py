"""Methods: how a table's row makes images of the shared latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

__all__ = ["Batch", "Decoded", "Method"]


@dataclass(frozen=True)
class Batch:
    """What a method may use of some items, on the run's device."""

    ids: tuple[str, ...]
    z: Tensor
    """Latents B×4×h×w, unscaled and after `post_quant_conv`."""
    image: Tensor
    """B×3×H×W in [-1, 1], unmasked: what lies in the hole is not to be looked at."""
    mask: Tensor
    """B×1×H×W float, 1 = hole."""


class Method(Protocol):
    """Whatever turns a batch into images."""

    @property
    def training(self) -> str:
        """How long it was trained, in words, for the table; empty where that is not known."""

    def to(self, device: torch.device) -> Method: ...

    def __call__(self, batch: Batch) -> Tensor:
        """Images B×3×H×W, roughly in [-1, 1]."""


class Decoded:
    """A decoder, with the known pixels shown to it or without."""

    def __init__(self, decoder: nn.Module, *, conditioned: bool) -> None:
        """Take a decoder of this project, or any module that is called as one.

        Args:
            decoder: called as `decoder(z, image, mask)`, or as `decoder(z)` where it is not conditioned.
            conditioned: whether the known pixels are shown to it.

        Raises:
            ValueError: they are to be shown, but its `condition_encoder` is None.
        """
        if conditioned and getattr(decoder, "condition_encoder", decoder) is None:
            raise ValueError("conditioned=true asks for a decoder with a condition branch: this one has none")
        self.decoder = decoder.eval()
        self.conditioned = conditioned

    @property
    def training(self) -> str:
        return str(getattr(self.decoder, "training_note", ""))

    @property
    def lineage(self) -> dict[str, Any]:
        """What the weights come from, as far as their file says."""
        return dict(getattr(self.decoder, "lineage", {}))

    def to(self, device: torch.device) -> Decoded:
        self.decoder.to(device).to(memory_format=torch.channels_last)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        with torch.inference_mode():
            if self.conditioned:
                return self.decoder(batch.z, batch.image, batch.mask)  # type: ignore[no-any-return]
            return self.decoder(batch.z)  # type: ignore[no-any-return]
