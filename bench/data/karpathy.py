"""COCO's captions in Karpathy's split: a picture to compare with for each image, a prompt for each caption.

The file is `dataset_coco.json` of caption_datasets.zip (cs.stanford.edu/people/karpathy/deepimagesent). The paper
writes of 5,000 validation images with about 5 captions each and of 25,000 prompts: the first five of each image.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.data.items import Picture
from bench.data.listing import existing_folder, inside, refuse_missing, refuse_repeated, source_notes
from bench.errors import BadInputError

__all__ = ["KarpathyCOCO"]

log = logging.getLogger(__name__)

CAPTIONS = 5
PUBLISHED = ("val", CAPTIONS, 5000, 25_000)
"""Split, captions of an image at most, images, and captions of the paper's Table 6."""


@dataclass(frozen=True)
class _Captioned:
    """An image of the split, with its captions and their places among all that it has."""

    cocoid: int
    path: Path
    captions: dict[int, str]


@dataclass(frozen=True)
class KarpathyCOCO:
    """One picture for each caption, in the order of the file; all of it is to be generated.

    Attributes:
        root: the folder that holds `val2014`.
        annotations: `dataset_coco.json`; a relative path is meant from the root.
        split: the images taken, by the file's own word for them.
        captions: of each image, the first so many; an image with fewer gives all it has.
        fit: how a picture becomes a square: squashed, or cropped at the centre.
    """

    root: str | Path
    annotations: str | Path = "dataset_coco.json"
    split: str = "val"
    captions: int = CAPTIONS
    fit: Literal["squash", "crop"] = "squash"

    masks: ClassVar[Literal["drawn", "given", "whole"]] = "whole"

    def __post_init__(self) -> None:
        if self.captions < 1:
            raise BadInputError(f"dataset.pictures.captions: expected 1 or more, found {self.captions}")
        if self.fit not in ("squash", "crop"):
            raise BadInputError(f"dataset.pictures.fit: expected squash or crop, found {self.fit}")

    @property
    def subset(self) -> Literal["published", "custom"]:
        """`published` for 5,000 images of the split `val` with five captions each."""
        total = sum(len(image.captions) for image in self._images)
        return "published" if (self.split, self.captions, len(self._images), total) == PUBLISHED else "custom"

    def __iter__(self) -> Iterator[Picture]:
        """The pictures, named `COCOID-K` for the image's caption of index K.

        Raises:
            BadInputError: the root or the annotations are missing or broken, no image is of the split, images are
                missing or named twice, or no image has a caption.
        """
        root, images = Path(self.root), self._images
        refuse_missing(root, [image.path for image in images], listed_in=self._annotations)
        sources = source_notes(root)
        for image in images:
            name = image.path.relative_to(root).as_posix()
            source = sources.get(name, name)
            first = min(image.captions)
            for place, caption in image.captions.items():
                yield Picture(f"{image.cocoid}-{place}", image.path, source, caption=caption, reference=place == first)

    @property
    def _annotations(self) -> Path:
        return Path(self.root) / self.annotations

    @cached_property
    def _images(self) -> list[_Captioned]:
        """The images of the split that have captions."""
        root, listed_in = existing_folder(self.root, "a folder that holds val2014"), self._annotations
        entries = _read(listed_in)
        try:
            chosen = [entry for entry in entries if entry["split"] == self.split]
            splits = sorted({str(entry["split"]) for entry in entries})
            every = [_captioned(entry, root, listed_in) for entry in chosen]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            expected = "images with split, cocoid, filepath, filename, and sentences with raw"
            raise BadInputError(f"{listed_in}: expected {expected}, found {error!r}") from None
        if not every:
            known = f"one of {', '.join(splits)}" if splits else "images"
            raise BadInputError(f"dataset.pictures.split: expected {known} in {listed_in}, found {self.split}")
        refuse_repeated([str(image.cocoid) for image in every], listed_in=listed_in)
        empty = sum(text == "" for image in every for text in image.captions.values())
        if empty:
            log.warning("%s: skipped %d empty captions of the split %s", listed_in, empty, self.split)
        images = [replace(image, captions=self._first(image.captions)) for image in every]
        if not any(image.captions for image in images):
            raise BadInputError(f"{listed_in}: expected captions of the split {self.split}, found none but empty ones")
        return [image for image in images if image.captions]

    def _first(self, captions: dict[int, str]) -> dict[int, str]:
        said = [(place, text) for place, text in captions.items() if text]
        return dict(said[: self.captions])


def _captioned(entry: dict[str, Any], root: Path, listed_in: Path) -> _Captioned:
    path = inside(root, f"{entry['filepath']}/{entry['filename']}", listed_in=listed_in)
    texts = [sentence["raw"].strip() for sentence in entry["sentences"]]
    return _Captioned(int(entry["cocoid"]), path, dict(enumerate(texts)))


def _read(path: Path) -> list[Any]:
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise BadInputError(f"dataset.pictures.annotations: expected dataset_coco.json, found {error}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"{path}: expected JSON, found {error}") from None
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise BadInputError(f"{path}: expected a list of `images`, found none")
    return images
