"""The adapter for COCO's captions in Karpathy's split. One item is made for each caption.

Five items are made for an image with five captions, but the image counts only once for Fréchet distances. The
captions are in the file `dataset_coco.json` of caption_datasets.zip (cs.stanford.edu/people/karpathy/deepimagesent).
The paper mentions 5,000 validation images with about 5 captions each, and 25,000 prompts. We use the first five
captions of each image.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from typing_extensions import TypedDict

from bench.data.items import Picture, Pictures
from bench.data.listing import existing_folder, inside, refuse_missing, refuse_repeated, source_notes
from bench.errors import BadInputError
from bench.runtime.strict_json import read_json_as

__all__ = ["KarpathyCOCO"]

log = logging.getLogger(__name__)

CAPTIONS = 5
PUBLISHED = ("val", CAPTIONS, 5000, 25_000)
"""Properties of the set in the paper's Table 6.

They are the split, the largest number of captions of an image, the number of images and the number of all captions.
"""


class _Sentence(TypedDict):
    raw: str


class _Image(TypedDict):
    split: str
    cocoid: Annotated[int, Ge(0)]
    filepath: str
    filename: str
    sentences: list[_Sentence]


class _Annotations(TypedDict):
    images: list[_Image]


@dataclass(frozen=True)
class _Captioned:
    """An image of the split, with its captions.

    The key of a caption in `captions` is the index of the caption in the file's list for this image.
    """

    cocoid: int
    path: Path
    captions: dict[int, str]


@dataclass(frozen=True)
class KarpathyCOCO(Pictures):
    """One picture for each caption, in the order of the file. The whole image is to be generated.

    Attributes:
        root: folder that contains `val2014`.
        annotations: path of `dataset_coco.json`. A relative path starts at the root.
        split: name of the split to use, as the file calls it.
        captions: largest number of captions to use for each image. Empty captions are skipped, and the first ones of
            the remaining captions are used.
        fit: way to make a picture square: `squash` scales both sides to the resolution, and `crop` scales the shorter
            side and cuts out the centre.
    """

    root: str | Path
    annotations: str | Path = "dataset_coco.json"
    split: str = "val"
    captions: int = CAPTIONS
    fit: Literal["squash", "crop"] = "squash"

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "whole"
    dataset: ClassVar[str] = "COCO, Karpathy split"

    def __post_init__(self) -> None:
        if self.captions < 1:
            raise BadInputError(f"dataset.pictures.captions: expected 1 or more, found {self.captions}")
        if self.fit not in ("squash", "crop"):
            raise BadInputError(f"dataset.pictures.fit: expected squash or crop, found {self.fit}")

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` for 5,000 images of the split `val` with five captions each, as in the paper; else `custom`."""
        total = sum(len(image.captions) for image in self._images)
        return "published" if (self.split, self.captions, len(self._images), total) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """Yield one picture for each caption.

        The id of a picture is `COCOID-K`. COCOID is the number of the image in COCO, and K is the index of the caption
        in the file's list of captions for this image.

        Raises:
            BadInputError: the root or the annotations are missing or broken, the split has no image, images are
                missing or listed twice, or no image has a caption.
        """
        root, images = Path(self.root), self._images
        refuse_missing(root, [image.path for image in images], listed_in=self._annotations)
        sources = source_notes(root)
        for image in images:
            name = image.path.relative_to(root).as_posix()
            source = sources.get(name, name)
            first = min(image.captions)
            for index, caption in image.captions.items():
                yield Picture(f"{image.cocoid}-{index}", image.path, source, caption=caption, reference=index == first)

    @property
    def _annotations(self) -> Path:
        return Path(self.root) / self.annotations

    @cached_property
    def _images(self) -> list[_Captioned]:
        """Images of the split that have at least one nonempty caption, each with the captions that are used."""
        root, listed_in = existing_folder(self.root, "a folder that contains the folder val2014"), self._annotations
        splits, entries = _read(listed_in, self.split)
        split_images = [_captioned(entry, root, listed_in) for entry in entries]
        if not split_images:
            known = f"one of the splits {', '.join(splits)}" if splits else "a split with images"
            raise BadInputError(f"dataset.pictures.split: expected {known} in {listed_in}, found {self.split}")
        refuse_repeated([str(image.cocoid) for image in split_images], listed_in=listed_in)
        empty = sum(text == "" for image in split_images for text in image.captions.values())
        if empty:
            log.warning("%s: %d empty captions of the split %s are skipped", listed_in, empty, self.split)
        images = [replace(image, captions=self._first(image.captions)) for image in split_images]
        if not any(image.captions for image in images):
            raise BadInputError(
                f"{listed_in}: expected captions of the split {self.split}, found no caption with a text"
            )
        return [image for image in images if image.captions]

    def _first(self, captions: dict[int, str]) -> dict[int, str]:
        nonempty = [(index, text) for index, text in captions.items() if text]
        return dict(nonempty[: self.captions])


def _captioned(entry: _Image, root: Path, listed_in: Path) -> _Captioned:
    path = inside(root, f"{entry['filepath']}/{entry['filename']}", listed_in=listed_in)
    texts = [sentence["raw"].strip() for sentence in entry["sentences"]]
    return _Captioned(entry["cocoid"], path, dict(enumerate(texts)))


def _read(path: Path, split: str) -> tuple[list[str], list[_Image]]:
    """Return the names of all splits in a file, and the images of one split.

    Raises:
        BadInputError: the file does not exist, or does not have the form of Karpathy's file.
    """
    try:
        status = path.stat()
        return _parsed(path.resolve(), (status.st_ino, status.st_size, status.st_mtime_ns), split)
    except FileNotFoundError as error:
        raise BadInputError(
            f"dataset.pictures.annotations: expected a file such as dataset_coco.json, found an error: {error}"
        ) from None


@lru_cache(maxsize=2)
def _parsed(path: Path, state: tuple[int, int, int], split: str) -> tuple[list[str], list[_Image]]:
    """Return the result of `_read`, and keep it in memory, because it takes long to read the file of 158 MB again.

    Args:
        path: path of the file.
        state: inode, size and time of the last change. If they change, the file is parsed again.
        split: name of the split.
    """
    entries = read_json_as(path, _Annotations)["images"]
    return sorted({entry["split"] for entry in entries}), [entry for entry in entries if entry["split"] == split]
