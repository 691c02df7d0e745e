"""The function that computes a hash of the latents that each row passes to its decoder.

The work of a row is stopped before its decoder runs, and the latents themselves are not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.generation.decoding import Decoded
from bench.generation.method import Batch, Method, chain

__all__ = ["ReceivedLatents", "received_latents"]


@dataclass(frozen=True)
class ReceivedLatents:
    """The kind and the hash of the latents that the decoder of a row received, and the number of items."""

    kind: str
    """Kind of latents that the row asks for, one of `bench.generation.method.LATENTS`."""
    sha256: str
    """SHA-256 of the float32 values of all items, in the order of the items."""
    items: int
    """Number of items whose latents were recorded."""


class _Observed(BaseException):
    """An exception that stops a row's work on a batch just before the latents are decoded."""


def received_latents(methods: Mapping[str, Method], batches: Iterable[Batch]) -> dict[str, ReceivedLatents]:
    """Return the kind and the hash of the latents that the decoder of each row receives, and the number of items.

    A row is recorded only if the `chain` of its method contains a `Decoded`. Such a row gets every batch, and its work
    on a batch stops just before the latents are decoded.

    Args:
        methods: the method of each row.
        batches: all items in batches, on the device of the methods.

    Returns:
        Kind, hash and number by the name of the row, for the recorded rows only.
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
                digests[row].update(_decoder_input(methods[row], decoded, batch))
    return {row: ReceivedLatents(decoded.kind, digests[row].hexdigest(), items) for row, decoded in decoding.items()}


def _decoder_input(method: Method, decoded: Decoded, batch: Batch) -> bytes:
    """Return the bytes of the latents that a row passes to its decoder for a batch.

    Raises:
        RuntimeError: the row made images of the batch without its decoder.
    """
    recorded: list[bytes] = []

    def observe(latents: Tensor) -> None:
        recorded.append(latents.float().cpu().contiguous().numpy().tobytes())
        raise _Observed

    decoded.observer = observe
    try:
        with contextlib.suppress(_Observed):
            method(batch)
    finally:
        decoded.observer = None
    if not recorded:
        raise RuntimeError("the row made images without its decoder")
    return recorded[0]
