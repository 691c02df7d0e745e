"""Tests of the copies of values to the memory of the CPU."""

import numpy as np
import pytest
import torch

from bench.runtime import copies
from bench.runtime.copies import ReadBack, moved


@pytest.mark.property
def test_values_of_all_types_and_shapes_are_read_back_unchanged() -> None:
    draw = torch.Generator().manual_seed(0)
    values = {
        "floats": torch.randn(3, 4, generator=draw),
        "doubles": torch.tensor([1 / 3, torch.nan, -torch.inf], dtype=torch.float64),
        "transposed": torch.randn(4, 3, generator=draw).T,
        "halves": torch.randn(5, generator=draw).half(),
        "flags": torch.tensor([True, False]),
        "levels": torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3),
        "number": torch.tensor(7),
        "none": torch.zeros(0, 5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    array = np.arange(3)
    found = ReadBack({"array": array, **values}).wait()
    assert list(found) == ["array", *values]
    assert found["array"] is array
    for name, tensor in values.items():
        expected = tensor.detach().numpy()
        assert (found[name].shape, found[name].dtype) == (expected.shape, expected.dtype), name
        assert found[name].tobytes() == expected.tobytes(), name
    assert ReadBack({}).wait() == {}


@pytest.mark.blackbox
def test_tensors_of_equal_type_are_copied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    original, copied = copies._copied_to_cpu, list[torch.Tensor]()
    monkeypatch.setattr(copies, "_copied_to_cpu", lambda tensor: (copied.append(tensor), original(tensor))[1])
    ReadBack({number: torch.zeros(number) for number in range(100)})
    assert [len(tensor) for tensor in copied] == [sum(range(100))]


@pytest.mark.property
def test_a_later_change_of_a_tensor_does_not_change_what_is_read_back() -> None:
    tensor = torch.ones(3)
    copy = ReadBack({"x": tensor})
    tensor.zero_()
    assert copy.wait()["x"].tolist() == [1, 1, 1]


@pytest.mark.property
def test_a_tensor_that_is_on_its_device_is_not_copied() -> None:
    tensor = torch.ones(3)
    assert moved(tensor, torch.device("cpu")) is tensor
