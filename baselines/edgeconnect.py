"""EdgeConnect: one network continues the known edges into the hole, and another one paints the hole along the edges.

See Nazeri et al., "EdgeConnect: Generative image inpainting with adversarial edge learning" (2019). Images keep
their size. They are processed before and after the networks as in test.py of knazeri/edge-connect at 3142579 (CC BY-NC
4.0): src/dataset.py (`load_edge`, with `SIGMA` 2), src/models.py and src/edge_connect.py (`test`). Edges
are detected with the Canny detector of the installed scikit-image; the authors' program uses that of scikit-image 0.14.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.feature import canny
from torch import Tensor

from baselines.edgeconnect_network import EdgeConnectGenerator, edge_generator, painting_generator
from baselines.padding import check_sides
from baselines.weights import count_of, filled
from bench.generation.method import Batch, Method
from bench.models.tensor_files import read_tensors

__all__ = ["EdgeConnect", "grey_and_edges"]

SIGMA = 2.0
"""Standard deviation in pixels of the Gaussian filter that is applied before edges are detected."""
MULTIPLE = 4
"""Number that must divide both sides of an image; otherwise the networks would return another size."""


class EdgeConnect(Method):
    """The method EdgeConnect. Its networks paint the hole, and the known pixels stay unchanged."""

    def __init__(self, edge_weights: str, inpainting_weights: str, *, training: str = "") -> None:
        """Load the weights of both networks. They determine the width and the depth of the networks.

        Args:
            edge_weights: path of the authors' `EdgeModel_gen.pth`.
            inpainting_weights: path of the authors' `InpaintingModel_gen.pth`.
            training: description of how long the networks were trained, for the table.

        Raises:
            BadInputError: a file is missing or broken, or does not contain the weights of the expected network.
        """
        self.edges = _load(Path(edge_weights), "EdgeConnect's edge generator", edge_generator, "weight_orig")
        self.painter = _load(
            Path(inpainting_weights), "EdgeConnect's inpainting generator", painting_generator, "weight"
        )
        self.training = training

    def to(self, device: torch.device) -> EdgeConnect:
        self.edges.to(device)
        self.painter.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×H×W in [-1, 1].

        Raises:
            BadInputError: the height or the width of the images is not a multiple of 4.
        """
        check_sides(batch.image, MULTIPLE, "EdgeConnect")
        hole = batch.mask > 0
        with torch.inference_mode():
            image = (batch.image + 1) / 2
            mask = hole.to(image)
            grey, edges = (part.to(image) for part in grey_and_edges(image, hole))
            completed = self.edges(torch.cat([grey * (1 - mask) + mask, edges * (1 - mask), mask], 1))
            painted = self.painter(torch.cat([image * (1 - mask) + mask, completed], 1))
            return torch.where(hole, 2 * painted - 1, batch.image)


def grey_and_edges(image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """Convert pictures to grey, and detect the edges in their known region by Canny's method.

    Args:
        image: B×3×H×W in [0, 1].
        hole: B×1×H×W, true in the hole.

    Returns:
        Two tensors B×1×H×W on the CPU, in float64. The first contains the grey pictures in [0, 1], and the hole is not
            removed from them. The second is 1 at edges and 0 elsewhere. It is 0 in the hole and next to the hole.
    """
    pictures = image.permute(0, 2, 3, 1).double().cpu().numpy()
    known = ~hole[:, 0].cpu().numpy()
    grey = [rgb2gray(picture) for picture in pictures]
    edges = [canny(one, sigma=SIGMA, mask=where) for one, where in zip(grey, known, strict=True)]
    return torch.from_numpy(np.stack(grey))[:, None], torch.from_numpy(np.stack(edges))[:, None].double()


def _load(
    path: Path, what: str, build: Callable[[int, int], EdgeConnectGenerator], weight: str
) -> EdgeConnectGenerator:
    """Load a generator from a file. The file's tensors determine the width and the depth of the generator.

    Args:
        path: path of the file.
        what: name of the generator, for messages.
        build: function that creates the generator from the number of channels and the number of blocks.
        weight: last part of the names of weights: `weight_orig` with spectral normalisation, otherwise `weight`.
    """
    tensors = read_tensors(path, under="generator")
    first = tensors.get(f"encoder.1.{weight}")
    blocks = count_of(tensors, before="middle.", after=f".conv_block.1.{weight}")
    return filled(
        build(64 if first is None else len(first), blocks or 8), tensors, path=path, what=f"weights of {what}"
    )
