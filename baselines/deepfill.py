"""DeepFill v2: a coarse painting of the hole, refined with patches of the known pixels.

Yu et al., "Free-form image inpainting with gated convolution" (ICCV 2019). What surrounds the network is that of
nipponjo/deepfillv2-pytorch at 4899fd3: test.py.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from baselines.deepfill_network import DeepFillGenerator
from baselines.sides import check_sides
from baselines.weights import filled
from bench.generation.decoding import Batch
from bench.models.tensor_files import read_tensors

__all__ = ["DeepFillV2"]

MULTIPLE = 8
"""Of the sides; the official program cuts off what is beyond one."""


class DeepFillV2:
    """The hole as the network paints it, and the known pixels as they were."""

    def __init__(self, weights: str, *, training: str = "") -> None:
        """Take weights of any width.

        Args:
            weights: `states_tf_places2.pth` of the port, which are the authors' own. Its `states_pt_places2.pth`, tuned
                for other padding, belongs to another network and is refused.
            training: how long it was trained, for the table.

        Raises:
            BadInputError: the file is missing or broken, or holds another network.
        """
        path = Path(weights)
        tensors = read_tensors(path, under="G")
        first = tensors.get("conv1.conv.weight")
        network = DeepFillGenerator(48 if first is None else len(first))
        self.network = filled(network, tensors, path=path, what="weights of DeepFill v2 (states_tf_*.pth)")
        self.training = training

    def to(self, device: torch.device) -> DeepFillV2:
        self.network.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """Images B×3×H×W in [-1, 1].

        Raises:
            BadInputError: a side is no multiple of 8.
        """
        check_sides(batch.image, MULTIPLE, "DeepFill v2")
        hole = batch.mask > 0
        with torch.inference_mode():
            mask = hole.to(batch.image)
            shown = torch.cat([batch.image * (1 - mask), torch.ones_like(mask), mask], 1)
            return torch.where(hole, self.network(shown, mask)[1], batch.image)
