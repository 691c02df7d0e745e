"""What is measured on a batch: for every row the same measures, the truth's part of each computed once for all rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.metrics.measure import Extra, Measure
from bench.metrics.saving import PREFIX, saved
from bench.metrics.summary import HOLE_ONLY

__all__ = ["Scorer", "Unit"]

Arrays = dict[str, npt.NDArray[np.generic]]
Unit = tuple[str, str]
"""A measure's name, and the variant of the images it sees: empty for the images as they are, or one of
`bench.metrics.summary.VARIANTS`."""


class Scorer:
    """Measures one batch's images against the truth."""

    def __init__(
        self,
        measures: Mapping[str, Measure],
        truth: Tensor,
        mask: Tensor,
        exemplars: Sequence[npt.NDArray[np.uint8] | None],
    ) -> None:
        """Take a batch on the measures' device.

        Args:
            measures: by name.
            truth: B×3×H×W uint8.
            mask: B×1×H×W, 1 = hole.
            exemplars: B pictures, uint8 RGB of any size, or None.
        """
        self.measures, self._truth, self._mask = measures, truth, mask
        self._extra = Extra(list(exemplars))
        with torch.inference_mode():
            self._kept = {name: measure.keep_truth(truth) for name, measure in measures.items()}

    def truth(self, measure: str) -> Arrays:
        """What a measure keeps of the truth."""
        return self._kept[measure][0]

    def score(self, image: Tensor, units: Collection[Unit], *, decoded: bool = False) -> dict[Unit, Arrays]:
        """Measure images B×3×H×W in [0, 1], as decoded.

        Args:
            image: of one row.
            decoded: whether they are a decoder's output, as `bench.metrics.measure.Extra` has it.
            units: what to measure; `hole_only` sees the image with the truth in place of its known pixels, `saved_…`
                the image that a file so written would hold.
        """
        found = {}
        with torch.inference_mode():
            seen = {variant: self._seen(image, variant) for _, variant in units}
            for name, variant in units:
                extra = replace(self._extra, decoded=decoded and not variant)
                found[name, variant] = self.measures[name].keep(
                    seen[variant], self._truth, self._mask, self._kept[name][1], extra
                )
        return found

    def _seen(self, image: Tensor, variant: str) -> Tensor:
        if variant == HOLE_ONLY:
            return torch.where(self._mask > 0, image, self._truth.float() / 255)
        if variant.startswith(PREFIX):
            return saved(image, variant.removeprefix(PREFIX)).float() / 255
        return image
