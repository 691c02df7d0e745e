"""The interface of every measure, which receives images batch by batch and returns arrays with a row for each item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Arrays", "Extra", "Measure"]

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Extra:
    """Further data on a batch's B items and on the images that are measured."""

    exemplars: list[npt.NDArray[np.uint8] | None]
    """Exemplars of what is to be painted into the holes, h×w×3 uint8 RGB of any size; None for an item without one."""
    decoded: bool = False
    """Whether the images are a decoder's output, which the released scripts save in half precision, and not finished
    pictures or true pixels."""


class Measure(ABC):
    """A family of metrics; a subclass sets `protocol` and overrides `keep_truth` and `keep`.

    A class that does not inherit from this one gets the defaults when a run makes an object of it.
    """

    sees_hole: bool = True
    """Whether the values depend on pixels in the hole. A measure of known pixels alone is not applied to images whose
    known pixels were replaced by the truth, because it would be 0 there."""

    protocol: Mapping[str, Any]
    """Everything that can change the values, as plain data; the caller adds the SHA-256 of the weights."""

    def to(self, device: torch.device | str) -> Self:
        """Move the networks to a device, and return the measure itself."""
        return self

    @abstractmethod
    def keep_truth(self, truth: Tensor) -> tuple[Arrays, Any]:
        """Compute the values that depend only on the truth, once for all rows.

        Args:
            truth: true images B×3×H×W uint8, on the measure's device.

        Returns:
            Arrays with B rows, which are saved, and any data that `keep` needs for this batch. If these data are a
            dictionary, `keep` may add values that depend only on masks and exemplars, which are equal for every row.
        """

    @abstractmethod
    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: Any, extra: Extra) -> Arrays:
        """Measure one row's images.

        Args:
            image: images B×3×H×W float in [0, 1], as decoded.
            truth: true images B×3×H×W uint8.
            mask: masks B×1×H×W, 1 = hole.
            kept: second result of `keep_truth` for this batch.
            extra: further data of this batch.

        Returns:
            Arrays with B rows: B values of a metric, with NaN for an item that cannot be measured, or B×d features.
        """
