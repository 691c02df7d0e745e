"""The adapters for the ImageNet validation set, and for the archive of pictures that the paper's Table 2 uses.

The paper's authors took 3 pictures from each of 1,000 classes but report results for 2,968 pictures. LaMa's mask
generator silently leaves out a picture if all five of its masks are too large, which happens to about 1 % of the
pictures. We think that this explains the 32 missing pictures, but the authors do not say so. The authors offer the
2,968 pictures with their masks as an archive (buxiangzhiren/Asymmetric_VQGAN, README).
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
PARTS = ("train", "val", "test")
"""Names of the folders of ImageNet's training, validation and test sets. They are not synset folders."""
PUBLISHED_PAIRS = 2968
MASK_ENDING = "_mask"


@dataclass(frozen=True)
class ImageNetValidation(Pictures):
    """A random selection of pictures from each class of the validation set.

    There may be one folder of pictures for each class (synset), or one folder of all pictures and a ground truth file.
    The selection and the ids are the same for both layouts.

    Attributes:
        root: folder that contains the synset folders, such as `ILSVRC2012/val`. If `ground_truth` is set, it is the
            folder that contains the pictures themselves.
        per_class: number of pictures to select from each class. If a class has fewer pictures, or if the number is
            None, all pictures of the class are selected.
        seed: seed of the selection.
        ground_truth: the devkit's file `ILSVRC2012_validation_ground_truth.txt`. The first line of the file is the
            class of the picture `ILSVRC2012_val_00000001`, and so on. A relative path starts at the root. None if the
            pictures are in synset folders.
    """

    root: str | Path
    per_class: int | None = PER_CLASS
    seed: int = 0
    ground_truth: str | Path | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "drawn"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "lama"
    dataset: ClassVar[str] = "ImageNet"

    def __post_init__(self) -> None:
        if self.per_class is not None and self.per_class < 1:
            raise BadInputError(f"dataset.pictures.per_class: expected 1 or more, found {self.per_class}")

    @property
    def split(self) -> str:
        """Name of the folder `root` if it is `train`, `val` or `test`, and `val` otherwise."""
        name = Path(str(self.root)).name
        return name if name in PARTS else "val"

    @property
    def subset(self) -> Literal["reconstructed", "custom"]:
        """`reconstructed` if 3 pictures from each of 1,000 classes are selected, and `custom` otherwise.

        The paper's authors also took 3 pictures from each class, but their choice of pictures is not known.
        """
        counts = [len(chosen) for chosen in self._chosen]
        return "reconstructed" if counts == [PER_CLASS] * CLASSES else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the selected pictures, sorted by class and then by name.

        Raises:
            BadInputError: the root is not a folder, no picture with a class is found, two pictures in a synset folder
                differ only in their suffixes, or the ground truth file is broken or names pictures that are missing.
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
        """Paths below the root of all files and folders that are not a picture of a class, each with the reason.

        Pictures of a class that were not selected are not included.
        """
        _ = self._chosen
        return self._walk.left_out

    @cached_property
    def _walk(self) -> Walk:
        return walk(Path(self.root), depth=2 if self.ground_truth is None else 1)

    @cached_property
    def _chosen(self) -> list[list[Path]]:
        """Paths of the selected pictures, one list for each class."""
        root = existing_folder(self.root, "a folder of pictures, or with one subfolder for each ImageNet class")
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
    parts = {folder.name: len(files) for folder, files in classes.items() if folder.name in PARTS}
    if parts or not classes:
        counted = ", ".join(f"{count:,} pictures in {name}" for name, count in parts.items()) or "no such subfolder"
        raise BadInputError(
            f"dataset.root: expected one subfolder of pictures for each ImageNet class, such as n01440764, found "
            f"{counted} in {found.root}; {_below(found.root)}if all pictures are in one folder, set "
            "dataset.pictures.ground_truth to the file that lists their classes"
        )
    for folder, files in classes.items():
        refuse_repeated([path.stem for path in files], listed_in=folder)
    return list(classes.values())


def _below(root: Path) -> str:
    """Return a text for an error message that counts the subfolders of each folder in `root`.

    If no folder in `root` has a subfolder, the text is empty.
    """
    counts = {folder: len(_folders_in(folder)) for folder in _folders_in(root)}
    shown = [f"{folder} has {count:,} subfolders" for folder, count in counts.items() if count]
    return f"{few(shown)}; if a folder named here contains the class folders, set dataset.root to it; " if shown else ""


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # it cannot be read
        return []


def _flat(walked: Walk, ground_truth: Path) -> list[list[Path]]:
    root = walked.root
    lines = read_lines(ground_truth, "dataset.pictures.ground_truth", "a text file of class numbers")
    wrong = [
        f"{line or 'an empty line'} in line {number}"
        for number, line in enumerate(lines, 1)
        if not re.fullmatch("[0-9]{1,9}", line)
    ]
    if wrong or not lines:
        raise BadInputError(
            f"{ground_truth}: expected a class number of 1 to 9 digits in every line, found {few(wrong) or 'no lines'}"
        )
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
    """The pictures and masks of the unpacked archive that the paper's authors offer.

    Attributes:
        root: folder that contains pairs of files, `NAME.png` and `NAME_mask.png`.
        mask_values: value of known pixels and value of the hole in mask files. None if black is known and white is the
            hole.
    """

    root: str | Path
    mask_values: Sequence[Any] | None = None

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "given"
    fit: ClassVar[Literal["lama", "squash", "crop"]] = "squash"
    dataset: ClassVar[str] = "ImageNet"
    split: ClassVar[str] = "val"

    def __post_init__(self) -> None:
        mask_values(self.mask_values)

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` if there are 2,968 pairs, as many as the paper reports; `custom` otherwise.

        Only the number can be compared, because no checksum of the archive is known.
        """
        return "published" if len(self._names) == PUBLISHED_PAIRS else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures with their masks, in the order of their names.

        Raises:
            BadInputError: the root is not a folder or has no pairs, a picture has no mask, or a mask has no picture.
        """
        names, root = self._names, Path(self.root)
        sources, values = source_notes(root), mask_values(self.mask_values)
        for name in names:
            file, mask = f"{name}.png", root / f"{name}{MASK_ENDING}.png"
            yield Picture(name, root / file, sources.get(file, name), mask=mask, mask_values=values)

    @property
    def left_out(self) -> dict[str, str]:
        """Names of files and folders in the root that cannot belong to a pair, each with the reason."""
        _ = self._names
        return self._walk.left_out

    @cached_property
    def _walk(self) -> Walk:
        return walk(Path(self.root), depth=1)

    @cached_property
    def _names(self) -> list[str]:
        root = existing_folder(self.root, "a folder with pairs of NAME.png and NAME_mask.png")
        stems = {path.stem for path in sorted_out(self._walk, {".png"}, level=1, outside="")}
        masked = {stem.removesuffix(MASK_ENDING) for stem in stems if stem.endswith(MASK_ENDING)}
        pictures = {stem for stem in stems if not stem.endswith(MASK_ENDING)}
        if not stems:
            raise BadInputError(f"dataset.root: expected pairs of NAME.png and NAME_mask.png, found none in {root}")
        for partner, alone in ((MASK_ENDING, pictures - masked), ("", masked - pictures)):
            missing = few(sorted(f"{name}{partner}.png" for name in alone))
            if alone:
                raise BadInputError(
                    f"{root}: expected both NAME.png and NAME_mask.png of each pair, found {len(alone)} of "
                    f"{len(pictures | masked)} pairs incomplete; these files are missing: {missing}"
                )
        return sorted(pictures)
