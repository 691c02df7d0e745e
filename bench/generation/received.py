"""The latents that each row really decodes, observed while the row makes images of some items."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.generation.decoding import Batch, Decoded, Method, chain

__all__ = ["ReceivedLatents", "received_latents"]


@dataclass(frozen=True)
class ReceivedLatents:
    """What a row decoded."""

    kind: str
    """The kind of latents that the row asks for, one of `bench.generation.decoding.LATENTS`."""
    sha256: str
    """The hash of their values, float32, item after item."""


def received_latents(methods: Mapping[str, Method], batches: Sequence[Batch]) -> dict[str, ReceivedLatents]:
    """Let each row that decodes latents make images of some items, and observe what is decoded.

    Args:
        methods: the rows.
        batches: the items, on the methods' device.

    Returns:
        What was observed, by row; rows that decode nothing have no entry.
    """
    return {
        row: _observed(method, decoded, batches)
        for row, method in methods.items()
        if (decoded := next((one for one in chain(method) if isinstance(one, Decoded)), None)) is not None
    }


def _observed(method: Method, decoded: Decoded, batches: Sequence[Batch]) -> ReceivedLatents:
    digest = hashlib.sha256()

    def observe(latents: Tensor) -> None:
        digest.update(latents.float().cpu().contiguous().numpy().tobytes())

    decoded.observer = observe
    try:
        with torch.inference_mode():
            for batch in batches:
                method(batch)
    finally:
        decoded.observer = None
    return ReceivedLatents(decoded.kind, digest.hexdigest())
