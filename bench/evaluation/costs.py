"""Measures the costs of sampling and of each row: parameters, operations, memory, and seconds per image."""

from __future__ import annotations

import functools
import logging
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from bench.data.items import Item
from bench.generation.decoding import Decoded
from bench.generation.generator import Generator
from bench.generation.method import Batch, Method, made_beforehand
from bench.generation.own_rows import networks_of
from bench.generation.python_objects import CalledFunction
from bench.models.architecture import cost, cost_of_call, count_parameters, operations
from bench.models.decoder import Decoder
from bench.runtime.device import finish
from bench.runtime.not_available import NotAvailable
from bench.tables.verdicts import Judgement, placed

__all__ = ["decoding_share", "own_row_costs", "row_costs", "sampling_seconds", "unknown_costs"]

log = logging.getLogger(__name__)

REPEATS = 5
FEW_STEPS = 4
"""Number of sampling steps of a fast sampler. `decoding_share` also reports the share for this number of steps."""
LARGEST_SHARE = 0.10
"""Largest relative increase of the time per image that this project counts as "only slightly", the paper's words."""


def row_costs(methods: Mapping[str, Method], batch: Batch) -> dict[str, dict[str, float]]:
    """Measure the costs of each row.

    The rows are timed in turns, so that a slow period of the machine affects all rows. Each row has one call that is
    not timed, and then five timed calls. The shortest call is the one that other processes disturbed least, so ratios
    of rows should be computed from the shortest calls.

    Args:
        methods: method of each row.
        batch: batch with which every method is called.

    Returns:
        For each row, its costs by name. Every row has `seconds_per_image`, the median of the timed calls, and
        `least_seconds_per_image` and `most_seconds_per_image`, the shortest and the longest call. The time of each call
        is divided by the number of images. A row has further costs if it decodes with a module, if its method has a
        `counted_network`, or if its method is a module: the module's `parameters`, and, for one image, `tera_flop` and
        `peak_activation_bytes`. `parameters` is missing if the module only wraps a function. `tera_flop` and
        `peak_activation_bytes` are missing if PyTorch cannot count them for this module. On CUDA, every row also has
        `peak_memory_bytes`: the additional memory that PyTorch allocates during a call, divided by the number of
        images.
    """
    resolution, count, device = batch.image.shape[-1], len(batch.ids), batch.z.device
    calls = {name: functools.partial(_called_anew, method, batch) for name, method in methods.items()}
    seconds = dict(zip(calls, _in_turns(list(calls.values()), device, REPEATS), strict=True))
    costs: dict[str, dict[str, float]] = {}
    for name, method in methods.items():
        entry: dict[str, float] = {
            "seconds_per_image": statistics.median(seconds[name]) / count,
            "least_seconds_per_image": min(seconds[name]) / count,
            "most_seconds_per_image": max(seconds[name]) / count,
        }
        network = method.decoder if isinstance(method, Decoded) else method.counted_network or method
        if isinstance(method, Decoded) and isinstance(network, Decoder):
            entry |= asdict(cost(network, resolution, conditioned=method.conditioned))
        elif isinstance(network, nn.Module):
            entry |= _counted(network, name, functools.partial(method, batch.first()))
            if isinstance(network, CalledFunction):
                del entry["parameters"]
        if device.type == "cuda":
            entry["peak_memory_bytes"] = _peak_memory(calls[name], device) / count
        costs[name] = entry
    return costs


def _called_anew(method: Method, batch: Batch) -> torch.Tensor:
    """Call a method with a copy of the batch that stores no decoded images, so that the decoder is called again."""
    return method(batch.again())


def _counted(network: nn.Module, row: str, call: Callable[[], object]) -> dict[str, float]:
    """Count the parameters of a network, and the operations and the memory of a call for one image.

    The network may have any class. If the call fails while PyTorch counts, only the parameters are returned.
    """
    try:
        return asdict(cost_of_call(network, call))
    except Exception as error:  # code that runs alone may fail under PyTorch's counters
        log.warning("rows.%s: the operations of %s cannot be counted (%s)", row, type(network).__name__, error)
        return {"parameters": count_parameters(network)}


