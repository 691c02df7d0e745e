"""DeepFill v2: a coarse painting of the hole, which is refined with patches of the known pixels.

See Yu et al., "Free-form image inpainting with gated convolution" (ICCV 2019). Images are processed
before and after the network as in nipponjo/deepfillv2-pytorch at 4899fd3: test.py.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from baselines.deepfill_network import DeepFillGenerator
from baselines.padding import check_sides
from baselines.weights import filled
from bench.generation.method import Batch, Method
from bench.models.tensor_files import read_tensors

__all__ = ["DeepFillV2"]

MULTIPLE = 8
"""Number that must divide both sides of an image. The official program instead crops images to such sides."""


class DeepFillV2(Method):
    """The method DeepFill v2. Its network paints the hole, and the known pixels stay unchanged."""

    def __init__(self, weights: str, *, training: str = "") -> None:
        """Load weights. They determine the width of the network.

        Args:
            weights: path of `states_tf_places2.pth` from nipponjo/deepfillv2-pytorch. This file contains the authors'
                own weights. The file `states_pt_places2.pth` of the same repository is refused, because it belongs to
                a network that pads images differently.
            training: description of how long the network was trained, for the table.

        Raises:
            BadInputError: the file is missing or broken, or does not contain the weights of DeepFill v2's generator.
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
        """Return images B×3×H×W in [-1, 1].

        Raises:
            BadInputError: the height or the width of the images is not a multiple of 8.
        """
        check_sides(batch.image, MULTIPLE, "DeepFill v2")
        hole = batch.mask > 0
        with torch.inference_mode():
            mask = hole.to(batch.image)
            shown = torch.cat([batch.image * (1 - mask), torch.ones_like(mask), mask], 1)
            return torch.where(hole, self.network(shown, mask)[1], batch.image)
