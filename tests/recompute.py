"""Recompute metrics of a mini run from the pictures that it saved: `python tests/recompute.py RUN_FOLDER`.

The run must have been made with `save_images=true` and the mini profile's features. This script checks the harness from
outside: it imports nothing from it, reads only PNG files, JSON files and the shipped feature network, and writes every
formula out anew. It prints the relative difference of each number to the one in the run's `results.json`.

Sources of the formulas: the error outside the mask is the mean squared error that arXiv 2306.04632 defines in words.
LPIPS with unit weights is from Zhang et al. (2018, eq. 1), the Fréchet distance from Heusel et al. (2017, eq. 6), and
SSIM from Wang et al. (2004), as scikit-image computes it.

Exit status: 0 all numbers agree, 1 a number differs by more than 1e-6 of itself, 2 the run cannot be checked.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional

TOLERANCE = 1e-6
"""Largest relative difference at which two numbers are called equal."""
BATCH = 16
"""Images for one pass of the feature network; the run's own batches have another size."""
NETWORK = Path(__file__).parents[1] / "bench" / "assets" / "mini" / "metric_features"
WEIGHTS = "diffusion_pytorch_model.safetensors"

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


class CannotCheckError(Exception):
    """Signal that a folder lacks a file that a check needs."""


@dataclass(frozen=True)
class Comparison:
    """Hold one number of a run and the one that is recomputed from its pictures."""

    row: str
    metric: str
    reported: float
    recomputed: float

    @property
    def difference(self) -> float:
        """Absolute difference relative to the reported value: 0 where both are 0, infinite where only that is 0."""
        if self.reported == self.recomputed:
            return 0.0
        return abs(self.recomputed - self.reported) / abs(self.reported) if self.reported else float("inf")


@dataclass(frozen=True)
class Truth:
    """Hold the truth of a run's items in the manifest's order."""

    ids: Sequence[str]
    images: Pixels
    """N×S×S×3."""
    hole: npt.NDArray[np.bool_]
    """N×S×S, true in the hole."""
    reference: npt.NDArray[np.bool_]
    """N values: whether the image belongs to the set that a Fréchet distance is measured to."""


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CannotCheckError: there is no such file.
    """
    if not path.is_file():
        raise CannotCheckError(f"{path}: expected a file of a finished run, found none")
    return json.loads(path.read_text())


def read_pictures(folder: Path, ids: Sequence[str], mode: str) -> Pixels:
    """Pictures of all items as one array: N×S×S×3 uint8 for the mode RGB, N×S×S for the mode L.

    Raises:
        CannotCheckError: a picture is missing.
    """
    pictures = []
    for name in ids:
        path = folder / f"{name}.png"
        if not path.is_file():
            raise CannotCheckError(f"{path}: expected a picture that `save_images=true` leaves, found none")
        with Image.open(path) as opened:
            if opened.mode != mode:
                raise CannotCheckError(f"{path}: expected a picture of mode {mode}, found {opened.mode}")
            pictures.append(np.asarray(opened))
    return np.stack(pictures)


def read_truth(run: Path) -> Truth:
    """The true images and masks of a run's items."""
    manifest = read_json(run / "manifest.json")
    ids = [line["id"] for line in manifest["items"]]
    images = read_pictures(run / "items" / "image", ids, "RGB")
    if manifest["masks"] == "whole":  # only a caption is given: everything is generated
        hole = np.ones(images.shape[:3], np.bool_)
    else:
        hole = read_pictures(run / "items" / "mask", ids, "L") == 255
    return Truth(ids, images, hole, np.array([line["reference"] for line in manifest["items"]], np.bool_))


def read_network(run: Path) -> tuple[dict[str, Tensor], int]:
    """The tensors of the shipped feature network, and the number of its levels.

    Raises:
        CannotCheckError: the run used another network, as the SHA-256 of the weights in its `run.json` says.
    """
    found = hashlib.sha256((NETWORK / WEIGHTS).read_bytes()).hexdigest()
    used = [sha for path, sha in read_json(run / "run.json")["weights"].items() if path.endswith(WEIGHTS)]
    if found not in used:
        raise CannotCheckError(f"{run / 'run.json'}: expected weights with SHA-256 {found} of {NETWORK}, found others")
    tensors = {
        name: tensor.float() for name, tensor in load_file(NETWORK / WEIGHTS).items()
    }  # stored in half precision
    return tensors, len(json.loads((NETWORK / "config.json").read_text())["widths"])


def feature_maps(network: tuple[dict[str, Tensor], int], images: Pixels) -> list[Tensor]:
    """The feature maps B×C×h×w of every level, finest first, for images B×S×S×3."""
    tensors, levels = network
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    maps = []
    for level in range(levels):
        if level > 0:
            x = functional.avg_pool2d(x, 2)
        for convolution, norm in ((0, 1), (3, 4)):
            name = f"levels.{level}."
            x = functional.conv2d(x, tensors[f"{name}{convolution}.weight"], padding=1)
            x = functional.batch_norm(
                x,
                tensors[f"{name}{norm}.running_mean"],
                tensors[f"{name}{norm}.running_var"],
                tensors[f"{name}{norm}.weight"],
                tensors[f"{name}{norm}.bias"],
                eps=1e-5,
            )
            x = functional.relu(x)
        maps.append(x)
    return maps


