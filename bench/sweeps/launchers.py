"""Launchers of sweeps: the jobs are submitted to Slurm, to local processes or to Ray, and this program waits for them.

The keys `hydra.launcher.…` set the resources of each job. They have the names and types that Hydra's own launchers use.
Hydra's launchers themselves do not start the jobs, because they abandon all jobs as soon as one job dies.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config.compose import conf_dir, key_of, one_message
from bench.errors import BadInputError, RunFailedError
from bench.results.run_folder import Results
from bench.runtime.signals import ending, handlers_kept, uninterrupted
from bench.runtime.streams import log_to_stderr
from bench.sweeps.jobs import FAILED, Job, Run, note_end, run_job
from bench.sweeps.slurm_queue import ENDED, PROGRAM, UNKNOWN, SlurmQueue, reason

__all__ = ["for_launcher", "launch", "launcher_of"]

log = logging.getLogger(__name__)

KEY = "hydra.launcher"
LOGS = ".logs"
"""Name of the folder for the jobs' logs, inside the folder of the sweep."""
SHARED = (
    "name",
    "timeout_min",
    "cpus_per_task",
    "gpus_per_node",
    "tasks_per_node",
    "mem_gb",
    "nodes",
    "stderr_to_stdout",
)
"""Parameters that have the same name in submitit for every kind of cluster. Other names begin with the cluster's name.
"""
END_TIMEOUT, END_INTERVAL = 60.0, 2.0
"""Times in seconds for the end of local jobs that receive SIGTERM.

`END_TIMEOUT` is how long this program waits until they have ended. `END_INTERVAL` is the time after which it sends
SIGTERM again, because a job that has just started may ignore the signal.
"""
POLL = 0.5
"""Seconds between two looks at a job on Ray."""
KILLED = ENDED[UNKNOWN]
OUT_OF_TIME = "UncompletedJobError"
"""Name of the error that submitit raises inside a job whose time has ended if it does not queue the job again."""
EXCLUDED = {"_target_", "submitit_folder", "max_num_timeout"}


def for_launcher(word: str) -> bool:
    """Return True if an override belongs to the launcher; False if it belongs to the jobs."""
    return key_of(word) == "hydra/launcher" or key_of(word).startswith(f"{KEY}.")


def launcher_of(words: Sequence[str], job: Job) -> DictConfig | None:
    """Return the parameters of the chosen launcher, with the types that the launcher declares.

    Return None if no launcher is chosen, or if Hydra's basic launcher is chosen. The jobs then run on this machine, one
    after another.

    Args:
        words: overrides of the launcher.
        job: any job of the sweep. Its overrides are needed because a configuration must name an experiment.

    Raises:
        BadInputError: the launcher does not exist or is not installed, or it does not accept one of the parameters.
    """
    if not words:
        return None
    with warnings.catch_warnings(), initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
        # Hydra also checks a file against the types registered under its name, and warns that this is deprecated.
        warnings.filterwarnings("ignore", message=r"\s.*is validated against ConfigStore schema")
        try:
            node = compose("config", overrides=[*job.overrides, *words], return_hydra_config=True).hydra.launcher
        except Exception as error:
            raise BadInputError(one_message(error)) from error
    if str(node._target_).rpartition(".")[2] == "BasicLauncher":
        return None
    try:
        found = OmegaConf.merge(OmegaConf.structured(_schema(str(node._target_))), node)
    except OmegaConfBaseException as error:
        raise BadInputError(f"{KEY}.{one_message(error)}") from error
    assert isinstance(found, DictConfig)  # the merge of two DictConfigs is one
    return found


def _schema(target: str) -> Any:
    name = target.rpartition(".")[2]
    if name == "RayLauncher":
        from hydra_plugins.hydra_ray_launcher._config import RayLauncherConf

        return RayLauncherConf
    from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf

    if name not in ("SlurmLauncher", "LocalLauncher"):
        raise BadInputError(f"hydra/launcher: expected submitit_slurm, submitit_local, ray or basic, found {target}")
    return SlurmQueueConf if name == "SlurmLauncher" else LocalQueueConf


