"""Compare estimated standard errors with the true ones, and measure the coverage of the intervals.

python -m benchmarks.uncertainty [--draws 500] [--only NAME] [--items N ...] [--tried]
python -m benchmarks.uncertainty --run DIR [--draws 500]

Two rows share items and truth. The true standard error is the standard deviation of the value over many new draws of N
items, and an interval should contain the mean over those draws. With --run, sources of a finished run are drawn with
replacement; the run must have been made with keep_features=true. The script prints a table in Markdown.
docs/uncertainty.md shows the results, with the number of draws of each case.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from bench.metrics.frechet import frechet_distance, frechet_estimate
from bench.metrics.kernel import kernel_estimate
from bench.metrics.uncertainty import Chosen, Estimate, combined, estimate_by_halves, mean_estimate
from benchmarks.intervals import LOG, OURS, TRIED, MethodInput, method_input
from benchmarks.populations import CASES, Case, Drawn
from benchmarks.resampling import resampled

Array = npt.NDArray[np.float64]
PRINTED = ("G - 1", OURS)
"""Methods that are always shown; --tried shows the others too."""


@dataclass(frozen=True)
class Found:
    """The intervals of one number by one method, over all draws."""

    covered: float
    """The share of intervals that contain the mean over draws."""
    covered_where_claimed: float
    """The share of such intervals among the draws that have enough effective sources; NaN if there are none."""
    claimed: float
    """The share of draws that have enough effective sources."""

    @property
    def wrong(self) -> float:
        """Return the share of draws that have enough effective sources but whose interval misses the true value."""
        return 0.0 if self.claimed == 0 else self.claimed * (1 - self.covered_where_claimed)


@dataclass(frozen=True)
class Studied:
    """The study of one number: the value of row 1, of row 2, or their difference."""

    ratio: float
    """Root of the mean estimated variance, divided by the true standard deviation."""
    effective_sources: float
    """Median of the number of effective sources over the draws."""
    ways: dict[str, Found]


def estimates(drawn: Drawn, statistic: str) -> list[Estimate]:
    """Return the estimates of both rows and of their difference."""
    first, second = (_estimate(row, drawn, statistic) for row in drawn.rows)
    return [first, second, combined([(1.0, first), (-1.0, second)])]


def _estimate(row: Array, drawn: Drawn, statistic: str) -> Estimate:
    if drawn.truth is None:
        return mean_estimate(row)
    truth, sources = drawn.truth, drawn.sources or [str(index) for index in range(len(row))]
    if statistic == "KID":
        return kernel_estimate(row, truth, sources)

    def frechet(chosen: Chosen) -> Estimate:
        found = frechet_estimate(row[chosen], truth[chosen])
        return Estimate(found.value, found.influence_a + found.influence_b)

    return estimate_by_halves(frechet, sources)


def _values(drawn: Drawn, statistic: str) -> list[float]:
    """Return the values of both rows and of their difference without influences."""
    if statistic == "FID" and drawn.truth is not None:
        first, second = (frechet_distance(row, drawn.truth) for row in drawn.rows)
    else:
        first, second = (_estimate(row, drawn, statistic).value for row in drawn.rows)
    return [first, second, first - second]


def study(case: Case, count: int, *, draws: int = 500, more: int = 1500, seed: int = 0) -> list[Studied]:
    """Study both rows' values and their difference.

    Args:
        case: population and statistic.
        count: number N of items.
        draws: number of draws whose intervals are computed.
        more: number of further draws, from which the mean and the deviation of the value are computed.
        seed: seed of the draws.
    """
    generator = np.random.default_rng([seed, count])
    drawn = (case.population(count, generator) for _ in range(draws))
    found = [[method_input(estimate, one.sources) for estimate in estimates(one, case.statistic)] for one in drawn]
    others = [_values(case.population(count, generator), case.statistic) for _ in range(more)]
    return [
        studied(number, np.array([values[place] for values in others]), positive=case.statistic == "FID" and place < 2)
        for place, number in enumerate(zip(*found, strict=True))
    ]


def studied(found: tuple[MethodInput, ...], others: Array, *, positive: bool) -> Studied:
    """Return how often the intervals contain the mean of all values.

    Args:
        found: estimate of one number in each draw.
        others: values of the number in further draws.
        positive: whether the number is always above 0, so that it has a log scale.
    """
    values = np.array([one.value for one in found])
    every = np.append(values, others)
    mean, deviation = every.mean(), every.std()
    claimed = np.array([not one.spread.decided_by_few for one in found])
    ways = {}
    for name, way in TRIED.items():
        if name == LOG and not positive:
            continue
        ends = np.array([way(one) for one in found])
        covered = (values - ends[:, 0] <= mean) & (mean <= values + ends[:, 1])
        where_claimed = float(covered[claimed].mean()) if claimed.any() else float("nan")
        ways[name] = Found(float(covered.mean()), where_claimed, float(claimed.mean()))
    errors = np.array([one.spread.stderr for one in found])
    effective = float(np.median([one.spread.effective_sources for one in found]))
    return Studied(float(np.sqrt(np.square(errors).mean()) / deviation), effective, ways)


# --- what is printed -------------------------------------------------------------------------------------------------


def lines_of_cases(options: argparse.Namespace) -> Iterator[str]:
    """Return a table line for each case and number of items."""
    names = tuple(TRIED) if options.tried else PRINTED
    yield _line(["case", "N", "number", "ratio", "effective", *names, "few", "claimed and wrong"])
    yield _line(["---", "---:", "---"] + ["---:"] * (len(names) + 4))
    for name, case in CASES.items():
        if options.only not in name:
            continue
        for count in case.counts:
            if options.items and count not in options.items:
                continue
            for number, found in zip(
                ("row 1", "row 2", "difference"),
                study(case, count, draws=options.draws, more=3 * options.draws),
                strict=True,
            ):
                yield _line([name, str(count), number, *_cells(found, names)])


def lines_of_run(options: argparse.Namespace) -> Iterator[str]:
    """Return a table line for each difference of a run to its reference row."""
    names = tuple(TRIED) if options.tried else PRINTED
    yield _line(["metric", "row", "ratio", "effective", *names, "few", "claimed and wrong"])
    yield _line(["---", "---"] + ["---:"] * (len(names) + 4))
    for (metric, row), found in resampled(options.run, options.draws).items():
        yield _line([metric, row, *_cells(studied(tuple(found), np.empty(0), positive=False), names)])


def _cells(found: Studied, names: tuple[str, ...]) -> list[str]:
    ours = found.ways[OURS]
    return [
        f"{found.ratio:.2f}",
        f"{found.effective_sources:.1f}",
        *(f"{100 * found.ways[name].covered:.1f}" if name in found.ways else "–" for name in names),
        f"{100 * (1 - ours.claimed):.0f}",
        f"{100 * ours.wrong:.1f}",
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--only", default="", help="study only the cases whose name contains this text")
    parser.add_argument("--items", type=int, nargs="*", help="study only these numbers of items")
    parser.add_argument("--tried", action="store_true", help="also show all other methods that were tried")
    parser.add_argument("--run", type=Path, help="folder of a run made with keep_features=true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for line in lines_of_cases(options) if options.run is None else lines_of_run(options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
