"""A data set before anything is made of it: whether its list and its files agree, and how many pictures it gives."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from bench.data.items import Picture
from bench.data.listing import few
from bench.data.manifest import MOST_BROKEN
from bench.errors import BadInputError
from bench.objects import TARGET, make

__all__ = ["Listing", "list_pictures"]


@dataclass(frozen=True)
class Listing:
    """What an adapter finds, without reading any picture."""

    count: int
    subset: str
    """`published`, `reconstructed` or `custom`."""
    problems: tuple[str, ...] = ()


def list_pictures(node: Mapping[str, Any], key: str) -> Listing | None:
    """List a data set, and compare the sizes of given masks with those of their pictures.

    Args:
        node: what yields the pictures, with its arguments.
        key: where it stands in the configuration.

    Returns:
        None where the run itself makes the data set, which a check leaves alone.
    """
    if any(_has_target(value) for value in node.values()):
        return None
    try:
        adapter = make(node, key)
        with _silent("bench.data"):  # making items says the same once more
            pictures: list[Picture] = list(adapter)
        subset = str(adapter.subset)
    except BadInputError as error:
        return Listing(0, "custom", (str(error),))
    return Listing(len(pictures), subset, tuple(_mask_problems(pictures)))


def _has_target(node: Any) -> bool:
    if isinstance(node, Mapping):
        return TARGET in node or any(_has_target(value) for value in node.values())
    return isinstance(node, list) and any(_has_target(value) for value in node)


def _mask_problems(pictures: Sequence[Picture]) -> Iterator[str]:
    given = [(picture, picture.mask) for picture in pictures if picture.mask is not None]
    sizes = [(picture.id, _size(picture.path), _size(mask)) for picture, mask in given]
    # What cannot be read is told of when items are made; a few broken pictures do not stop a run, nor do a few masks.
    unlike = [(name, image, mask) for name, image, mask in sizes if image and mask and image != mask]
    if len(unlike) > MOST_BROKEN * len(given):
        shown = few([f"{name} ({_by(mask)} for a picture of {_by(image)})" for name, image, mask in unlike])
        yield f"{len(unlike)} of {len(given)} masks are of another size than their pictures: {shown}"


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


@contextmanager
def _silent(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
