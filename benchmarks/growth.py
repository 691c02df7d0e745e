"""Measure how the time and the memory of scoring, store and summary grow with the number of synthetic pictures.

The feature extractor is cheap: one projection to 2048 features, as many as Inception has. The growth is that of
batches, features in the store, the Fréchet and kernel distances with their influences, and standard errors. Each number
of items is measured in a separate process, so that each has its own peak.

python benchmarks/growth.py [--items 1000 3000 10000 30000] [--threads 1]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.metrics.batch_scorer import Scorer
from bench.metrics.features import Features, Piece
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.measure import Arrays, Extra
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.runtime.copies import ReadBack
from bench.store import Store

SIDE, FEATURES, BLOCK = 32, 2048, 64


class Projection:
    """A measure whose `features` are a random projection of the pixels; negative values become 0."""

    protocol: Mapping[str, Any] = {}

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(3 * SIDE * SIDE, FEATURES, generator=generator) / SIDE

    def to(self, device: torch.device | str) -> Self:
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        return {"features": self._features(truth.float() / 255)}, None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        return {"features": self._features(image)}

    def _features(self, image: Tensor) -> Any:
        return (image.flatten(1) @ self.weight).relu().numpy()


def score(items: int, store: Store) -> Scored:
    """Measure one row, and save its features in the store, as a run does."""
    generator = torch.Generator().manual_seed(1)
    measures = {"images": Projection(), "known_region": KnownRegionMeasure()}
    units = [(name, "") for name in measures]
    errors, pieces = [], []
    for start in range(0, items, BLOCK):
        count = min(BLOCK, items - start)
        truth = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        image = (truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
        mask = torch.zeros(count, 1, SIDE, SIDE)
        mask[..., SIDE // 4 : SIDE // 2, :] = 1
        scorer = Scorer(measures, truth, mask, [None] * count)
        found = scorer.score(image, units)
        key = f"{start:064x}"
        store.put("truth", key, ReadBack(scorer.truth("images")).wait())
        store.put("scores", key, ReadBack(found["images", ""]).wait())
        errors.append(np.asarray(found["known_region", ""]["pre_error"]))
        pieces.append((count, key))
    of = {
        kind: Features([Piece(count, partial(read, store, kind, key)) for count, key in pieces], FEATURES)
        for kind in ("truth", "scores")
    }
    row = {"images.features": of["scores"], "pre_error": np.concatenate(errors)}
    sets = {"fid": "images.features", "kid": "images.features"}
    sources, areas = [str(item) for item in range(items)], np.full(items, 0.25)
    return Scored({"row": row}, {"images.features": of["truth"]}, sets, sources, range(items), areas)


def read(store: Store, kind: str, key: str) -> Any:
    arrays = store.get(kind, key)
    assert arrays is not None
    return arrays["features"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000])
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of PyTorch; OMP_NUM_THREADS sets those of NumPy"
    )
    options = parser.parse_args()
    if len(options.items) > 1:
        print(
            "| items | measuring, s | summary, s | ms an item | peak memory, GB |\n"
            "| ---: | ---: | ---: | ---: | ---: |",
            flush=True,
        )
        for items in options.items:
            words = ["--items", str(items), "--threads", str(options.threads)]
            subprocess.run([sys.executable, __file__, *words], check=True)
        return
    torch.set_num_threads(options.threads)
    (items,) = options.items
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        scored = score(items, Store(Path(folder)))
        measured = time.perf_counter()
        Summary(scored, fewest=2).table(None)
        done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kilobytes on Linux
    parts = f"{measured - started:.1f} | {done - measured:.1f} | {1e3 * (done - started) / items:.2f}"
    print(f"| {items} | {parts} | {peak:.2f} |")


if __name__ == "__main__":
    main()
