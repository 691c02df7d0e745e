"""The choice of the reading of the error over known pixels that a run shows as `Pre_error`, with its sum and its floor.

Decoders that run under autocast on a GPU return images in float16, like the released scripts before they save them. In
this case the error is that of the image which those scripts would save
(`bench.metrics.known_region.released_uint8`). Everywhere else decoders compute in float32, and the error is that of the
truncated image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.config.schema import AUTOCAST, Profile, TableSpec
from bench.errors import BadInputError

if TYPE_CHECKING:  # tables load no PyTorch
    import torch

__all__ = ["RELEASED", "TRUNCATED", "Reading", "headline_error", "headline_reading", "in_reading"]


@dataclass(frozen=True)
class Reading:
    """The names of the metrics that belong to one way of saving an image."""

    error: str
    """Name of the mean squared error over known values."""
    total: str
    """Name of the sum of these squared errors; the paper's printed numbers are assumed to be such sums."""
    floor: str
    """Name of the mean error that saving alone adds."""

    def named(self, metric: str) -> str:
        """Return the name in this reading of a metric of the truncated image, and any other name unchanged."""
        names = {TRUNCATED.error: self.error, TRUNCATED.total: self.total, TRUNCATED.floor: self.floor}
        return names.get(metric, metric)


TRUNCATED = Reading("pre_error", "pre_sse01", "pre_floor")
"""Reading in which the image is in float32 until it is truncated to 8 bits."""
RELEASED = Reading("pre_error_released", "pre_sse01_released", "pre_floor_released")
"""Reading in which the image is in float16 until it is truncated to 8 bits, as in the released scripts."""
READINGS = {reading.error: reading for reading in (TRUNCATED, RELEASED)}


def headline_reading(profile: Profile, device: torch.device) -> Reading:
    """Return the reading that a run's tables show and by which its claims are judged.

    Args:
        profile: profile of the run; `error` names the reading, and `precision` the precision of its decoders.
        device: device on which the run's decoders compute.

    Returns:
        The profile's reading, or `TRUNCATED` if no decoder computes in half precision.

    Raises:
        BadInputError: the profile's `error` is not a reading.
    """
    if profile.error not in READINGS:
        raise BadInputError(f"profile.error: expected one of {', '.join(READINGS)}, found {profile.error}")
    half = profile.precision == AUTOCAST and device.type == "cuda"
    return READINGS[profile.error] if half else TRUNCATED


def headline_error(profile: Profile, device: torch.device) -> str:
    """Return the name of the metric on which a claim about `pre_error` is judged in a run; see `headline_reading`."""
    return headline_reading(profile, device).error


def in_reading(spec: TableSpec, reading: Reading) -> TableSpec:
    """Return a table's columns in a reading, whose metrics are exchanged with those of the truncated image.

    Args:
        spec: specification of the table, written for the truncated image.
        reading: reading of the run.
    """
    places = {TRUNCATED.error: reading.error, TRUNCATED.total: reading.total}
    places |= {new: old for old, new in places.items()}

    def exchanged(metrics: Iterable[str]) -> list[str]:
        return [places.get(metric, metric) for metric in metrics]

    return replace(
        spec,
        columns=exchanged(spec.columns),
        readings=exchanged(spec.readings),
        beside=exchanged(spec.beside),
    )
