"""Make small images whose masks have one box each."""

import torch

__all__ = ["SIDE", "boxes"]

SIDE = 32


def boxes(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return truths, masks of one box each, and images that differ from the truth everywhere."""
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(count, 1, SIDE, SIDE)
    for index in range(count):
        mask[index, :, 3 + index : 12 + index, 5 : 14 + 2 * index] = 1
    image = (truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    return truth, mask, image
