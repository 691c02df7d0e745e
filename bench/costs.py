"""What a table's rows cost: parameters, operations, and seconds an image on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from bench.generation.decoding import Batch, Decoded, Method
from bench.models.architecture import cost
from bench.models.decoder import Decoder

__all__ = ["row_costs"]

REPEATS = 5


def row_costs(methods: Mapping[str, Method], batch: Batch) -> dict[str, dict[str, float]]:
    """By row: `seconds_per_image`, and `parameters` and `tera_flop` of one image where a decoder of ours makes it.

    Args:
        methods: by row.
        batch: what they are timed on, after one call that is not; the median of five counts.
    """
    resolution = batch.image.shape[-1]
    found: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        entry: dict[str, float] = {"seconds_per_image": _seconds(method, batch) / len(batch.ids)}
        if isinstance(method, Decoded) and isinstance(method.decoder, Decoder):
            counted = cost(method.decoder, resolution, conditioned=method.conditioned)
            entry |= {"parameters": counted.parameters, "tera_flop": counted.tera_flop}
        found[name] = entry
    return found


def _seconds(method: Any, batch: Batch) -> float:
    times = []
    for _ in range(REPEATS + 1):
        _wait(batch)
        started = time.perf_counter()
        method(batch)
        _wait(batch)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _wait(batch: Batch) -> None:
    if batch.z.device.type == "cuda":
        torch.cuda.synchronize()
