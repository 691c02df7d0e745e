"""Crops of real photographs, and copies of them with one known fault.

A shift or a zoom is made by Pillow, which reduces another part of the photograph to the size of the crop. No pixel of
the reduced crop is interpolated a second time, so that nothing but the fault changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

__all__ = ["CLEAN", "FAULTS", "Crop", "Edit", "crop"]

Pixels = npt.NDArray[np.uint8]
REDUCTION = 2
"""Factor by which photographs are reduced."""
EDGE = 8
"""Smallest distance in pixels between a crop and the edge of its photograph."""


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(map(Image.fromarray, (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())))


@dataclass(frozen=True)
class Crop:
    """A square crop of a photograph, with a rectangular hole of about a ninth of its area."""

    photograph: Image.Image
    left: int
    top: int
    hole: npt.NDArray[np.bool_]

    def seen(self, *, right: float = 0.0, down: float = 0.0, zoom: float = 0.0) -> Pixels:
        """Return the crop H×W×3 after its content moved by a shift in pixels and a zoom, 0.01 for 1 %."""
        side = len(self.hole)
        half = REDUCTION * side / 2
        x, y = self.left + half - REDUCTION * right, self.top + half - REDUCTION * down
        reach = half / (1 + zoom)
        box = (x - reach, y - reach, x + reach, y + reach)
        return np.asarray(self.photograph.resize((side, side), Image.Resampling.LANCZOS, box=box))


def crop(rng: np.random.Generator, side: int = 96) -> Crop:
    """Return a crop of `side`×`side` pixels at a random place of a random photograph."""
    photograph = _photographs()[rng.integers(len(_photographs()))]
    left, top = (int(rng.integers(EDGE, size - REDUCTION * side - EDGE)) for size in photograph.size)
    hole = np.zeros((side, side), np.bool_)
    row, column = (int(rng.integers(side // 8, side // 2)) for _ in range(2))
    hole[row : row + side // 3, column : column + side // 3] = True
    return Crop(photograph, left, top, hole)


Edit = Callable[[Crop, np.random.Generator], Pixels]


def _rounded(values: npt.NDArray[np.float64]) -> Pixels:
    return np.asarray(values.round().clip(0, 255), np.uint8)


def _blurred(pixels: Pixels, deviation: float) -> Pixels:
    return _rounded(np.asarray(cv2.GaussianBlur(pixels.astype(np.float64), (0, 0), deviation), np.float64))


def _noisy(pixels: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    return _rounded(pixels + rng.normal(0, deviation, pixels.shape))


def _compressed(pixels: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return np.asarray(Image.open(buffer).convert("RGB"))


FAULTS: Mapping[str, tuple[Edit, Mapping[str, float]]] = {
    "3 levels of red": (lambda one, rng: _rounded(one.seen() + np.array([3.0, 0, 0])), {"red_shift": 3.0}),
    "shift of 0.5 pixels": (lambda one, rng: one.seen(right=0.5), {"shift_right": 0.5, "shift": 0.5}),
    "zoom of 1 %": (lambda one, rng: one.seen(zoom=0.01), {"zoom": 1.0}),
    "blur of 0.7": (lambda one, rng: _blurred(one.seen(), 0.7), {"blur": 0.7}),
    "shift of 0.5 and blur of 0.7": (
        lambda one, rng: _blurred(one.seen(right=0.5), 0.7),
        {"shift_right": 0.5, "blur": 0.7},
    ),
    "all four": (
        lambda one, rng: _blurred(_rounded(one.seen(right=0.5, zoom=0.01) + np.array([3.0, 0, 0])), 0.7),
        {"red_shift": 3.0, "shift_right": 0.5, "zoom": 1.0, "blur": 0.7},
    ),
    "blur of 0.7, noise of 2 levels": (lambda one, rng: _noisy(_blurred(one.seen(), 0.7), 2, rng), {"blur": 0.7}),
    "shift of 0.5 pixels, noise of 2 levels": (
        lambda one, rng: _noisy(one.seen(right=0.5), 2, rng),
        {"shift_right": 0.5},
    ),
}
"""Faults by name: a function that makes the faulty picture, and the true value of each metric that must find it."""
CLEAN: Mapping[str, Edit] = {
    "equal": lambda one, rng: one.seen(),
    "noise of 1 level": lambda one, rng: _noisy(one.seen(), 1, rng),
    "noise of 2 levels": lambda one, rng: _noisy(one.seen(), 2, rng),
    "JPEG 95": lambda one, rng: _compressed(one.seen()),
}
"""Pictures without a fault, by what was done to them."""
