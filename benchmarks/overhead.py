"""What the harness costs over its networks: one experiment's sampling and scoring, alternating in one process with a
plain loop that calls the same networks on items in memory and keeps nothing.

The harness reads items from disk and checks them, works in blocks, waits for leases, writes every latent and score with
its checksum, and reads what the table needs back.

python benchmarks/overhead.py [--experiment table2_inpaint_imagenet] [--items 128] [--repeats 5] [OVERRIDE …]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.config import compose_config, typed
from bench.data.manifest import Items
from bench.experiment import TableExperiment
from bench.generation.latents import float_images, image_batch, mask_batch
from bench.metrics.scoring import Scorer
from bench.sampling import KINDS
from bench.scoring import TRUTH, unit_interval
from bench.store import Store
from benchmarks.timing import alternate


def opened(overrides: list[str], folder: Path) -> tuple[TableExperiment, Items]:
    """The experiment with its networks loaded, and its items prepared."""
    words = [*overrides, f"paths.store={folder / 'prepared'}", f"out={folder / 'out'}"]
    experiment = TableExperiment(*typed(compose_config(words)), words)
    experiment.check()
    experiment.load()
    return experiment, experiment.prepare()


def plain(experiment: TableExperiment, items: Items) -> None:
    """The networks alone."""
    sampling, scoring = experiment.sampling, experiment.scoring
    everything, size = items.read(0, len(items)), sampling.batch_size
    for start in range(0, len(items), size):
        some = everything[start : start + size]
        seen, mask = float_images(image_batch(some)), mask_batch(some)
        made = (
            sampling.generator.sample(some, sampling.seed),
            sampling.generator.encode(seen),
            sampling.generator.encode(seen * (mask == 0)),
        )
        latents = {name: values.float().cpu().numpy() for name, values in zip(KINDS, made, strict=True)}
        batch, truth = sampling.batch(some, latents)
        scorer = Scorer(scoring.measures, truth, batch.mask, [item.exemplar for item in some])
        for row, parts in itertools.groupby(scoring.parts, key=lambda part: part[0]):
            if row != TRUTH:
                scorer.score(unit_interval(scoring.methods[row](batch)), [unit for _, unit in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", default="table2_inpaint_imagenet")
    parser.add_argument("--items", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    words = [f"experiment={options.experiment}", f"limit={options.items}", *options.overrides]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        experiment, items = opened(words, folder)
        if not isinstance(experiment.config.batch_size, int):
            experiment.sampling.run(items)  # which finds the batch size
        stores = itertools.count()

        def harness() -> None:
            store = Store(folder / f"store {next(stores)}")
            experiment.sampling.store = experiment.scoring.store = store
            experiment.scoring.run(items, experiment.sampling.run(items), experiment.sets)

        found = alternate({"harness": harness, "networks": lambda: plain(experiment, items)}, options.repeats)
    ours, networks = found["harness"].seconds, found["networks"].seconds
    print(
        f"{options.experiment}, {len(items)} items, {len(experiment.methods)} rows, torch {torch.__version__}, ", end=""
    )
    print(f"{torch.get_num_threads()} threads, batches of {experiment.sampling.batch_size} on {experiment.device}")
    print("| harness, s | networks, s | over |\n| ---: | ---: | ---: |")
    print(f"| {ours:.2f} | {networks:.2f} | {ours / networks - 1:.1%} |")


if __name__ == "__main__":
    main()
