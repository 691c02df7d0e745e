"""Jobs. A job is one of several runs that belong together. A file in the job's folder records how the job ended."""

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

__all__ = ["FAILED", "JOB", "SWEEP", "Job", "Run", "note_end", "run_job"]

JOB = "job.json"
SWEEP = "a sweep"
"""Name under which a sweep claims its folder, in the place of an experiment's name."""
FAILED = 1
Run = Callable[[list[str]], Results]
"""Type of a function that runs an experiment. It receives the overrides and returns the results."""


@dataclass(frozen=True)
class Job:
    """The name and the overrides of a run that belongs together with other runs, such as the runs of a sweep."""

    name: str
    """Name of the job, which is also the name of its folder."""
    chosen: Mapping[str, str]
    """Values that distinguish this job from the other jobs, by key. In a sweep, they are the swept values."""
    overrides: list[str]
    """All overrides of the job, as if it were started by a command line of its own, but without `out`."""


def run_job(run: Run, job: Job, out: Path | None) -> Results:
    """Run a job in the folder `out/NAME`, where NAME is the job's name, and record in this folder how the job ended.

    An error of the job is not raised. The returned results contain the status and the message of the error. An
    interrupt is raised, and nothing is recorded.

    Args:
        run: function that runs the job.
        job: job to run.
        out: folder of all jobs. If it is None, the job has no folder and nothing is recorded. None is meant for a
            check, and for processes other than the main process.

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
    """Write how a job ended into the file `out/NAME/job.json`, where NAME is the job's name.

    Args:
        out: folder of all jobs.
        job: job that ended.
        status: exit status of the job.
        message: error message of the job; "" if there is none.
    """
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
