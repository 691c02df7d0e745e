"""Pairs the true pictures with their masks and with the pictures of each editor.

Files are paired by their names without the suffix. Arrays have no names, so they are paired by their order, either with
other arrays or with a list of paths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.data.listing import few
from bench.edits.pictures import Masks, Pictures, PictureSet, read_masks, read_pictures
from bench.errors import BadInputError

__all__ = ["LEAST_SIDE", "ONE", "Pairs", "pair"]

ONE = "edited"
"""Name of the editor if the caller gives the pictures of only one editor, without a name."""
LEAST_SIDE = 11
"""Smallest side of a picture in pixels, which is the side of the window of the structural similarity."""
Named = TypeVar("Named", PictureSet, Masks)


@dataclass(frozen=True)
class Pairs:
    """The true pictures, and in the same order each editor's pictures, the masks, the exemplars and the prompts."""

    names: tuple[str, ...]
    truth: PictureSet
    edited: Mapping[str, PictureSet]
    """Pictures of each editor, by the editor's name."""
    masks: Masks | None
    """Masks of the pictures; None if all pixels are known."""
    exemplars: PictureSet | None = None
    """For each picture, a picture of what was to be painted into the hole."""
    prompts: Sequence[str] | None = None
    """For each picture, the text that the editors were given."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sources(self) -> list[str]:
        """Source of each picture. If no file beside the true picture states one, the picture's name is used."""
        return [self.truth.sources.get(name, name) for name in self.names]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks whose measures fit the pictures, as in the configuration's `metrics.tasks`."""
        given = {"editing": self.exemplars, "prompted": self.prompts}
        return ["inpainting", *(task for task, found in given.items() if found is not None)]

    def misfits(self, editor: str) -> list[int]:
        """Return the indices of those pictures of an editor that have another size than their true pictures."""
        sizes = zip(self.truth.sizes, self.edited[editor].sizes, strict=True)
        return [place for place, (true, found) in enumerate(sizes) if true != found]

    @property
    def measurable(self) -> list[str]:
        """Names of the editors all of whose pictures have the same size as their true pictures."""
        return [editor for editor in self.edited if not self.misfits(editor)]


def pair(
    truth: Pictures,
    edited: Mapping[str, Pictures],
    mask: Pictures | None,
    *,
    exemplars: Pictures | None = None,
    prompts: Sequence[str] | None = None,
) -> Pairs:
    """Pair the pictures of every editor, the masks and the exemplars with the true pictures.

    Args:
        truth: true pictures.
        edited: pictures of each editor, by the editor's name.
        mask: masks; None if all pixels are known.
        exemplars: for each picture, a picture of what was to be painted into the hole; None if the editors got none.
        prompts: for each picture, in the order of `truth`, the text that the editors got; None if they got no texts.

    Raises:
        BadInputError: a set of pictures cannot be read; pictures are missing or belong to no true picture; a mask has
            another size than its picture; a true picture is too small; or the prompts are wrong.
    """
    base = read_pictures(truth, "truth")
    base.require_levels()
    count = len(base)
    names = base.names or tuple(str(place) for place in range(count))
    sets = {
        name: _in_order(read_pictures(given, _named(name)), base, edited[name], truth) for name, given in edited.items()
    }
    masks = None if mask is None else _in_order(read_masks(mask), base, mask, truth)
    small = [f"{name} ({width}×{height})" for name, (height, width) in zip(names, base.sizes, strict=True)
             if min(height, width) < LEAST_SIDE]  # fmt: skip
    if small:
        raise BadInputError(f"truth: expected pictures of at least {LEAST_SIDE} pixels a side, found {few(small)}")
    if masks is not None:
        unlike = [
            f"{name} (mask {_shown(found)}, picture {_shown(true)})"
            for name, true, found in zip(names, base.sizes, masks.sizes, strict=True)
            if true != found
        ]
        if unlike:
            raise BadInputError(
                f"mask: expected masks of the size of their pictures, found {len(unlike)} of {count} with another "
                f"size: {few(unlike)}"
            )
    painted = None if exemplars is None else _in_order(read_pictures(exemplars, "exemplars"), base, exemplars, truth)
    if prompts is not None:
        _check_prompts(prompts, count)
    return Pairs(names, base.reordered(range(count), names), sets, masks, painted, prompts)


def _named(editor: str) -> str:
    """Return the words that a message uses for the pictures of an editor."""
    return ONE if editor == ONE else f"{ONE} {editor}"


def _check_prompts(prompts: Sequence[str], count: int) -> None:
    """Check that there is a valid text for each picture.

    Raises:
        BadInputError: the prompts are not a list of printable texts of one line each, or there are not `count` texts.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Sequence):
        raise BadInputError(f"prompts: expected a list of texts, found {type(prompts).__name__}")
    wrong = [one for one in prompts if not isinstance(one, str) or not one.isprintable()]
    if wrong:
        raise BadInputError(f"prompts: expected printable texts, each on one line, found {wrong[0]!r}")
    if len(prompts) != count:
        raise BadInputError(f"prompts: expected {count} texts, one for each picture in truth, found {len(prompts)}")


def _in_order(found: Named, base: PictureSet, given: Pictures, truth: Pictures) -> Named:
    """Return pictures or masks in the order of the true pictures.

    Args:
        found: pictures or masks.
        base: true pictures.
        given: folder, paths or arrays from which `found` was made.
        truth: folder, paths or arrays from which `base` was made.

    Raises:
        BadInputError: pictures are missing or belong to no true picture; or a folder would have to be paired with
            arrays, which is impossible because files in a folder have no order.
    """
    names = base.names or tuple(str(place) for place in range(len(base)))
    if found.names is None or base.names is None:
        folder = next((one for one in (given, truth) if isinstance(one, str | os.PathLike)), None)
        if folder is not None:
            raise BadInputError(
                f"{found.what}: expected files for both {found.what} and truth, or arrays for both, found the folder "
                f"{folder} and arrays; the files of a folder have no order, so give a list of paths in the order of "
                "the arrays"
            )
        if len(found) != len(base):
            raise BadInputError(
                f"{found.what}: expected {len(base)} entries, one for each picture in truth, found {len(found)}"
            )
        return found.reordered(range(len(base)), names)
    places = {name: place for place, name in enumerate(found.names)}
    lacking = [name for name in names if name not in places]
    extra = [name for name in found.names if name not in set(names)]
    if lacking or extra:
        said = [
            f"no file for {few(lacking)}" if lacking else "",
            f"files that truth does not have ({few(extra)})" if extra else "",
        ]
        raise BadInputError(
            f"{found.what}: expected one file of the same name, apart from the suffix, for each of the {len(names)} "
            f"pictures of truth, found {' and '.join(one for one in said if one)}"
        )
    return found.reordered([places[name] for name in names], names)


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}×{size[0]}"
