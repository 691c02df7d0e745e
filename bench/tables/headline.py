"""Which reading of the error over known pixels is the headline of a run: its `Pre_error`, its sum and its floor.

Decoders that run under autocast on a GPU give images as the released scripts have them before they save them, so that
the error is that of the image which those scripts would save (`bench.metrics.known_region.released_uint8`).
Everywhere else decoders compute in float32, and the error is that of the truncated image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.errors import BadInputError
from bench.schema import AUTOCAST, Profile, TableSpec

if TYPE_CHECKING:  # tables load no PyTorch
    import torch

__all__ = ["RELEASED", "TRUNCATED", "Reading", "headline_error", "headline_reading", "in_reading"]


@dataclass(frozen=True)
class Reading:
    """Names of the metrics that belong to one way of saving an image."""

    error: str
    """The mean squared error over known values."""
    total: str
    """The sum of these squared errors, which is what the paper's printed numbers are assumed to be."""
    floor: str
    """The mean error that saving alone costs."""

    def named(self, metric: str) -> str:
        """A metric of the truncated image under the name that it has in this reading; any other as it is."""
        names = {TRUNCATED.error: self.error, TRUNCATED.total: self.total, TRUNCATED.floor: self.floor}
        return names.get(metric, metric)


TRUNCATED = Reading("pre_error", "pre_sse01", "pre_floor")
"""The image is in float32 until it is truncated to 8 bits."""
RELEASED = Reading("pre_error_released", "pre_sse01_released", "pre_floor_released")
"""The image is in float16 until it is truncated to 8 bits, as in the released scripts."""
READINGS = {reading.error: reading for reading in (TRUNCATED, RELEASED)}


def headline_reading(profile: Profile, device: torch.device) -> Reading:
    """The reading that a run's tables show and its claims are judged by.

    Args:
        profile: says by `error` which reading it wants, and by `precision` how its decoders compute.
        device: where the run's decoders compute.

    Returns:
        The profile's reading, or `TRUNCATED` where no decoder computes in half precision.

    Raises:
        BadInputError: the profile's `error` is no reading.
    """
    if profile.error not in READINGS:
        raise BadInputError(f"profile.error: expected one of {', '.join(READINGS)}, found {profile.error}")
    half = profile.precision == AUTOCAST and device.type == "cuda"
    return READINGS[profile.error] if half else TRUNCATED


def headline_error(profile: Profile, device: torch.device) -> str:
    """The name of the metric that a claim on `pre_error` is about in a run; see `headline_reading`."""
    return headline_reading(profile, device).error


def in_reading(spec: TableSpec, reading: Reading) -> TableSpec:
    """A table's columns in a reading: its metrics change places with those of the truncated image.

    Args:
        spec: of the table, written for the truncated image.
        reading: the run's.
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
