"""ImageNet's training pictures, each item a function of its position in the run alone.

Crops and masks as the released code draws them (buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/data/imagenet.py); its
workers repeated one another's masks and crops, which cannot happen here: an item is seeded by epoch and picture, so
that it is the same for any number of workers and processes and after any interruption.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bench.data.crops import random_crop
from bench.data.items import read_rgb
from bench.data.masks import preset, sample_mask
from bench.errors import BadInputError
from bench.seeding import numpy_generator
from bench.store import content_key

__all__ = ["ImageNetTrain", "TrainingItem"]

SUFFIXES = {".jpeg", ".jpg", ".png"}


class TrainingItem(TypedDict):
    position: int
    image: Tensor
    """3×R×R in [-1, 1]."""
    mask: Tensor
    """1×R×R, 1 = hole."""


class ImageNetTrain(Dataset[TrainingItem]):
    """Synset folders of pictures, shuffled anew each epoch, without end."""

    def __init__(
        self,
        root: str | Path,
        *,
        resolution: int,
        masks: str,
        full_share: float = 0.5,
        alternating: bool = False,
        smallest_crop: float = 0.5,
        seed: int = 0,
        listing: str | Path | None = None,
        without_last: int = 0,
        only_last: int = 0,
    ) -> None:
        """Find the pictures.

        Args:
            root: the folder of synset folders, such as `ILSVRC2012/train`.
            resolution: side of the items in pixels.
            masks: name of the family of masks (`bench.data.masks.preset`), drawn without rejection.
            full_share: share of masks that are all ones instead.
            alternating: every second mask is full, instead of a drawn share.
            smallest_crop: smallest side of a crop as a share of the picture's shorter side.
            seed: of everything drawn.
            listing: a text file of paths below the root, one a line, such as the released code's subset of 1,152,196;
                None for all pictures.
            without_last: leave out so many pictures of each folder, the last ones by name, for another's `only_last`.
            only_last: take only so many of each folder, the last ones by name; 0 for all.

        Raises:
            BadInputError: the root or listing is missing or gives no picture, or a number is negative.
        """
        self.root = Path(root)
        if not self.root.is_dir():
            raise BadInputError(f"training data: expected a folder of synset folders, found nothing at {root}")
        self.names = _listed(Path(listing), self.root) if listing is not None else _found(self.root)
        if min(without_last, only_last) < 0:
            raise BadInputError(f"training data: expected 0 or more, found {without_last=}, {only_last=}")
        if without_last:
            last = _last(self.names, without_last)
            self.names = [name for name in self.names if name not in last]
        if only_last:
            self.names = sorted(_last(self.names, only_last))
        if not self.names:
            raise BadInputError(f"training data: expected synset folders with pictures, found none in {root}")
        self.resolution, self.masks, self.full_share = resolution, preset(masks), full_share
        self.alternating, self.smallest_crop, self.seed = alternating, smallest_crop, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def manifest(self) -> str:
        """SHA-256 over the names and sizes of all pictures."""
        return content_key({name: (self.root / name).stat().st_size for name in self.names})

    def __getitem__(self, position: int) -> TrainingItem:
        """The item at a position of the run, which may lie beyond the first epoch.

        Raises:
            BadInputError: its picture is broken; the message names the file.
        """
        epoch, place = divmod(position, len(self.names))
        name = self.names[self._shuffled(epoch)[place]]
        generator = numpy_generator(self.seed, "training item", epoch, name)
        crop = random_crop(
            np.asarray(read_rgb(self.root / name)), generator, self.resolution, smallest=self.smallest_crop
        )
        full = position % 2 == 0 if self.alternating else generator.random() < self.full_share
        shape = (self.resolution, self.resolution)
        mask = np.ones(shape, np.uint8) if full else sample_mask(self.masks, *shape, generator)
        return {
            "position": position,
            "image": torch.from_numpy(crop).permute(2, 0, 1).float().div(127.5).sub(1),
            "mask": torch.from_numpy(mask).unsqueeze(0).float(),
        }

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, numpy_generator(self.seed, "order", epoch).permutation(len(self.names))
        return self._order


def _found(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/*") if path.suffix.lower() in SUFFIXES)


def _last(names: list[str], count: int) -> set[str]:
    """So many names of each folder, the last ones."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    return {name for inside in folders.values() for name in inside[-count:]}


def _listed(listing: Path, root: Path) -> list[str]:
    try:
        names = listing.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"training data: expected a text file of paths, found {listing} ({error})") from None
    outside = [name for name in names if not (root / name).resolve().is_relative_to(root.resolve())]
    if outside:
        raise BadInputError(f"{listing}: paths must stay inside {root}: found {outside[0]}")
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise BadInputError(f"{listing}: {len(missing)} of {len(names)} files are missing, such as {missing[0]}")
    return names
