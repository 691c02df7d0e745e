"""The adapter for a folder of pictures that belongs to no known data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench.data.caption_files import TEXT, read_captions
from bench.data.given_masks import mask_values
from bench.data.items import Picture, Pictures
from bench.data.listing import NOTES, source_notes
from bench.data.pairing import PictureFolder, names_by_stem, paired, paired_captions, picture_folder, stem_of
from bench.errors import BadInputError

__all__ = ["FolderPictures"]

ROOT, MASKS, CAPTIONS, EXEMPLARS = (f"dataset.{name}" for name in ("root", "masks", "captions", "exemplars"))
GENERATION = "generation"
"""Task of the tables whose rows generate whole images from captions."""


@dataclass(frozen=True)
class FolderPictures(Pictures):
    """All pictures below a folder, sorted by name, with their masks, captions and exemplars if these are given.

    Links are followed. Hidden files, whose names begin with a dot, are left out. A mask, a caption or an exemplar
    belongs to the picture that has the same relative path without the suffix.

    Attributes:
        root: path of the folder.
        masks_from: folder of the masks. If it is None, masks are drawn.
        captions_from: CSV or JSONL file of the captions, or folder of text files with one caption each. The folder may
            be the root. If it is None, pictures have no captions. See `bench.data.caption_files`.
        exemplars_from: folder of the exemplars. If it is None, pictures have no exemplars.
        mask_values: value of known pixels and value of the hole in mask files. None if black is known and white is the
            hole.
        task: task of the table. For the task `generation`, the whole image is generated from the caption, and masks are
            not used.
    """

    root: str | Path
    masks_from: str | Path | None = None
    captions_from: str | Path | None = None
    exemplars_from: str | Path | None = None
    mask_values: Sequence[Any] | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        mask_values(self.mask_values)

    @property
    def masks(self) -> Literal["drawn", "given", "whole"]:
        """Origin of the masks: `whole` for the task `generation`.

        For any other task, it is `given` if there is a folder of masks, and `drawn` if there is none.
        """
        if self.task == GENERATION:
            return "whole"
        return "drawn" if self.masks_from is None else "given"

    @property
    def fit(self) -> Literal["lama", "squash"]:
        """Way to make a picture square: `lama` if masks are drawn, and otherwise `squash`."""
        return "lama" if self.masks == "drawn" else "squash"

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures, sorted by name.

        Raises:
            BadInputError: the root is not a folder, or contains no picture; or a folder or file of masks, captions or
                exemplars is missing or broken, or does not have exactly one mask, caption or exemplar for each picture;
                or the task is `generation` and `captions_from` is None.
        """
        if self.task == GENERATION and self.captions_from is None:
            raise BadInputError(
                f"{CAPTIONS}: expected captions, because this table's images are generated from them, found none; "
                f"{CAPTIONS}=FILE sets them"
            )
        root, mask_folder, exemplar_folder = self._pictures.root, self._masks, self._exemplars
        sources = source_notes(root)
        if not self._pictures.names:
            raise BadInputError(f"{ROOT}: expected pictures, found none in {root}")
        values, captions = mask_values(self.mask_values), self._captions
        masks = self._partners(mask_folder, MASKS, "mask")
        exemplars = self._partners(exemplar_folder, EXEMPLARS, "exemplar")
        for name in self._pictures.names:
            # The suffix is part of the name, so that a.png and a.jpg are two items.
            yield Picture(
                name,
                root / name,
                sources.get(name, name),
                mask=masks.get(name),
                mask_values=values if name in masks else None,
                exemplar=exemplars.get(name),
                caption=captions.get(name, ""),
            )

    @property
    def left_out(self) -> dict[str, str]:
        """Paths of files and folders that are not used, each with the reason.

        The paths are relative to the root. Paths in the folder of masks or of exemplars begin with the name of this
        folder instead.
        """
        partners = [one for one in (self._masks, self._exemplars) if one is not None]
        others = {f"{one.root.name}/{name}": why for one in partners for name, why in one.left_out.items()}
        return {**self._pictures.left_out, **others}

    @cached_property
    def _pictures(self) -> PictureFolder:
        root = Path(self.root)
        partners = [folder for one in (self.masks_from, self.exemplars_from) for folder in _inside(root, one)]
        found = picture_folder(root, ROOT, "a folder of pictures", [root / name for name in NOTES] + partners)
        texts = {
            (folder / f"{stem_of(name)}{TEXT}").relative_to(root).as_posix()
            for folder in _inside(root, self.captions_from)
            for name in found.names
        }
        left_out = {name: why for name, why in found.left_out.items() if name not in texts}
        return PictureFolder(found.root, found.names, left_out)

    @cached_property
    def _masks(self) -> PictureFolder | None:
        return None if self.masks == "whole" else self._partner_folder(self.masks_from, MASKS, "masks")

    @cached_property
    def _exemplars(self) -> PictureFolder | None:
        return self._partner_folder(self.exemplars_from, EXEMPLARS, "exemplars")

    def _partner_folder(self, path: str | Path | None, key: str, what: str) -> PictureFolder | None:
        if path is None:
            return None
        found = picture_folder(path, key, f"a folder of {what}")
        if found.root.resolve() == Path(self.root).resolve():
            raise BadInputError(f"{key}: expected another folder than {ROOT}, found the same folder, {path}")
        return found

    def _partners(self, folder: PictureFolder | None, key: str, what: str) -> dict[str, Path]:
        """Return the path of the mask or exemplar of each picture. The key is the name of the picture.

        If `folder` is None, the result is empty.

        Args:
            folder: folder of the masks or of the exemplars.
            key: setting that names the folder, for messages.
            what: word for a file in the folder, such as `mask`.
        """
        if folder is None:
            return {}
        stems = names_by_stem(self._pictures.names, ROOT, str(self._pictures.root))
        return {stems[stem]: path for stem, path in paired(stems, folder, key, what).items()}

    @property
    def _captions(self) -> dict[str, str]:
        """Caption of each picture, by the picture's name; empty if there are no captions."""
        if self.captions_from is None:
            return {}
        path, stems = Path(self.captions_from), names_by_stem(self._pictures.names, ROOT, str(self._pictures.root))
        beside = path.resolve() == self._pictures.root.resolve()
        found = paired_captions(stems, read_captions(path), path, others=beside)
        return {stems[stem]: text for stem, text in found.items()}


def _inside(root: Path, path: str | Path | None) -> list[Path]:
    """Return a list with `path`, written as a path that begins with `root`.

    The list is empty if `path` is None or lies outside `root`.
    """
    if path is None or not Path(path).resolve().is_relative_to(root.resolve()):
        return []
    return [root / Path(path).resolve().relative_to(root.resolve())]
