"""Sweeps: one command, several jobs, one table of them all.

`-m KEY=A,B` runs a job for every combination, each in `out/<number>`: one after the other, or where `hydra/launcher`
says. A job that fails is named in the table and does not stop the others.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from bench.errors import BadInputError
from bench.gather import gather
from bench.jobs import JOB, Job, Run, run_job
from bench.launching import for_launcher, launch, launcher_of
from bench.results import free_folder, writable_folder
from bench.world import World

__all__ = ["run_sweep", "sweep_jobs"]


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
            str(number),
            dict(zip((key.lstrip("+~") for key in keys), combination, strict=True)),
            [*fixed, *(f"{key}={value}" for key, value in zip(keys, combination, strict=True))],
        )
        for number, combination in enumerate(itertools.product(*values))
    ]


def run_sweep(words: list[str], run: Run) -> int:
    """Run every job, gather them all in one table, and return the worst exit status.

    Args:
        words: the command line's overrides.
        run: runs one job.
    """
    given = [word.partition("=")[2] for word in words if word.startswith("out=")]
    jobs = sweep_jobs([word for word in words if not word.startswith("out=") and not for_launcher(word)])
    launcher = launcher_of([word for word in words if for_launcher(word)], jobs[0])
    if not World.here().leads:
        return max(run_job(run, job, None).status for job in jobs)
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    out = writable_folder(given[-1], "out") if given else free_folder(Path("outputs") / "sweep", stamp)
    try:
        if launcher is not None:
            return max(launch(launcher, run, jobs, out))
        return max(run_job(run, job, out).status for job in jobs)
    finally:
        if any(out.glob(f"*/{JOB}")):
            gather(out)
