"""Jobs: runs that belong together, one after the other, each with a folder that says how it ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import outcome
from bench.results import Results, write_json

__all__ = ["FAILED", "JOB", "Job", "Run", "note_end", "run_job"]

JOB = "job.json"
FAILED = 1
Run = Callable[[list[str]], Results]
"""Runs an experiment from its overrides."""


@dataclass(frozen=True)
class Job:
    """One run of several."""

    name: str
    """Of its folder."""
    chosen: Mapping[str, str]
    """What sets it apart from the others."""
    overrides: list[str]
    """All overrides, as a command line of its own would have them, without `out`."""


def run_job(run: Run, job: Job, out: Path | None) -> Results:
    """Run a job in `out/NAME` and note there how it ended; whatever it raises becomes its status and message.

    An interrupt is no end of a job: it goes on to the caller. A process that does not lead has no `out`.
    """
    if out is None:
        return _attempt(run, job.overrides)
    result = _attempt(run, [*job.overrides, f"out={out / job.name}"])
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