def features_and_distances(
    network: tuple[dict[str, Tensor], int], images: Pixels, truth: Pixels
) -> tuple[Values, Values]:
    """The pooled features N×d of images, and the N perceptual distances to their true images."""
    features, distances = [], []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            maps = feature_maps(network, images[start : start + BATCH])
            true_maps = feature_maps(network, truth[start : start + BATCH])
            features.append(maps[-1].mean((2, 3)))
            total = torch.zeros(len(maps[0]))
            for ours, true in zip(maps, true_maps, strict=True):
                ours_unit = ours / (ours.square().sum(1, keepdim=True) + 1e-10).sqrt()
                true_unit = true / (true.square().sum(1, keepdim=True) + 1e-10).sqrt()
                total = total + (ours_unit - true_unit).square().sum(1).mean((1, 2))
            distances.append(total)
    return torch.cat(features).double().numpy(), torch.cat(distances).double().numpy()


def square_root(covariance: Values) -> Values:
    """The symmetric square root of a positive semi-definite matrix."""
    variances, directions = np.linalg.eigh(covariance)
    root: Values = (directions * np.sqrt(np.clip(variances, 0, None))) @ directions.T
    return root


def frechet_distance(a: Values, b: Values) -> float:
    """|m1 - m2|² + tr C1 + tr C2 - 2 tr (C1 C2)^½ of two sets of features, with covariances divided by N - 1.

    The matrix C1 C2 has the same eigenvalues as C1^½ C2 C1^½, which is symmetric.
    """
    shift = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = square_root(first)
    eigenvalues = np.linalg.eigvalsh(root @ second @ root)
    overlap = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * overlap)


def known_error(images: Pixels, truth: Truth) -> float:
    """The mean over items of the mean squared difference in [0, 1] over known pixels and channels."""
    errors = []
    for image, true, hole in zip(images, truth.images, truth.hole, strict=True):
        known = ~hole
        if known.any():  # an item without a known pixel has no such error
            errors.append(np.square(image[known] / 255 - true[known] / 255).mean())
    return float(np.mean(errors))


def similarity(images: Pixels, truth: Pixels) -> float:
    """The mean over items of SSIM in a Gaussian window of 11 pixels with deviation 1.5, without padding."""
    values = [
        structural_similarity(
            image / 255,
            true / 255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=2,
        )
        for image, true in zip(images, truth, strict=True)
    ]
    return float(np.mean(values))


def recompute_row(
    images: Pixels,
    truth: Truth,
    network: tuple[dict[str, Tensor], int],
    true_features: Values,
    wanted: Sequence[str],
) -> Iterator[tuple[str, float]]:
    """The metrics of one row's images by name, as far as they are wanted.

    A name that ends in `hole_only` is measured on the images with the truth in place of their known pixels. The true
    features are those of the reference set.
    """
    if "pre_error" in wanted:
        yield "pre_error", known_error(images, truth)
    if "ssim" in wanted:
        yield "ssim", similarity(images, truth.images)
    for suffix in ("", "_hole_only"):
        if not {f"lpips{suffix}", f"fid{suffix}"} & set(wanted):
            continue
        seen = np.where(truth.hole[..., None], images, truth.images) if suffix else images
        features, distances = features_and_distances(network, seen, truth.images)
        if f"lpips{suffix}" in wanted:
            yield f"lpips{suffix}", float(distances.mean())
        if f"fid{suffix}" in wanted:
            yield f"fid{suffix}", frechet_distance(features, true_features)


def recompute(run: Path) -> list[Comparison]:
    """Every number of a run that this script knows how to recompute.

    Raises:
        CannotCheckError: the folder lacks a file, or holds no such number.
    """
    results = read_json(run / "results.json")
    truth, network = read_truth(run), read_network(run)
    references = truth.images[truth.reference]
    true_features, _ = features_and_distances(network, references, references)
    found = []
    for line in results["rows"]:
        values = {metric: entry["value"] for metric, entry in line["metrics"].items() if entry["value"] is not None}
        if not values:  # a row of which only the paper has numbers
            continue
        images = read_pictures(run / "images" / line["method"], truth.ids, "RGB")
        found += [
            Comparison(line["method"], metric, values[metric], value)
            for metric, value in recompute_row(images, truth, network, true_features, list(values))
        ]
    if not found:
        raise CannotCheckError(f"{run}: expected pre_error, lpips, fid or ssim of a row, found none of them")
    return found


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python tests/recompute.py RUN_FOLDER", file=sys.stderr)
        return 2
    try:
        found = recompute(Path(arguments[0]))
    except CannotCheckError as error:
        print(f"recompute: {error}", file=sys.stderr)
        return 2
    width = max(len(one.row) for one in found)
    print(f"{'row':<{width}}  {'metric':<15}  {'reported':>22}  {'recomputed':>22}  {'relative difference':>19}")
    for one in found:
        numbers = f"{one.reported!r:>22}  {one.recomputed!r:>22}  {one.difference:>19.1e}"
        print(f"{one.row:<{width}}  {one.metric:<15}  {numbers}")
    for metric in dict.fromkeys(one.metric for one in found):
        print(f"largest of {metric}: {max(one.difference for one in found if one.metric == metric):.1e}")
    return 1 if any(one.difference > TOLERANCE for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
