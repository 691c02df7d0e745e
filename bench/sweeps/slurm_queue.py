"""The states of a sweep's jobs in Slurm, as `squeue` prints them.

submitit asks the program `sacct`, which answers only if the cluster keeps accounting records. Without such records,
submitit prints a warning for every question, and never learns that a job was cancelled or killed. The program `squeue`
asks Slurm's controller, which every cluster has.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterable

__all__ = ["ENDED", "PROGRAM", "UNKNOWN", "SlurmQueue", "reason"]

log = logging.getLogger(__name__)

PROGRAM = "squeue"
SHORTEST, LONGEST = 2.0, 30.0
"""Limits in seconds of the time between two questions. The time grows with the age of the sweep."""
UNKNOWN = "UNKNOWN"
"""State of a job before the first answer, and of a job that the controller has forgotten some minutes after its end."""
ENDED = {
    "BOOT_FAIL": "the job's node did not start",
    "CANCELLED": "the job was cancelled",
    "COMPLETED": "the job ended without a result",
    "DEADLINE": "the job's deadline passed",
    "FAILED": "the job's process was killed or failed at its start",
    "NODE_FAIL": "the job's node failed",
    "OUT_OF_MEMORY": "the job's process was killed for lack of memory (hydra.launcher.mem_gb)",
    "PREEMPTED": "the job was preempted",
    "REVOKED": "the job was given to another cluster",
    "TIMEOUT": "the job ran out of time (hydra.launcher.timeout_min)",
    UNKNOWN: "the job's process was killed, possibly for lack of memory",
}
"""States after which a job does not start again, and what each one says about a job that has left no result."""


class SlurmQueue:
    """An object that answers submitit's questions about the states of jobs.

    The names and arguments of the methods are those of `submitit.core.core.InfoWatcher`.
    """

    def __init__(self, jobs: Iterable[str]) -> None:
        """Remember the jobs.

        Args:
            jobs: ids of the jobs. A job that belongs to an array of jobs has the id `ARRAY_INDEX`.
        """
        self._states = dict.fromkeys(jobs, UNKNOWN)
        self._started = time.monotonic()
        self._asked: float | None = None
        self._answered = False
        self._failing = False

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """Return the state of a job in Slurm's words, or UNKNOWN.

        Args:
            job_id: id of the job.
            mode: "force" to ask Slurm now, "cache" to return the last known state, and "standard" to ask Slurm only if
                the last question was some seconds ago.
        """
        if mode == "force" or (mode == "standard" and self._is_due()):
            self._ask()
        return self._states[job_id]

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Return True if a job has ended and does not start again; `get_state` explains the arguments."""
        state = self.get_state(job_id, mode)
        return state in ENDED and (state != UNKNOWN or self._answered)

    def _is_due(self) -> bool:
        now = time.monotonic()
        pause = min(LONGEST, max(SHORTEST, (now - self._started) / 2))
        return self._asked is None or now - self._asked >= pause

    def _ask(self) -> None:
        """Ask Slurm for the states of all jobs, and remember these states.

        If Slurm does not answer, the known states are kept and a warning is logged. Further failures in a row log no
        warning.
        """
        self._asked = time.monotonic()
        words = [PROGRAM, "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i %T"]
        # Variables of the user, such as SQUEUE_PARTITION, could hide jobs.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SQUEUE_")}
        done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", env=environment)
        if done.returncode != 0:
            if not self._failing:
                said = done.stderr.strip() or f"status {done.returncode}"
                log.warning("%s: %s; the jobs are not affected, and this command asks again", PROGRAM, said)
            self._failing = True
            return
        self._failing, self._answered = False, True
        found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())
        self._states = {job: found.get(job, UNKNOWN) for job in self._states}


def reason(state: str) -> str:
    """Return a text that explains, from the last state of a job in Slurm, why the job ended without a result."""
    return f"{ENDED.get(state, ENDED[UNKNOWN])} (Slurm: {state})"
