"""Lists the pictures of a data set before any item is made.

The listing counts the pictures. It also finds missing files, and data sets in which too many masks do not have the size
of their picture.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.instantiate import TARGET, make, named
from bench.data.adjusted import adjusted
from bench.data.items import Picture, Pictures
from bench.data.listing import few
from bench.data.pictures import size_of
from bench.data.prepared import MOST_BROKEN, refuse_invalid
from bench.data.squaring import check_squaring
from bench.errors import BadInputError
from bench.runtime.defaults import with_defaults

__all__ = ["Listing", "Traits", "adapter_of", "check_fit", "list_pictures", "traits_of"]


PICTURES = "dataset.pictures"
"""Key of the configuration that describes the adapter."""


@dataclass(frozen=True)
class Listing:
    """The result of listing the pictures of a data set, without decoding any picture."""

    count: int
    subset: str = "custom"
    """Relation of the pictures to the paper's pictures; see `bench.data.items.Pictures.subset`."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Traits:
    """Properties of an adapter that are known before it lists its pictures."""

    masks: str = "drawn"
    """Source of the masks; see `bench.data.items.Pictures.masks`."""
    pictured: bool = True
    """True if each item has a true picture; see `bench.data.items.Pictures.pictured`."""
    dataset: str = ""
    """Name of the data set; see `bench.data.items.Pictures.dataset`."""
    split: str = ""
    """Name of the data set's split; see `bench.data.items.Pictures.split`."""


def adapter_of(dataset: Mapping[str, Any], **changed: Any) -> Pictures:
    """Create the adapter that a data set's configuration describes. Pictures are made square as the configuration says.

    Args:
        dataset: value of the configuration key `dataset`, as plain data.
        changed: arguments of the adapter that replace those in the configuration.

    Raises:
        BadInputError: the adapter refuses its arguments, or `dataset.fit`, `dataset.filter` or `dataset.crop_offset`
            has a value that is not allowed or does not suit the adapter.
    """
    pictures = make({**dataset["pictures"], **changed}, PICTURES)
    with named(PICTURES, "an object that lists pictures"):
        pictures = with_defaults(pictures, Pictures)
        return adjusted(pictures, dataset)


def list_pictures(node: Mapping[str, Any], key: str) -> Listing | None:
    """List the pictures of a data set, and check that masks from files have the sizes of their pictures.

    Masks of another size are a problem only if their share of all masks is above `MOST_BROKEN`, because a few broken
    masks do not stop a run. The errors that are found are not raised. They are in `problems` of the result.

    Args:
        node: configuration of the adapter that reads the data set, with its arguments.
        key: full name of the configuration key that has `node`, for error messages.

    Returns:
        The listing. None if an argument of the adapter has a `_target_`: the run first makes the data set in this case,
            and a check must not do this work.
    """
    if any(_has_target(value) for value in node.values()):
        return None
    try:
        adapter = with_defaults(make(node, key), Pictures)
        with _silenced("bench.data"):  # the preparation of items reports it again
            pictures: list[Picture] = list(adapter)
        refuse_invalid(adapter, pictures)
        subset = str(adapter.subset)
    except BadInputError as error:
        return Listing(0, problems=(str(error),))
    return Listing(len(pictures), subset, tuple(_mask_problems(pictures)))


def traits_of(dataset: Mapping[str, Any]) -> Traits:
    """Return the properties of an adapter that are known before it lists its pictures.

    The data set need not exist yet. The adapter is created, but the objects in its arguments are not created, because
    the creation of such an object may make the data set. If the adapter cannot be created without these objects, the
    result is `Traits()`.

    Args:
        dataset: value of the configuration key `dataset`, as plain data.
    """
    try:
        adapter = adapter_of(dataset, _recursive_=False)
        with named(PICTURES, "an object with the attributes masks and pictured"):
            return Traits(str(adapter.masks), bool(adapter.pictured), str(adapter.dataset), str(adapter.split))
    except BadInputError:  # `list_pictures` reports it
        return Traits()


def check_fit(dataset: Mapping[str, Any]) -> None:
    """Check the settings of the way to make pictures square, alone and together with the adapter of a data set.

    The data set need not exist yet. If the adapter cannot be created without the objects in its arguments, the settings
    are only checked alone.

    Args:
        dataset: value of the configuration key `dataset`, as plain data.

    Raises:
        BadInputError: `dataset.fit`, `dataset.filter` or `dataset.crop_offset` has a value that is not allowed or does
            not suit the adapter.
    """
    check_squaring(dataset)
    try:
        pictures = make({**dataset["pictures"], "_recursive_": False}, PICTURES)
    except BadInputError:  # `list_pictures` reports it
        return
    with named(PICTURES, "an object that lists pictures"):
        adjusted(with_defaults(pictures, Pictures), dataset)


def _has_target(node: Any) -> bool:
    if isinstance(node, Mapping):
        return TARGET in node or any(_has_target(value) for value in node.values())
    return isinstance(node, list) and any(_has_target(value) for value in node)


def _mask_problems(pictures: Sequence[Picture]) -> Iterator[str]:
    given = [(one, one.path, one.mask) for one in pictures if one.path is not None and one.mask is not None]
    sizes = [(picture.id, _size(path), _size(mask)) for picture, path, mask in given]
    # The preparation of items reports unreadable files; a few broken pictures or masks do not stop a run.
    different = [(name, image, mask) for name, image, mask in sizes if image and mask and image != mask]
    if len(different) > MOST_BROKEN * len(given):
        shown = few(
            [f"{name} ({_size_text(mask)} for a picture of {_size_text(image)})" for name, image, mask in different]
        )
        yield (
            f"expected masks with the sizes of their pictures, found {len(different)} of {len(given)} with other "
            f"sizes: {shown}"
        )


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return size_of(path)
    except BadInputError:
        return None


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
