"""Weights of a baseline: an official file's tensors into our own network, or a message that says what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from bench.errors import BadInputError
from bench.metrics.local_weights import misfit

__all__ = ["count_of", "filled"]

N = TypeVar("N", bound=nn.Module)


def filled(network: N, tensors: Mapping[str, Tensor], *, path: Path, what: str) -> N:
    """A network with a file's tensors, for inference.

    Args:
        network: of the sizes that the file should have.
        tensors: by the network's names.
        path: the file, for messages.
        what: what the file should be, likewise.

    Raises:
        BadInputError: a tensor is missing, unknown or of another shape.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise misfit(path, what, error) from None
    except KeyError as error:  # from PyTorch's reading of the older layout of spectral normalisation
        raise BadInputError(f"{path}: expected {what}, found no tensor {error.args[0]}") from None
    return network.eval().requires_grad_(False)


def count_of(tensors: Mapping[str, Tensor], *, before: str, after: str) -> int:
    """How many names consist of `before`, anything without a dot, and `after`."""
    return sum(
        name.startswith(before) and name.endswith(after) and "." not in name[len(before) : len(name) - len(after)]
        for name in tensors
    )
