"""The ImageNet validation set, and the subset of it in the paper's Table 2.

The authors took 3 pictures of each class and report 2,968 of the 3,000. LaMa's generator silently leaves out a picture
if all five of its masks are too large, about 1 % of them. That this explains the missing 32 is our inference, not their
statement. They offer the 2,968 pictures with their masks as an archive (buxiangzhiren/Asymmetric_VQGAN, README).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.data.given_masks import mask_values
from bench.data.items import Picture, Pictures
from bench.data.listing import existing_folder, few, read_lines, refuse_missing, refuse_repeated, source_notes
from bench.data.walking import Walk, sorted_out, walk
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator

__all__ = ["AuthorsArchive", "ImageNetValidation"]

SUFFIXES = {".jpeg", ".jpg", ".png"}
CLASSES, PER_CLASS = 1000, 3
PUBLISHED_PAIRS = 2968
MASK_ENDING = "_mask"


@dataclass(frozen=True)
class ImageNetValidation(Pictures):
    """A seeded selection of pictures of each class, which is equal for both layouts, including the names.

    Attributes:
        root: the folder that holds the synset folders, such as `ILSVRC2012/val`; with a ground truth, the folder
            that holds the pictures themselves.
        per_class: number of pictures of each class; a class with fewer gives all of them.
        seed: seed of the selection.
        ground_truth: the devkit's `ILSVRC2012_validation_ground_truth.txt`, whose line n is the class of
            `ILSVRC2012_val_%08d` n; a relative path starts at the root. None if synset folders give the classes.
    """

    root: str | Path
    per_class: int = PER_CLASS
    seed: int = 0
    ground_truth: str | Path | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise BadInputError(f"dataset.pictures.per_class: expected 1 or more, found {self.per_class}")

    @property
    def subset(self) -> Literal["reconstructed", "custom"]:
        """`reconstructed` for 3 pictures of each of 1,000 classes, which is the authors' rule with our own
        selection.
        """
        counts = [len(chosen) for chosen in self._chosen]
        return "reconstructed" if counts == [PER_CLASS] * CLASSES else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in the order of their classes, then of their names.

        Raises:
            BadInputError: the root is not a folder or has no pictures in classes, or the ground truth does not fit.
        """
        chosen = [path for paths in self._chosen for path in paths]
        root = Path(self.root)
        sources = source_notes(root)
        # If file names are unique, they are the ids, so that masks and noise are equal for both layouts.
        ambiguous = len({path.stem for path in chosen}) < len(chosen)
        for path in chosen:
            relative = path.relative_to(root)
            name = relative.with_suffix("").as_posix() if ambiguous else path.stem
            yield Picture(name, path, sources.get(relative.as_posix(), name))

    @property
    def left_out(self) -> dict[str, str]:
        """Paths below the root that give no picture to select from, with the reason."""
        _ = self._chosen
        return self._walk.left_out

    @cached_property
    def _walk(self) -> Walk:
        return walk(Path(self.root), depth=2 if self.ground_truth is None else 1)

    @cached_property
    def _chosen(self) -> list[list[Path]]:
        """The selected pictures of each class."""
        root = existing_folder(self.root, "a folder of synset folders, or of pictures with their ground truth")
        found = self._walk
        classes = _folders(found) if self.ground_truth is None else _flat(found, root / self.ground_truth)
        chosen = []
        for files in classes:
            # The first file identifies the class, because both layouts have the same files.
            generator = numpy_generator(self.seed, "imagenet subset", files[0].stem)
            chosen.append([files[index] for index in sorted(generator.permutation(len(files))[: self.per_class])])
        return chosen


def _folders(found: Walk) -> list[list[Path]]:
    classes: dict[Path, list[Path]] = {}
    for path in sorted_out(found, SUFFIXES, level=2, outside="outside a synset folder"):
        classes.setdefault(path.parent, []).append(path)
    for folder, files in classes.items():
        refuse_repeated([path.stem for path in files], listed_in=folder)
    if not classes:
        raise BadInputError(
            f"dataset.root: expected synset folders with pictures, found none in {found.root}; "
            "for pictures without folders, dataset.pictures.ground_truth names the file of their classes"
        )
    return list(classes.values())


def _flat(walked: Walk, ground_truth: Path) -> list[list[Path]]:
    root = walked.root
    lines = read_lines(ground_truth, "dataset.pictures.ground_truth", "a file of class ids")
    wrong = [
        f"{line or 'an empty line'} in line {number}"
        for number, line in enumerate(lines, 1)
        if not re.fullmatch("[0-9]{1,9}", line)
    ]
    if wrong or not lines:
        raise BadInputError(f"{ground_truth}: expected a class id in every line, found {few(wrong) or 'none'}")
    found = {path.stem: path for path in walked.files if path.suffix.lower() in SUFFIXES}
    paths = [
        found.get(stem, root / f"{stem}.JPEG")
        for stem in (f"ILSVRC2012_val_{number:08d}" for number in range(1, len(lines) + 1))
    ]
    refuse_missing(root, paths, listed_in=ground_truth)
    classes: dict[int, list[Path]] = {int(line): [] for line in sorted(lines, key=int)}
    for line, path in zip(lines, paths, strict=True):
        classes[int(line)].append(path)
    return list(classes.values())


@dataclass(frozen=True)
class AuthorsArchive(Pictures):
    """The authors' own pictures and masks, unpacked.

    Attributes:
        root: the folder that holds pairs of `NAME.png` and `NAME_mask.png`.
        mask_values: values of known pixels and of the hole in mask files, in this order; None for black and white.
    """

    root: str | Path
    mask_values: Sequence[Any] | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"

    def __post_init__(self) -> None:
        mask_values(self.mask_values)

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` if there are as many pairs as the paper reports (their checksum is unknown); `custom`
        otherwise.
        """
        return "published" if len(self._names) == PUBLISHED_PAIRS else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures with their masks in the order of their names.

        Raises:
            BadInputError: the root is not a folder or has no pairs, or a picture or mask has no partner.
        """
        names, root = self._names, Path(self.root)
        sources, values = source_notes(root), mask_values(self.mask_values)
        for name in names:
            file, mask = f"{name}.png", root / f"{name}{MASK_ENDING}.png"
            yield Picture(name, root / file, sources.get(file, name), mask=mask, mask_values=values)

    @property
    def left_out(self) -> dict[str, str]:
        """Names in the root that belong to no pair, with the reason."""
        _ = self._names
        return self._walk.left_out

    @cached_property
    def _walk(self) -> Walk:
        return walk(Path(self.root), depth=1)

    @cached_property
    def _names(self) -> list[str]:
        root = existing_folder(self.root, "a folder of NAME.png and NAME_mask.png")
        stems = {path.stem for path in sorted_out(self._walk, {".png"}, level=1, outside="")}
        masked = {stem.removesuffix(MASK_ENDING) for stem in stems if stem.endswith(MASK_ENDING)}
        pictures = {stem for stem in stems if not stem.endswith(MASK_ENDING)}
        if not stems:
            raise BadInputError(f"dataset.root: expected pairs of NAME.png and NAME_mask.png, found none in {root}")
        for partner, alone in ((MASK_ENDING, pictures - masked), ("", masked - pictures)):
            missing = few(sorted(f"{name}{partner}.png" for name in alone))
            if alone:
                raise BadInputError(f"{root}: {len(alone)} of {len(pictures | masked)} pairs lack a file: {missing}")
        return sorted(pictures)
