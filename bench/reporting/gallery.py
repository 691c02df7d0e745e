"""The gallery of a report, which shows pictures of a few items, and thumbnails and values of all items.

`bench.reporting.choice` chooses the few items, and `bench.reporting.sheet` makes the thumbnails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from PIL import Image

from bench.data.items import Item
from bench.reporting.choice import LEAST_ITEMS, Compared, ComparedRows, Pick
from bench.reporting.pixels import AT_ONCE, Images, Pixels, data_url, error_outside, given
from bench.reporting.sheet import Sheet

__all__ = ["Gallery", "Made", "Picture", "Shown", "fill"]

ROOM = 8_000_000
"""Largest size in bytes of all pictures of the chosen items together."""
MOST_ITEMS = 60
SIDES = (256, 192, 128, 96, 64, 48, 32)
"""Possible sides of a picture in pixels. The first side at which enough items fit on the page is chosen."""
LOSSLESS = 128
"""Largest side in pixels of pictures that are saved without loss. Larger pictures are saved with loss."""
QUALITY = 82
PROBED = 6
"""Number of rows whose pictures are encoded for the estimate of how many bytes one item needs."""
MARKUP = 700
"""Upper estimate of the bytes of HTML that one picture needs in addition to its content."""


@dataclass(frozen=True)
class Picture:
    """A picture that the page shows, with its label."""

    label: str
    uri: str
    """Content of the picture as a `data:` address, so that the page loads no other file."""


@dataclass(frozen=True)
class Made:
    """The pictures and texts with which the page shows the image that one row made of one item."""

    row: str
    label: str
    image: Picture
    error: Picture | None
    """Picture of the error over the known pixels; None if the item has no known pixels."""
    values: Mapping[str, str]
    """Value of the image as it is printed, by metric."""


@dataclass(frozen=True)
class Shown:
    """An item as the gallery shows it: its pictures and texts, and the reasons why it was chosen."""

    place: int
    """Index of the item in the manifest."""
    id: str
    source: str
    caption: str
    hole: float
    """Fraction of the image's area that is hole, in [0, 1]; 1 if no pixels are known."""
    given: Mapping[str, Picture]
    """The pictures `input` and `masked`; a picture that the item does not have is left out."""
    exemplar: Picture | None
    """Picture of the object that is to be painted into the hole; None if the task uses no exemplar."""
    made: tuple[Made, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True)
