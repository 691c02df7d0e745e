"""Compare the time of our Fréchet distance with that of torchmetrics and clean-fid, which run in turns.

Each side computes one number from two sets of float32 features. clean-fid takes part only if there are more items than
dimensions, because its matrix square root is not made for singular matrices.

python benchmarks/frechet.py [--items 300 1000 3000] [--dimensions 2048] [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import cleanfid.fid
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.metrics.frechet import frechet_distance
from benchmarks.timing import alternate

Features = npt.NDArray[np.float32]


class Given(nn.Module):
    """A feature extractor that returns its input as the features."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def sets(items: int, dimensions: int) -> tuple[Features, Features]:
    """Return two sets of features N×d that are non-negative and correlated like Inception's."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(dimensions, dimensions)) / dimensions**0.5 * np.geomspace(1, 0.05, dimensions)
    one, other = (np.maximum(random.normal(size=(items, dimensions)) @ mixing + shift, 0) for shift in (0.3, 0.4))
    return one.astype(np.float32), other.astype(np.float32)


def torchmetrics_distance(one: Features, other: Features) -> float:
    metric = FrechetInceptionDistance(feature=Given(one.shape[1]))
    metric.update(torch.from_numpy(one), real=True)
    metric.update(torch.from_numpy(other), real=False)
    return float(metric.compute())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of PyTorch; OMP_NUM_THREADS sets those of NumPy"
    )
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # the packages warn of SciPy's coming changes
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {options.threads} threads, d = {options.dimensions}")
    print("| N | peer | ours, s | peer, s | ratio | values differ by |\n| ---: | --- | ---: | ---: | ---: | ---: |")
    for items in options.items:
        one, other = sets(items, options.dimensions)
        calls: dict[str, Callable[[], float]] = {
            "ours": lambda one=one, other=other: frechet_distance(one, other),
            "torchmetrics": lambda one=one, other=other: torchmetrics_distance(one, other),
        }
        if items > options.dimensions:
            calls["clean-fid"] = lambda one=one, other=other: float(cleanfid.fid.fid_from_feats(one, other))
        found = alternate(calls, options.repeats, warm_up=False)
        ours = found.pop("ours")
        for name, peer in found.items():
            apart = abs(ours.result / peer.result - 1)
            ratio = peer.seconds / ours.seconds
            print(
                f"| {items} | {name} | {ours.seconds:.3f} | {peer.seconds:.3f} | {ratio:.1f} | {apart:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
