"""Training images in memory. A batch depends only on its seeds. Images are cropped by the rules of the released code.

These rules are in buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/data/imagenet.py. By default, a crop is a random
square whose side is 0.5 to 1 times the picture's shorter side. The crop is scaled by area averaging. Masks are drawn by
the rules of LaMa, but a mask with a large hole is not rejected. By default, a mask is full with probability 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.crops import random_crop
from bench.data.masks import MaskPreset, sample_mask
from bench.data.pictures import read_rgb
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator

__all__ = ["TrainingImages", "training_masks"]


class TrainingImages:
    """All pictures in the subfolders of a folder. The pictures are read once and kept in memory."""

    def __init__(self, root: Path, *, resolution: int, smallest_crop: float = 0.5) -> None:
        """Read every JPEG in the root's synset folders.

        Args:
            root: folder that contains one folder of pictures for each synset (class).
            resolution: side of the returned crops in pixels.
            smallest_crop: smallest side of a crop as a fraction of the picture's shorter side.

        Raises:
            BadInputError: there is no picture, or one of the pictures is broken.
        """
        self.paths = sorted(root.glob("*/*.JPEG"))
        if not self.paths:
            raise BadInputError(
                f"{root}: expected one folder of files *.JPEG for each synset (class), found no such file"
            )
        self.resolution = resolution
        self.smallest_crop = smallest_crop
        self._pictures = [np.asarray(read_rgb(path)) for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, size: int, *seeds: int | str) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Return random crops B×3×R×R in [-1, 1], and for each crop the index of its picture in `paths`.

        Args:
            size: number B of crops. Pictures are drawn with replacement.
            seeds: words and numbers that determine all draws.
        """
        generator = numpy_generator(0, "crops", *seeds)
        indices = generator.integers(len(self), size=size)
        return self.tensor(
            [
                random_crop(self._pictures[index], generator, self.resolution, smallest=self.smallest_crop)
                for index in indices
            ]
        ), indices

    @staticmethod
    def tensor(pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        """Convert uint8 pictures H×W×3 of equal size to B×3×H×W in [-1, 1]."""
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def training_masks(kind: MaskPreset, size: int, resolution: int, *seeds: int | str, full_share: float = 0.5) -> Tensor:
    """Draw random masks B×1×R×R, 1 = hole.

    Args:
        kind: settings of the free-form masks.
        size: number B of masks.
        resolution: side R of the masks.
        seeds: words and numbers that determine all draws.
        full_share: probability that a mask is full (all ones) instead of free-form.
    """
    masks = []
    for index in range(size):
        generator = numpy_generator(0, "training mask", *seeds, index)
        if generator.random() < full_share:
            masks.append(np.ones((resolution, resolution), np.uint8))
        else:
            masks.append(sample_mask(kind, resolution, resolution, generator))
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).float()
