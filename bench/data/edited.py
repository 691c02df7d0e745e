"""Items of a later turn of repeated edits: the original items with other images, with other masks, or with both.

In a turn, an editor changes the image that it saved in the turn before. The masks of the turns are either the item's
own mask every time, or further masks by LaMa's rule (see `bench.data.masks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from bench.data.items import Item, sha256_of
from bench.data.masks import MaskPreset, accept_masks
from bench.data.prepared import BLOCK, Items
from bench.runtime.seeding import numpy_generator

__all__ = ["EditedItems", "SavedImages", "TurnMasks"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TurnMasks:
    """The masks of all turns. Every mask depends only on the item, the turn, the seed and the family of masks."""

    moving: bool
    """True if each turn after the first has a mask of its own; False if every turn has the item's mask."""
    family: MaskPreset
    """Family from which moving masks are drawn."""
    seed: int
    """Seed of the run."""

    def of(self, name: str, first: Pixels, turn: int) -> Pixels:
        """Return the mask of one turn, uint8 of shape (S, S), 1 in the hole.

        A moving mask is drawn by LaMa's rule with a random generator of its own. If all of the rule's five masks cover
        too much of the image, five further ones are drawn, because every item must take part in every turn.

        Args:
            name: id of the item.
            first: mask of the item, which is the mask of turn 1.
            turn: number of the turn, 1 or more.
        """
        if turn == 1 or not self.moving:
            return first
        height, width = first.shape
        generator = numpy_generator(self.seed, name, "mask of turn", turn)
        while (found := accept_masks(self.family, height, width, generator)) is None:
            pass
        return found[0]

    def until(self, name: str, first: Pixels, turn: int) -> Pixels:
        """Return the union of the holes of the turns 1 to `turn`, uint8 of shape (S, S), 1 in the union.

        The pixels outside the union are those that no turn was asked to change.

        Args:
            name: id of the item.
            first: mask of the item, which is the mask of turn 1.
            turn: number of the last turn, 1 or more.
        """
        last = turn if self.moving else 1
        return reduce(np.maximum, (self.of(name, first, number) for number in range(1, last + 1)))


@dataclass(frozen=True)
class SavedImages:
    """The images that one row saved in one turn. Each block of items has a key, and its images are read by number."""

    keys: Sequence[str]
    """Store key of the images of each block. The key is a hash of everything that determines the images."""
    read: Callable[[int], Pixels]
    """Function that returns the images N×S×S×3 uint8 of the N items of a block, given the block's number."""


@dataclass(frozen=True)
class EditedItems(Items):
    """The items of a run with other images or masks, in the same order, blocks and sources.

    The manifest's lines describe the new images and masks, so that the keys of a store distinguish the turns. In the
    place of an image's SHA-256, a line has the store key of the block's images and the place of the item.
    """

    original: Items
    mask_of: Callable[[str, Pixels], Pixels]
    """Function that returns the mask of an item, given the item's id and its original mask, both uint8 S×S."""
    images: SavedImages | None
    """Images that replace the original ones; None to keep the original images."""

    @classmethod
    def of(
        cls, original: Items, mask_of: Callable[[str, Pixels], Pixels], images: SavedImages | None = None
    ) -> EditedItems:
        """Return the items of a turn. The arguments are explained at the attributes of this class."""
        lines = []
        for number, (start, stop) in enumerate(original.blocks()):
            for place, (line, first) in enumerate(
                zip(original.lines(start, stop), original.masks(start, stop), strict=True), start
            ):
                mask = mask_of(line["id"], first)
                changed = {**line, "mask_area": float(mask.mean()), "mask": line["mask"] and sha256_of(mask)}
                lines.append(changed if images is None else {**changed, "image": f"{images.keys[number]}/{place}"})
        manifest = {**original.manifest, "items": lines}
        return cls(manifest, original.table, original.folder, original, mask_of, images)

    def masks(self, start: int, stop: int) -> Pixels:
        """Return the masks of the items from index `start` to before index `stop`, as uint8 of shape (N, S, S)."""
        names = [line["id"] for line in self.lines(start, stop)]
        return np.stack(
            [self.mask_of(name, first) for name, first in zip(names, self.original.masks(start, stop), strict=True)]
        )

    def read(self, start: int, stop: int) -> list[Item]:
        """Read the items from index `start` to before index `stop`.

        Raises:
            DamagedItemsError: an original item differs from its manifest.
        """
        found = [replace(item, mask=self.mask_of(item.id, item.mask)) for item in self.original.read(start, stop)]
        if self.images is None:
            return found
        return [
            replace(item, image=self.images.read(place // BLOCK)[place % BLOCK])
            for place, item in enumerate(found, start)
        ]