@dataclass(frozen=True)
class Work:
    """A job in a form that can be pickled and sent to the process or machine that runs it."""

    run: Run
    job: Job
    out: Path
    """Absolute path of the sweep's folder."""
    folder: Path
    """Working directory of the sweep's command, in which the job runs, so that relative paths mean the same files."""

    def __call__(self) -> int:
        log_to_stderr()
        os.chdir(self.folder)
        # Slurm also sends SIGTERM before it preempts a job; submitit then queues it again.
        with ending() if os.environ.get("SUBMITIT_EXECUTOR") == "local" else nullcontext():
            return run_job(self._in_time, self.job, self.out).status

    def _in_time(self, overrides: list[str]) -> Results:
        """Run the job. If its time has ended and submitit does not queue it again, raise an error with a clear message.

        Raises:
            RunFailedError: the job's time has ended, and submitit does not queue the job again.
        """
        try:
            return self.run(overrides)
        except Exception as error:
            if type(error).__name__ != OUT_OF_TIME:  # Ray's jobs run without submitit
                raise
            raise RunFailedError(
                "the job ran out of time (hydra.launcher.timeout_min) and was not queued again, because "
                "hydra.launcher.max_num_timeout allows no further attempt; run the same command again to continue"
            ) from error

    def checkpoint(self) -> Any:
        """Return the work that submitit submits again after a preemption or a timeout: this job, unchanged."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def launch(node: DictConfig, run: Run, jobs: Sequence[Job], out: Path) -> list[int]:
    """Run all jobs, wait until all have ended, and return their exit statuses in the order of `jobs`.

    If the process of a job was killed, this function records a failure with a message in the job's folder. After
    Ctrl-C, it ends the jobs on this machine, but it does not end jobs in Slurm.

    Args:
        node: parameters of the launcher, as `launcher_of` returns them.
        run: function that runs one job. Pickle saves only the function's name, so the function must be importable.
        jobs: jobs of the sweep.
        out: folder of the sweep.

    Raises:
        BadInputError: the launcher uses Slurm, but Slurm's programs are not installed on this machine.
    """
    works = [Work(run, job, out.resolve(), Path.cwd()) for job in jobs]
    if "ray" in node:
        return _by_ray(OmegaConf.to_container(node.ray, resolve=True), works)
    chosen = OmegaConf.masked_copy(node, [str(key) for key in node if key not in EXCLUDED])
    parameters = OmegaConf.to_container(chosen, resolve=True)
    return _by_submitit(parameters, node.get("max_num_timeout", 0), "Slurm" in node._target_, works)


def _by_submitit(parameters: Any, retries: int, slurm: bool, works: Sequence[Work]) -> list[int]:
    import submitit

    for program in ("sbatch", PROGRAM) if slurm else ():
        if shutil.which(program) is None:
            raise BadInputError(
                f"hydra/launcher=submitit_slurm: expected the program {program} on this machine, found no such program"
            )
    cluster = "slurm" if slurm else "local"
    options = {"slurm_max_num_timeout": retries} if slurm else {}
    executor = submitit.AutoExecutor(folder=works[0].out / LOGS / "%j", cluster=cluster, **options)
    named = {key if key in SHARED else f"{cluster}_{key}": value for key, value in parameters.items()}
    executor.update_parameters(**named)
    with uninterrupted(), executor.batch():
        running = [executor.submit(work) for work in works]
    log.info(
        "%d jobs were submitted (%s); their logs are in %s",
        len(works),
        ", ".join(one.job_id for one in running),
        works[0].out / LOGS,
    )
    queue = SlurmQueue(one.job_id for one in running) if slurm else None
    statuses = []
    try:
        for work, one in zip(works, running, strict=True):
            if queue is not None:
                one.watcher = queue
            try:
                statuses.append(one.result())
            except submitit.core.utils.UncompletedJobError:  # FailedJobError is one
                why = KILLED if queue is None else reason(queue.get_state(one.job_id, "force"))
                statuses.append(_died(work, f"{why}; its log is {one.paths.stderr}"))
    except KeyboardInterrupt:
        if slurm:
            numbers = " ".join(dict.fromkeys(one.job_id.partition("_")[0] for one in running))
            log.warning("the jobs continue to run; `scancel %s` ends them", numbers)
            log.warning("when all jobs have ended, `python -m bench.gather %s` makes their table", works[0].out)
        else:
            _end(running)
        raise
    return statuses


def _end(running: Sequence[Any]) -> None:
    """Send SIGTERM to the local jobs until all have ended.

    Each job can then remove its partial files and its leases of the store, which `bench.store.lease` explains.

    After `END_TIMEOUT` seconds, the function stops waiting and logs how the user can end the jobs that still run.
    """
    started = time.monotonic()
    while left := [one.job_id for one in running if not one.done()]:
        if time.monotonic() - started > END_TIMEOUT:
            log.warning("some jobs still run; `kill %s` ends them", " ".join(left))
            return
        for number in left:
            os.kill(int(number), signal.SIGTERM)  # the id of a local job is that of its process
        time.sleep(END_INTERVAL)


def _by_ray(settings: Any, works: Sequence[Work]) -> list[int]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # disables Ray's usage reports
    import ray

    with handlers_kept():  # Ray's own handler of SIGTERM ends the process with status 1
        ray.init(**settings["init"])
    try:
        (works[0].out / LOGS).mkdir(exist_ok=True)
        task = ray.remote(**settings["remote"])(_logged)
        running = [task.remote(work) for work in works]
        log.info("%d jobs were started; their logs are in %s", len(works), works[0].out / LOGS)
        statuses = []
        for work, one in zip(works, running, strict=True):
            # A signal that arrives in one of Ray's functions becomes a plain KeyboardInterrupt, also if it is SIGTERM.
            while not ray.wait([one], timeout=0)[0]:
                time.sleep(POLL)
            try:
                statuses.append(ray.get(one))
            except ray.exceptions.RayError as error:
                statuses.append(_died(work, f"{KILLED}; {type(error).__name__}; its log is {_log_of(work)}"))
        return statuses
    finally:
        ray.shutdown()


def _logged(work: Work) -> int:
    with _log_of(work).open("a", buffering=1, encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        return work()


def _log_of(work: Work) -> Path:
    return work.out / LOGS / f"{work.job.name}.log"


def _died(work: Work, message: str) -> int:
    """Record the failure of a job that ended before it could write `job.json`, and return the job's exit status.

    Args:
        work: job that ended.
        message: probable reason for the end of the job, and path of the job's log.
    """
    log.warning("job %s: %s", work.job.name, message)
    note_end(work.out, work.job, FAILED, message)
    return FAILED
