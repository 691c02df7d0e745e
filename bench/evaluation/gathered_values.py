"""Values measured by several processes, collected with torchmetrics, which exchanges them between the processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["ItemValues"]


class ItemValues(Metric):
    """N×K values of items, each item measured by one process; `compute` returns all of them in every process.

    A process holds zeros for the items that it did not measure. Adding zeros is exact, so the values do not depend on
    the number of processes.
    """

    full_state_update = False
    values: Tensor
    counts: Tensor

    def __init__(self, items: int, columns: int) -> None:
        """Reserve room for the values of all items.

        Args:
            items: number N of items.
            columns: number K of values of each item.
        """
        super().__init__()
        self.add_state("values", torch.zeros(items, columns, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(items, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, places: Tensor, values: Tensor) -> None:
        """Add the values that this process measured; NaN stays NaN.

        Args:
            places: indices of n different items among the N.
            values: n×K values.
        """
        self.values[places] += values.to(self.values)
        self.counts[places] += 1

    def compute(self) -> Tensor:
        """Return all N×K values.

        Raises:
            ValueError: an item was measured by no process, or by several.
        """
        wrong = torch.nonzero(self.counts != 1).flatten().tolist()
        if wrong:
            raise ValueError(
                f"expected each item to be measured once, found another count for {len(wrong)}, first for {wrong[0]}"
            )
        return self.values
