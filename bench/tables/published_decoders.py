"""Published values of decoders, and the verdict whether a run reproduces them.

A published value can be reproduced only under the same protocol. Most sources do not state their whole protocol.
Therefore most verdicts name the fields that differ or that the source does not state. The values and their sources are
in `published_decoders.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.config.schema import PROTOCOL_FIELDS
from bench.runtime.own_yaml import read_own_yaml
from bench.tables.build import style_of
from bench.tables.grid import Grid

__all__ = [
    "ANOTHER_PROTOCOL",
    "DIFFERS",
    "REPRODUCED",
    "MeasuredValue",
    "PublishedValue",
    "ReproductionVerdict",
    "judge_published",
    "published_grid",
    "published_values",
]

FILE = Path(__file__).with_suffix(".yaml")
REPRODUCED, DIFFERS, ANOTHER_PROTOCOL = "reproduced", "differs", "another protocol"
OF_SETS = ("reference", "features")
"""Fields of a protocol that matter only for the metrics in `SETS`."""
SETS = ("fid", "kid", "inception_score")
"""Metrics that are computed from a whole set of pictures and not from single pictures."""


@dataclass(frozen=True)
class PublishedValue:
    """One value of one decoder, as its source prints it."""

    decoder: str
    """Name of the autoencoder in conf/vae."""
    metric: str
    printed: str
    """The number as the source prints it, such as `4.70`."""
    source: str
    protocol: Mapping[str, Any]
    """Those fields of the protocol that the source states."""

    @property
    def value(self) -> float:
        return float(self.printed)

    @property
    def rounding(self) -> float:
        """Largest error of the printed number that rounding alone can cause: half a unit of its last digit."""
        exponent = Decimal(self.printed).as_tuple().exponent
        return 0.5 * 10.0 ** int(exponent)

    def differences(self, protocol: Mapping[str, Any]) -> list[str]:
        """Return a short text for each field of the protocol that prevents a comparison of this value with a run.

        These are the fields that differ between the source and the run, and the fields that the source does not state.

        Args:
            protocol: fields of the run's protocol.
        """
        found = []
        for name in PROTOCOL_FIELDS:
            if name in OF_SETS and self.metric not in SETS:
                continue
            stated = self.protocol.get(name)
            if stated is None:
                found.append(f"{name} is not stated")
            elif stated != protocol.get(name):
                found.append(f"{name} is {stated}, here {protocol.get(name)}")
        return found


@dataclass(frozen=True)
class ReproductionVerdict:
    """The comparison of one published value with the value of a run."""

    published: PublishedValue
    measured: float
    ci95: tuple[float, float] | None
    """95 % interval of the measured value; None if it is unknown."""
    verdict: str
    """Verdict: `REPRODUCED`, `DIFFERS` or `ANOTHER_PROTOCOL`."""
    reason: str


@dataclass(frozen=True)
class MeasuredValue:
    """A value of a run, with its 95 % interval. If the interval is unknown, `ci95` is None."""

    value: float
    ci95: tuple[float, float] | None


def published_values(file: Path | None = None) -> list[PublishedValue]:
    """Return all published values of a file, in the order of the file.

    Args:
        file: file in the form of `published_decoders.yaml`; None to read `published_decoders.yaml` itself.
    """
    entries: Sequence[Mapping[str, Any]] = read_own_yaml(file or FILE)
    return [
        PublishedValue(decoder, metric, str(printed), entry["source"], entry["protocol"])
        for entry in entries
        for decoder, values in entry["values"].items()
        for metric, printed in values.items()
    ]


def judge_published(
    published: Sequence[PublishedValue],
    measured: Mapping[str, Mapping[str, MeasuredValue]],
    protocol: Mapping[str, Any],
) -> Iterator[ReproductionVerdict]:
    """Compare published values with the values of a run, and yield one verdict for each value that the run has.

    If `PublishedValue.differences` finds a field that prevents a comparison, the verdict is `ANOTHER_PROTOCOL`.
    Otherwise the value is reproduced if the run's 95 % interval, extended on both sides by `PublishedValue.rounding`,
    contains the printed number. If the interval is unknown, the measured value takes its place.

    Args:
        published: values to compare with.
        measured: values of the run. The first key is the decoder, and the second key is the metric.
        protocol: fields of the run's protocol.
    """
    for one in published:
        found = measured.get(one.decoder, {}).get(one.metric)
        if found is None:
            continue
        different = one.differences(protocol)
        low, high = found.ci95 or (found.value, found.value)
        if different:
            verdict, reason = ANOTHER_PROTOCOL, "; ".join(different)
        elif low - one.rounding <= one.value <= high + one.rounding:
            verdict, reason = REPRODUCED, "the printed number lies in the interval, up to its rounding"
        else:
            verdict, reason = DIFFERS, f"the printed number lies outside {low:.4g} to {high:.4g}"
        yield ReproductionVerdict(one, found.value, found.ci95, verdict, reason)


def published_grid(verdicts: Sequence[ReproductionVerdict]) -> Grid:
    """Return a grid in which each line shows a verdict, its reason, the published value and the measured value."""
    lines = []
    for found in verdicts:
        style = style_of(found.published.metric)
        measured = f"{found.measured:.4g}" if style is None else f"{found.measured * style.scale:,.{style.decimals}f}"
        title = found.published.metric if style is None else style.title
        one = found.published
        lines.append([one.decoder, title, found.verdict, found.reason, one.source, one.printed, measured])
    heads = ["Published values", "metric", "verdict", "reason", "source", "published", "measured"]
    return Grid(heads, lines, left=5)
