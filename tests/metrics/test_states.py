"""Tests of item values from several processes, which are complete, unique and in order."""

import pytest
import torch

from bench.evaluation.gathered_values import ItemValues

pytestmark = pytest.mark.blackbox


def test_values_are_returned_in_the_order_of_the_items() -> None:
    state = ItemValues(4, 2)
    state.update(torch.tensor([3, 0]), torch.tensor([[7.0, float("nan")], [1.0, 2.0]]))
    state.update(torch.tensor([2, 1]), torch.tensor([[5.0, 6.0], [3.0, 4.0]]))
    expected = torch.tensor([[1, 2], [3, 4], [5, 6], [7, float("nan")]], dtype=torch.float64)
    assert torch.equal(state.compute().nan_to_num(-1), expected.nan_to_num(-1))


@pytest.mark.parametrize("places", [[0, 1], [0, 1, 2, 2]], ids=["not all", "one twice"])
def test_an_item_that_was_not_measured_once_is_refused(places: list[int]) -> None:
    state = ItemValues(3, 1)
    for place in places:
        state.update(torch.tensor([place]), torch.ones(1, 1))
    with pytest.raises(
        ValueError, match="expected each item to be measured once, found another count for 1, first for 2"
    ):
        state.compute()
