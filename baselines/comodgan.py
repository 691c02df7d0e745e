"""CoModGAN: a generator with random styles paints the whole picture, of which the hole is taken.

Zhao et al., "Large scale image completion via co-modulated generative adversarial networks" (ICLR 2021). What surrounds
the network is that of zengxianyu/co-mod-gan-pytorch at a178bfd: data/testimage_dataset.py, models/comod_model.py and
test.sh, without truncation and with one random vector an image. Its randomness is unseeded; here an image's vector and
noise depend on the seed and its id alone.
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
from bench.generation.decoding import Batch
from bench.models.tensor_files import read_tensors
from bench.seeding import numpy_generator

__all__ = ["CoModGAN"]

ENTRY = ("G_synthesis.E.", "_0.FromRGB.0.weight")
"""Around the image's side, in the name of the first convolution."""


class CoModGAN:
    """The hole as the network paints it, and the known pixels as they were."""

    def __init__(self, weights: str, *, seed: int = 0, training: str = "") -> None:
        """Take weights of any size of image.

        Args:
            weights: `co-mod-gan-places2-050000_net_G_ema.pth` of the port, which are the authors' own.
            seed: of the random vectors and noise.
            training: how long it was trained, for the table.

        Raises:
            BadInputError: the file is missing or broken, or holds another network.
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
        """Images B×3×S×S, known pixels in [-1, 1], painted ones roughly.

        Raises:
            BadInputError: the images' sides are not the network's.
        """
        size = self.network.size
        height, width = batch.image.shape[2:]
        if (height, width) != (size, size):
            raise BadInputError(f"CoModGAN: expected images of {size}×{size}, found {width}×{height}")
        hole = batch.mask > 0
        with torch.inference_mode():
            z, *noise = (values.to(batch.image) for values in self._drawn(batch.ids))
            painted = self.network(batch.image, hole.to(batch.image), z, noise)
            return torch.where(hole, painted, batch.image)

    def _drawn(self, ids: tuple[str, ...]) -> list[Tensor]:
        """Vectors and maps of noise of some images, each from its own generator."""
        shapes: list[tuple[int, ...]] = [(self.network.latent,)]
        shapes += [(1, *shape) for shape in self.network.noise_shapes()]
        generators = [numpy_generator(self.seed, name, "comodgan") for name in ids]
        return [
            torch.from_numpy(np.stack([one.standard_normal(shape, dtype=np.float32) for one in generators]))
            for shape in shapes
        ]


def _sized(tensors: Mapping[str, Tensor]) -> CoModGANGenerator:
    """A generator as large as some tensors say; as the authors' where they do not."""
    before, after = ENTRY
    sides = [name[len(before) : -len(after)] for name in tensors if name.startswith(before) and name.endswith(after)]
    dense = tensors.get("G_mapping.G_mapping.Dense0.weight")
    bottom = tensors.get("G_synthesis.E.4x4.Conv.0.weight")
    side = sides[0].split("x")[0] if sides else ""
    if not side.isdecimal() or dense is None or bottom is None:
        return CoModGANGenerator()
    entering = len(tensors[f"{before}{sides[0]}{after}"])
    return CoModGANGenerator(int(side), latent=len(dense), base=entering * int(side) // 2, widest=len(bottom))
