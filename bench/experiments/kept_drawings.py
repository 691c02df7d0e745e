"""Drawings of a report. The store keeps them, so that a run whose results are all stored draws nothing again."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bench.errors import BadInputError
from bench.evaluation.setup import Setup
from bench.reporting.gallery import Gallery
from bench.reporting.sheet import Thumbnails
from bench.runtime.files import write_atomically
from bench.store import Arrays, content_key

__all__ = ["KeptDrawings", "sha256_of", "write_files"]

log = logging.getLogger(__name__)

DRAWINGS = "drawings"
"""Name of the kind of content under which the store saves drawings: one array of bytes for each file."""
PICTURES = "pictures.json"
"""Name of the file with the pictures of a page."""
T = TypeVar("T")


class KeptDrawings:
    """An object that makes the drawings of a run's rows. It keeps them in the store, and reads them from there.

    The store's key of a drawing is a hash of everything that the drawing shows. The hash also covers the items, latents
    and networks that determine the images, and the versions of the packages and of this project's code.
    """

    def __init__(self, setup: Setup, latents: Sequence[str], rows: Sequence[str], count: int) -> None:
        """Set the run.

        Args:
            setup: objects of the run.
            latents: store key of the latents of each block.
            rows: names of the rows whose images are shown.
            count: number of items of the run.
        """
        self._setup = setup
        self._made_by = {**setup.determining(latents, rows=rows, count=count), "matplotlib": version("matplotlib")}

    def files(self, what: str, shows: Mapping[str, Any], draw: Callable[[Path], None]) -> dict[str, bytes]:
        """Return the files of a drawing. They are drawn only if the store does not have them, or with `fresh=true`.

        Args:
            what: name of the drawing, such as `figures`. Drawings with different names have different keys.
            shows: everything that the drawing shows in addition to the rows' images, as plain data.
            draw: function that draws the files. It is called with the folder into which it writes them.

        Returns:
            The content of each file. The key is the file's name.
        """

        def make() -> dict[str, bytes]:
            with tempfile.TemporaryDirectory() as folder:
                draw(Path(folder))
                return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}

        return self._kept(what, shows, make)

    def gallery(self, shows: Mapping[str, Any], fill: Callable[[], Gallery]) -> Gallery:
        """Return the gallery. It is computed only if the store does not have it, or with `fresh=true`.

        Args:
            shows: everything that determines the gallery in addition to the images, as plain data.
            fill: function that computes the gallery, including the images.
        """
        return self._pictures("gallery", shows, fill, Gallery)

    def thumbnails(self, shows: Mapping[str, Any], make: Callable[[], Thumbnails | None]) -> Thumbnails | None:
        """Return the thumbnails of items. They are made only if the store does not have them, or with `fresh=true`.

        Args:
            shows: everything that determines the thumbnails in addition to the images, as plain data.
            make: function that makes the thumbnails, including the images. It returns None if there are none.
        """
        found = self._pictures("thumbnails", shows, lambda: [one for one in [make()] if one], list[Thumbnails])
        return found[0] if found else None

    def _pictures(self, what: str, shows: Mapping[str, Any], make: Callable[[], T], kind: type[T]) -> T:
        """Return pictures of a page as an object of the type `kind`."""
        from pydantic import TypeAdapter

        form = TypeAdapter(kind)
        return form.validate_json(self._kept(what, shows, lambda: {PICTURES: form.dump_json(make())})[PICTURES])

    def _kept(self, what: str, shows: Mapping[str, Any], make: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
        store = self._setup.store
        key = content_key({"what": what, "shows": shows, **self._made_by})
        store.uses.add(DRAWINGS, [key])
        found = None if store.fresh else store.get(DRAWINGS, key, _are_files)
        if found is not None:
            return {name: content.tobytes() for name, content in found.items()}
        files = make()
        try:
            store.put(DRAWINGS, key, {name: np.frombuffer(content, np.uint8) for name, content in files.items()})
        except BadInputError as error:  # the drawings are complete, and a later run can draw them again
            log.info("%s", error)
        return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder. Each file appears completely or not at all.

    Args:
        folder: an existing folder.
        files: content of each file by its name.
    """
    for name, content in files.items():
        write_atomically(folder / name, content)


def sha256_of(values: Mapping[str, npt.NDArray[Any]]) -> dict[str, str]:
    """Return the SHA-256 of the bytes of each array. The key is the name of the array."""
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for name, array in values.items()}


def _are_files(arrays: Arrays) -> bool:
    return bool(arrays) and all(array.dtype == np.uint8 and array.ndim == 1 for array in arrays.values())
