"""What several processes measured, put together: a state of torchmetrics, which knows how they exchange it."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["ItemValues"]


class ItemValues(Metric):
    """N×K values of items, each measured by one process; `compute` gives all of them to every process.

    Sums of what is there and of zeros elsewhere are exact, so values do not depend on the number of processes.
    """

    full_state_update = False
    values: Tensor
    counts: Tensor

    def __init__(self, items: int, columns: int) -> None:
        """Expect values.

        Args:
            items: N.
            columns: K.
        """
        super().__init__()
        self.add_state("values", torch.zeros(items, columns, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(items, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, places: Tensor, values: Tensor) -> None:
        """Put in what this process measured; a NaN stays one.

        Args:
            places: of n items among the N, no two the same.
            values: n×K.
        """
        self.values[places] += values.to(self.values)
        self.counts[places] += 1

    def compute(self) -> Tensor:
        """All values N×K.

        Raises:
            ValueError: an item was measured by none of the processes, or by several.
        """
        wrong = torch.nonzero(self.counts != 1).flatten().tolist()
        if wrong:
            raise ValueError(f"each item must be measured once: {len(wrong)} are not, item {wrong[0]} first")
        return self.values
