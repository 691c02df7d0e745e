"""The training pictures of ImageNet, with random crops and masks.

Crops and masks are drawn by the rules of the released code (buxiangzhiren/Asymmetric_VQGAN at 406c5cd,
ldm/data/imagenet.py). One thing differs: in the released code, all worker processes draw the same random values. Here,
the seed of an item depends on the epoch and on the picture. Therefore the item at a position of the training run does
not depend on the number of workers and processes or on interruptions.
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
    """Picture as float32 of shape (3, R, R) with values in [-1, 1], where R is the resolution."""
    mask: Tensor
    """Mask as float32 of shape (1, R, R): 1 in the hole, 0 where the image is known."""


@dataclass(eq=False)
class ImageNetTrain(Dataset[TrainingItem]):
    """The pictures in folders of ImageNet classes (synsets), as training items.

    An item is identified by its position in the training run. There is no last position: after each epoch, all pictures
    come again in a new random order.

    Raises:
        BadInputError: the root or the file `listing` is missing; or no picture is found; or a listed picture is
            missing; or `without_last` or `only_last` is negative.
        ValueError: no family of masks has the name `masks`.
    """

    root: str | Path
    """Folder that contains one folder for each class (synset), such as `ILSVRC2012/train`."""
    _: KW_ONLY
    resolution: int
    """Side of the items in pixels."""
    masks: str
    """Name of the family of masks; see `bench.data.masks.preset`. Masks with large holes are not rejected."""
    full_share: float = 0.5
    """Probability that a mask is all ones instead of a drawn one, in [0, 1]. Unused if `alternating` is true."""
    alternating: bool = False
    """True if the mask at every even position is all ones. False if this happens at random; see `full_share`."""
    smallest_crop: float = 0.5
    """Smallest side of a crop, as a fraction of the picture's shorter side."""
    seed: int = 0
    """Seed of all random values: order, crops and masks."""
    listing: str | Path | None = None
    """Text file of paths below the root, one on each line, for training on a part of the pictures.

    An example is the released code's list of 1,152,196 pictures. None for all pictures.
    """
    without_last: int = 0
    """Number of pictures to leave out of each folder, so that they can be used for validation.

    They are the last ones in the order of names.
    """
    only_last: int = 0
    """Number of pictures to use of each folder, which are the last ones in the order of names. 0 for all pictures."""

    def __post_init__(self) -> None:
        root = Path(self.root)
        self._root = root
        if not root.is_dir():
            raise BadInputError(
                f"{root}: expected a folder with one subfolder for each ImageNet class, found no such folder"
            )
        self.names = _listed(Path(self.listing), root) if self.listing is not None else self._found()
        if min(self.without_last, self.only_last) < 0:
            raise BadInputError(
                f"without_last, only_last: expected 0 or more for both, found {self.without_last} and {self.only_last}"
            )
        if self.without_last:
            last = _last(self.names, self.without_last)
            self.names = [name for name in self.names if name not in last]
        if self.only_last:
            self.names = sorted(_last(self.names, self.only_last))
        if not self.names:
            raise BadInputError(
                f"{root}: expected subfolders of pictures, one for each ImageNet class, found no picture to use; the "
                "keys listing and without_last may leave out all pictures"
            )
        self._preset = preset(self.masks)
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def manifest(self) -> str:
        """SHA-256 of the names and file sizes of all pictures, so that a changed set of pictures is noticed."""
        return content_key({name: (self._root / name).stat().st_size for name in self.names})

    def __getitem__(self, position: int) -> TrainingItem:
        """Return the item at a position of the training run.

        Args:
            position: number of the item, counted from 0 at the beginning of the run through all epochs.

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
    """Return the names of the last `count` files of each folder, after the folder's files are sorted by name."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    return {name for files in folders.values() for name in files[-count:]}


def _listed(listing: Path, root: Path) -> list[str]:
    names = [line for line in read_lines(listing, "listing", "a text file of paths") if line]
    missing = [name for name in names if not isfile(inside(root, name, listed_in=listing))]
    if missing:
        raise BadInputError(
            f"{listing}: expected that each listed file exists in {root}, found {len(missing)} of {len(names)} "
            f"missing, such as {missing[0]}"
        )
    return names
