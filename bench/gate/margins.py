"""Margins: the worsening of a number that the gate tolerates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.errors import BadInputError
from bench.metrics.names import MetricName

__all__ = ["ANY", "COSTS", "DEFAULTS", "Margin", "margin_of", "margins_of"]

ANY = "any"
"""Margin of a metric that is not compared at all."""


@dataclass(frozen=True)
class Margin:
    """The margin of a metric, in its own unit or as a fraction of its old value."""

    amount: float
    """Size of the margin, 0 or more; infinite for a number that is not compared."""
    relative: bool = True

    def at(self, old: float) -> float:
        """Return the margin in the number's own unit, given the old value."""
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
"""Costs of rows, with their margins. The first three are counted; memory is what CUDA's allocator held. `time_ratio` is
a row's time per image divided by the vanilla decoder's in the same run; even so, it varies by a quarter and more on a
machine that others use.
"""
LAYERS = "layers_as_printed"
"""Name of the number of lines of Tables 7 and 8 that agree with the paper's."""
DEFAULTS: Mapping[str, Margin] = {"clip_score": Margin(0.005), LAYERS: Margin(0.0), **COSTS}
"""Margins by metric without suffixes. CLIP scores vary little: visibly different rows are 0.01 apart."""
QUALITY = Margin(0.02)
"""Margin of every other metric."""


def margin_of(name: str, given: Mapping[str, Margin]) -> Margin:
    """Return the margin of a metric or a cost: what was given under its full name, or the default."""
    return given.get(name) or DEFAULTS.get(MetricName.parse(name).metric, QUALITY)


def margins_of(words: Iterable[str], key: str = "--margin") -> dict[str, Margin]:
    """Parse margins and return them by name.

    Args:
        words: texts such as `fid=0.5`, `lpips=1%`, or `fid_40_50=any`.
        key: origin of the texts, for the message.

    Raises:
        BadInputError: a text is not a margin, or a name is given twice.
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
