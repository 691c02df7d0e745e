"""Functions that say what a sweep swept, and the command line that runs it again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from bench.config.overrides import command, key_of
from bench.errors import BadInputError
from bench.results.out_folder import STARTED
from bench.results.run_files import JobFile
from bench.runtime.files import read_if_there
from bench.sweeps.jobs import SWEEP

__all__ = ["sweep_command", "sweep_title", "swept_values"]

EXPERIMENT = "experiment="


def sweep_title(jobs: Sequence[JobFile]) -> str:
    """Return a title that names the experiment and the swept keys, such as `Sweep of seeds over decoder.width`."""
    names = dict.fromkeys(
        word.removeprefix(EXPERIMENT)
        for job in jobs
        for word in job.get("overrides", [])
        if word.startswith(EXPERIMENT)
    )
    of = f" of {next(iter(names))}" if len(names) == 1 else ""
    keys = [key for key, values in swept_values(jobs).items() if len(values) > 1] or list(swept_values(jobs))
    return f"Sweep{of} over {' and '.join(keys)}" if keys else f"Sweep{of}"


def swept_values(jobs: Sequence[JobFile]) -> dict[str, list[str]]:
    """Return the values of each swept key, each once, in the order of the jobs."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        for key, value in job["chosen"].items():
            values = found.setdefault(key, [])
            if value not in values:
                values.append(value)
    return found


def sweep_command(folder: Path, jobs: Sequence[JobFile]) -> str:
    """Return the command line that runs a sweep again; empty if it is not known.

    The folder of a sweep records the words of its command line. For the folder of an older version, the command is put
    together from the overrides of the jobs. If no sweep has these jobs, there is one command for each job, on a line of
    its own.

    Args:
        folder: folder of the sweep.
        jobs: contents of the `job.json` files.
    """
    started = read_if_there(folder / STARTED)
    words = started.get("words")
    try:
        if (
            started.get("experiment") == SWEEP
            and isinstance(words, list)
            and all(isinstance(one, str) for one in words)
        ):
            return command(["-m", *words])
        keys = [list(job["chosen"]) for job in jobs]
        overrides = [job.get("overrides", []) for job in jobs]
        if any(of != keys[0] for of in keys):
            return "\n".join(command(job) for job in overrides) if all(overrides) else ""
        return _composed(overrides, len(keys[0]))
    except BadInputError:  # a file was changed, so that its words are no overrides
        return ""


def _composed(jobs: Sequence[list[str]], count: int) -> str:
    """Return a command that has exactly these jobs, of which each has `count` swept values as its last overrides."""
    if not all(jobs):
        return ""
    if all(job == jobs[0] for job in jobs):
        return command(jobs[0])
    fixed, swept = jobs[0][:-count], [job[-count:] for job in jobs]
    combinations = [tuple(word.partition("=")[2] for word in words) for words in swept]
    values = [list(dict.fromkeys(column)) for column in zip(*combinations, strict=True)]
    whole = list(itertools.product(*values)) == combinations and all(job[:-count] == fixed for job in jobs)
    if whole and all([key_of(word) for word in words] == [key_of(word) for word in swept[0]] for words in swept):
        keys = [word.partition("=")[0] for word in swept[0]]
        return command(["-m", *fixed, *(f"{key}={','.join(of)}" for key, of in zip(keys, values, strict=True))])
    return "\n".join(command(job) for job in jobs)
