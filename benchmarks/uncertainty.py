"""How wide the standard errors of FID and KID are beside the truth, and how often their intervals hold it.

python benchmarks/uncertainty.py [--draws 500] [--only NAME]

Two rows share items and truth. The truth about a standard error is the deviation of the value over many fresh draws of
N items; an interval should hold the mean over those draws. Prints a table in Markdown; docs/uncertainty.md holds one.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from bench.data.mini.photos import PHOTOS, photo_crop
from bench.data.mini.scenes import draw_scene, numbered_scene
from bench.metrics.frechet import frechet_distance, frechet_estimate
from bench.metrics.kernel import kernel_estimate
from bench.metrics.uncertainty import Chosen, Estimate, combined, estimate_by_halves, interval, parts, standard_error
from bench.models.checkpoints import load_feature_network
from bench.seeding import numpy_generator

Array = npt.NDArray[np.float64]
Items = tuple[Array, Array, Array]
"""Features N×d of the truth and of two rows' images, item by item."""
Population = Callable[[int, np.random.Generator], Items]

NETWORK = Path(__file__).parents[1] / "bench" / "assets" / "mini" / "metric_features"
POOL = 1000
"""Pictures whose features, drawn with replacement, are a population."""


def gaussian(dimension: int, decay: float) -> Population:
    """Truth with eigenvalues 1, 2^-decay, 3^-decay …; rows that shrink it, turn some of it, and move the mean."""
    generator = np.random.default_rng(dimension)
    basis, turned = (np.linalg.qr(generator.normal(size=(dimension, dimension)))[0] for _ in range(2))
    scale = np.arange(1, dimension + 1) ** (-decay / 2)

    def draw(count: int, generator: np.random.Generator) -> Items:
        truth, far, near = generator.normal(size=(3, count, dimension)) * scale
        truth = truth @ basis
        shift = 1 / np.sqrt(dimension)
        return truth, 0.7 * truth + 0.5 * far @ turned + 0.15 * shift, 0.85 * truth + 0.35 * near @ basis + 0.08 * shift

    return draw


@functools.cache
def _pool() -> Items:
    """Features by the mini profile's network: of scenes and photographs, of these blurred a little, and with noise."""
    pictures = np.stack([_picture(index) for index in range(POOL)])
    noise = numpy_generator(0, "noise").normal(0, 5, size=pictures.shape)
    blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.6) for picture in pictures])
    network = load_feature_network(NETWORK)

    def features(images: npt.NDArray[np.uint8]) -> Array:
        with torch.inference_mode():
            batches = torch.from_numpy(images).permute(0, 3, 1, 2).split(100)
            return torch.cat([network.pooled(batch.float() / 127.5 - 1) for batch in batches]).double().numpy()

    return features(pictures), features(blurred), features((pictures + noise).clip(0, 255).astype(np.uint8))


def _picture(index: int) -> npt.NDArray[np.uint8]:
    names = PHOTOS["val"]
    if index % 2:
        picture = draw_scene(numbered_scene(index, 0, data_set="uncertainty", split="val"))
    else:
        picture = photo_crop(names[index // 2 % len(names)], numpy_generator(0, "uncertainty", index))
    return cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)


def pictures(count: int, generator: np.random.Generator) -> Items:
    """A population of real features: a finite pool, drawn from with replacement."""
    chosen = generator.integers(POOL, size=count)
    truth, blurred, noisy = _pool()
    return truth[chosen], blurred[chosen], noisy[chosen]


POPULATIONS: Mapping[str, tuple[int, Population]] = {
    "Gaussian, d = 16": (16, gaussian(16, 0.5)),
    "Gaussian, d = 32": (32, gaussian(32, 1.0)),
    "Gaussian, d = 64": (64, gaussian(64, 1.0)),
    "pictures, d = 64": (64, pictures),
}


# --- ways to a standard error ----------------------------------------------------------------------------------------


def frechet(image: Array, truth: Array) -> Estimate:
    estimate = frechet_estimate(image, truth)
    return Estimate(estimate.value, estimate.influence_a + estimate.influence_b)


def estimates(truth: Array, images: tuple[Array, Array], of: Callable[[Array, Array], Estimate]) -> list[Estimate]:
    """Both rows' and their difference's, each item its own source."""
    sources = [str(index) for index in range(len(truth))]

    def row(image: Array) -> Estimate:
        def statistic(chosen: Chosen) -> Estimate:
            return of(image[chosen], truth[chosen])

        return estimate_by_halves(statistic, sources)

    first, second = map(row, images)
    return [first, second, combined([(1.0, first), (-1.0, second)])]


def plain(estimate: Estimate) -> float:
    return standard_error(estimate.influence)


def by_halves(estimate: Estimate) -> float:
    return standard_error(estimate.influence, change=estimate.change)


def solved(estimate: Estimate) -> float:
    """The second-order part solved out of the plain variance at N and at N/2, the latter a mean over two halves."""
    count = len(estimate.influence)
    assert estimate.change is not None
    halved = estimate.influence + estimate.change
    whole = standard_error(estimate.influence) ** 2
    half = 2 * np.square(halved).sum() / count / (count - 2)
    return float(np.sqrt(max(whole - max(0.0, (half - 2 * whole) / 4), 0.0)))


WAYS = {"plain": plain, "solved": solved, "halves": by_halves}


def ten_parts(truth: Array, images: tuple[Array, Array]) -> Array:
    """The deviation of the values of ten parts over √10."""
    values = [
        [frechet_distance(image[part], truth[part]) for image in images]
        for part in parts([str(index) for index in range(len(truth))], 10)
    ]
    return _spread(np.array(values)) / np.sqrt(10)


def bootstrap(truth: Array, images: tuple[Array, Array], resamples: int = 40) -> Array:
    """The deviation over items drawn again with replacement."""
    generator = np.random.default_rng(0)
    chosen = [generator.integers(len(truth), size=len(truth)) for _ in range(resamples)]
    return _spread(np.array([[frechet_distance(image[again], truth[again]) for image in images] for again in chosen]))


def _spread(values: Array) -> Array:
    """Of both rows' values and of their difference."""
    return np.append(values.std(0, ddof=1), (values[:, 0] - values[:, 1]).std(ddof=1))


# --- the study -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Of two rows' values and of their difference."""

    ratio: Array
    """Root of the mean estimated variance over the true deviation."""
    coverage: Array
    """Share of the 95 % intervals that hold the mean over draws."""


def study(
    population: Population,
    count: int,
    *,
    of: Callable[[Array, Array], Estimate] = frechet,
    draws: int = 500,
    more: int = 1500,
    coarse: int = 0,
    seed: int = 0,
) -> dict[str, Found]:
    """Estimated errors beside the true one, by way.

    Args:
        population: to draw from.
        count: N.
        of: the statistic.
        draws: of which errors are estimated.
        more: further draws that tell the mean and the deviation of the value.
        coarse: draws of which ten parts and the bootstrap are tried as well.
        seed: of the draws.
    """
    generator = np.random.default_rng([seed, count])
    values: list[list[float]] = []
    errors: dict[str, list[npt.ArrayLike]] = {name: [] for name in (*WAYS, "ten parts", "bootstrap")}
    for index in range(draws):
        truth, *images = population(count, generator)
        found = estimates(truth, (images[0], images[1]), of)
        values.append([estimate.value for estimate in found])
        for name, way in WAYS.items():
            errors[name].append([way(estimate) for estimate in found])
        if index < coarse:
            errors["ten parts"].append(ten_parts(truth, (images[0], images[1])))
            errors["bootstrap"].append(bootstrap(truth, (images[0], images[1])))
    others = []
    for _ in range(more):
        truth, *images = population(count, generator)
        first, second = (
            frechet_distance(image, truth) if of is frechet else of(image, truth).value for image in images
        )
        others.append([first, second, first - second])
    every = np.concatenate([values, others])
    mean, deviation = every.mean(0), every.std(0)
    return {
        name: Found(
            np.sqrt(np.square(some).mean(0)) / deviation,
            (np.abs(np.array(values[: len(some)]) - mean) <= _half_widths(np.array(some), count)).mean(0),
        )
        for name, some in errors.items()
        if some
    }


def _half_widths(errors: Array, count: int) -> Array:
    return errors * interval(0.0, 1.0, count)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--coarse", type=int, default=20, help="draws for ten parts and the bootstrap")
    parser.add_argument("--only", default="", help="part of a population's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| features | metric | N | way | row 1 | row 2 | difference |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for name, (dimension, population) in POPULATIONS.items():
        if options.only not in name:
            continue
        for metric, of in (("FID", frechet), ("KID", kernel_estimate)):
            for count in (dimension // 2, dimension, 2 * dimension, 5 * dimension):
                if metric == "KID" and count != 2 * dimension:
                    continue
                coarse = options.coarse if metric == "FID" and count >= 32 else 0
                for way, found in study(population, count, of=of, draws=options.draws, coarse=coarse).items():
                    cells = [f"{ratio:.2f}" for ratio in found.ratio]
                    if way in WAYS:  # the others are tried on too few draws for a share
                        cells = [f"{cell}, {share:.1%}" for cell, share in zip(cells, found.coverage, strict=True)]
                    print(f"| {name} | {metric} | {count} | {way} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
