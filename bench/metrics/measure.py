"""The interface of every measure.

A measure receives images batch by batch. For each batch it returns arrays, which contain one value or one feature
vector for each item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.words import Word

__all__ = ["Arrays", "Extra", "Measure"]

Arrays = Mapping[str, npt.NDArray[Any] | Tensor]
"""Arrays by name. Tensors may be on any device. On a GPU they are faster than NumPy arrays, because a run copies them
to the CPU together, after it has queued the measures of all rows."""


@dataclass(frozen=True)
class Extra:
    """Further data about the B items of a batch, and about the images that are measured."""

    exemplars: list[npt.NDArray[np.uint8] | None]
    """For each item, its exemplar: a picture h×w×3, uint8 RGB of any size, that shows what is to be painted into the
    hole. None for an item without exemplar."""
    captions: Sequence[str] = ()
    """For each item, the text from which the images were made; empty if there are no texts."""
    decoded: bool = False
    """Whether the images are a decoder's output. The released scripts compute such images in half precision, so
    the metrics `pre_error_released` and `pre_sse01_released` treat them differently. False for finished pictures, and
    for images that contain true pixels."""
    holes: npt.NDArray[np.bool_] | None = None
    """The masks in the memory of the CPU, B×H×W, True in the hole. A measure that works on the CPU reads them without
    waiting for the device. None if the masks are only known as a tensor."""
    words: Sequence[tuple[Word, ...] | None] = ()
    """For each item, the words that are written in the true image; None for an item of which no words are known. Empty
    if no words are known at all."""


class Measure(ABC):
    """Base class of the measures. A subclass sets `protocol` and overrides `keep_truth` and `keep`.

    A class in external code does not have to inherit from this class. If such a class lacks `sees_hole`,
    `without_truth` or `to`, a run uses the default from this class.
    """

    sees_hole: bool = True
    """Whether the measure is also applied to the variant `hole_only`, in which all known pixels are true pixels. A
    measure of known pixels sets this to False, because its errors would be 0 there."""

    without_truth: Collection[str] = ()
    """Names of arrays with a value for each item that do not depend on the true images, such as a score of an image and
    its caption. For an item without a true picture, only these arrays and features have values."""

    protocol: Mapping[str, Any]
    """Everything in this measure that can change its values, as plain data. The SHA-256 of the weights is not part of
    it, because the run adds the hash."""

    def to(self, device: torch.device | str) -> Self:
        """Move the networks of the measure to a device, and return the measure itself."""
        return self

    @abstractmethod
    def keep_truth(self, truth: Tensor) -> tuple[Arrays, Any]:
        """Compute everything that depends only on the true images.

        A run calls this method once for each batch. All rows share the result.

        Args:
            truth: true images B×3×H×W uint8, on the measure's device.

        Returns:
            A pair. The first result is a dictionary of the NumPy arrays or tensors that are saved, by name. Each has B
            values or B×d features. The second result is any data that `keep` needs for this batch. If the data are a
            dictionary, `keep` may add results to this dictionary, so that the next rows use them too. Such results must
            depend only on masks, exemplars, captions, words and true images, because these are equal for every row.
        """

    @abstractmethod
    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: Any, extra: Extra) -> Arrays:
        """Measure the images of one row for a batch of items.

        Args:
            image: images B×3×H×W float in [0, 1], not yet converted to 8 bits.
            truth: true images B×3×H×W uint8.
            mask: masks B×1×H×W, 1 = hole.
            kept: second result of `keep_truth` for this batch.
            extra: further data about the items and the images, such as the exemplars.

        Returns:
            NumPy arrays or tensors, by name. Each has either B×d features or B values of a metric. The value of an item
            that cannot be measured is NaN.
        """
