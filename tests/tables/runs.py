"""Make runs of tables with known values and standard errors, for the tests of verdicts."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.tables.comparisons import TableRows
from bench.tables.designs import NoSeeds, TrainingSeeds
from bench.tables.judged_run import JudgedRun
from bench.tables.judging import judge
from bench.tables.verdicts import Verdict
from tests.tables.listed import EVERY, rows_of

COUNT = 400
FIRST_HALF = np.arange(COUNT) < COUNT // 2
ERROR = 0.01
"""Standard error of a mean and, about, of a paired difference in these runs; nothing here is left to chance."""
FURTHER = ("paste_back", "telea", "poisson", "vanilla_finetuned", "lama_of_ours")
"""Rows that are in no table of the paper."""

Values = Mapping[str, float | np.ndarray]


@cache
def deviations(row: str) -> np.ndarray:
    """Return N deviations with mean 0 in either half, standard error ERROR / √2 and no correlation between rows."""
    names = sorted({row for claim in EVERY for row in rows_of(claim)} | {*FURTHER, "lama"})
    noise = np.random.default_rng(0).normal(size=(COUNT, len(names)))
    basis, _ = np.linalg.qr(np.column_stack([np.ones(COUNT), FIRST_HALF, noise]))
    return basis[:, 2 + names.index(row)] * np.sqrt(COUNT * (COUNT - 1)) * ERROR / np.sqrt(2)


def summary_of(rows: Mapping[str, Values], *, sources: int = COUNT, noise: float = 1.0) -> Summary:
    """Return values of every row and metric with standard errors of `noise` × ERROR / √2.

    In the first half of the items 45 % is hole, in the second 20 %. `sources` equally large sources have the items.
    """
    return Summary(
        Scored(
            rows={
                row: {name: value + noise * deviations(row) for name, value in cells.items()}
                for row, cells in rows.items()
            },
            truth={},
            sets={},
            sources=[f"photo {item % sources}" for item in range(COUNT)],
            references=range(COUNT),
            mask_area=np.where(FIRST_HALF, 0.45, 0.2),
        ),
        fewest=2,
        bins=((40, 50),),
    )


def judged_run(
    number: int,
    summary: Summary,
    profile: str = "paper",
    *,
    seeds: TrainingSeeds | None = None,
    further: Sequence[str] = FURTHER,
) -> JudgedRun:
    """Return a run of a table whose rows are the paper's, except for the further ones."""
    measured = tuple(summary.metrics)
    reference = next((row for row in ("stablediffusion", "paint_by_example") if row in measured), None)
    rows = TableRows(
        reference=reference,
        paper=tuple(row for row in measured if row not in further),
        further=tuple(row for row in measured if row in further),
        competing=measured,
    )
    return JudgedRun(number, summary, profile, rows, seeds or NoSeeds())


def judged(
    number: int, rows: Mapping[str, Values], profile: str = "paper", *, noise: float = 1.0, sources: int = COUNT
) -> dict[str, Verdict]:
    """Return the verdicts of a table by id."""
    run = judged_run(number, summary_of(rows, noise=noise, sources=sources), profile)
    return {verdict.id: verdict for verdict in judge(run)}


def verdict(claim: str, number: int, rows: Mapping[str, Values], profile: str = "paper") -> str:
    return judged(number, rows, profile)[claim].verdict


def halves(first: float, mean: float) -> np.ndarray:
    """Return values that are `first` in the first half of the items and have the given mean over all items."""
    return np.where(FIRST_HALF, first, 2 * mean - first)
