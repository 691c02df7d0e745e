"""Time several calls in turns, so that other load on the machine affects all of them equally.

`peak_memory` measures the memory of a call.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Timed", "alternate", "peak_memory", "status_bytes"]


@dataclass(frozen=True)
class Timed:
    """The time in seconds and the result of a call."""

    seconds: float
    """Median over the rounds."""
    result: Any
    """Result of the call in the last round."""


def alternate(
    calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True, until: float = float("inf")
) -> dict[str, Timed]:
    """Run all calls in turn, round after round.

    Args:
        calls: calls by name.
        repeats: number of timed rounds.
        warm_up: whether a round that is not timed comes first.
        until: value of `time.monotonic()` after which no further round begins, if at least one round was timed.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    results: dict[str, Any] = {}
    for number in range(-warm_up, repeats):
        if number > 0 and time.monotonic() > until:
            break
        for name, call in calls.items():
            results[name], seconds = _timed(call)
            if number >= 0:
                times[name].append(seconds)
    return {name: Timed(statistics.median(times[name]), results[name]) for name in calls}


def peak_memory(call: Callable[[], object]) -> float:
    """Return the GB that a call takes in addition to the memory that is in use before it.

    On a machine with a GPU, it is the GPU's memory. Otherwise it is the memory of this process; memory that this
    process has freed before and not returned to the system is not counted, so a fresh process is more exact.
    """
    if torch.cuda.is_available():
        _wait()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        _wait()
        return (torch.cuda.max_memory_allocated() - before) / 1e9
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here (Linux)
    before = status_bytes("VmRSS")
    call()
    return (status_bytes("VmHWM") - before) / 1e9


def status_bytes(name: str) -> int:
    """Return a size of this process in bytes, such as `VmHWM`, from the file that Linux keeps about it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    _wait()
    started = time.perf_counter()
    found = call()
    _wait()
    return found, time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
