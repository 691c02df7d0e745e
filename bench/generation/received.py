"""The latents that each row hands to its decoder, observed item by item; nothing is decoded for it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
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
    items: int
    """How many items it was observed on."""


class _Observed(BaseException):
    """Ends a row's work on a batch once its latents have been seen."""


def received_latents(methods: Mapping[str, Method], batches: Iterable[Batch]) -> dict[str, ReceivedLatents]:
    """Let each row that decodes latents begin with every batch, and observe what its decoder would be given.

    Args:
        methods: the rows.
        batches: the items, on the methods' device.

    Returns:
        What was observed, by row; rows that decode nothing have no entry.
    """
    decoding = {
        row: decoded
        for row, method in methods.items()
        if (decoded := next((one for one in chain(method) if isinstance(one, Decoded)), None)) is not None
    }
    digests, items = {row: hashlib.sha256() for row in decoding}, 0
    with torch.inference_mode():
        for batch in batches:
            items += len(batch.ids)
            for row, decoded in decoding.items():
                digests[row].update(_given(methods[row], decoded, batch))
    return {row: ReceivedLatents(decoded.kind, digests[row].hexdigest(), items) for row, decoded in decoding.items()}


def _given(method: Method, decoded: Decoded, batch: Batch) -> bytes:
    """The bytes of the latents that a row's decoder is given for a batch.

    Raises:
        RuntimeError: the row made images of the batch without its decoder.
    """
    seen: list[bytes] = []

    def observe(latents: Tensor) -> None:
        seen.append(latents.float().cpu().contiguous().numpy().tobytes())
        raise _Observed

    decoded.observer = observe
    try:
        with contextlib.suppress(_Observed):
            method(batch)
    finally:
        decoded.observer = None
    if not seen:
        raise RuntimeError("the row made images without its decoder")
    return seen[0]
