"""A collection of the values that several processes measured. torchmetrics exchanges them between the processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["ItemValues"]


class ItemValues(Metric):
    """N×K values: K values for each of N items, where each item is measured by one process.

    `compute` returns all values in every process. Each process has zeros for the items that it did not measure, and the
    arrays of all processes are added. Adding zeros is exact, so the result does not depend on the number of processes.
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
        """Add values that this process measured. A value may be NaN.

        Args:
            places: indices of the n measured items, all different, from 0 to N - 1.
            values: their n×K values, in the same order.
        """
        self.values[places] += values.to(self.values)
        self.counts[places] += 1

    def compute(self) -> Tensor:
        """Return the N×K float64 values of all processes.

        Raises:
            ValueError: an item was measured by no process, or by several.
        """
        wrong = torch.nonzero(self.counts != 1).flatten().tolist()
        if wrong:
            raise ValueError(
                f"expected each item to be measured once, found another count for {len(wrong)}, first for {wrong[0]}"
            )
        return self.values
