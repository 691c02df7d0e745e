"""Changes an adapter of a data set: its pictures are made square in another way, or only some of them are used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bench.data.items import Picture, Pictures
from bench.data.squaring import Squaring, own_squaring, squaring_of
from bench.errors import BadInputError

__all__ = ["Adjusted", "adjusted", "same_or_first"]


class Adjusted(Pictures):
    """The pictures of another adapter, or some of them. They may be made square in another way.

    If the other adapter draws masks and the pictures are cropped or squashed, no masks are drawn, and the whole image
    is the hole.
    """

    def __init__(self, of: Pictures, squaring: Squaring, ids: Collection[str] | None = None) -> None:
        """Set the adapter, the way to make its pictures square, and the ids of the pictures to use.

        Args:
            of: adapter that yields the pictures.
            squaring: way to make the pictures square.
            ids: ids of the pictures to use; None for all pictures.

        Raises:
            BadInputError: masks are given as files, and `squaring.fit` is not the adapter's own fit. The pictures would
                then be made square in another way than the masks.
        """
        if of.masks == "given" and squaring.fit != of.fit:
            raise BadInputError(
                f"dataset.fit: expected {of.fit} or null, because this data set has its masks as files, and another "
                f"fit would change the pictures but not the masks, found {squaring.fit}"
            )
        self.of, self.squaring, self.ids = of, squaring, ids

    @property
    def masks(self) -> str:
        return "whole" if self.of.masks == "drawn" and self.squaring.fit != "lama" else self.of.masks

    @property
    def fit(self) -> str:
        return self.squaring.fit

    @property
    def filter(self) -> str:
        return self.squaring.filter

    @property
    def crop_offset(self) -> int:
        return self.squaring.crop_offset

    @property
    def pictured(self) -> bool:
        return self.of.pictured

    @property
    def dataset(self) -> str:
        return self.of.dataset

    @property
    def split(self) -> str:
        return self.of.split

    @property
    def subset(self) -> str:
        return self.of.subset if self.ids is None and self.squaring.fit == self.of.fit else "custom"

    @property
    def left_out(self) -> Mapping[str, str]:
        return self.of.left_out

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures whose ids are used, in the order of the other adapter."""
        yield from (picture for picture in self.of if self.ids is None or picture.id in self.ids)


def adjusted(pictures: Pictures, dataset: Mapping[str, Any]) -> Pictures:
    """Return an adapter whose pictures are made square as the configuration of the data set says.

    If the configuration changes nothing, the result is `pictures`.

    Args:
        pictures: adapter of the data set.
        dataset: value of the configuration key `dataset`, as plain data.

    Raises:
        BadInputError: a value of the configuration is not allowed, or does not suit the adapter.
    """
    own = own_squaring(pictures)
    squaring = squaring_of(dataset, own)
    return pictures if squaring == own else Adjusted(pictures, squaring)


def same_or_first(pictures: Pictures, ids: Collection[str]) -> Pictures:
    """Return an adapter that yields only the pictures with the given ids.

    If no picture has one of the ids, the result yields the first pictures instead, as many as there are ids. This
    happens, for example, if the pictures belong to another split than the ids.

    Args:
        pictures: adapter of all pictures.
        ids: ids of the items of a run.
    """
    listed = [picture.id for picture in pictures]
    chosen = set(ids) & set(listed) or set(listed[: len(ids)])
    return Adjusted(pictures, own_squaring(pictures), chosen)