def own_row_costs(method: Method, batch: Batch) -> dict[str, Any]:
    """Count the parameters and the operations of a user's own method, as plain data.

    Args:
        method: method of the row.
        batch: batch whose first item the method gets. The method is called once.

    Returns:
        Dictionary with three keys. `parameters` is the number of parameters of all modules that the method holds.
            `tera_flop` is the number of operations for one image, divided by 10^12. A number that cannot be counted is
            None, and `unknown` then has the reason, by the name of the number.
    """
    parameters, operations_of_call = _own_parameters(method), _own_operations(method, batch.first())
    found = {"parameters": parameters, "tera_flop": operations_of_call}
    reasons = {name: one.reason for name, one in found.items() if isinstance(one, NotAvailable)}
    return {**{name: None if name in reasons else one for name, one in found.items()}, "unknown": reasons}


def _own_parameters(method: Method) -> int | NotAvailable:
    try:
        networks = networks_of(method)
    except Exception as error:  # code of the user may run when an attribute is read
        return NotAvailable(f"the attributes cannot be read: {type(error).__name__}: {error}")
    if not networks and isinstance(getattr(method, "decoder", None), CalledFunction):
        return NotAvailable("the row is a function, and no module was found among the variables that it uses")
    return sum(one.numel() for one in {id(one): one for net in networks for one in net.parameters()}.values())


def _own_operations(method: Method, batch: Batch) -> float | NotAvailable:
    """Return the operations of a call, divided by 10^12; `batch` has one item."""
    if made_beforehand(method):
        return NotAvailable("the images were made before the first batch")
    try:
        counted = operations(functools.partial(method, batch))
    except Exception as error:  # code that runs alone may fail under PyTorch's counter
        return NotAvailable(f"PyTorch cannot count the operations: {type(error).__name__}: {error}")
    if counted == 0:
        return NotAvailable("PyTorch's counter found no convolution and no matrix product")
    return counted / 1e12


def unknown_costs(device: torch.device) -> dict[str, str]:
    """Return the costs that `row_costs` cannot measure on a device, each with the reason. On CUDA, there are none."""
    return (
        {} if device.type == "cuda" else {"peak_memory_bytes": f"PyTorch counts memory on CUDA alone, not on {device}"}
    )


def sampling_seconds(generator: Generator, items: Sequence[Item], device: torch.device) -> float:
    """Measure the time in seconds that the generator needs to sample the latents of one image.

    The generator samples all items as one batch, twice. Only the second call is timed, and its time is divided by the
    number of items.
    """
    return _in_turns([lambda: generator.sample(items, 0)], device, 1)[0][0] / len(items)


def decoding_share(costs: Mapping[str, Mapping[str, float]], sampling: float, steps: int) -> Judgement | NotAvailable:
    """Judge the claim x1: the large decoder makes the generation of an image at most 10 % slower.

    For the judged share, the vanilla decoder's time is subtracted from the large decoder's time. The difference is
    divided by the sum of the time for sampling and the vanilla decoder's time. The shortest and the longest timed calls
    give a range of the share, and the claim is judged by this range.

    Args:
        costs: costs of the rows, as `row_costs` returns them.
        sampling: seconds for sampling the latents of one image with `steps` steps.
        steps: number of sampling steps.

    Returns:
        The judgement with the numbers as evidence, or a `NotAvailable` if one of the two rows was not timed.
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
        f"for one image, the large decoder takes {large['seconds_per_image']:.3g} s, the vanilla decoder "
        f"{vanilla['seconds_per_image']:.3g} s, and sampling {sampling:.3g} s"
    )
    _, low, high = shown[0]
    evidence = f"{seconds}; {'; '.join(text for text, _, _ in shown)} (range over {REPEATS} timings)"
    return Judgement(placed(low, high, -math.inf, LARGEST_SHARE), evidence)


def _in_turns(calls: Sequence[Callable[[], object]], device: torch.device, repeats: int) -> list[tuple[float, ...]]:
    """Time several functions in turns: each round calls every function once.

    Args:
        calls: functions to time.
        device: device on which they compute.
        repeats: number of timed rounds. They follow one round that is not timed.

    Returns:
        For each function, the seconds of each of its `repeats` timed calls.
    """
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
