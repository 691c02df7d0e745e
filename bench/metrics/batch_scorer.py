"""A scorer of one batch, which applies the same measures to every row and computes values of the truth only once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.metrics.image_encoding import PREFIX, saved
from bench.metrics.measure import Extra, Measure
from bench.metrics.names import HOLE_ONLY

__all__ = ["Scorer", "Unit"]

Arrays = dict[str, npt.NDArray[np.generic]]


class Unit(NamedTuple):
    """A measure with the variant of the images that it scores."""

    measure: str
    """Name of the measure."""
    variant: str = ""
    """Empty for the images as the row makes them, or a key of `bench.metrics.names.VARIANTS`."""


class Scorer:
    """The measures of one batch, which compare images with the truth."""

    def __init__(
        self,
        measures: Mapping[str, Measure],
        truth: Tensor,
        mask: Tensor,
        exemplars: Sequence[npt.NDArray[np.uint8] | None],
    ) -> None:
        """Set a batch on the device of the measures.

        Args:
            measures: measures by name.
            truth: B×3×H×W uint8.
            mask: B×1×H×W, 1 = hole.
            exemplars: B pictures, uint8 RGB of any size, or None.
        """
        self.measures, self._truth, self._mask = measures, truth, mask
        self._extra = Extra(list(exemplars))
        with torch.inference_mode():
            self._kept = {name: measure.keep_truth(truth) for name, measure in measures.items()}

    def truth(self, measure: str) -> Arrays:
        """Return the arrays that a measure computes from the truth."""
        return self._kept[measure][0]

    def score(self, image: Tensor, units: Collection[Unit], *, decoded: bool = False) -> dict[Unit, Arrays]:
        """Measure images B×3×H×W in [0, 1], as decoded.

        Args:
            image: images of one row.
            units: (measure, variant) pairs to score.
            decoded: whether the images are a decoder's output; see `bench.metrics.measure.Extra`.
        """
        found = {}
        with torch.inference_mode():
            seen = {variant: self._seen(image, variant) for _, variant in units}
            for name, variant in units:
                extra = replace(self._extra, decoded=decoded and not variant)
                found[Unit(name, variant)] = self.measures[name].keep(
                    seen[variant], self._truth, self._mask, self._kept[name][1], extra
                )
        return found

    def _seen(self, image: Tensor, variant: str) -> Tensor:
        if variant == HOLE_ONLY:
            return torch.where(self._mask > 0, image, self._truth.float() / 255)
        if variant.startswith(PREFIX):
            return saved(image, variant.removeprefix(PREFIX)).float() / 255
        return image
