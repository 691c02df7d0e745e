"""Crops of real photographs, and simple edits of them, for tests of scoring."""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

Pixels = npt.NDArray[np.uint8]


@cache
def _photographs() -> tuple[Pixels, ...]:
    """Return photographs at three quarters of their size, so that they show no traces of JPEG."""
    found = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    return tuple(cv2.resize(one, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA) for one in found)


@dataclass(frozen=True)
class Photograph:
    """A crop of a photograph with its mask, and one more pixel on every side."""

    wide: Pixels
    hole: npt.NDArray[np.bool_]

    @property
    def pixels(self) -> Pixels:
        return np.ascontiguousarray(self.wide[1:-1, 1:-1])

    @property
    def mask(self) -> Pixels:
        return np.where(self.hole, 255, 0).astype(np.uint8)

    def shifted(self) -> Pixels:
        """Return the crop one pixel further left, so that its content moves to the right."""
        return np.ascontiguousarray(self.wide[1:-1, :-2])

    def zoomed(self, factor: float) -> Pixels:
        height, width = self.hole.shape
        matrix = np.array([[factor, 0, (1 - factor) * (width - 1) / 2], [0, factor, (1 - factor) * (height - 1) / 2]])
        moved = cv2.warpAffine(
            self.pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        return np.asarray(moved, np.uint8)

    def filled(self) -> Pixels:
        """Return the picture with a smooth fill of the hole; the known pixels are exact."""
        return np.asarray(cv2.inpaint(self.pixels, self.mask, 3, cv2.INPAINT_TELEA), np.uint8)

    def edited(self, rng: np.random.Generator) -> Pixels:
        """Return the filled picture, a little blurred and noisy everywhere, as after an autoencoder."""
        blurred = cv2.GaussianBlur(self.filled(), (0, 0), 0.7).astype(np.float64)
        return np.clip(blurred + rng.normal(0, 2, blurred.shape), 0, 255).round().astype(np.uint8)


def photograph(rng: np.random.Generator, side: int = 96) -> Photograph:
    """Return a crop at a random place, with a rectangular hole of about a ninth of its area."""
    whole = _photographs()[rng.integers(len(_photographs()))]
    top, left = (int(rng.integers(size - side - 2)) for size in whole.shape[:2])
    hole = np.zeros((side, side), np.bool_)
    row, column = (int(rng.integers(side // 8, side // 2)) for _ in range(2))
    hole[row : row + side // 3, column : column + side // 3] = True
    return Photograph(whole[top : top + side + 2, left : left + side + 2], hole)


def jpeg(pixels: Pixels, quality: int = 90) -> Pixels:
    """Return a picture after it was written as JPEG and read again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def write(folder: Path, pictures: dict[str, Pixels]) -> Path:
    """Write pictures as PNG files into a new folder, and return the folder."""
    for name, pixels in pictures.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder
