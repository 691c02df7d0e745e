"""The ImageNet validation set, and the subset of it that the paper's Table 2 is about.

The authors took 3 pictures of each class and report 2,968 of the 3,000. LaMa's generator silently leaves out a picture
whose five masks are all too large, about 1 % of them; that this explains the 32 is our inference, not their statement.
They offer the 2,968 pictures with their masks as an archive (buxiangzhiren/Asymmetric_VQGAN, README).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from bench.data.items import Picture
from bench.data.listing import existing_folder, few, refuse_missing, refuse_repeated, source_notes
from bench.errors import BadInputError
from bench.seeding import numpy_generator

__all__ = ["AuthorsArchive", "ImageNetValidation"]

SUFFIXES = {".jpeg", ".jpg", ".png"}
CLASSES, PER_CLASS = 1000, 3
PUBLISHED_PAIRS = 2968
MASK_ENDING = "_mask"


@dataclass(frozen=True)
class ImageNetValidation:
    """A seeded choice of pictures from each class; the same pictures under the same names in either layout.

    Attributes:
        root: the folder that holds the synset folders, such as `ILSVRC2012/val`; with a ground truth, the folder that
            holds the pictures themselves.
        per_class: pictures taken from each class; a class with fewer gives all it has.
        seed: of the choice.
        ground_truth: the devkit's `ILSVRC2012_validation_ground_truth.txt`, whose line n is the class of
            `ILSVRC2012_val_%08d` n; a relative path is meant from the root. None where synset folders tell the classes.
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
        """`reconstructed` for 3 pictures of each of 1,000 classes, the authors' rule with a choice of our own."""
        counts = [len(chosen) for chosen in self._chosen]
        return "reconstructed" if counts == [PER_CLASS] * CLASSES else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """The pictures in the order of their classes, then of their names.

        Raises:
            BadInputError: the root is no folder or has no pictures in classes, or the ground truth does not fit.
        """
        chosen = [path for paths in self._chosen for path in paths]
        root = Path(self.root)
        sources = source_notes(root)
        # By their file's name where that is enough, so that masks and noise are the same in either layout.
        alike = len({path.stem for path in chosen}) < len(chosen)
        for path in chosen:
            relative = path.relative_to(root)
            name = relative.with_suffix("").as_posix() if alike else path.stem
            yield Picture(name, path, sources.get(relative.as_posix(), name))

    @cached_property
    def _chosen(self) -> list[list[Path]]:
        """The pictures chosen of each class."""
        root = existing_folder(self.root, "a folder of synset folders, or of pictures with their ground truth")
        classes = _folders(root) if self.ground_truth is None else _flat(root, root / self.ground_truth)
        chosen = []
        for files in classes:
            # The first file names the class, for either layout has the same files.
            generator = numpy_generator(self.seed, "imagenet subset", files[0].stem)
            chosen.append([files[index] for index in sorted(generator.permutation(len(files))[: self.per_class])])
        return chosen


def _folders(root: Path) -> list[list[Path]]:
    classes = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        refuse_repeated([path.stem for path in files], listed_in=folder)
        if files:
            classes.append(files)
    if not classes:
        raise BadInputError(
            f"dataset.root: expected synset folders with pictures, found none in {root}; "
            "for pictures without folders, dataset.pictures.ground_truth names the file of their classes"
        )
    return classes


def _flat(root: Path, ground_truth: Path) -> list[list[Path]]:
    try:
        lines = ground_truth.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        expected = f"expected a file of class ids at {ground_truth}"
        raise BadInputError(f"dataset.pictures.ground_truth: {expected}: {error}") from None
    wrong = [f"{line} in line {number}" for number, line in enumerate(lines, 1) if not line.isdecimal()]
    if wrong or not lines:
        raise BadInputError(f"{ground_truth}: expected a class id in every line, found {few(wrong) or 'none'}")
    found = {path.stem: path for path in root.iterdir() if path.suffix.lower() in SUFFIXES}
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
class AuthorsArchive:
    """The authors' own pictures and masks, unpacked.

    Attributes:
        root: the folder that holds pairs of `NAME.png` and `NAME_mask.png`.
    """

    root: str | Path

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` for as many pairs as the paper reports; no checksum of them is known."""
        return "published" if len(self._names) == PUBLISHED_PAIRS else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """The pictures with their masks in the order of their names.

        Raises:
            BadInputError: the root is no folder or has no pairs, or a picture or mask has no partner.
        """
        names, root = self._names, Path(self.root)
        sources = source_notes(root)
        for name in names:
            file = f"{name}.png"
            yield Picture(name, root / file, sources.get(file, name), mask=root / f"{name}{MASK_ENDING}.png")

    @cached_property
    def _names(self) -> list[str]:
        root = existing_folder(self.root, "a folder of NAME.png and NAME_mask.png")
        stems = {path.stem for path in root.iterdir() if path.suffix == ".png"}
        masked = {stem.removesuffix(MASK_ENDING) for stem in stems if stem.endswith(MASK_ENDING)}
        pictures = {stem for stem in stems if not stem.endswith(MASK_ENDING)}
        if not stems:
            raise BadInputError(f"dataset.root: expected pairs of NAME.png and NAME_mask.png, found none in {root}")
        for partner, alone in ((MASK_ENDING, pictures - masked), ("", masked - pictures)):
            missing = few(sorted(f"{name}{partner}.png" for name in alone))
            if alone:
                raise BadInputError(f"{root}: {len(alone)} of {len(pictures | masked)} pairs lack a file: {missing}")
        return sorted(pictures)
