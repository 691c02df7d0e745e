"""Real photographs that installed packages contain, so that nothing is downloaded; and crops of them as a data set.

The file `photographs.yaml` beside this module lists the photographs with their authors, sources and licences. A few of
them are in Python packages that this project installs (`pip install 'asymbench[photographs]'`). The others are in
packages that Python does not need, such as packages of Debian or npm. They are used only if the user names a folder in
which these packages are unpacked. None of the photographs is in a training split of the mini profile.

The crops of one photograph do not overlap. They have one source, so that standard errors count photographs.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from bench.data.encoding import write_picture
from bench.data.listing import existing_folder, few, names_sha256
from bench.data.mini.writing import write_notes, written_once
from bench.data.pictures import read_rgb
from bench.errors import BadInputError, naming_extras
from bench.runtime.own_yaml import read_own_yaml
from bench.store import file_sha256

__all__ = ["Photograph", "Square", "photograph", "photographs", "squares", "write_photographs"]

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

CATALOGUE = Path(__file__).with_suffix(".yaml")
MORE = "dataset.more"
VERSION = 1
"""Version of the rules for the crops. It is raised when the same photographs would give other crops."""


class _Entry(TypedDict):
    file: str
    sha256: str
    shows: str
    author: str
    source: str
    licence: str


class _Catalogue(TypedDict):
    installed: dict[str, dict[str, _Entry]]
    further: dict[str, dict[str, _Entry]]


@dataclass(frozen=True)
class Photograph:
    """A photograph of the catalogue whose file was found."""

    name: str
    """Name of the photograph in the catalogue, such as `china`."""
    path: Path
    """File of the photograph: a picture, or an `.npz` file of numpy with the grey levels in the array `data`."""
    package: str
    """Package that contains the file: the name with which Python imports it, or a description of another package."""
    shows: str
    """Content of the photograph, in words."""
    author: str
    """Photographer or owner; `not named` if the package states none."""
    source: str
    """Page or documentation from which the package has the photograph."""
    licence: str

    @property
    def credit(self) -> str:
        """Name, author and licence in one line. It is the source of the items that are cut from the photograph."""
        return f"{self.name} ({self.author}; {self.licence})"

    def pixels(self) -> Pixels:
        """Read the photograph and return it as uint8 RGB of shape (H, W, 3).

        Raises:
            BadInputError: the file is not a picture that can be read.
        """
        if self.path.suffix != ".npz":
            return np.asarray(read_rgb(self.path))
        with np.load(self.path) as arrays:
            grey = arrays["data"].astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)


class Square(NamedTuple):
    """A square part of a photograph, in pixels from the upper left corner."""

    scale: str
    """Size in relation to the photograph: `large`, `medium`, `small`, or `whole` for the only square."""
    left: int
    top: int
    side: int


def photographs(more: str | Path | None = None) -> list[Photograph]:
    """Return the photographs of the catalogue that are on this machine, in the order of the catalogue.

    Each file is compared with the SHA-256 in the catalogue, so that a name always means the same picture.

    Args:
        more: folder in which further packages are unpacked. A photograph may be anywhere below it. Those that are not
            there are left out, and a warning counts them. None uses only the photographs of installed Python packages.

    Raises:
        BadInputError: a Python package is not installed or has another file than the catalogue, or `more` is not a
            folder or contains none of the further photographs.
    """
    catalogue = _catalogue()
    found = [
        _photograph(name, _installed(package, entry), package, entry)
        for package, entries in catalogue["installed"].items()
        for name, entry in entries.items()
    ]
    return found if more is None else found + _further(catalogue["further"], more)


def photograph(name: str, more: str | Path | None = None) -> Pixels:
    """Return one photograph as uint8 RGB of shape (H, W, 3).

    Args:
        name: name of the photograph in the catalogue.
        more: folder of further packages; see `photographs`.

    Raises:
        BadInputError: the catalogue has no such name, the photograph is not on this machine, or `photographs` raises
            an error.
    """
    known = {one.name: one for one in photographs(more)}
    if name not in known:
        raise BadInputError(f"photograph: expected one of {', '.join(known)}, found {name}")
    return known[name].pixels()


def squares(width: int, height: int, smallest: int) -> list[Square]:
    """Return up to three squares of a photograph that do not overlap.

    The photograph is cut in two halves across its longer side. The large square is the largest one that fits into the
    first half. The second half is cut in two again. The medium and the small square, with a half and a quarter of the
    large side, lie in the centres of the two parts. If the large square would be too small, the only square is the
    largest one of the whole photograph.

    Args:
        width: width of the photograph in pixels.
        height: height of the photograph in pixels.
        smallest: smallest side in pixels. Squares with a shorter side are left out, so that none is enlarged later.
    """
    long, short = max(width, height), min(width, height)
    half, quarter = long // 2, long // 4
    large = min(half, short)
    along = {
        "large": ((half - large) // 2, large),
        "medium": (half + (quarter - large // 2) // 2, large // 2),
        "small": (half + quarter + (quarter - large // 4) // 2, large // 4),
    }
    if large < smallest:
        along = {"whole": ((long - short) // 2, short)}
    result = []
    for scale, (start, side) in along.items():
        left, top = (start, (short - side) // 2) if width >= height else ((short - side) // 2, start)
        result.append(Square(scale, left, top, side))
    return [square for square in result if square.side >= smallest]


def write_photographs(parent: str | Path, *, side: int, more: str | Path | None = None) -> Path:
    """Write crops of all photographs into a folder, and return the folder. An existing folder is not written again.

    Each square of `squares` is scaled to `side` pixels by Pillow's bicubic filter and written as PNG. The file
    `sources.jsonl` states the source, the author and the licence of each crop.

    Args:
        parent: folder in which data sets are written. The new folder appears completely or not at all.
        side: side of the crops in pixels.
        more: folder of further packages; see `photographs`.

    Raises:
        BadInputError: `photographs` raises an error, or no photograph is as large as a crop.
    """
    found = photographs(more)
    which = names_sha256(one.name for one in found)[:8]
    target = Path(parent) / f"photographs-v{VERSION}-{side}-{which}"
    return written_once(target, lambda folder: _write(folder, found, side))


def _write(folder: Path, found: list[Photograph], side: int) -> None:
    lines = []
    for one in found:
        pixels = one.pixels()
        for square in squares(pixels.shape[1], pixels.shape[0], side):
            name = f"{one.name}_{square.scale}.png"
            write_picture(folder / name, _crop(pixels, square, side))
            lines.append({"file": name, **_notes(one), **{key: str(value) for key, value in square._asdict().items()}})
    if not lines:
        raise BadInputError(
            f"profile.resolution: expected at most the size of a photograph, found {side} pixels and no photograph as "
            "large as that"
        )
    write_notes(folder / "sources.jsonl", lines)


def _notes(one: Photograph) -> dict[str, str]:
    return {
        "source": one.credit,
        "photograph": one.name,
        "caption": f"a photograph of {one.shows}",
        "author": one.author,
        "licence": one.licence,
        "origin": one.source,
        "package": one.package,
    }


def _crop(pixels: Pixels, square: Square, side: int) -> Pixels:
    rows, columns = (slice(start, start + square.side) for start in (square.top, square.left))
    crop = Image.fromarray(np.ascontiguousarray(pixels[rows, columns]))
    return np.asarray(crop.resize((side, side), Image.Resampling.BICUBIC))


@cache
def _catalogue() -> _Catalogue:
    return TypeAdapter(_Catalogue).validate_python(read_own_yaml(CATALOGUE))


def _photograph(name: str, path: Path, package: str, entry: _Entry) -> Photograph:
    return Photograph(name, path, package, entry["shows"], entry["author"], entry["source"], entry["licence"])


def _installed(package: str, entry: _Entry) -> Path:
    """Return the file of a photograph in an installed Python package.

    Raises:
        BadInputError: the package is not installed, or its file is missing or has another content.
    """
    with naming_extras():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    path = Path(spec.origin).parent / entry["file"]
    state = file_sha256(path) if path.is_file() else "no file"
    if state != entry["sha256"]:
        raise BadInputError(
            f"{path}: expected the photograph with the SHA-256 {entry['sha256']}, found {state}; install "
            f"the version of {package} that constraints.txt names"
        )
    return path


def _further(packages: Mapping[str, Mapping[str, _Entry]], more: str | Path) -> list[Photograph]:
    root = existing_folder(more, "a folder with unpacked packages that contain photographs", MORE)
    wanted = {
        entry["sha256"]: (name, package, entry)
        for package, entries in packages.items()
        for name, entry in entries.items()
    }
    files: dict[str, Path] = {}
    for path in _files(root, {Path(entry["file"]).name for _, _, entry in wanted.values()}):
        files.setdefault(file_sha256(path), path)
    found = [
        _photograph(name, files[key], package, entry) for key, (name, package, entry) in wanted.items() if key in files
    ]
    missing = [name for key, (name, _, _) in wanted.items() if key not in files]
    if not found:
        raise BadInputError(f"{MORE}: expected unpacked packages with photographs, found none of them below {root}")
    if missing:
        log.warning(
            "%s: %d of %d further photographs are not below %s and are left out: %s",
            MORE,
            len(missing),
            len(wanted),
            root,
            few(missing),
        )
    return found


def _files(root: Path, names: set[str]) -> Iterator[Path]:
    """Yield the files below a folder that have one of the names, sorted by path."""
    return (path for path in sorted(root.rglob("*")) if path.name in names and path.is_file())
