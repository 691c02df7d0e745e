"""Jobs: runs that belong together, each with a folder that records how it ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.config.overrides import setting
from bench.errors import outcome
from bench.results.out_folder import check_claimed
from bench.results.run_folder import Results
from bench.runtime.files import write_json

__all__ = ["FAILED", "JOB", "Job", "Run", "note_end", "run_job"]

JOB = "job.json"
FAILED = 1
Run = Callable[[list[str]], Results]
"""Function that runs an experiment from its overrides."""


@dataclass(frozen=True)
class Job:
    """A run among several."""

    name: str
    """Name of its folder."""
    chosen: Mapping[str, str]
    """Values of the swept keys, which distinguish it from the others."""
    overrides: list[str]
    """All overrides, as for a command line of its own, without `out`."""


def run_job(run: Run, job: Job, out: Path | None) -> Results:
    """Run a job in `out/NAME` and record there how it ended; an error becomes its status and message.

    An interrupt does not end the job but is raised to the caller. A process other than the main one has no `out`.

    Raises:
        BadInputError: `out` was removed or replaced after the jobs began.
    """
    if out is None:
        return _attempt(run, job.overrides)
    check_claimed(out)
    result = _attempt(run, [*job.overrides, setting("out", out / job.name)])
    check_claimed(out)
    note_end(out, job, result.status, result.message)
    return result


def note_end(out: Path, job: Job, status: int, message: str) -> None:
    """Write how a job ended into its folder in `out`."""
    folder = out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    ended = {"status": status, "message": message}
    write_json(folder / JOB, {"name": job.name, "chosen": dict(job.chosen), "overrides": job.overrides, **ended})


def _attempt(run: Run, overrides: list[str]) -> Results:
    try:
        return run(overrides)
    except Exception as error:
        known = outcome(error)
        if known is not None:
            return Results(Path(), *known)
        traceback.print_exc()
        return Results(Path(), FAILED, f"{type(error).__name__}: {error}")
