"""Time calls that alternate in one process, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Timed", "alternate"]


@dataclass(frozen=True)
class Timed:
    """Hold the seconds and the result of a call."""

    seconds: float
    """The median."""
    result: Any
    """Result of the last round."""


def alternate(calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True) -> dict[str, Timed]:
    """Run all calls in turn, round after round.

    Args:
        calls: calls by name.
        repeats: number of rounds that count.
        warm_up: whether one more round, which does not count, precedes them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    results: dict[str, Any] = {}
    for _ in range(repeats + warm_up):
        for name, call in calls.items():
            _wait()
            started = time.perf_counter()
            results[name] = call()
            _wait()
            times[name].append(time.perf_counter() - started)
    return {name: Timed(statistics.median(times[name][-repeats:]), results[name]) for name in calls}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
