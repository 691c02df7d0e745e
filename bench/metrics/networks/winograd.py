"""Winograd's fast 3×3 convolution, which needs only a quarter of the multiplications.

This convolution is used for inference in float32 on the CPU.

The algorithm F(4×4, 3×3) of Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), computes 4×4
outputs from a tile of 6×6 inputs with 36 multiplications. A plain convolution needs 144. The rounding errors are two to
four times as large as in a plain convolution, but smaller than 1e-5 of the largest output. The algorithm must also
transform inputs and outputs, which takes time. If there are few channels, a plain convolution is therefore faster.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["convolve_relu", "kernel_of"]

TILES = 256
"""Number of tiles that are processed together. With more tiles, the data would not fit into the cache. With fewer
tiles, the kernel would be read from memory too often."""
INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
KERNEL = torch.tensor(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
).div(24)
OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float32
)
"""`INPUT`, `KERNEL` and `OUTPUT` are the matrices B^T, G and A^T of Lavin and Gray for the points 0, 1, -1, 2 and
-2."""


def kernel_of(weight: Tensor) -> Tensor:
    """Transform a kernel into the form that `convolve_relu` needs.

    Args:
        weight: kernel K×C×3×3 for C input and K output channels.

    Returns:
        Transformed kernel 36×C×K, float32 on the CPU.
    """
    # The index of a tile's column comes before that of its row, as in the bands below.
    turned = torch.einsum("ip,jq,kcpq->jick", KERNEL, KERNEL, weight.cpu().double())
    return turned.flatten(0, 1).float().contiguous()


def convolve_relu(x: Tensor, kernel: Tensor, bias: Tensor, *, padding: int = 1) -> Tensor:
    """Convolve with stride 1, add the bias, and set negative values to zero.

    Args:
        x: input B×C×H×W float32. The function is fastest if the input has the memory format channels_last.
        kernel: transformed kernel, as `kernel_of` returns it.
        bias: K values.
        padding: width of the border of zeros around the image, 0 or 1.

    Returns:
        Output B×K×H'×W' in the memory format channels_last, with H' = H + 2·padding - 2 and W' = W + 2·padding - 2.
    """
    pixels = x.permute(0, 2, 3, 1)
    count, height, width, _ = pixels.shape
    outputs = kernel.shape[2]
    rows, columns = height + 2 * padding - 2, width + 2 * padding - 2
    down, across = -(-rows // 4), -(-columns // 4)
    result = pixels.new_empty(count, down, 4, across, 4, outputs)
    high = min(down, max(1, TILES // across))
    many = max(1, TILES // (across * down)) if high == down else 1
    right = 4 * across + 2 - padding - width
    for image in range(0, count, many):
        for tile in range(0, down, high):
            bottom = min(down, tile + high)
            above, below = 4 * tile - padding, 4 * bottom + 2 - padding
            first, last = max(0, above), min(height, below)
            sides = (0, 0, padding, right, first - above, below - last)
            band = functional.pad(pixels[image : image + many, first:last], sides)
            result[image : image + many, tile:bottom] = _band(band.contiguous(), kernel, bias, across)
    flat = result.view(count, 4 * down, 4 * across, outputs)
    return flat[:, :rows, :columns].permute(0, 3, 1, 2)


def _band(band: Tensor, kernel: Tensor, bias: Tensor, across: int) -> Tensor:
    """Compute the outputs for some rows of tiles.

    Args:
        band: contiguous inputs B×(4t + 2)×(4w + 2)×C for t rows with w tiles each.
        kernel: transformed kernel, as `kernel_of` returns it.
        bias: K values.
        across: number w of tiles in a row.

    Returns:
        Outputs B×t×4×w×4×K: for each tile, 4×4 output pixels.
    """
    count, height, width, channels = band.shape
    down, line = (height - 2) // 4, width * channels
    rows = band.as_strided((count, down, 6, line), (height * line, 4 * line, line, 1))
    turned = torch.matmul(INPUT, rows)
    tiles = turned.as_strided(
        (6, 6, count * down, across, channels), (channels, line, 6 * line, 4 * channels, 1)
    ).contiguous()
    tiles = (INPUT @ tiles.view(6, -1)).view(36, -1, channels)
    products = torch.bmm(tiles, kernel)
    outputs = torch.matmul(OUTPUT, (OUTPUT @ products.view(6, -1)).view(4, 6, -1))
    outputs = outputs.view(4, 4, count, down, across, -1).add_(bias).relu_()
    return outputs.permute(2, 3, 1, 4, 0, 5)
