"""The latents that each row's decoder really receives, observed while the row makes images of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bench.generation.decoding import Batch, Decoded, Method, chain

__all__ = ["ReceivedLatents", "received_latents"]


class ReceivedLatents:
    """What a row's decoder received: the kind of latents that the row asks for, and the SHA-256 of their values."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._hash = hashlib.sha256()

    def note(self, _: Any, arguments: tuple[Any, ...]) -> None:
        """Add the latents B×4×h×w that a decoder is called with, as a forward hook of PyTorch does."""
        self._hash.update(arguments[0].detach().float().cpu().contiguous().numpy().tobytes())

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def received_latents(methods: Mapping[str, Method], batches: Sequence[Batch]) -> dict[str, ReceivedLatents]:
    """Let each row that decodes latents make images of some items, and observe what its decoder is given.

    Args:
        methods: the rows.
        batches: the items, on the methods' device.

    Returns:
        What was observed, by row; rows without a decoder have no entry.
    """
    found = {}
    for row, method in methods.items():
        decoded = next((one for one in chain(method) if isinstance(one, Decoded)), None)
        if decoded is None:
            continue
        received = ReceivedLatents(decoded.kind)
        hook = decoded.decoder.register_forward_pre_hook(received.note)
        try:
            with torch.inference_mode():
                for batch in batches:
                    method(batch)
        finally:
            hook.remove()
        found[row] = received
    return found
