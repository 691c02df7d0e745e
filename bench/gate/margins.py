"""Margins: the worsening of a number that the gate takes for none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.errors import BadInputError
from bench.metrics.summary import NAME

__all__ = ["ANY", "COSTS", "DEFAULTS", "Margin", "margin_of", "margins_of"]

ANY = "any"
"""For a margin: however much worse, it is not compared."""


@dataclass(frozen=True)
class Margin:
    """In the number's own unit, or as a part of its old value."""

    amount: float
    """0 or more; infinite for a number that is not compared."""
    relative: bool = True

    def at(self, old: float) -> float:
        """What it comes to beside an old value."""
        return self.amount * abs(old) if self.relative and math.isfinite(self.amount) else self.amount

    def __str__(self) -> str:
        if math.isinf(self.amount):
            return ANY
        return f"{self.amount * 100:g} %" if self.relative else f"{self.amount:g}"


COSTS: Mapping[str, Margin] = {
    "parameters": Margin(0.01),
    "tera_flop": Margin(0.01),
    "peak_activation_bytes": Margin(0.02),
    "peak_memory_bytes": Margin(0.05),
    "time_ratio": Margin(0.5),
}
"""What rows cost, and how much more of it is taken for none. Counted are the first three; memory is what CUDA's
allocator held. `time_ratio` is a row's time an image divided by the vanilla decoder's in the same run: even so it moves
by a quarter and more on a machine that others use."""
LAYERS = "layers_as_printed"
"""Of Tables 7 and 8: lines that agree with the paper's."""
DEFAULTS: Mapping[str, Margin] = {"clip_score": Margin(0.005), LAYERS: Margin(0.0), **COSTS}
"""By a metric without its suffixes. A CLIP score moves little: rows that differ to the eye are a hundredth apart."""
QUALITY = Margin(0.02)
"""Of every other metric."""


def margin_of(name: str, given: Mapping[str, Margin]) -> Margin:
    """The margin of a metric or a cost: what was given under its full name, or the default."""
    parts = NAME.fullmatch(name)
    return given.get(name) or DEFAULTS.get(name if parts is None else parts["metric"], QUALITY)


def margins_of(words: Iterable[str], key: str = "--margin") -> dict[str, Margin]:
    """Margins by name.

    Args:
        words: such as `fid=0.5`, `lpips=1%`, or `fid_40_50=any`.
        key: where they come from, for the message.

    Raises:
        BadInputError: one of them is no margin, or is given twice.
    """
    found: dict[str, Margin] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name:
            raise BadInputError(f"{key} {word}: expected NAME=VALUE, found no name")
        if name in found:
            raise BadInputError(f"{key} {word}: expected one margin of {name}, found a second")
        found[name] = _margin(value.strip(), f"{key} {word}")
    return found


def _margin(value: str, key: str) -> Margin:
    if value == ANY:
        return Margin(math.inf, relative=False)
    number = value.removesuffix("%")
    try:
        amount = float(number)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise BadInputError(f"{key}: expected a number from 0 on, such as 0.5 or 2%, or {ANY}; found {value or 'none'}")
    return Margin(amount / 100) if number != value else Margin(amount, relative=False)
