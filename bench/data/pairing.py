"""Matches each picture of a data set with the mask, caption or other picture that has the same stem.

A stem is a path relative to a folder, without the suffix of the file. The stem of `birds/01.png` is `birds/01`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.data.caption_files import Caption
from bench.data.listing import existing_folder, few, refuse_repeated
from bench.data.pictures import is_picture
from bench.data.walking import walk
from bench.errors import BadInputError

__all__ = ["PictureFolder", "names_by_stem", "paired", "paired_captions", "picture_folder", "stem_of"]


@dataclass(frozen=True)
class PictureFolder:
    """The paths of the pictures below a folder, and the paths of everything below it that gives no picture."""

    root: Path
    names: Sequence[str]
    """Path of each picture, relative to the folder, sorted."""
    left_out: dict[str, str]
    """Path, relative to the folder, of each file or folder that gives no picture, with the reason."""


def picture_folder(path: str | Path, key: str, expected: str, without: Iterable[Path] = ()) -> PictureFolder:
    """List the pictures below a folder. Links are followed.

    Hidden files, empty files and files that are not pictures are recorded in `PictureFolder.left_out`.

    Args:
        path: path of the folder.
        key: setting that names the folder, for messages.
        expected: description of the folder, for messages.
        without: paths inside the folder that are ignored. A path can be a file, or a folder with all files below it.

    Raises:
        BadInputError: the path is not a folder that can be read.
    """
    root = existing_folder(path, expected, key)
    walked, passed, names = walk(root), list(without), []
    for file in walked.files:
        if any(file.is_relative_to(one) for one in passed):
            continue
        if file.stat().st_size == 0:
            walked.leave_out(file, "an empty file")
        elif not is_picture(file):
            walked.leave_out(file, "not a picture")
        else:
            names.append(file.relative_to(root).as_posix())
    return PictureFolder(root, names, walked.left_out)


def names_by_stem(names: Sequence[str], key: str, place: str) -> dict[str, str]:
    """Return a dictionary from the stem of each picture to the picture's name.

    Args:
        names: names of the pictures.
        key: setting that gives the pictures, for the message.
        place: folder of the pictures, or another description of where they are, for the message.

    Raises:
        BadInputError: two pictures have the same stem, so that a mask or caption with this stem could belong to either.
    """
    counts = Counter(map(stem_of, names))
    doubled = [name for name in names if counts[stem_of(name)] > 1]
    if doubled:
        raise BadInputError(
            f"{key}: expected pictures whose names differ even without their suffixes, found {len(doubled)} pictures "
            f"in {place} that share a name: {few(doubled)}"
        )
    return {stem_of(name): name for name in names}


def paired(stems: Mapping[str, str], folder: PictureFolder, key: str, what: str) -> dict[str, Path]:
    """Find the partner of each picture of a data set: the picture with the same stem in another folder.

    Args:
        stems: name of each picture of the data set. The key is the picture's stem.
        folder: the folder of the partners.
        key: setting that names the folder, for messages.
        what: word for a picture in the folder, such as `mask`.

    Returns:
        The path of each partner. The key is the stem, which a picture and its partner share.

    Raises:
        BadInputError: a picture has no partner or several, or a partner belongs to no picture.
    """
    own = names_by_stem(folder.names, key, str(folder.root))
    _refuse_unpaired(stems, own, f"{key}: expected in {folder.root} one {what} for each picture", what)
    return {stem: folder.root / own[stem] for stem in stems}


def paired_captions(
    stems: Mapping[str, str], captions: Iterable[Caption], path: Path, *, others: bool = False
) -> dict[str, str]:
    """Return the caption of each picture of a data set. The key is the picture's stem.

    Args:
        stems: name of each picture of the data set. The key is the picture's stem.
        captions: all captions. A caption states the name of its picture, with or without a suffix.
        path: file or folder of the captions, for messages.
        others: True to ignore captions that belong to no picture; False to raise an error for them.

    Raises:
        BadInputError: a picture has no caption or several, or a caption belongs to no picture and `others` is False.
    """
    names = set(stems.values())
    listed = [(one.name if one.name in stems and one.name not in names else stem_of(one.name), one) for one in captions]
    kept = [(stem, one) for stem, one in listed if stem in stems or not others]
    refuse_repeated([stem for stem, _ in kept], listed_in=path)
    texts = {stem: one for stem, one in kept}
    labels = {stem: one.name for stem, one in kept}
    _refuse_unpaired(stems, labels, f"dataset.captions: expected in {path} one caption for each picture", "caption")
    return {stem: texts[stem].text for stem in stems}


def stem_of(name: str) -> str:
    """Return the stem of a relative path, which is the path without the suffix of the file."""
    return PurePosixPath(name).with_suffix("").as_posix()


def _refuse_unpaired(stems: Mapping[str, str], own: Mapping[str, str], expected: str, what: str) -> None:
    """Raise BadInputError unless two mappings have the same stems as keys.

    Args:
        stems: name of each picture of the data set. The key is the picture's stem.
        own: name of each file or caption that should belong to a picture. The key is the stem of the file or caption.
        expected: beginning of the message.
        what: word for such a file or caption, such as `mask`.
    """
    without = [name for stem, name in stems.items() if stem not in own]
    alone = [name for stem, name in own.items() if stem not in stems]
    found = []
    if without:
        found.append(f"{len(without)} of {len(stems)} pictures with no {what}: {few(without)}")
    if alone:
        found.append(f"{len(alone)} of {len(own)} {what}s with no picture: {few(alone)}")
    if found:
        raise BadInputError(f"{expected}, found {'; and '.join(found)}")
