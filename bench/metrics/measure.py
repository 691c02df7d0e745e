"""What every measure promises: images come batch by batch, and what it keeps of each are rows of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Arrays", "Extra", "Measure"]

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Extra:
    """What else is known of a batch's B items and of the images that are measured."""

    exemplars: list[npt.NDArray[np.uint8] | None]
    """Pictures of what was to be painted into the holes, h×w×3 uint8 RGB of any size; None where there is none."""
    decoded: bool = False
    """Whether the images are a decoder's output, which the released scripts save in half precision, and not finished
    pictures or true pixels."""


class Measure(Protocol):
    """One family of metrics.

    One that has an attribute `sees_hole` that is false is not taken of images with the truth in place of known pixels,
    of which it would say nothing new.
    """

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Everything that changes its values, as plain data; the caller adds the SHA-256 of the weights."""

    def to(self, device: torch.device | str) -> Self:
        """Move its networks, and return itself."""

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, Any]:
        """Work out once for all rows what rests on the truth alone.

        Args:
            truth: B×3×H×W uint8, on the measure's device.

        Returns:
            Arrays with B rows, to be stored; and whatever `keep` wants of this batch. Where the latter is a dictionary,
            `keep` may add to it what it works out of masks and exemplars, which are the same for every row.
        """

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: Any, extra: Extra) -> Arrays:
        """Measure one row's images.

        Args:
            image: B×3×H×W float in [0, 1], as decoded.
            truth: B×3×H×W uint8.
            mask: B×1×H×W, 1 = hole.
            kept: what `keep_truth` returned for this batch.
            extra: of this batch.

        Returns:
            Arrays with B rows: B values of a metric, NaN for an item that has nothing to measure, or B×d features.
        """
