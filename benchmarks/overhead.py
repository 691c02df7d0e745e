"""Measure how much time the harness needs in addition to its networks, for sampling and scoring from an empty store.

On the CPU, every call of a generator, a method and a measure is timed inside the run. The rest of the time is that of
the harness, which reads items from disk and checks them, works in blocks, waits for leases, writes all latents and
scores with their checksums, and reads what the table needs. On CUDA, calls return before their work is done. There, the
profiler says how long the device had nothing to do.

python benchmarks/overhead.py [--experiment table2_inpaint_imagenet] [--items 256] [--repeats 5] [OVERRIDE …]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import DeviceType, ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import TableConfig
from bench.data.prepared import Items
from bench.evaluation import scoring
from bench.evaluation.measure import check, prepare
from bench.evaluation.setup import Setup
from bench.metrics.batch_scorer import Scorer
from bench.store import Store


class Clock:
    """A clock that adds up the seconds inside calls. A call inside another timed call is not counted twice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same as `call` and adds its time to the clock."""

        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return call(*arguments, **named)
            self._inside, started = True, time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self._inside = False
                self.seconds += time.perf_counter() - started

        return timed


def opened(overrides: list[str], folder: Path) -> tuple[Setup, Items]:
    """Return a run's setup, with its networks loaded, and its prepared items."""
    words = [*overrides, f"paths.store={folder / 'prepared'}", f"out={folder / 'out'}"]
    setup = Setup(TableConfig.of(*typed(compose_config(words))), words)
    check(setup)
    return setup, prepare(setup)


def run(setup: Setup, items: Items, store: Path) -> float:
    """Sample and score from an empty store, and return the seconds."""
    setup.sampling.store = setup.scoring.store = Store(store)
    started = time.perf_counter()
    setup.scoring.run(items, setup.sampling.run(items), setup.sets)
    return time.perf_counter() - started


def outside(setup: Setup, items: Items, store: Path) -> tuple[float, float]:
    """Return the seconds of a whole run, and how many of them its networks and measures took."""
    clock = Clock()
    generator = setup.sampling.generator
    made: dict[str, Any] = {name: clock.around(getattr(generator, name)) for name in ("sample", "encode", "decodable")}
    with (
        mock.patch.multiple(generator, **made),
        mock.patch.object(scoring, "awaited", clock.around(scoring.awaited)),
        mock.patch.multiple(Scorer, __init__=clock.around(Scorer.__init__), score=clock.around(Scorer.score)),
    ):
        seconds = run(setup, items, store)
    return seconds, clock.seconds


def busy(spans: Iterable[tuple[float, float]]) -> float:
    """Return the total time that is covered by at least one of the spans."""
    covered, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered


def at_work(setup: Setup, items: Items, store: Path) -> tuple[float, float]:
    """Return the seconds of a whole run, and how many of them the GPU computed or copied."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        seconds = run(setup, items, store)
    events = [event.time_range for event in profiled.events() or [] if event.device_type == DeviceType.CUDA]
    return seconds, busy((span.start, span.end) for span in events) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", default="table2_inpaint_imagenet")
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    words = [f"experiment={options.experiment}", f"limit={options.items}", *options.overrides]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setup, items = opened(words, folder)
        run(setup, items, folder / "first")  # which also finds the batch size and chooses kernels
        cuda = setup.device.type == "cuda"
        measure = at_work if cuda else outside
        found = [measure(setup, items, folder / str(number)) for number in range(options.repeats)]
    seconds, inside = (statistics.median(values) for values in zip(*found, strict=True))
    print(f"{options.experiment}, {len(items)} items, {len(setup.methods)} rows, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads, batches of {setup.sampling.batch_size} on {setup.device}")
    if cuda:
        shares = sorted(1 - inside / seconds for seconds, inside in found)
        print("| the run, s | the GPU at work, s | idle |\n| ---: | ---: | ---: |")
    else:
        shares = sorted(seconds / inside - 1 for seconds, inside in found)
        print("| the run, s | its networks and measures, s | over |\n| ---: | ---: | ---: |")
    print(f"| {seconds:.2f} | {inside:.2f} | {statistics.median(shares):.1%} ({shares[0]:.1%} to {shares[-1]:.1%}) |")
    sampled, scored = (1 / (stage.pace.each or float("inf")) for stage in (setup.sampling, setup.scoring))
    print(f"\n{sampled:.3g} images/s sampled, {scored:.3g} items/s scored in all rows")


if __name__ == "__main__":
    main()
