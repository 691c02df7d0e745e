"""Reads and checks pictures and masks that a caller gives as a folder, a list of paths, arrays or tensors.

The layout of arrays of pictures is fixed and never guessed: uint8 values are N×H×W×3, and floats in [0, 1] are N×3×H×W.
`read_masks` describes the layout of arrays of masks. A list may contain pictures of different sizes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.given_masks import mask_levels
from bench.data.listing import few, source_notes
from bench.data.pairing import PictureFolder, names_by_stem, picture_folder
from bench.data.pictures import read_rgb, size_of
from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8

__all__ = ["Array", "Mask", "Masks", "PictureSet", "Pictures", "Size", "read_masks", "read_pictures"]

Pixels = npt.NDArray[np.uint8]
Array: TypeAlias = npt.NDArray[Any] | Tensor
"""An array of numpy or a tensor of torch."""
Pictures: TypeAlias = str | Path | Sequence[str | Path] | Sequence[Array] | Array
"""Pictures or masks that a caller gives: a folder, paths of files, one array of all pictures, or a list of arrays."""
Size = tuple[int, int]
"""Height and width in pixels."""

SUFFIXES = {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""Suffixes of files that are certainly meant as pictures."""
LARGEST = 255
OFF_GRID = 1e-3
"""Largest allowed distance of a true picture's float values from whole grey levels, in grey levels."""
GREY = (16, 239)
"""Smallest and largest grey level that counts as neither black nor white in a mask."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures in a fixed order, which are read one at a time."""

    what: str
    """Name of the set in messages, such as `truth`."""
    names: tuple[str, ...] | None
    """Name of each picture: the path of its file without the suffix. None for arrays, which have no names."""
    sizes: tuple[Size, ...]
    read: Callable[[int], Tensor]
    """Function that returns the picture at an index as 3×H×W float32 in [0, 1]. 8-bit levels k become k / 255."""
    sources: Mapping[str, str]
    """Source of each picture whose folder has a file of sources. The key is the picture's name."""
    floats: Mapping[int, Tensor] = field(default_factory=dict)
    """Pictures that were given as floats, by their index."""

    def __len__(self) -> int:
        return len(self.sizes)

    def pixels(self, place: int) -> Pixels:
        """Return the picture at an index as H×W×3 uint8, rounded to the nearest grey level."""
        levels: Pixels = to_uint8(self.read(place), rounding="round").permute(1, 2, 0).numpy()
        return levels

    def require_levels(self) -> None:
        """Check that all pictures given as floats have only the values k / 255, because true pictures have 8 bits.

        Raises:
            BadInputError: a picture has other values.
        """
        for place, floats in self.floats.items():
            levels = floats * LARGEST
            if float((levels - levels.round()).abs().max()) > OFF_GRID:
                raise BadInputError(
                    f"{self.what}[{place}]: expected the values k / {LARGEST} of an 8-bit picture, found values "
                    "between them; round them, or give uint8"
                )

    def reordered(self, places: Sequence[int], names: tuple[str, ...]) -> PictureSet:
        """Return the pictures at some indices, in this order and with these names."""
        chosen = list(places)
        return PictureSet(
            self.what,
            names,
            tuple(self.sizes[place] for place in chosen),
            lambda place: self.read(chosen[place]),
            self.sources,
        )


class Mask(NamedTuple):
    """The hole of a mask, and the share of the mask's pixels that are grey."""

    hole: npt.NDArray[np.bool_]
    """H×W, True in the hole."""
    grey: float = 0.0
    """Share of the mask's pixels that are neither nearly black nor nearly white, from 0 to 1."""