class Gallery:
    """The content of a report's gallery."""

    items: tuple[Shown, ...] = ()
    metrics: tuple[Compared, ...] = ()
    labels: Mapping[str, str] | None = None
    """Label of each row by its key; None if the gallery is empty."""
    reference: str = ""
    """Key of the reference row; empty if there is none. The items are then sorted by each row's own values."""
    wanted: int = 0
    """Number of items that the rule chose. The page may have room for fewer items."""
    of: int = 0
    """Number of items from which the rule could choose."""
    side: int = 0
    """Largest side of the pictures, in pixels."""
    resolution: int = 0
    """Side in pixels of the original images."""
    pixelated: bool = False
    """Whether the pictures are so small that the page enlarges them without smoothing."""
    sheet: Sheet | None = None
    """All items of the run with their values and thumbnails; None if the page does not list them."""

    @property
    def ranked(self) -> bool:
        """Whether the items were chosen by their values. Otherwise they were drawn at random."""
        return bool(self.metrics) and (not self.items or any(pick.metric for item in self.items for pick in item.picks))

    def smaller(self) -> Gallery | None:
        """Return the gallery with less content, for a page that would be too large. Return None if nothing can go.

        Chosen items go first, half of them at a time, until at most `LEAST_ITEMS` are left. Then the thumbnails of the
        sheet go, then the remaining chosen items, and at last the sheet.
        """
        few = len(self.items) <= LEAST_ITEMS
        if few and self.sheet is not None and self.sheet.thumbnails is not None:
            return replace(self, sheet=replace(self.sheet, thumbnails=None))
        if self.items:
            return replace(self, items=self.items[: len(self.items) // 2])
        return None if self.sheet is None else replace(self, sheet=None)


def fill(picks: Sequence[Pick], images: Images, rows: ComparedRows, *, of: int, room: int = ROOM) -> Gallery:
    """Return a gallery that shows the chosen items in the order of the picks.

    The gallery shows as many items as fit into `room` bytes, but at most `MOST_ITEMS`.

    Args:
        picks: chosen items, as `choose` or `drawn` returns them.
        images: function that takes indices of the manifest. It returns the items, and the images of each row.
        rows: rows that are compared.
        of: number of items from which the picks were chosen.
        room: largest size of the gallery's pictures in bytes.
    """
    places = list(dict.fromkeys(pick.place for pick in picks))
    empty = Gallery((), tuple(rows.metrics), rows.labels, rows.reference, len(places), of)
    if not places:
        return empty
    words = _Words(picks, rows)
    chosen, made = images(places[:1])
    first = _of_one(made, 0)
    resolution = chosen[0].image.shape[0]
    side = _side(words, chosen[0], first, places[0], least=min(LEAST_ITEMS, len(places)), room=room)
    found = [words.shown(places[0], chosen[0], first, side)]
    used = largest = _size(found[0])
    at_once = max(1, AT_ONCE // sum(pixels.nbytes for pixels in first.values()))
    rest = places[1:MOST_ITEMS]
    while rest and used < room:
        # Make only as many items as fit if each is as large as the largest one so far.
        part = rest[: min(at_once, 1 + (room - used) // largest)]
        rest = rest[len(part) :]
        chosen, made = images(part)
        for number, (place, item) in enumerate(zip(part, chosen, strict=True)):
            found.append(words.shown(place, item, _of_one(made, number), side))
            used += _size(found[-1])
            largest = max(largest, _size(found[-1]))
    while found and used > room:
        used -= _size(found.pop())
    return replace(empty, items=tuple(found), side=side, resolution=resolution, pixelated=side <= LOSSLESS)


def _of_one(made: Mapping[str, Pixels], number: int) -> dict[str, Pixels]:
    return {row: pictures[number] for row, pictures in made.items()}


@dataclass(frozen=True)
class _Words:
    """The picks and the compared rows, from which the pictures and texts of a gallery's item are created."""

    picks: Sequence[Pick]
    rows: ComparedRows

    def shown(self, place: int, item: Item, made: Mapping[str, Pixels], side: int) -> Shown:
        known = bool((item.mask == 0).any())
        pictures = {name: Picture(label, _encoded(pixels, side)) for name, (label, pixels) in given(item).items()}
        return Shown(
            place,
            item.id,
            item.source,
            item.caption,
            item.mask_area,
            {name: picture for name, picture in pictures.items() if name != "exemplar"},
            pictures.get("exemplar"),
            tuple(
                Made(
                    row,
                    self.rows.labels[row],
                    Picture(self.rows.labels[row], _encoded(pixels, side)),
                    Picture("error", _encoded(error_outside(item, pixels), side)) if known else None,
                    {
                        metric.name: metric.shown(self.rows.values[row][metric.name][place])
                        for metric in self.rows.metrics
                        if metric.name in self.rows.values[row]
                    },
                )
                for row, pixels in made.items()
            ),
            tuple(pick for pick in self.picks if pick.place == place),
        )


def _side(words: _Words, item: Item, made: Mapping[str, Pixels], place: int, *, least: int, room: int) -> int:
    """Return the side in pixels at which the gallery shows its pictures.

    This is the largest side in `SIDES` at which `least` items fit into `room` bytes. All items are assumed to need as
    many bytes as `item`, and these bytes are estimated from the pictures of the first `PROBED` rows. If the items do
    not fit at any side, the smallest side is returned. No side is larger than the side of the item's image.

    Args:
        words: picks and rows from which the pictures and texts of an item are created.
        item: item whose bytes are estimated.
        made: image S×S×3 of the item, by row.
        place: index of the item in the manifest.
        least: number of items that must fit.
        room: largest size of the gallery's pictures in bytes.
    """
    some = dict(list(made.items())[:PROBED])
    sides: list[int] = list(dict.fromkeys(min(side, item.image.shape[0]) for side in SIDES))
    for side in sides:
        if least * _size(words.shown(place, item, some, side)) * len(made) / len(some) <= room:
            return side
    return sides[-1]


def _encoded(pixels: Pixels, side: int) -> str:
    """Return a picture in the WebP format as a `data:` address.

    A picture whose longer side is above `side` is first scaled down, so that this side is equal to `side`. The picture
    is saved without loss if its original longer side is at most `side` and at most `LOSSLESS`, and with loss otherwise.

    Args:
        pixels: picture H×W×3.
        side: longest side in pixels that the saved picture may have.
    """
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    lossless = max(image.size) <= min(side, LOSSLESS)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", lossless=lossless, quality=QUALITY, method=2)
    return data_url(buffer.getvalue(), "webp")


def _size(item: Shown) -> int:
    """Return an estimate of the number of bytes that an item of the gallery needs in the page."""
    made = (picture for one in item.made for picture in (one.image, one.error))
    pictures = [picture for picture in (*item.given.values(), item.exemplar, *made) if picture is not None]
    words = len(item.id) + len(item.source) + len(item.caption)
    return sum(len(picture.uri) + MARKUP for picture in pictures) + 6 * words + MARKUP * len(item.picks)
