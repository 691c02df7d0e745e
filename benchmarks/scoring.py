"""Compare the time of scoring a table with our code and with one package for each metric, which run in turns.

Every row gets FID and Inception Score (torch-fidelity), LPIPS (lpips) and the error outside the hole (a plain mean
squared error), all from random weights that both sides share. Images are in memory, so no decoder and no disk is timed.
`benchmarks/gpu.py` does the same on a GPU.

python benchmarks/scoring.py [--rows 5] [--images 100] [--side 256] [--batch 4] [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.evaluation.batch_size import finished_one_later
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.frechet import frechet_distance
from bench.metrics.inception import InceptionMeasure
from bench.metrics.inception_score import inception_score
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.lpips import LPIPSMeasure
from bench.runtime.copies import ReadBack, moved
from benchmarks.random_weights import backbone_weights, inception_weights, random_images
from benchmarks.timing import alternate

ARRAYS = ("torchfidelity", "logits", "lpips", "pre_error")
"""Names of the arrays of a row from which the metrics are computed."""
METRICS = ("fid", "inception_score", "lpips", "pre_error")
Values = dict[str, list[float]]
"""Values for each row by metric."""


class Pictures(Dataset[Tensor]):
    """A data set of pictures in the form that torch-fidelity reads."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


class Table:
    """The true images, the holes, the images of each row, and the networks of both sides."""

    def __init__(self, options: argparse.Namespace, folder: Path, device: torch.device | None = None) -> None:
        side, self.batch = options.side, options.batch
        self.device = device or torch.device("cpu")
        self.truth = random_images(options.images, side, side)
        self.mask = torch.zeros(options.images, 1, side, side)
        self.mask[..., side // 4 : side // 2, side // 8 : -side // 8] = 1
        noise = torch.Generator().manual_seed(1)
        self.rows = []
        for row in range(options.rows):  # far enough off that the packages' rounding does not show in the FID
            changed = self.truth + (16 + 16 * row) * torch.randn(self.truth.shape, generator=noise)
            self.rows.append(changed.round().clamp(0, 255).to(torch.uint8))
        self.inception = folder / "inception.pth"
        torch.save(inception_weights(), self.inception)
        weights = backbone_weights("vgg")
        torch.save(weights, folder / "vgg16.pth")
        self.measures: dict[str, Any] = {
            "inception": InceptionMeasure(self.inception, ["torchfidelity"]),
            "lpips": LPIPSMeasure(folder / "vgg16.pth"),
            "known_region": KnownRegionMeasure(),
        }
        for measure in self.measures.values():
            measure.to(self.device)
        self.lpips = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval().to(self.device)
        names = self.lpips.net.state_dict()
        self.lpips.net.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in names})

    def ours(self) -> Values:
        """Score all rows batch by batch, like the scoring stage."""
        batches = list(finished_one_later(self._queued()))
        truth = np.concatenate([found["truth"] for found in batches])
        rows = [
            {name: np.concatenate([found[row, name] for found in batches]) for name in ARRAYS}
            for row in range(len(self.rows))
        ]
        return {
            "fid": [frechet_distance(row["torchfidelity"], truth) for row in rows],
            "inception_score": [inception_score(row["logits"]).value for row in rows],
            "lpips": [float(row["lpips"].mean()) for row in rows],
            "pre_error": [float(row["pre_error"].mean()) for row in rows],
        }

    def _queued(self) -> Iterator[Callable[[], dict[Any, Any]]]:
        """Queue one batch after the other, and yield a function for each that waits for its values."""
        units = [Unit(name) for name in self.measures]
        for some in self._batches():
            count = len(self.truth[some])
            truth, mask = moved(self.truth[some], self.device), moved(self.mask[some], self.device)
            scorer = Scorer(self.measures, truth, mask, [None] * count)
            values: dict[Any, Any] = {"truth": scorer.truth("inception")["torchfidelity"]}
            for row, images in enumerate(self.rows):
                found = scorer.score(moved(images[some], self.device).float() / 255, units)
                values |= {(row, name): array for arrays in found.values() for name, array in arrays.items()}
            yield ReadBack(values).wait

    def peers(self) -> Values:
        """Score each row by each package in turn; the truth is processed again each time."""
        values: Values = {name: [] for name in METRICS}
        for images in self.rows:
            found = torch_fidelity.calculate_metrics(
                input1=Pictures(images),
                input2=Pictures(self.truth),
                fid=True,
                isc=True,
                feature_extractor_weights_path=str(self.inception),
                cuda=self.device.type == "cuda",
                cache=False,
                save_cpu_ram=True,  # no other processes
                batch_size=self.batch,
                verbose=False,
            )
            values["fid"].append(found["frechet_inception_distance"])
            values["inception_score"].append(found["inception_score_mean"])
            distances, errors = [], []
            with torch.inference_mode():
                for some in self._batches():
                    image, truth, mask = (x[some].to(self.device) for x in (images, self.truth, self.mask))
                    image, truth, known = image / 255, truth / 255, 1 - mask
                    distances.append(self.lpips(image, truth, normalize=True).flatten())
                    squared = ((image - truth).square() * known).sum((1, 2, 3))
                    errors.append(squared / (3 * known.sum((1, 2, 3))))
            values["lpips"].append(float(torch.cat(distances).mean()))
            values["pre_error"].append(float(torch.cat(errors).mean()))
        return values

    def _batches(self) -> list[slice]:
        return [slice(start, start + self.batch) for start in range(0, len(self.truth), self.batch)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4, help="batch size of both sides")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of PyTorch; OMP_NUM_THREADS sets those of NumPy"
    )
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # lpips calls torchvision in a way of the past
    with tempfile.TemporaryDirectory() as folder:
        table = Table(options, Path(folder))
        found = alternate({"ours": table.ours, "peers": table.peers}, options.repeats, warm_up=False)
    ours, peers = found["ours"], found["peers"]
    print(
        f"torch {torch.__version__}, {options.threads} threads, {options.rows} rows of {options.images} images,"
        f" {options.side}×{options.side}\n| ours, s | peers, s | ratio |\n| ---: | ---: | ---: |\n"
        f"| {ours.seconds:.1f} | {peers.seconds:.1f} | {peers.seconds / ours.seconds:.2f} |\n\n"
        "| metric | ours, first row | peers | rows differ by at most |\n| --- | ---: | ---: | ---: |"
    )
    for name in METRICS:
        one, other = np.array(ours.result[name]), np.array(peers.result[name])
        print(f"| {name} | {one[0]:.6g} | {other[0]:.6g} | {np.abs(one / other - 1).max():.1e} |")


if __name__ == "__main__":
    main()
