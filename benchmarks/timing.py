"""Time several calls in turns, so that other load on the machine affects all of them equally."""

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
    """The time in seconds and the result of a call."""

    seconds: float
    """Median over the rounds."""
    result: Any
    """Result of the call in the last round."""


def alternate(calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True) -> dict[str, Timed]:
    """Run all calls in turn, round after round.

    Args:
        calls: calls by name.
        repeats: number of timed rounds.
        warm_up: whether a round that is not timed comes first.
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
