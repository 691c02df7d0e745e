"""Loading of the tensors of an official file into a network of this project.

If the tensors do not fit the network, an error names those that are missing, unknown or of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from bench.errors import BadInputError
from bench.metrics.networks.local_weights import misfit

__all__ = ["count_of", "filled"]

N = TypeVar("N", bound=nn.Module)


def filled(network: N, tensors: Mapping[str, Tensor], *, path: Path, what: str) -> N:
    """Load a file's tensors into a network, and return the network in evaluation mode, without gradients.

    Args:
        network: network of the size that is expected for the file. It is changed in place.
        tensors: tensors of the file. The keys are the names of the tensors in the network.
        path: path of the file, for messages.
        what: expected content of the file, for messages.

    Raises:
        BadInputError: a tensor is missing, unknown or of another shape.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise misfit(path, what, error) from None
    except KeyError as error:  # PyTorch's conversion of the older layout of spectral normalisation raises it
        raise BadInputError(f"{path}: expected {what}, found no tensor {error.args[0]}") from None
    return network.eval().requires_grad_(False)


def count_of(tensors: Mapping[str, Tensor], *, before: str, after: str) -> int:
    """Count the tensors whose names begin with `before`, end with `after`, and have no dot in between.

    The text in between is, for example, the number of a block.
    """
    return sum(
        name.startswith(before) and name.endswith(after) and "." not in name[len(before) : len(name) - len(after)]
        for name in tensors
    )
