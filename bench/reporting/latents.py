"""What latents say of the sampler and of the first stage, gathered block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from bench.metrics.uncertainty import Estimate, contrast

__all__ = ["LatentStatistics"]

Array = npt.NDArray[np.float64]

DISTANCES = (("1", 0, 1.5), ("2", 1.5, 2.5), ("3–4", 2.5, 4.5), ("5 and more", 4.5, np.inf))
"""From a wholly known cell to the nearest that the hole touches: in words, above and up to, in cells."""
KINDS = ("latents", "encoded")


@dataclass(frozen=True)
class Leak:
    """How much the hole changes latents of known cells."""

    share: float
    """Root mean square of the change, divided by the latents' standard deviation."""
    ci95: tuple[float, float]
    """The 95 % interval over sources."""
    effective_sources: float
    """The effective number of sources behind the interval."""


class LatentStatistics:
    """Moments of sampled and of encoded latents, and what the hole does to the first stage's."""

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
        """Of blocks with their masks, each as `add` takes it."""
        found = cls()
        for block, masks in blocks:
            found.add(block, masks)
        return found

    def add(self, block: Mapping[str, npt.NDArray[Any]], masks: npt.NDArray[np.uint8] | None) -> None:
        """Take a block in.

        Args:
            block: `latents`, `encoded` and `encoded_known`, each N×C×h×w.
            masks: N×H×W, 1 = hole; None where all is to be generated and there is nothing that a hole could disturb.
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
        """Mean and deviation of each channel."""
        mean = self._sums[kind] / self._count
        return mean, np.sqrt(np.maximum(self._squares[kind] / self._count - np.square(mean), 0))

    def leak(self) -> dict[str, float]:
        """How much the hole disturbs the first stage's latents of cells that are wholly known.

        Returns:
            By distance to the nearest cell that the hole touches, the root mean square of the difference, as a share of
            the latents' deviation; nothing where no block had masks, or none of them left a cell.
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
        """The deviation of the first stage's latents over all channels."""
        count = self._count * len(self._sums["encoded"])
        mean = self._sums["encoded"].sum() / count
        return float(np.sqrt(self._squares["encoded"].sum() / count - mean**2))

    def leak_next_to_the_hole(self, sources: Sequence[str]) -> Leak | None:
        """`leak` of the cells next to the hole, with its 95 % interval over sources.

        The mean square is a ratio of two means over items, whose influence is that of the delta method.

        Args:
            sources: the source of each item, in the order in which blocks were added.

        Returns:
            The share with its interval; None where no item has such a cell, or fewer than two sources do.
        """
        if not self._cells:
            return None
        leaked, cells = (np.concatenate(blocks)[:, 0] for blocks in (self._leaked, self._cells))
        if not cells.any():
            return None
        square = leaked.sum() / cells.sum()
        found = Estimate(float(square), (leaked - square * cells) / cells.mean())
        difference = contrast([(1.0, found)], sources)
        if isinstance(difference, str):
            return None
        low, high = (float(np.sqrt(max(bound, 0.0))) / self._deviation for bound in difference.ci95)
        return Leak(float(np.sqrt(square)) / self._deviation, (low, high), difference.effective_sources)

    def leak_note(self) -> Iterator[str]:
        """`leak` in words; nothing where there is none."""
        leak = self.leak()
        if leak:
            parts = "; ".join(f"{name}: {value:.1%}" for name, value in leak.items())
            yield (
                "Root mean square change that the hole causes in latents of fully known cells, as a share of the "
                f"latents' standard deviation, by distance to the hole in cells: {parts}."
            )

    def gap_note(self) -> str:
        """How far sampled latents are from those that decoders are trained on, by channel."""
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
        return np.zeros(touched.shape, np.float32)  # nothing is near a hole that is not there
    far = cv2.distanceTransform((touched == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(far, np.float32)
