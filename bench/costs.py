"""What sampling and a table's rows cost: parameters, operations, memory, and seconds an image on this machine."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch

from bench.data.items import Item
from bench.device import finish
from bench.generation.decoding import Batch, Decoded, Method
from bench.generation.latents import Generator
from bench.models.architecture import cost
from bench.models.decoder import Decoder
from bench.tables.verdicts import Judgement, placed

__all__ = ["decoding_share", "row_costs", "sampling_seconds", "unknown_costs"]

REPEATS = 5
FEW_STEPS = 4
"""For which the share is given as well."""
LARGEST_SHARE = 0.10
"""The largest part of the whole that "only slightly" may mean."""


def row_costs(methods: Mapping[str, Method], batch: Batch) -> dict[str, dict[str, float]]:
    """By row: `seconds_per_image`, the median of five calls, and the shortest and the longest of them as
    `least_seconds_per_image` and `most_seconds_per_image`.

    Where a decoder of ours makes the row also `parameters`, and of one image `tera_flop` and `peak_activation_bytes`;
    on CUDA `peak_memory_bytes`, what its allocator gives out for an image beyond the weights.

    Rows are timed in turns, so that what slows the machine down for a while slows all of them. The shortest call is the
    one that others disturbed least: ratios are taken of these.

    Args:
        methods: by row.
        batch: what they are timed on, after one call that is not.
    """
    resolution, count, device = batch.image.shape[-1], len(batch.ids), batch.z.device
    calls = {name: functools.partial(method, batch) for name, method in methods.items()}
    seconds = dict(zip(calls, _in_turns(list(calls.values()), device, REPEATS), strict=True))
    found: dict[str, dict[str, float]] = {}
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
        found[name] = entry
    return found


def unknown_costs(device: torch.device) -> dict[str, str]:
    """What `row_costs` does not measure on a device, and why."""
    return (
        {} if device.type == "cuda" else {"peak_memory_bytes": f"PyTorch counts memory on CUDA alone, not on {device}"}
    )


def sampling_seconds(generator: Generator, items: Sequence[Item], device: torch.device) -> float:
    """Seconds in which the generator samples an image, in a batch of these items, after one call that is not timed."""
    return _in_turns([lambda: generator.sample(items, 0)], device, 1)[0][0] / len(items)


def decoding_share(costs: Mapping[str, Mapping[str, float]], sampling: float, steps: int) -> Judgement | str:
    """Whether the large decoder slows sampling down by a tenth at most (claim x1), with the figures; or why not known.

    The share is given with the range that the shortest and the longest of the timed calls allow: it is judged by that
    range.

    Args:
        costs: of rows, as `row_costs` gives them.
        sampling: seconds an image, in so many steps.
        steps: of sampling.
    """
    missing = [row for row in ("stablediffusion", "large_mask") if row not in costs]
    if missing:
        return f"not timed: {', '.join(missing)}"
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
    """Of each call its seconds, time after time; all of them are called once before."""
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
