"""Define the populations of the study of intervals: features or values of two rows on equal items."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch

from bench.data.mini.photos import PHOTOS, photo_crop
from bench.data.mini.scenes import draw_scene, numbered_scene
from bench.models.checkpoints import load_feature_network
from bench.runtime.seeding import numpy_generator

__all__ = ["CASES", "Case", "Drawn", "gaussian"]

Array = npt.NDArray[np.float64]
Population = Callable[[int, np.random.Generator], "Drawn"]
Scales = Callable[[np.random.Generator, int], Array]
"""Function that draws one scale for each of n items or sources, n×1, whose mean square is about 1."""

NETWORK = Path(__file__).parents[1] / "bench" / "assets" / "mini" / "metric_features"
POOL = 1000
"""Number of pictures whose features form a population, from which items are drawn with replacement."""
LARGE, CROPS = 5, 9
"""Number of sources with many items, and their size; every other item is its own source."""
CLUSTERED = 210 + LARGE * CROPS
SIZES = (64, 128, 256, 512)


@dataclass(frozen=True)
class Drawn:
    """The items of one draw from a population."""

    rows: tuple[Array, Array]
    """Each row has the features N×d of its images, or N values."""
    truth: Array | None = None
    """Features N×d of the true images; None where the rows have values."""
    sources: tuple[str, ...] | None = None
    """The source of each item; None where every item is its own."""


@dataclass(frozen=True)
class Case:
    """A population, a statistic of its items, and the numbers of items to try."""

    statistic: Literal["FID", "KID", "mean"]
    population: Population
    counts: tuple[int, ...]
    finite: bool = True
    """Whether the variance of the influences is finite; if it is not, no standard error is meaningful."""


# --- features --------------------------------------------------------------------------------------------------------


def normal(generator: np.random.Generator, count: int) -> Array:
    """Return a scale of 1 for all items."""
    return np.ones((count, 1))


def lognormal(generator: np.random.Generator, count: int) -> Array:
    """Return a lognormal scale. The logarithm of its square has a standard deviation of 1.5."""
    return np.exp(0.75 * generator.normal(size=(count, 1)) - 0.75**2)


def student(generator: np.random.Generator, count: int) -> Array:
    """Return the scale that gives a normal vector Student's distribution with 3 degrees of freedom and variance 1."""
    return np.sqrt(1 / generator.chisquare(3, size=(count, 1)))


def gaussian(dimension: int, decay: float, scales: Scales = normal, *, clustered: bool = False) -> Population:
    """Return a population of features; each row is the truth, scaled down and moved, with noise.

    The covariance of the truth has the eigenvalues 1, 2^-decay, and so on.

    Args:
        dimension: d.
        decay: exponent of the decay of the eigenvalues.
        scales: draws the scale of each item's vectors; with `clustered`, of the part that the items of a source share.
        clustered: whether five sources have nine items each; half of the variance is then common to a source.
    """
    generator = np.random.default_rng(dimension)
    basis, turned = (np.linalg.qr(generator.normal(size=(dimension, dimension)))[0] for _ in range(2))
    deviations = np.arange(1, dimension + 1) ** (-decay / 2)
    shift = 1 / np.sqrt(dimension)

    def draw(count: int, generator: np.random.Generator) -> Drawn:
        vectors, sources = generator.normal(size=(3, count, dimension)) * deviations, None
        if clustered:
            group = _group(count)
            common = generator.normal(size=(3, group.max() + 1, dimension)) * deviations
            common *= scales(generator, group.max() + 1)
            vectors, sources = np.sqrt(0.5) * (vectors + common[:, group]), _named(group)
        elif scales is not normal:
            vectors *= scales(generator, count)
        truth, far, near = vectors
        truth = truth @ basis
        rows = (
            0.7 * truth + 0.5 * far @ turned + 0.15 * shift,
            0.85 * truth + 0.35 * near @ basis + 0.08 * shift,
        )
        return Drawn(rows, truth, sources)

    return draw


def student_coordinates(dimension: int) -> Population:
    """Draw independent coordinates of Student's distribution with 3 degrees of freedom and `gaussian`'s deviations."""
    basis = np.linalg.qr(np.random.default_rng(dimension).normal(size=(dimension, dimension)))[0]
    deviations = np.arange(1, dimension + 1) ** -0.5 / np.sqrt(3)

    def draw(count: int, generator: np.random.Generator) -> Drawn:
        truth, far, near = generator.standard_t(3, size=(3, count, dimension)) * deviations @ basis
        return Drawn((0.7 * truth + 0.5 * far + 0.15 / np.sqrt(dimension), 0.85 * truth + 0.35 * near), truth)

    return draw


def _group(count: int) -> npt.NDArray[np.int_]:
    """Return the number of each item's source; the first five sources have nine items each."""
    return np.concatenate([np.repeat(np.arange(LARGE), CROPS), LARGE + np.arange(count - LARGE * CROPS)])


def _named(group: npt.NDArray[np.int_]) -> tuple[str, ...]:
    return tuple(map(str, group))


