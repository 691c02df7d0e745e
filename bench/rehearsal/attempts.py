"""Functions that run a step of a rehearsal in its own process, and measure the time and memory of this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench.runtime.machine import peak_memory

__all__ = ["Ended", "in_process", "in_subprocess"]

SECONDS_TO_END = 5.0
"""Time in seconds to wait for the end of a process that was asked to end."""
SECONDS_BETWEEN = 0.05
"""Time in seconds between two looks at a process that is to be killed."""


@dataclass(frozen=True)
class Ended:
    """The result of a process that has ended."""

    status: int
    """Exit status; the negative number of the signal if a signal ended the process."""
    seconds: float
    memory: int
    """Peak memory of the process in bytes; with several processes, that of the largest one.

    It is never less than the peak memory of the calling process when the process started.
    """
    log: Path
    """File of everything that the process printed."""

    @property
    def text(self) -> str:
        """The text that the process printed; empty if the log file cannot be read."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def in_process(call: Callable[[], int], log: Path, *, kill_when: Callable[[], bool] | None = None) -> Ended:
    """Call a function in a forked process, and wait until this process has ended.

    The forked process starts with all modules that the calling process has imported, so that no step waits for imports.
    A fork copies neither threads nor the state of a GPU. Before this call, the calling process must therefore not use a
    GPU or several threads.

    Args:
        call: function that returns the exit status. If it raises an exception, the exit status is 1, and the traceback
            is in the log.
        log: file into which the forked process prints.
        kill_when: function that is called again and again. The forked process is killed as soon as the function returns
            True.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(call, log)
    try:
        return _wait(child, started, log, kill_when)
    except BaseException:
        _end(child)
        raise


def in_subprocess(command: Sequence[str], log: Path) -> Ended:
    """Run a command, and return how it ended. If the calling process is interrupted, the command is ended as well.

    Args:
        command: command with its arguments.
        log: file into which the command prints.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        try:
            ended = _wait(process.pid, started, log, None)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = ended.status
    return ended


def _end(child: int) -> None:
    """Wait until a forked process ends. If it does not end in time, send SIGTERM to the process, and then SIGKILL.

    The process may end without a signal, because an interrupt of the calling process also reaches the forked process.
    """
    for sent in (None, signal.SIGTERM, signal.SIGKILL):
        if sent is not None:
            os.kill(child, sent)
        limit = time.monotonic() + SECONDS_TO_END
        while time.monotonic() < limit:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(SECONDS_BETWEEN)


def _run(call: Callable[[], int], log: Path) -> NoReturn:
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        sys.stdout, sys.stderr = (open(standard, "w", buffering=1, encoding="utf-8") for standard in (1, 2))  # noqa: SIM115 - they stay open until the process ends
        status = call()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, started: float, log: Path, kill_when: Callable[[], bool] | None) -> Ended:
    options = 0 if kill_when is None else os.WNOHANG
    while True:
        found, status, usage = os.wait4(child, options)
        if found:
            return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started, peak_memory(usage), log)
        if kill_when is not None and kill_when():
            os.kill(child, signal.SIGKILL)
            options, kill_when = 0, None
        else:
            time.sleep(SECONDS_BETWEEN)
