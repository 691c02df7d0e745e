"""Statistics of latents that show properties of the sampler and of the first stage, collected block by block."""

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
"""Ranges of the distance in cells from a known cell to the nearest cell that the hole touches: name, lower bound
(exclusive) and upper bound (inclusive)."""
KINDS = ("latents", "encoded")


@dataclass(frozen=True)
class Leak:
    """The change that the hole causes in latents of known cells."""

    share: float
    """Root mean square of the change, divided by the latents' standard deviation."""
    ci95: tuple[float, float]
    """95 % interval over sources."""
    effective_sources: float
    """Effective number of sources of the interval."""


class LatentStatistics:
    """Moments of sampled and of encoded latents, and the change that the hole causes in encoded latents."""

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
        """Return the statistics of blocks with their masks, which have the form that `add` needs."""
        statistics = cls()
        for block, masks in blocks:
            statistics.add(block, masks)
        return statistics

    def add(self, block: Mapping[str, npt.NDArray[Any]], masks: npt.NDArray[np.uint8] | None) -> None:
        """Add a block to the statistics.

        Args:
            block: arrays `latents`, `encoded` and `encoded_known`, each N×C×h×w.
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
        """Return the mean and the standard deviation of each channel."""
        mean = self._sums[kind] / self._count
        return mean, np.sqrt(np.maximum(self._squares[kind] / self._count - np.square(mean), 0))

    def leak(self) -> dict[str, float]:
        """Return the change that the hole causes in the first stage's latents of fully known cells.

        Returns:
            Root mean square of the change, divided by the latents' standard deviation, by distance to the nearest cell
            that the hole touches; empty if no block had masks, or if no cell is fully known.
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
        """Standard deviation of the first stage's latents over all channels."""
        count = self._count * len(self._sums["encoded"])
        mean = self._sums["encoded"].sum() / count
        return float(np.sqrt(self._squares["encoded"].sum() / count - mean**2))

    def leak_next_to_the_hole(self, sources: Sequence[str]) -> Leak | None:
        """Return the value of `leak` for the cells next to the hole, with its 95 % interval over sources.

        The mean square is a ratio of two means over items, so its influences follow from the delta method.

        Args:
            sources: source of each item, in the order in which blocks were added.

        Returns:
            The share with its interval; None if no item has such a cell, or if fewer than two sources have one.
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
        """Yield a note with the values of `leak`, or nothing if there are none."""
        leak = self.leak()
        if leak:
            parts = "; ".join(f"{name}: {value:.1%}" for name, value in leak.items())
            yield (
                "Root mean square change that the hole causes in latents of fully known cells, as a share of the "
                f"latents' standard deviation, by distance to the hole in cells: {parts}."
            )

    def gap_note(self) -> str:
        """Return a note that compares sampled latents with the encoded latents on which decoders are trained."""
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
