"""Costs of sampling and of a table's rows: parameters, operations, memory, and seconds per image on this machine."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch

from bench.data.items import Item
from bench.generation.decoding import Decoded
from bench.generation.generator import Generator
from bench.generation.method import Batch, Method
from bench.models.architecture import cost
from bench.models.decoder import Decoder
from bench.runtime.device import finish
from bench.runtime.not_available import NotAvailable
from bench.tables.verdicts import Judgement, placed

__all__ = ["decoding_share", "row_costs", "sampling_seconds", "unknown_costs"]

REPEATS = 5
FEW_STEPS = 4
"""Small number of sampling steps for which the decoder's share of the time is also reported."""
LARGEST_SHARE = 0.10
"""Largest share of the total time that this project accepts as the paper's "only slightly"."""


def row_costs(methods: Mapping[str, Method], batch: Batch) -> dict[str, dict[str, float]]:
    """Measure the costs of each row.

    Every row has `seconds_per_image`, the median of five calls, and the shortest and the longest of them as
    `least_seconds_per_image` and `most_seconds_per_image`. If a decoder of this project makes the row's images, the row
    also has the decoder's `parameters`, and for one image `tera_flop` and `peak_activation_bytes`. On CUDA each row has
    `peak_memory_bytes`, the memory that PyTorch allocates for an image in addition to the weights.

    The rows are timed in turns, so that a slow period of the machine affects all of them. Other processes disturbed the
    shortest call least, so ratios are computed from the shortest calls.

    Args:
        methods: method of each row.
        batch: batch on which the rows are timed, after one call that is not timed.
    """
    resolution, count, device = batch.image.shape[-1], len(batch.ids), batch.z.device
    calls = {name: functools.partial(method, batch) for name, method in methods.items()}
    seconds = dict(zip(calls, _in_turns(list(calls.values()), device, REPEATS), strict=True))
    costs: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        entry: dict[str, float] = {
            "seconds_per_image": statistics.median(seconds[name]) / count,
            "least_seconds_per_image": min(seconds[name]) / count,
            "most_seconds_per_image": max(seconds[name]) / count,
        }
        if isinstance(method, Decoded) and isinstance(method.decoder, Decoder):
            entry |= asdict(cost(method.decoder, resolution, conditioned=method.conditioned))
        if device.type == "cuda":
            entry["peak_memory_bytes"] = _peak_memory(calls[name], device) / count
        costs[name] = entry
    return costs


def unknown_costs(device: torch.device) -> dict[str, str]:
    """Return the costs that `row_costs` does not measure on a device, each with the reason."""
    return (
        {} if device.type == "cuda" else {"peak_memory_bytes": f"PyTorch counts memory on CUDA alone, not on {device}"}
    )


def sampling_seconds(generator: Generator, items: Sequence[Item], device: torch.device) -> float:
    """Return the seconds per image that the generator needs for a batch of items, after one untimed call."""
    return _in_turns([lambda: generator.sample(items, 0)], device, 1)[0][0] / len(items)


def decoding_share(costs: Mapping[str, Mapping[str, float]], sampling: float, steps: int) -> Judgement | NotAvailable:
    """Judge whether the large decoder makes sampling at most a tenth slower (claim x1), with the numbers as evidence.

    The share of the time is judged by its range, which follows from the shortest and the longest of the timed calls.

    Args:
        costs: costs of the rows, as `row_costs` returns them.
        sampling: seconds that sampling an image takes with `steps` steps.
        steps: number of sampling steps.
    """
    missing = [row for row in ("stablediffusion", "large_mask") if row not in costs]
    if missing:
        return NotAvailable(f"not timed: {', '.join(missing)}")
    vanilla, large = costs["stablediffusion"], costs["large_mask"]

    def share(count: int, large_seconds: float, vanilla_seconds: float) -> float:
        return (large_seconds - vanilla_seconds) / (sampling * count / steps + vanilla_seconds)

    shown = []
    for count in (steps, FEW_STEPS):
        median = share(count, large["seconds_per_image"], vanilla["seconds_per_image"])
        low = share(count, large["least_seconds_per_image"], vanilla["most_seconds_per_image"])
        high = share(count, large["most_seconds_per_image"], vanilla["least_seconds_per_image"])
        shown.append((f"{median:.1%} [{low:.1%}, {high:.1%}] of the whole at {count} steps", low, high))
    seconds = (
        f"an image takes {large['seconds_per_image']:.3g} s to decode for the vanilla decoder's "
        f"{vanilla['seconds_per_image']:.3g} s and {sampling:.3g} s to sample"
    )
    _, low, high = shown[0]
    evidence = f"{seconds}; {'; '.join(text for text, _, _ in shown)} (range over {REPEATS} timings)"
    return Judgement(placed(low, high, -math.inf, LARGEST_SHARE), evidence)


def _in_turns(calls: Sequence[Callable[[], object]], device: torch.device, repeats: int) -> list[tuple[float, ...]]:
    """Time several calls in turns after one untimed call of each, and return the seconds of each call."""
    rounds = [[_timed(call, device) for call in calls] for _ in range(repeats + 1)]
    return list(zip(*rounds[1:], strict=True))


def _timed(call: Callable[[], object], device: torch.device) -> float:
    finish(device)
    started = time.perf_counter()
    call()
    finish(device)
    return time.perf_counter() - started


def _peak_memory(call: Callable[[], object], device: torch.device) -> int:
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    finish(device)
    return torch.cuda.max_memory_allocated(device) - before
