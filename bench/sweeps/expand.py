"""Sweeps. A sweep is one command that runs several jobs and makes one table of all their results.

`-m KEY=A,B` runs a job for every combination of the values. Each job writes into a separate folder `out/<number>`. The
jobs run one after another on this machine, unless `hydra/launcher` names a launcher. If a job fails, its line in the
table contains the reason, and the other jobs still run.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench.config.overrides import key_of, parse, parse_all
from bench.errors import BadInputError
from bench.results.out_folder import check_folder, claim, free_folder, writable_folder
from bench.runtime.distributed import World
from bench.sweeps.gather import gather
from bench.sweeps.jobs import JOB, SWEEP, Job, Run, run_job
from bench.sweeps.launchers import for_launcher, launch, launcher_of

__all__ = ["run_sweep", "sweep_jobs", "sweep_words"]

CHECK = "stage=check"
"""Override with which a job only checks that everything is there."""


def sweep_jobs(words: list[str]) -> list[Job]:
    """Return one job for every combination of the values in a sweep. The value of the first key changes slowest.

    Args:
        words: overrides of the command line. An override with several values, such as `seed=0,1,2`, is swept.

    Raises:
        BadInputError: an override does not parse or has an empty range of values, or no override has several values.
    """
    overrides = parse_all(words, sweep=True)
    swept = [override for override in overrides if override.is_sweep_override()]
    if not swept:
        raise BadInputError("-m: expected an override with several values, such as seed=0,1,2, found no such override")
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    keys = [override.get_key_element() for override in swept]
    values = [list(override.sweep_string_iterator()) for override in swept]
    empty = next((key for key, combination in zip(keys, values, strict=True) if not combination), None)
    if empty is not None:
        raise BadInputError(f"{empty.lstrip('+~')}: expected values to sweep over, found an empty range")
    return [
        Job(
            str(number),
            dict(zip((key.lstrip("+~") for key in keys), combination, strict=True)),
            [*fixed, *(f"{key}={value}" for key, value in zip(keys, combination, strict=True))],
        )
        for number, combination in enumerate(itertools.product(*values))
    ]


def sweep_words(words: list[str]) -> list[str]:
    """Return the overrides that belong to the jobs, without `out` and without the overrides of the launcher."""
    return [word for word in words if key_of(word) != "out" and not for_launcher(word)]


def run_sweep(words: list[str], run: Run) -> int:
    """Run every job of a sweep, write one table of all jobs, and return the highest exit status of a job.

    With `stage=check` and without a launcher, nothing is written. The jobs are only checked, and everything that is
    missing for a job is printed. If several processes run the sweep together, only the main process writes the table.

    Args:
        words: overrides of the command line, including `out` and the overrides of the launcher.
        run: function that runs one job.
    """
    out_values = [str(parse(word).value()) for word in words if key_of(word) == "out"]
    jobs = sweep_jobs(sweep_words(words))
    launcher = launcher_of([word for word in words if for_launcher(word)], jobs[0])
    if launcher is None and all(CHECK in job.overrides for job in jobs):
        return _check(run, jobs)
    if not World.here().is_main_process:
        return max(run_job(run, job, None).status for job in jobs)
    stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    content = {"experiment": SWEEP, "config": {job.name: job.overrides for job in jobs}, "words": words}
    if out_values:
        check_folder(out_values[-1], content, overwrite="overwrite=true" in jobs[0].overrides)
        out = writable_folder(out_values[-1], "out")
    else:
        out = free_folder(Path("outputs") / "sweep", stamp)
    claim(out, content)
    try:
        if launcher is not None:
            return max(launch(launcher, run, jobs, out))
        return max(run_job(run, job, out).status for job in jobs)
    finally:
        if any(out.glob(f"*/{JOB}")):
            gather(out)


def _check(run: Run, jobs: Sequence[Job]) -> int:
    """Check every job, and return the highest exit status.

    If several jobs have the same message, it is printed once, with the names of these jobs.
    """
    results = [run_job(run, job, None) for job in jobs]
    messages: dict[str, list[str]] = {}
    for job, result in zip(jobs, results, strict=True):
        if result.message:
            chosen = ", ".join(f"{key}={value}" for key, value in job.chosen.items())
            messages.setdefault(result.message, []).append(f"job {job.name} ({chosen})")
    for message, names in messages.items():
        print(f"bench: {'; '.join(names)}: {message}", file=sys.stderr)
    return max(result.status for result in results)
