"""Makes pictures square: they are scaled by one of several filters, and the square is cut out.

All filters except `box_bicubic` are Pillow's. `box_bicubic` is the scaling of `center_crop_arr` in
openai/guided-diffusion (guided_diffusion/image_datasets.py), which many repositories of image tokenizers use: the
picture is halved by box filtering as long as its shorter side is at least twice the side of the square. Then bicubic
resampling scales it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from bench.errors import BadInputError

__all__ = ["FILTERS", "FITS", "Squaring", "check_squaring", "own_squaring", "squaring_of"]

HALVING = "box_bicubic"
RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    HALVING: Image.Resampling.BICUBIC,
}
FILTERS = tuple(RESAMPLING)
"""Names of the filters. The smaller they make a picture, the more of its pixels they average for each new pixel."""
FITS = ("lama", "squash", "crop")
"""Ways to make a picture square; see `Squaring.fit`."""


@dataclass(frozen=True)
class Squaring:
    """The way to make a picture square."""

    fit: str = "lama"
    """`squash` scales both sides to the resolution. `crop` scales the shorter side and cuts out the centre. `lama`
    scales the shorter side, and the square is chosen with the drawn mask; without a drawn mask, it equals `crop`.
    """
    filter: str = "bicubic"
    """Name of the filter that scales the picture, one of `FILTERS`."""
    crop_offset: int = 0
    """Number of pixels by which the square of `crop` is moved along the longer side, to the right or down.

    A negative number moves it to the left or up. The square stays inside the picture, so that the number has no effect
    on a picture that is square already.
    """

    @property
    def settings(self) -> dict[str, Any]:
        """Values of `filter` and `crop_offset` that are not the default, by name. Old manifests lack these keys."""
        usual = Squaring(self.fit)
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}

    @property
    def resize(self) -> str:
        """Description of the scaling, such as `shorter side, bicubic`."""
        return f"{'both sides' if self.fit == 'squash' else 'shorter side'}, {self.filter}"

    def crop(self, *, drawn: bool) -> str:
        """Return a description of the way to cut out the square, such as `center`.

        Args:
            drawn: True if a mask is drawn for the picture.
        """
        if self.fit == "squash":
            return "none"
        if self.fit == "lama" and drawn:
            return "square that touches the hole"
        if self.crop_offset:
            return f"center, moved by {self.crop_offset} pixel{'' if abs(self.crop_offset) == 1 else 's'}"
        return "center"

    def covering(self, rgb: Image.Image, resolution: int) -> Image.Image:
        """Scale a picture so that its shorter side has `resolution` pixels. The proportions are kept."""
        if self.filter == HALVING:
            while min(rgb.size) >= 2 * resolution:
                rgb = rgb.resize((rgb.width // 2, rgb.height // 2), Image.Resampling.BOX)
        factor = resolution / min(rgb.size)
        width, height = (max(resolution, round(side * factor)) for side in rgb.size)
        return rgb.resize((width, height), RESAMPLING[self.filter])

    def square(self, rgb: Image.Image, resolution: int) -> Image.Image:
        """Return a picture as a square of `resolution` pixels. A picture that already has this size is not changed."""
        if rgb.size == (resolution, resolution):
            return rgb
        if self.fit == "squash":
            return rgb.resize((resolution, resolution), RESAMPLING[self.filter])
        scaled = self.covering(rgb, resolution)
        left, top = (_start(side - resolution, self.crop_offset) for side in scaled.size)
        return scaled.crop((left, top, left + resolution, top + resolution))


def _start(room: int, offset: int) -> int:
    """Return the first pixel of the square along one side.

    Args:
        room: number of pixels by which the side is longer than the square.
        offset: number of pixels by which the square is moved from the centre.
    """
    return min(max(room // 2 + offset, 0), room)


def own_squaring(pictures: Any) -> Squaring:
    """Return the way in which an adapter of a data set wants its pictures to be made square.

    Args:
        pictures: object with the attributes `fit`, `filter` and `crop_offset` of `bench.data.items.Pictures`.
    """
    return Squaring(pictures.fit, pictures.filter, pictures.crop_offset)


def squaring_of(dataset: Mapping[str, Any], own: Squaring) -> Squaring:
    """Return the way to make pictures square that the configuration of a data set names.

    Args:
        dataset: value of the configuration key `dataset`, as plain data.
        own: way that the data set's adapter wants. It is used for each key that `dataset` does not set.

    Raises:
        BadInputError: `check_squaring` refuses the configuration, or an offset is set but `fit` is not `crop`.
    """
    check_squaring(dataset)
    given = {name: dataset.get(name) for name in ("fit", "filter", "crop_offset")}
    found = replace(own, **{name: value for name, value in given.items() if value is not None})
    if found.crop_offset and found.fit != "crop":
        raise BadInputError(
            "dataset.crop_offset: expected 0, because only dataset.fit=crop cuts out a square that can be moved, "
            f"found {found.crop_offset}"
        )
    return found


def check_squaring(node: Mapping[str, Any], key: str = "dataset") -> None:
    """Check the values of the keys `fit` and `filter`, which state the way to make pictures square.

    Args:
        node: value of a key of the configuration, as plain data. It may have the keys `fit` and `filter`.
        key: full name of the key of the configuration whose value is `node`, for the message.

    Raises:
        BadInputError: a value is not known. The message names the key and the known values.
    """
    for name, known in (("fit", ("squash", "crop")), ("filter", FILTERS)):
        value = node.get(name)
        if value is not None and value not in known:
            raise BadInputError(f"{key}.{name}: expected one of {', '.join(known)}, found {value}")
