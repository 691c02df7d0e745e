"""What sampling and a table's rows cost: parameters, operations, and seconds an image on this machine."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from bench.data.items import Item
from bench.device import finish
from bench.generation.decoding import Batch, Decoded, Method
from bench.generation.latents import Generator
from bench.models.architecture import cost
from bench.models.decoder import Decoder

__all__ = ["decoding_share", "row_costs", "sampling_seconds"]

REPEATS = 5
FEW_STEPS = 4
"""For which the share is given as well."""
LARGEST_SHARE = 0.10
"""Of the whole that "only slightly" may mean."""


def row_costs(methods: Mapping[str, Method], batch: Batch) -> dict[str, dict[str, float]]:
    """By row: `seconds_per_image`, and `parameters` and `tera_flop` of one image where a decoder of ours makes it.

    Args:
        methods: by row.
        batch: what they are timed on, after one call that is not; the median of five counts.
    """
    resolution = batch.image.shape[-1]
    found: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        seconds = _seconds(functools.partial(method, batch), batch.z.device, REPEATS)
        entry: dict[str, float] = {"seconds_per_image": seconds / len(batch.ids)}
        if isinstance(method, Decoded) and isinstance(method.decoder, Decoder):
            counted = cost(method.decoder, resolution, conditioned=method.conditioned)
            entry |= {"parameters": counted.parameters, "tera_flop": counted.tera_flop}
        found[name] = entry
    return found


def sampling_seconds(generator: Generator, items: Sequence[Item], device: torch.device) -> float:
    """Seconds in which the generator samples an image, in a batch of these items, after one call that is not timed."""
    return _seconds(lambda: generator.sample(items, 0), device, 1) / len(items)


def decoding_share(costs: Mapping[str, Mapping[str, float]], sampling: float, steps: int) -> tuple[bool, str] | str:
    """Whether the large decoder slows sampling down by a tenth at most (claim x1), with the figures; or why not known.

    Args:
        costs: of rows, as `row_costs` gives them.
        sampling: seconds an image, in so many steps.
        steps: of sampling.
    """
    missing = [row for row in ("stablediffusion", "large_mask") if row not in costs]
    if missing:
        return f"not timed: {', '.join(missing)}"
    vanilla, large = (costs[row]["seconds_per_image"] for row in ("stablediffusion", "large_mask"))
    shares = {count: (large - vanilla) / (sampling * count / steps + vanilla) for count in (steps, FEW_STEPS)}
    shown = "; ".join(f"{share:.1%} of the whole at {count} steps" for count, share in shares.items())
    seconds = f"an image takes {large:.3g} s to decode for the vanilla decoder's {vanilla:.3g} s and {sampling:.3g} s"
    return shares[steps] <= LARGEST_SHARE, f"{seconds} to sample: {shown}"


def _seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        finish(device)
        started = time.perf_counter()
        call()
        finish(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
