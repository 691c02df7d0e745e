"""An object that scores all rows on one batch of items.

Values that depend only on the true images are computed once for all rows. All measures compute without TF32, which
would change metrics in their third digit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.words import Word
from bench.metrics.image_encoding import PREFIX, saved
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.names import HOLE_ONLY
from bench.runtime.device import without_tf32

__all__ = ["Scorer", "Unit"]


class Unit(NamedTuple):
    """A measure, and the variant of the images to which it is applied."""

    measure: str
    """Name of the measure."""
    variant: str = ""
    """Key of `bench.metrics.names.VARIANTS`; empty if the images are measured exactly as the row makes them."""


class Scorer:
    """The measures for one batch of items, together with the items' true images, masks and exemplars."""

    def __init__(
        self,
        measures: Mapping[str, Measure],
        truth: Tensor,
        mask: Tensor,
        exemplars: Sequence[npt.NDArray[np.uint8] | None],
        captions: Sequence[str] = (),
        holes: npt.NDArray[np.bool_] | None = None,
        words: Sequence[tuple[Word, ...] | None] = (),
    ) -> None:
        """Set the batch, and compute what the measures need from the true images.

        Args:
            measures: measures by name.
            truth: true images B×3×H×W uint8, on the device of the measures.
            mask: masks B×1×H×W, 1 = hole, on the same device.
            exemplars: exemplar of each of the B items, uint8 RGB of any size; None for an item without exemplar.
            captions: text of each of the B items; empty if there are no texts.
            holes: the masks in the memory of the CPU, B×H×W, True in the hole; None if only `mask` is known.
            words: words in the true image of each of the B items; None for an item whose words are not known. Empty if
                no words are known.
        """
        self.measures, self._truth, self._mask = measures, truth, mask
        self._extra = Extra(list(exemplars), captions, holes=holes, words=words)
        with torch.inference_mode(), without_tf32():
            self._kept = {name: measure.keep_truth(truth) for name, measure in measures.items()}

    def truth(self, measure: str) -> Arrays:
        """Return the arrays or tensors, by name, that a measure computed from the true images alone."""
        return self._kept[measure][0]

    def score(self, image: Tensor, units: Collection[Unit], *, decoded: bool = False) -> dict[Unit, Arrays]:
        """Measure the images of one row.

        Args:
            image: images B×3×H×W float in [0, 1], before any conversion to 8 bits.
            units: pairs of a measure and a variant; each pair is measured.
            decoded: True if the images are a decoder's output without pasted pixels; see `bench.metrics.measure.Extra`.

        Returns:
            Arrays or tensors by name, for each unit, as `bench.metrics.measure.Measure.keep` returns them.
        """
        found = {}
        with torch.inference_mode(), without_tf32():
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
