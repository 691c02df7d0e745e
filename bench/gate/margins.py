"""Margins. The margin of a number is the largest worsening that the gate tolerates."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.errors import BadInputError
from bench.metrics.names import MetricName

__all__ = [
    "ANY",
    "COSTS",
    "DECODERS",
    "DEFAULTS",
    "DIFFERENCES",
    "NO_DIFFERENCE",
    "Margin",
    "add_margins",
    "margin_of",
    "margins_of",
]

ANY = "any"
"""Text that stands in place of the margin of a metric or a cost that the gate does not compare."""


@dataclass(frozen=True)
class Margin:
    """The margin of a number: an amount in the unit of the number, or a fraction of the number's old value."""

    amount: float
    """Size of the margin, 0 or more; infinite for a number that is not compared."""
    relative: bool = True
    """Whether `amount` is a fraction of the old value, such as 0.02 for 2 %, and not an amount in the metric's unit."""

    def at(self, old: float) -> float:
        """Return the margin in the number's unit.

        Args:
            old: old value of the number, in the same unit.
        """
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
"""Default margins of the costs of a row, by the name of the cost.

The first three costs are counted exactly, so their margins are small. `peak_memory_bytes` is the largest memory that
CUDA's allocator held. `time_ratio` is the row's time per image divided by the time of the vanilla decoder in the same
run. This ratio still varies by a quarter or more if other programs use the machine, so its margin is large.
"""
LAYERS = "layers_as_printed"
"""Name of the metric that the gate uses for Tables 7 and 8: the number of lines that agree with the paper's lines."""
DEFAULTS: Mapping[str, Margin] = {"clip_score": Margin(0.005), LAYERS: Margin(0.0), **COSTS}
"""Default margins, by the name of the cost or by the name of the metric without the ending of a variant or a bin.

The margin of `clip_score` is small, because the CLIP scores of visibly different rows differ by only about 0.01.
"""
QUALITY = Margin(0.02)
"""Default margin of every metric that `DEFAULTS` does not contain."""
NO_DIFFERENCE = Margin(0.0, relative=False)
"""Margin of each number in `DIFFERENCES` for two decoders with the same weights and the same arithmetic."""
DIFFERENCES: Mapping[str, Margin] = {
    "largest_difference": Margin(32.0, relative=False),
    "share_changed": Margin(1 / 3, relative=False),
    "squared_difference": Margin(1.0, relative=False),
    "colour_shift_red": Margin(0.5, relative=False),
    "colour_shift_green": Margin(0.5, relative=False),
    "colour_shift_blue": Margin(0.5, relative=False),
}
"""Default margins of the differences between the pictures of two decoders, in 8-bit grey levels, by name.

A squared difference of 1 is a difference of one grey level, which is the smallest step of an 8-bit picture. If
differences with this mean square are normally distributed and independent, about a third of the pixels change by more
than one level in at least one of three channels: 13 % of such differences are 1.5 levels or more, which rounding turns
into two, and 1 - 0.87³ is 0.34. A colour shift below half a level is smaller than the rounding of a pixel can be.
Changed arithmetic can move the steepest edges by many levels, so only a difference of more than an eighth of the range
counts as a local fault.
"""
DECODERS: Mapping[str, Margin] = {**DIFFERENCES, "psnr": QUALITY, "ssim": QUALITY, "lpips": QUALITY}
"""Default margins of all numbers with which two decoders are compared, by name.

The last three compare each side's pictures with the true pictures. They have the margin of these metrics in tables.
"""


def add_margins(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add the argument `--margin` to a command. It collects texts such as `fid=0.5`, which `margins_of` reads.

    Args:
        parser: parser of the command's arguments.
        meaning: text about the margins for the help of the command.
    """
    parser.add_argument("--margin", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help=meaning)


def margin_of(name: str, given: Mapping[str, Margin]) -> Margin:
    """Return the margin of a metric or a cost.

    Args:
        name: full name of the metric, such as `fid_40_50`, or name of the cost.
        given: margins that replace the defaults, by full name. If `name` is not one of these names, the default margin
            is returned.
    """
    return given.get(name) or DEFAULTS.get(MetricName.parse(name).metric, QUALITY)


def margins_of(words: Iterable[str], key: str = "--margin") -> dict[str, Margin]:
    """Parse the texts of margins, and return the margins by the name of the metric or cost.

    Args:
        words: texts such as `fid=0.5` (in the metric's unit), `lpips=1%` (of the old value) or `fid_40_50=any` (not
            compared).
        key: name of the setting that contains the texts, for error messages.

    Raises:
        BadInputError: a text is not a margin, or two texts have the same name.
    """
    found: dict[str, Margin] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name:
            raise BadInputError(f"{key} {word}: expected NAME=VALUE, found no name")
        if name in found:
            raise BadInputError(f"{key} {word}: expected only one margin of {name}, found a second margin")
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
        raise BadInputError(
            f"{key}: expected a number of 0 or more, such as 0.5 or 2%, or {ANY}; found {value or 'no value'}"
        )
    return Margin(amount / 100) if number != value else Margin(amount, relative=False)
