"""Statistics of latents, collected block by block.

The statistics show how sampled latents differ from encoded latents, and how far the hole changes the encoded latents of
known cells. A cell is one position of the latents, to which a square of pixels in the image corresponds. A cell is
known if all pixels of its square are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from bench.metrics.uncertainty import Estimate, contrast
from bench.runtime.not_available import NotAvailable

__all__ = ["LatentStatistics"]

Array = npt.NDArray[np.float64]

DISTANCES = (("1", 0, 1.5), ("2", 1.5, 2.5), ("3–4", 2.5, 4.5), ("5 and more", 4.5, np.inf))
"""Ranges of a known cell's distance, in cells, to the nearest cell that the hole touches.

Each range has a name, a lower bound (which does not belong to the range) and an upper bound (which does).
"""
KINDS = ("latents", "encoded")


@dataclass(frozen=True)
class Leak:
    """The amount by which the hole changes the encoded latents of known cells next to the hole, with an interval."""

    share: float
    """Root mean square of the change, divided by the standard deviation of the encoded latents."""
    ci95: tuple[float, float]
    """95 % interval of `share`, computed over the sources."""
    effective_sources: float
    """Number of effective sources from which the interval was computed."""


class LatentStatistics:
    """The mean and standard deviation of latents, and the change that the hole causes in encoded latents.

    Sampled and encoded latents have separate means and standard deviations. The object keeps only sums and not the
    latents, so that many blocks need little memory.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sums: dict[str, Array] = {}
        self._squares: dict[str, Array] = {}
        self._leaked: list[Array] = []
        self._cells: list[Array] = []

    @classmethod
    def of(
        cls, blocks: Iterable[tuple[Mapping[str, npt.NDArray[Any]], npt.NDArray[np.uint8] | None]]
    ) -> LatentStatistics:
        """Return the statistics of several blocks.

        Args:
            blocks: arrays and masks of each block, in the form that `add` needs.
        """
        statistics = cls()
        for block, masks in blocks:
            statistics.add(block, masks)
        return statistics

    def add(self, block: Mapping[str, npt.NDArray[Any]], masks: npt.NDArray[np.uint8] | None) -> None:
        """Add a block to the statistics.

        Args:
            block: arrays N×C×h×w with the names `latents` (sampled latents), `encoded` (encoded from the whole image)
                and `encoded_known` (encoded from the image with a grey hole).
            masks: masks N×H×W, 1 = hole; None if whole images are generated, so that no cell is known.
        """
        values = {kind: block[kind].astype(np.float64) for kind in KINDS}
        self._count += values["latents"][:, 0].size
        for kind, x in values.items():
            self._sums[kind] = self._sums.get(kind, 0) + x.sum((0, 2, 3))
            self._squares[kind] = self._squares.get(kind, 0) + np.square(x).sum((0, 2, 3))
        if masks is not None:
            self._add_leak(values["encoded"], block["encoded_known"], masks)

    def _add_leak(self, whole: Array, known: npt.NDArray[Any], masks: npt.NDArray[np.uint8]) -> None:
        factor = masks.shape[-1] // whole.shape[-1]
        cells = masks.reshape(len(masks), whole.shape[2], factor, whole.shape[3], factor).max((2, 4))
        distance = np.stack([_distance(cell) for cell in cells])
        squared = np.square(whole - known).mean(1)
        inside = np.stack([(distance > low) & (distance <= high) for _, low, high in DISTANCES], axis=1)
        self._leaked.append((squared[:, None] * inside).sum((2, 3)))
        self._cells.append(inside.sum((2, 3)).astype(np.float64))

    def _moments(self, kind: str) -> tuple[Array, Array]:
        """Return the mean and the standard deviation of each channel.

        Args:
            kind: `latents` for the sampled latents, or `encoded` for the encoded latents.
        """
        mean = self._sums[kind] / self._count
        return mean, np.sqrt(np.maximum(self._squares[kind] / self._count - np.square(mean), 0))

    def leak(self) -> dict[str, float]:
        """Return how far the hole changes the encoded latents of known cells, for each range of distances to the hole.

        Returns:
            Root mean square of the change, divided by the standard deviation of the encoded latents. The keys are the
            names of the ranges in `DISTANCES`. Ranges without a cell are left out, so the mapping is empty if no block
            had masks.
        """
        if not self._cells:
            return {}
        leaked, cells = (np.concatenate(blocks).sum(0) for blocks in (self._leaked, self._cells))
        return {
            name: float(np.sqrt(leaked[place] / cells[place]) / self._deviation)
            for place, (name, _, _) in enumerate(DISTANCES)
            if cells[place]
        }

    @property
    def _deviation(self) -> float:
        """Standard deviation of the encoded latents over all channels together."""
        count = self._count * len(self._sums["encoded"])
        mean = self._sums["encoded"].sum() / count
        return float(np.sqrt(self._squares["encoded"].sum() / count - mean**2))

    def leak_next_to_the_hole(self, sources: Sequence[str]) -> Leak | None:
        """Return how far the hole changes the encoded latents of the known cells next to it, with a 95 % interval.

        The mean square of the change is a ratio. The numerator is the mean of the items' sums of squares, and the
        denominator is the mean of the items' numbers of known cells next to the hole. The influences of the items on
        this ratio are computed by the delta method.

        Args:
            sources: source of each item, in the order in which the items were added.

        Returns:
            The change with its interval. None if no item has a known cell next to the hole, or if no interval can be
            computed, for example because there are too few sources.
        """
        if not self._cells:
            return None
        leaked, cells = (np.concatenate(blocks)[:, 0] for blocks in (self._leaked, self._cells))
        if not cells.any():
            return None
        square = leaked.sum() / cells.sum()
        found = Estimate(float(square), (leaked - square * cells) / cells.mean())
        difference = contrast([(1.0, found)], sources)
        if isinstance(difference, NotAvailable):
            return None
        low, high = (float(np.sqrt(max(bound, 0.0))) / self._deviation for bound in difference.ci95)
        return Leak(float(np.sqrt(square)) / self._deviation, (low, high), difference.effective_sources)

    def leak_note(self) -> Iterator[str]:
        """Yield one note with the values that `leak` returns. If there are no values, yield nothing."""
        leak = self.leak()
        if leak:
            parts = "; ".join(f"{name}: {value:.1%}" for name, value in leak.items())
            yield (
                "Root mean square change that the hole causes in latents of fully known cells, as a share of the "
                f"latents' standard deviation, by distance to the hole in cells: {parts}."
            )

    def gap_note(self) -> str:
        """Return a note that compares the sampled latents with the encoded latents.

        Decoders are trained on encoded latents but decode sampled latents, so a large difference matters.
        """
        texts = [
            f"{mean:+.2f} ({deviation:.2f}) and {other_mean:+.2f} ({other_deviation:.2f})"
            for mean, deviation, other_mean, other_deviation in zip(
                *self._moments("latents"), *self._moments("encoded"), strict=True
            )
        ]
        return (
            f"Mean (standard deviation) of each channel of the sampled and of the encoded latents: {'; '.join(texts)}."
        )


def _distance(touched: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    if not touched.any():
        return np.zeros(touched.shape, np.float32)  # without a hole, no cell is counted as near one
    far = cv2.distanceTransform((touched == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(far, np.float32)
