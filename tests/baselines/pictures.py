"""Provide batches of noise, files in the official layouts, and helpers for the tests of networks."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.generation.method import Batch, Method


class Painted:
    """Return given images as a method."""

    training = "as long as it took"

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def to(self, device: torch.device) -> "Painted":
        self.images = self.images.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        return self.images


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return values that are uniform in [-1, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def batch_of(image: Tensor, mask: Tensor) -> Batch:
    return Batch(tuple("abcdefgh"[: len(image)]), torch.zeros(len(image), 4, 4, 4), image, mask)


def scene(height: int = 32, width: int = 32, *, count: int = 2) -> Batch:
    """Return a batch of noise images, each with its own hole."""
    mask = torch.zeros(count, 1, height, width)
    for index in range(count):
        mask[index, :, 4 + index : height // 2 + index, 3 : width // 2 + 4 * index] = 1
    return batch_of(noise(count, 3, height, width), mask)


def stirred(network: nn.Module, *, seed: int = 0) -> Any:
    """Return a network whose biases, gains and statistics differ from their initial values."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif value.is_floating_point() and not name.endswith(("kernel", "weight_u", "weight_v")):
            value.copy_(torch.randn(value.shape, generator=generator) * (0.3 if value.ndim < 2 else 0.1))
    return network.eval()


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def tensors_sha256(network: nn.Module) -> tuple[int, str]:
    """Return the number of tensors of a network and the SHA-256 of the sorted lines of name and shape."""
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in network.state_dict().items())
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def with_other_hole(batch: Batch) -> Batch:
    """Return a batch with equal known pixels and another picture in the hole."""
    hole = batch.mask > 0
    return batch_of(torch.where(hole, noise(*batch.image.shape, seed=9), batch.image), batch.mask)


def assert_honours_the_mask(method: Method, batch: Batch) -> None:
    """Check that known pixels are returned exactly, pixels of the hole are ignored and the hole is painted."""
    out = method(batch)
    hole = (batch.mask > 0).expand_as(out)
    assert out.shape == batch.image.shape
    assert torch.equal(out[~hole], batch.image[~hole])
    assert not torch.isclose(out[hole], batch.image[hole], atol=1e-3).all()
    assert torch.equal(method(with_other_hole(batch)), out)


def assert_items_are_independent(method: Method, batch: Batch) -> None:
    """Check that each image alone equals the one of the batch up to rounding."""
    together = method(batch)
    for index, name in enumerate(batch.ids):
        part = slice(index, index + 1)
        alone = method(Batch((name,), batch.z[part], batch.image[part], batch.mask[part]))
        torch.testing.assert_close(alone, together[part], rtol=0, atol=2e-5)
