"""Test of paste-back, which keeps known pixels exactly and takes the hole from another method."""

import pytest
import torch

from baselines.paste_back import PasteBack
from bench.generation.method import Batch
from bench.metrics.known_region import to_uint8

pytestmark = pytest.mark.property


class Grey:
    """A method that paints everything grey."""

    training = "never"

    def to(self, device: torch.device) -> "Grey":
        return self

    def __call__(self, batch: Batch) -> torch.Tensor:
        return torch.zeros_like(batch.image)


def test_pasted_known_pixels_are_saved_exactly() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    batch = Batch(("a",), torch.zeros(1, 4, 4, 4), levels.float() / 127.5 - 1, mask)
    method = PasteBack(Grey())
    saved = to_uint8((method(batch) + 1) / 2, rounding="truncate")
    assert torch.equal(saved[..., 8:], levels[..., 8:])
    assert (saved[..., :8] == 127).all()
    assert method.training == "never"
