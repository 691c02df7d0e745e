"""CoModGAN: a network with random styles paints the whole picture, and only the painted pixels in the hole are used.

See Zhao et al., "Large scale image completion via co-modulated generative adversarial networks" (ICLR 2021). Images are
processed before and after the network as in zengxianyu/co-mod-gan-pytorch at a178bfd: data/testimage_dataset.py,
models/comod_model.py and test.sh, without truncation and with one random vector for each image. Zengxianyu's program
does not seed its random numbers. Here, the vector and the noise of an image depend only on the seed and on the image's
id.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.comodgan_network import CoModGANGenerator
from baselines.weights import filled
from bench.errors import BadInputError
from bench.generation.method import Batch, Method
from bench.models.tensor_files import read_tensors
from bench.runtime.seeding import numpy_generator

__all__ = ["CoModGAN"]

ENTRY = ("G_synthesis.E.", "_0.FromRGB.0.weight")
"""Beginning and end of the name of the first convolution's weight. The text in between is the size, as in `512x512`."""


class CoModGAN(Method):
    """The method CoModGAN. Its network paints the hole, and the known pixels stay unchanged."""

    def __init__(self, weights: str, *, seed: int = 0, training: str = "") -> None:
        """Load weights. They determine the size of the network and the size of the images that the network accepts.

        Args:
            weights: path of `co-mod-gan-places2-050000_net_G_ema.pth` from zengxianyu/co-mod-gan-pytorch. This file
                contains the authors' own weights.
            seed: seed of the random vectors and noise.
            training: description of how long the network was trained, for the table.

        Raises:
            BadInputError: the file is missing or broken, or does not contain the weights of CoModGAN's generator.
        """
        path = Path(weights)
        tensors = {name.removeprefix("module."): value for name, value in read_tensors(path).items()}
        self.network = filled(_sized(tensors), tensors, path=path, what="weights of CoModGAN's generator (net_G_ema)")
        self.seed = seed
        self.training = training

    def to(self, device: torch.device) -> CoModGAN:
        self.network.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×S×S. Known pixels are in [-1, 1], and painted pixels are roughly in this range.

        Raises:
            BadInputError: the height or the width of the images is not the size S of the network.
        """
        size = self.network.size
        height, width = batch.image.shape[2:]
        if (height, width) != (size, size):
            raise BadInputError(f"CoModGAN: expected images of {size}×{size}, found {width}×{height}")
        hole = batch.mask > 0
        with torch.inference_mode():
            z, *noise = (values.to(batch.image) for values in self._draw_noise(batch.ids))
            painted = self.network(batch.image, hole.to(batch.image), z, noise)
            return torch.where(hole, painted, batch.image)

    def _draw_noise(self, ids: tuple[str, ...]) -> list[Tensor]:
        """Draw random vectors and noise maps for images, with a separate random generator for each image.

        Args:
            ids: ids of the images. The random values of an image depend only on its id and on `seed`.

        Returns:
            A list of tensors. The first one contains the random vectors, B×latent. It is followed by one tensor
                B×1×h×w for each noise map of the network.
        """
        shapes: list[tuple[int, ...]] = [(self.network.latent,)]
        shapes += [(1, *shape) for shape in self.network.noise_shapes()]
        generators = [numpy_generator(self.seed, name, "comodgan") for name in ids]
        return [
            torch.from_numpy(np.stack([one.standard_normal(shape, dtype=np.float32) for one in generators]))
            for shape in shapes
        ]


def _sized(tensors: Mapping[str, Tensor]) -> CoModGANGenerator:
    """Create a generator whose size fits the given tensors.

    If the size cannot be determined from the tensors, the generator has the authors' size.
    """
    before, after = ENTRY
    sides = [name[len(before) : -len(after)] for name in tensors if name.startswith(before) and name.endswith(after)]
    dense = tensors.get("G_mapping.G_mapping.Dense0.weight")
    bottom = tensors.get("G_synthesis.E.4x4.Conv.0.weight")
    side = sides[0].split("x")[0] if sides else ""
    if not side.isdecimal() or dense is None or bottom is None:
        return CoModGANGenerator()
    entering = len(tensors[f"{before}{sides[0]}{after}"])
    return CoModGANGenerator(int(side), latent=len(dense), base=entering * int(side) // 2, widest=len(bottom))
