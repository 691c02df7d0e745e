"""Tests of Winograd's convolution against PyTorch's, on sizes that tiles and bands do not divide."""

import pytest
import torch
from torch.nn import functional

from bench.metrics.networks.winograd import convolve_relu, kernel_of


@pytest.mark.reference
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [(1, 3, 3), (2, 5, 4), (3, 17, 30), (9, 8, 8), (1, 73, 71), (2, 150, 9)])
def test_winograds_convolution_equals_the_plain_one(size: tuple[int, int, int], padding: int) -> None:
    torch.manual_seed(0)
    count, height, width = size
    x = torch.randn(count, 6, height, width).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(5, 6, 3, 3), torch.randn(5)
    expected = functional.conv2d(x.double(), weight.double(), bias.double(), padding=padding).relu()
    found = convolve_relu(x, kernel_of(weight), bias, padding=padding)
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.property
@pytest.mark.parametrize("size", [(2, 4, 11, 13), (3, 4, 10, 10), (1, 1, 6, 6)])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_memory_layout_of_the_input_does_not_matter(size: tuple[int, int, int, int], padding: int) -> None:
    x, kernel, bias = torch.randn(size), kernel_of(torch.randn(3, size[1], 3, 3)), torch.randn(3)
    turned = x.contiguous(memory_format=torch.channels_last)
    found, expected = (convolve_relu(one, kernel, bias, padding=padding) for one in (x, turned))
    assert torch.equal(found, expected)
