"""The training pictures of ImageNet, with items that depend only on their position in the run.

Crops and masks are drawn like in the released code (buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/data/imagenet.py).
Its workers repeated one another's masks and crops. Here an item is seeded by epoch and picture, so that it is equal for
any number of workers and processes and after any interruption.
"""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass
from os.path import isfile  # unlike Path.is_file, it takes a name too long for any file
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bench.data.crops import random_crop
from bench.data.listing import inside, read_lines
from bench.data.masks import preset, sample_mask
from bench.data.pictures import read_rgb
from bench.data.walking import left_out_note, sorted_out, walk
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator
from bench.store import content_key

__all__ = ["ImageNetTrain", "TrainingItem"]

log = logging.getLogger(__name__)

SUFFIXES = {".jpeg", ".jpg", ".png"}


class TrainingItem(TypedDict):
    position: int
    image: Tensor
    """Picture as 3×R×R in [-1, 1]."""
    mask: Tensor
    """Mask as 1×R×R, 1 = hole."""


@dataclass(eq=False)
class ImageNetTrain(Dataset[TrainingItem]):
    """Synset folders of pictures, shuffled anew each epoch, without end.

    Raises:
        BadInputError: the root or listing is missing or gives no picture, or a number is negative.
    """

    root: str | Path
    """The folder of synset folders, such as `ILSVRC2012/train`."""
    _: KW_ONLY
    resolution: int
    """Side of the items in pixels."""
    masks: str
    """Name of the family of masks (`bench.data.masks.preset`), drawn without rejection."""
    full_share: float = 0.5
    """Share of masks that are all ones instead."""
    alternating: bool = False
    """Whether every second mask is full, instead of a drawn share."""
    smallest_crop: float = 0.5
    """Smallest side of a crop as a share of the picture's shorter side."""
    seed: int = 0
    """Seed of everything drawn."""
    listing: str | Path | None = None
    """A text file of paths below the root, one on each line, such as the released code's subset of 1,152,196 pictures;
    None for all pictures."""
    without_last: int = 0
    """Number of pictures of each folder to leave out, the last ones by name, so that another set can have them."""
    only_last: int = 0
    """Number of pictures of each folder to take, the last ones by name; 0 for all."""

    def __post_init__(self) -> None:
        root = Path(self.root)
        self._root = root
        if not root.is_dir():
            raise BadInputError(f"training data: expected a folder of synset folders, found nothing at {root}")
        self.names = _listed(Path(self.listing), root) if self.listing is not None else self._found()
        if min(self.without_last, self.only_last) < 0:
            raise BadInputError(
                f"training data: expected 0 or more, found without_last={self.without_last}, only_last={self.only_last}"
            )
        if self.without_last:
            last = _last(self.names, self.without_last)
            self.names = [name for name in self.names if name not in last]
        if self.only_last:
            self.names = sorted(_last(self.names, self.only_last))
        if not self.names:
            raise BadInputError(f"training data: expected synset folders with pictures, found none in {root}")
        self._preset = preset(self.masks)
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def manifest(self) -> str:
        """SHA-256 over the names and sizes of all pictures."""
        return content_key({name: (self._root / name).stat().st_size for name in self.names})

    def __getitem__(self, position: int) -> TrainingItem:
        """Return the item at a position of the run, which may lie beyond the first epoch.

        Raises:
            BadInputError: the item's picture is broken; the message names the file.
        """
        epoch, place = divmod(position, len(self.names))
        name = self.names[self._shuffled(epoch)[place]]
        generator = numpy_generator(self.seed, "training item", epoch, name)
        crop = random_crop(
            np.asarray(read_rgb(self._root / name)), generator, self.resolution, smallest=self.smallest_crop
        )
        full = position % 2 == 0 if self.alternating else generator.random() < self.full_share
        shape = (self.resolution, self.resolution)
        mask = np.ones(shape, np.uint8) if full else sample_mask(self._preset, *shape, generator)
        return {
            "position": position,
            "image": torch.from_numpy(crop).permute(2, 0, 1).float().div(127.5).sub(1),
            "mask": torch.from_numpy(mask).unsqueeze(0).float(),
        }

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, numpy_generator(self.seed, "order", epoch).permutation(len(self.names))
        return self._order

    def _found(self) -> list[str]:
        walked = walk(self._root, depth=2)
        paths = sorted_out(walked, SUFFIXES, level=2, outside="outside a synset folder")
        if note := left_out_note(walked.left_out):
            log.warning("training data: %s", note)
        return [path.relative_to(self._root).as_posix() for path in paths]


def _last(names: list[str], count: int) -> set[str]:
    """Return the last `count` names of each folder."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    return {name for files in folders.values() for name in files[-count:]}


def _listed(listing: Path, root: Path) -> list[str]:
    names = [line for line in read_lines(listing, "training data", "a text file of paths") if line]
    missing = [name for name in names if not isfile(inside(root, name, listed_in=listing))]
    if missing:
        raise BadInputError(f"{listing}: {len(missing)} of {len(names)} files are missing, such as {missing[0]}")
    return names