@functools.cache
def _pool() -> tuple[Array, Array, Array]:
    """Return the mini profile's features of scenes and photographs, also slightly blurred and with noise."""
    shown = np.stack([_picture(index) for index in range(POOL)])
    noise = numpy_generator(0, "noise").normal(0, 5, size=shown.shape)
    blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.6) for picture in shown])
    network = load_feature_network(NETWORK)

    def features(images: npt.NDArray[np.uint8]) -> Array:
        with torch.inference_mode():
            batches = torch.from_numpy(images).permute(0, 3, 1, 2).split(100)
            return torch.cat([network.pooled(batch.float() / 127.5 - 1) for batch in batches]).double().numpy()

    return features(shown), features(blurred), features((shown + noise).clip(0, 255).astype(np.uint8))


def _picture(index: int) -> npt.NDArray[np.uint8]:
    names = PHOTOS["val"]
    if index % 2:
        picture = draw_scene(numbered_scene(index, 0, data_set="uncertainty", split="val"))
    else:
        picture = photo_crop(names[index // 2 % len(names)], numpy_generator(0, "uncertainty", index))
    return cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)


def pictures(count: int, generator: np.random.Generator) -> Drawn:
    """Return a population of real features that draws from a finite pool with replacement."""
    chosen = generator.integers(POOL, size=count)
    truth, blurred, noisy = _pool()
    return Drawn((blurred[chosen], noisy[chosen]), truth[chosen])


# --- values ----------------------------------------------------------------------------------------------------------


def clustered_values(effect: Callable[[np.random.Generator, int], Array]) -> Population:
    """Return values of two rows with common effects of items and sources; row 2 has its own source effect.

    Args:
        effect: function that draws the effects of some sources.
    """

    def draw(count: int, generator: np.random.Generator) -> Drawn:
        group = _group(count)
        shared, own = (effect(generator, group.max() + 1)[group] for _ in range(2))
        item, one, other = generator.normal(size=(3, count))
        return Drawn((shared + item + one, shared + 0.7 * own + item + other - 0.3), sources=_named(group))

    return draw


def skewed_values(count: int, generator: np.random.Generator) -> Drawn:
    """Return errors of two rows, which are nearly proportional to the items' difficulty.

    The difficulty is lognormal, with a standard deviation of 1.5 in the logarithm.
    """
    difficulty = np.exp(1.5 * generator.normal(size=count))
    one, other = 1 + 0.2 * generator.normal(size=(2, count))
    return Drawn((difficulty * one, 0.9 * difficulty * other))


CASES: Mapping[str, Case] = {
    "Gaussian, d = 16": Case("FID", gaussian(16, 0.5), (8, 16, 32, 80)),
    "Gaussian, d = 32": Case("FID", gaussian(32, 1.0), (16, 32, 64, 160)),
    "Gaussian, d = 64": Case("FID", gaussian(64, 1.0), (32, 64, 128, 320)),
    "pictures, d = 64": Case("FID", pictures, SIZES),
    "lognormal scale, d = 32": Case("FID", gaussian(32, 1.0, lognormal), SIZES),
    "lognormal scale, d = 128": Case("FID", gaussian(128, 1.0, lognormal), (64, 256)),
    "t3 coordinates, d = 32": Case("FID", student_coordinates(32), SIZES, finite=False),
    "t3 coordinates, d = 128": Case("FID", student_coordinates(128), (64, 256), finite=False),
    "t3 scale, d = 32": Case("FID", gaussian(32, 1.0, student), (64, 256), finite=False),
    "clusters, Gaussian, d = 32": Case("FID", gaussian(32, 1.0, clustered=True), (CLUSTERED,)),
    "clusters, lognormal, d = 32": Case("FID", gaussian(32, 1.0, lognormal, clustered=True), (CLUSTERED,)),
    "clusters, t3, d = 32": Case("FID", gaussian(32, 1.0, student, clustered=True), (CLUSTERED,), finite=False),
    "values in clusters, Gaussian": Case("mean", clustered_values(lambda g, n: g.normal(size=n)), (CLUSTERED,)),
    "values in clusters, lognormal": Case("mean", clustered_values(lambda g, n: g.lognormal(size=n)), (CLUSTERED,)),
    "values in clusters, t3": Case("mean", clustered_values(lambda g, n: g.standard_t(3, size=n)), (CLUSTERED,)),
    "skewed values": Case("mean", skewed_values, SIZES),
    "KID, Gaussian, d = 16": Case("KID", gaussian(16, 0.5), (32,)),
    "KID, Gaussian, d = 32": Case("KID", gaussian(32, 1.0), (64,)),
    "KID, Gaussian, d = 64": Case("KID", gaussian(64, 1.0), (128,)),
    "KID, pictures, d = 64": Case("KID", pictures, (128,)),
    "KID, clusters, Gaussian, d = 32": Case("KID", gaussian(32, 1.0, clustered=True), (CLUSTERED,)),
}
"""Cases by name. The number of items is below the dimension in some cases, and above it in others."""
