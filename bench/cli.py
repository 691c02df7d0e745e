"""The command line of the program: `main` runs what the arguments ask for and returns the exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from bench.config.compose import checked, experiments
from bench.config.flags import answer, read_arguments
from bench.errors import BadInputError, TerminatedError, outcome
from bench.experiments.run import run
from bench.runtime.signals import ending
from bench.runtime.streams import log_to_stderr
from bench.runtime.text import printable

if TYPE_CHECKING:
    from bench.sweeps.jobs import Job

__all__ = ["main"]

DONE, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143


def main(arguments: list[str]) -> int:
    """Run what the arguments of the command line ask for, and return the exit status.

    The exit status is 0 if everything was done, 1 after a failure, 2 for bad input, 130 after an interrupt (SIGINT) and
    143 after a request to end (SIGTERM or SIGHUP). It is 3 if the gate found a worse result, and 4 if the gate cannot
    decide. A collection or a sweep ends with the highest status of its experiments or jobs.
    """
    if not arguments or arguments[0] == "help":
        print(_overview())
        return DONE
    log_to_stderr()
    with ending():
        return _status(arguments)


def _status(arguments: list[str]) -> int:
    try:
        if "--version" in arguments:
            print(f"asymbench {version('asymbench')}, Hydra {version('hydra-core')}")
            return DONE
        request = read_arguments(arguments)
        overrides = request.overrides
        if request.flags.help:
            print(_overview())
            return DONE
        if request.asks:
            answer(request)
            return DONE
        if request.flags.multirun:
            from bench.sweeps.expand import run_sweep, sweep_jobs, sweep_words

            _require_valid_job(sweep_jobs(sweep_words(overrides)))
            return run_sweep(overrides, run)
        status = run(overrides).status
        _leave_other_processes()
        return status
    except KeyboardInterrupt as interrupt:
        asked = isinstance(interrupt, TerminatedError)
        said = f"asked to end ({str(interrupt) or 'SIGTERM'})" if asked else "interrupted"
        print(
            f"bench: {said}; run the same command again to continue from here",
            file=sys.stderr,
        )
        return TERMINATED if asked else INTERRUPTED
    except Exception as error:
        known = outcome(error)
        if known is None:
            traceback.print_exc()
            return FAILED
        status, message = known
        print(printable(f"bench: {message}"), file=sys.stderr)
        return status


def _leave_other_processes() -> None:
    """End the connection to the other processes that `torchrun` started.

    Do nothing if the run has made no connection.
    """
    module = sys.modules.get("bench.runtime.distributed")  # a command that loads no PyTorch has no connection
    if module is not None:
        module.World.leave()


def _require_valid_job(jobs: Sequence[Job]) -> None:
    """Require that at least one job of a sweep has a valid configuration.

    A mistyped key makes all jobs of a sweep invalid. This check finds it before the first job runs.

    Raises:
        BadInputError: every job has an invalid configuration. The message is the message for the first job.
    """
    errors = []
    for job in jobs:
        try:
            checked(job.overrides)
            return
        except BadInputError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _overview() -> str:
    found = experiments()
    width = max(len(name) for name in found)
    lines = [f"  {name:<{width}}  {description}" for name, description in found.items()]
    return "\n".join(
        [
            "usage: python -m bench experiment=NAME [KEY=VALUE …]",
            "",
            "experiments:",
            *lines,
            "",
            "-m KEY=A,B: run a job for every combination of values, and make one table of all jobs",
            "Often used: stage=check|fetch|export|prepare|sample|score|tabulate|report  limit=N  seed=N  out=DIR",
            "            batch_size=N  device=auto|cpu|cuda  save_images=true  row=[NAME,…]",
            "            dataset=folder dataset.root=DIR",
            "            --cfg job|hydra|all  --resolve  --package KEY  --info  -sc install=bash  --version",
            "            --config-dir DIR  rows, decoders, data sets and experiments of your own",
            "            paths.store=DIR (environment: BENCH_STORE)  paths.data=DIR (environment: BENCH_DATA)",
        ]
    )
