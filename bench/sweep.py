"""Sweeps: one command, several jobs, one table of them all.

`-m KEY=A,B` runs a job for every combination, one after the other, each in `out/<number>`; a job that fails is named in
the table and does not stop the others.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from rich.console import Console

from bench.errors import BadInputError
from bench.results import Results, free_folder, write_atomically
from bench.tables.grid import Grid, print_grid

__all__ = ["Job", "run_sweep", "sweep_jobs"]

FAILED, BAD_INPUT = 1, 2
TERMINAL = 108


@dataclass(frozen=True)
class Job:
    """One combination."""

    chosen: dict[str, str]
    """The swept keys with this job's values."""
    overrides: list[str]
    """All overrides, as a command line of its own would have them."""


def sweep_jobs(words: list[str]) -> list[Job]:
    """Every combination of the swept overrides, the first key varying slowest.

    Raises:
        BadInputError: an override does not parse, or none is swept.
    """
    overrides, parser = [], OverridesParser.create()
    for word in words:
        try:
            overrides.append(parser.parse_override(word))
        except HydraException as error:
            raise BadInputError(f"{word}: {str(error).splitlines()[0]}") from error
    swept = [override for override in overrides if override.is_sweep_override()]
    if not swept:
        raise BadInputError("-m: expected an override with several values, such as seed=0,1,2, found none")
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    keys = [override.get_key_element() for override in swept]
    values = [list(override.sweep_string_iterator()) for override in swept]
    return [
        Job(
            dict(zip((key.lstrip("+~") for key in keys), combination, strict=True)),
            [*fixed, *(f"{key}={value}" for key, value in zip(keys, combination, strict=True))],
        )
        for combination in itertools.product(*values)
    ]


def run_sweep(words: list[str], run: Callable[[list[str]], Results]) -> int:
    """Run every job, print and write the table of all, and return the worst exit status.

    Args:
        words: the command line's overrides.
        run: runs one job.
    """
    given = [word.partition("=")[2] for word in words if word.startswith("out=")]
    jobs = sweep_jobs([word for word in words if not word.startswith("out=")])
    out = Path(given[0]) if given else free_folder(Path("outputs") / "sweep", f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    out.mkdir(parents=True, exist_ok=True)
    frames, worst = [], 0
    for number, job in enumerate(jobs):
        result = _run_one(run, [*job.overrides, f"out={out / str(number)}"])
        worst = max(worst, result.status)
        found = result.table if result.table is not None else pandas.DataFrame([{}], index=[0])
        frame = found.assign(job=number, **job.chosen, failed=result.message or None)
        frames.append(frame[["job", *job.chosen, *found.columns, "failed"]])
        write_atomically(out / "sweep.csv", pandas.concat(frames, ignore_index=True).to_csv(index=False))
    whole = pandas.concat(frames, ignore_index=True).dropna(axis="columns", how="all")
    lines = [["–" if pandas.isna(cell) else _shown(cell) for cell in line] for line in whole.itertuples(index=False)]
    keys = len(jobs[0].chosen) + 1
    print_grid(Grid(list(whole.columns), lines, left=keys), "All jobs", Console(width=max(TERMINAL, Console().width)))
    print(f"\n{out / 'sweep.csv'}")
    return worst


def _run_one(run: Callable[[list[str]], Results], overrides: list[str]) -> Results:
    try:
        return run(overrides)
    except BadInputError as error:
        return Results(Path(), BAD_INPUT, str(error))
    except Exception as error:
        traceback.print_exc()
        return Results(Path(), FAILED, f"{type(error).__name__}: {error}")


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)