@dataclass(frozen=True)
class Masks:
    """Masks in a fixed order, which are read one at a time."""

    what: str
    names: tuple[str, ...] | None
    """Name of each mask, as in `PictureSet`."""
    sizes: tuple[Size, ...]
    levels: Callable[[int], Pixels]
    """Function that returns the mask at an index as grey levels H×W, where 255 is the hole and 0 is known."""

    def __len__(self) -> int:
        return len(self.sizes)

    def reordered(self, places: Sequence[int], names: tuple[str, ...]) -> Masks:
        """Return the masks at some indices, in this order and with these names."""
        chosen = list(places)
        sizes = tuple(self.sizes[place] for place in chosen)
        return Masks(self.what, names, sizes, lambda place: self.levels(chosen[place]))

    def read(self, place: int) -> Mask:
        """Return the mask at an index. A pixel is in the hole if its grey level is 128 or more."""
        levels = self.levels(place)
        grey = (levels >= GREY[0]) & (levels <= GREY[1])
        return Mask(levels > LARGEST // 2, float(grey.mean()))


def read_pictures(given: Pictures, what: str) -> PictureSet:
    """Return a `PictureSet` of pictures, and check everything that can be checked without decoding files.

    Args:
        given: pictures as a caller gives them.
        what: name of the set in messages.

    Raises:
        BadInputError: there is no picture, a file is missing, or an array has a type, shape or range that is not
            allowed.
    """
    files = _files(given, what)
    if files is not None:
        paths, names, sources = files
        return PictureSet(
            what,
            names,
            tuple((height, width) for width, height in map(size_of, paths)),
            lambda place: _levels_as_floats(np.array(read_rgb(paths[place]))),
            sources,
        )
    arrays = [_picture(one, f"{what}[{place}]") for place, one in enumerate(_arrays(given, what, 4))]
    return PictureSet(
        what,
        None,
        tuple((int(one.shape[1]), int(one.shape[2])) for one in arrays),
        lambda place: _as_floats(arrays[place]),
        {},
        {place: one for place, one in enumerate(arrays) if one.is_floating_point()},
    )


def read_masks(given: Pictures, what: str = "mask") -> Masks:
    """Return a `Masks` object of masks, and check everything that can be checked without decoding files.

    Arrays are booleans, integers or floats in [0, 1]. If no integer in any mask is larger than 1, the value 1 is the
    hole. Otherwise, all integers are grey levels from 0 to 255. The shape of an array of all masks is N×H×W, N×1×H×W or
    N×H×W×1.

    Args:
        given: masks as a caller gives them. 1 or white is the hole.
        what: name of the set in messages.

    Raises:
        BadInputError: there is no mask, a file is missing, or an array has a type, shape or range that is not allowed.
    """
    files = _files(given, what)
    if files is not None:
        paths, names, _ = files
        sizes = tuple((height, width) for width, height in map(size_of, paths))
        return Masks(what, names, sizes, lambda place: _levels_of_file(paths[place]))
    tensors = [_mask(one, f"{what}[{place}]") for place, one in enumerate(_arrays(given, what, 3))]
    whole = [one for one in tensors if not one.is_floating_point()]
    scale = LARGEST if all(int(one.max()) <= 1 for one in whole) else 1
    levels = [_mask_levels(one, scale) for one in tensors]
    return Masks(what, None, tuple((one.shape[0], one.shape[1]) for one in levels), lambda place: levels[place])


# --- files -----------------------------------------------------------------------------------------------------------


def _files(given: Pictures, what: str) -> tuple[list[Path], tuple[str, ...], Mapping[str, str]] | None:
    """Return the paths, the names and the known sources of given files. Return None if arrays are given.

    Raises:
        BadInputError: a folder or file is missing, a file is no picture, there is no picture, or two files have the
            same name without the suffix.
    """
    if isinstance(given, str | os.PathLike):
        if not os.fspath(given):
            raise BadInputError(f"{what}: expected a folder of pictures, found an empty text")
        folder = picture_folder(Path(given), what, "a folder of pictures")
        _refuse_unread(folder, what)
        sources = source_notes(folder.root)
        if sources and not set(sources).intersection(folder.names):
            raise BadInputError(
                f"{folder.root}: expected a list of sources that names files of this folder, such as "
                f"{folder.names[0] if folder.names else 'a.png'}, found only other names: {few(list(sources))}"
            )
    elif isinstance(given, Sequence) and given and all(isinstance(one, str | os.PathLike) for one in given):
        paths = [Path(str(one)) for one in given]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise BadInputError(
                f"{what}: expected paths of files that exist, found {len(missing)} missing: {few(missing)}"
            )
        notes = {parent: source_notes(parent) for parent in {path.parent for path in paths}}
        named = {path.name: path for path in paths}
        sources = {name: notes[path.parent][name] for name, path in named.items() if name in notes[path.parent]}
        stems = names_by_stem([path.name for path in paths], what, "the list of paths")
        return paths, tuple(stems), {stem: sources[name] for stem, name in stems.items() if name in sources}
    else:
        return None
    if not folder.names:
        raise BadInputError(f"{what}: expected at least one picture, found none in {folder.root}")
    stems = names_by_stem(folder.names, what, str(folder.root))
    known = {stem: sources[name] for stem, name in stems.items() if name in sources}
    return [folder.root / name for name in folder.names], tuple(stems), known


def _refuse_unread(folder: PictureFolder, what: str) -> None:
    """Raise BadInputError if a file with the suffix of a picture is no picture, such as an empty file."""
    unread = [f"{name} ({why})" for name, why in folder.left_out.items() if Path(name).suffix.lower() in SUFFIXES]
    if unread:
        raise BadInputError(f"{what}: expected pictures, found {len(unread)} that cannot be used: {few(unread)}")


# --- arrays ----------------------------------------------------------------------------------------------------------


def _arrays(given: Any, what: str, axes: int) -> list[Array]:
    """Return given arrays as a list with one array for each picture.

    Args:
        given: one array with all pictures along its first axis, or a sequence of arrays.
        what: name of the set in messages.
        axes: number of axes that an array of all pictures may have; 4 axes are allowed in any case.

    Raises:
        BadInputError: there is no picture, an array has the wrong number of axes, or `given` is neither an array nor a
            sequence of arrays.
    """
    if isinstance(given, np.ndarray | Tensor):
        if given.ndim not in (axes, 4):
            raise BadInputError(
                f"{what}: expected one array of {axes} axes with all pictures, or a list of arrays, found an "
                f"array of shape {tuple(given.shape)}"
            )
        found = list(given)
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
        found = list(given)
    else:
        raise BadInputError(
            f"{what}: expected a folder, a list of paths, an array or a list of arrays, found {type(given).__name__}"
        )
    if not found:
        raise BadInputError(f"{what}: expected at least one picture, found none")
    for one in found:
        if not isinstance(one, np.ndarray | Tensor):
            raise BadInputError(
                f"{what}: expected a list of arrays or a list of paths, found {type(one).__name__} among arrays"
            )
    return found


EXPECTED = "expected uint8 of shape H×W×3, or floats in [0, 1] of shape 3×H×W"


def _picture(one: Array, what: str) -> Tensor:
    """Check one picture, and return it as a tensor 3×H×W: uint8, or float32 in [0, 1].

    Raises:
        BadInputError: the type, the shape or the range is wrong.
    """
    found = f"{str(one.dtype).removeprefix('torch.')} of shape {'×'.join(map(str, one.shape))}"
    tensor = _tensor(one, what)
    if tensor.dtype == torch.uint8:
        if tensor.ndim != 3 or tensor.shape[-1] != 3:
            turned = tensor.ndim == 3 and tensor.shape[0] == 3
            hint = "; move the axis of the channels to the end, or divide by 255" if turned else ""
            raise BadInputError(f"{what}: {EXPECTED}, found {found}{hint}")
        return _not_empty(tensor.permute(2, 0, 1), what)
    if not tensor.is_floating_point():
        raise BadInputError(f"{what}: {EXPECTED}, found {found}")
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        turned = tensor.ndim == 3 and tensor.shape[-1] == 3
        hint = "; move the axis of the channels to the front" if turned else ""
        raise BadInputError(f"{what}: {EXPECTED}, found {found}{hint}")
    return _unit(_not_empty(tensor, what), what)


def _tensor(one: Array, what: str) -> Tensor:
    """Return an array as a dense tensor on the CPU. The values are copied if a tensor cannot share the array's memory.

    Raises:
        BadInputError: the array is masked, is not dense, or does not contain plain numbers.
    """
    if isinstance(one, np.ndarray):
        if isinstance(one, np.ma.MaskedArray):
            raise BadInputError(f"{what}: expected an ordinary array, found a masked array of NumPy")
        native = one.astype(one.dtype.newbyteorder("="), copy=False)
        simple = native.flags.writeable and all(step >= 0 for step in native.strides)
        try:
            return torch.from_numpy(native if simple else native.copy())
        except TypeError:
            raise BadInputError(f"{what}: expected an array of numbers, found the type {one.dtype}") from None
    if one.layout != torch.strided or one.device.type == "meta" or one.is_quantized or one.is_complex():
        raise BadInputError(
            f"{what}: expected a dense tensor of real numbers, found a tensor of another type ({one.dtype})"
        )
    return one.detach().cpu()


def _not_empty(tensor: Tensor, what: str) -> Tensor:
    if tensor.numel() == 0:
        raise BadInputError(f"{what}: expected a picture with pixels, found the shape {tuple(tensor.shape)}")
    return tensor


def _unit(tensor: Tensor, what: str) -> Tensor:
    """Return floats as float32, and check that all of them are finite and lie in [0, 1].

    Raises:
        BadInputError: a value is NaN, infinite, or outside [0, 1].
    """
    tensor = tensor.float()
    if not bool(torch.isfinite(tensor).all()):
        raise BadInputError(f"{what}: expected finite values, found NaN or infinite ones")
    low, high = (float(bound) for bound in torch.aminmax(tensor))
    if low < 0 or high > 1:
        hint = "; (x + 1) / 2 maps [-1, 1] to [0, 1]" if -1 <= low < 0 and high <= 1 else ""
        raise BadInputError(f"{what}: expected values in [0, 1], found {low:g} to {high:g}{hint}")
    return tensor


def _mask(one: Array, what: str) -> Tensor:
    """Check one mask, and return it as a tensor H×W of integers from 0 to 255, or of floats in [0, 1].

    Raises:
        BadInputError: the type, the shape or the range is wrong.
    """
    tensor = _tensor(one, what)
    if tensor.ndim == 3 and 1 in (tensor.shape[0], tensor.shape[-1]):
        tensor = tensor.squeeze(0) if tensor.shape[0] == 1 else tensor.squeeze(-1)
    if tensor.ndim != 2:
        raise BadInputError(
            f"{what}: expected a mask of shape H×W, 1×H×W or H×W×1, found {'×'.join(map(str, one.shape))}"
        )
    tensor = _not_empty(tensor, what)
    if tensor.is_floating_point():
        return _unit(tensor, what)
    tensor = tensor.to(torch.int64)
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high > LARGEST:
        raise BadInputError(f"{what}: expected integers from 0 to {LARGEST}, found {low} to {high}")
    return tensor


def _mask_levels(mask: Tensor, scale: int) -> Pixels:
    """Return a mask as grey levels, uint8 of shape H×W.

    Args:
        mask: result of `_mask`.
        scale: factor by which integers are multiplied. It is 255 if all masks of integers have only the values 0 and
            1, and otherwise it is 1.
    """
    levels = (mask * LARGEST).round() if mask.is_floating_point() else mask * scale
    found: Pixels = levels.to(torch.uint8).numpy()
    return found


def _levels_of_file(path: Path) -> Pixels:
    """Read a mask as grey levels.

    Raises:
        BadInputError: the file cannot be read, or its largest value is 1, although the hole should be white (255).
    """
    levels = mask_levels(path)
    if levels.max() == 1:
        raise BadInputError(f"{path}: expected a mask in black (0) and white (255), found no value above 1")
    return levels


def _levels_as_floats(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / LARGEST


def _as_floats(picture: Tensor) -> Tensor:
    return picture.float() / LARGEST if picture.dtype == torch.uint8 else picture
