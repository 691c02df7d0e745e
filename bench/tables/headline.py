"""The choice of the metric that a run shows as `Pre_error`, the error over known pixels.

The error depends on how the values of an image are converted to 8 bits when the image is saved. For one conversion, a
`Reading` contains the names of three metrics: the mean error, the sum of the errors, and the error of a perfect
decoder. There are two readings:

- `RELEASED`: the error is measured on the image that the paper's released scripts would save
  (`bench.metrics.known_region.released_uint8`). A run uses this reading if its profile names it and the decoders run
  under autocast on a GPU, so that they return images in float16.
- `TRUNCATED`: the image is in float32 until its values are truncated to 8 bits. All other runs use this reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.config.schema import AUTOCAST, Profile, TableSpec
from bench.errors import BadInputError

if TYPE_CHECKING:  # the modules of this package do not import PyTorch
    import torch

__all__ = ["RELEASED", "TRUNCATED", "Reading", "headline_error", "headline_reading", "in_reading"]


@dataclass(frozen=True)
class Reading:
    """The names of the three metrics for one conversion of images to 8 bits."""

    error: str
    """Name of the metric that is the mean squared error over known pixels."""
    total: str
    """Name of the metric that is the sum of these squared errors. The paper is assumed to print such sums."""
    floor: str
    """Name of the metric that is the mean error of a perfect decoder. Saving to 8 bits alone causes this error."""

    def named(self, metric: str) -> str:
        """Return the name of this reading's metric that corresponds to a metric of the reading `TRUNCATED`.

        If `metric` does not belong to `TRUNCATED`, it is returned unchanged.
        """
        names = {TRUNCATED.error: self.error, TRUNCATED.total: self.total, TRUNCATED.floor: self.floor}
        return names.get(metric, metric)


TRUNCATED = Reading("pre_error", "pre_sse01", "pre_floor")
"""Names of the metrics for images that are in float32 until they are truncated to 8 bits."""
RELEASED = Reading("pre_error_released", "pre_sse01_released", "pre_floor_released")
"""Names of the metrics for images that are in float16 until they are truncated, as in the paper's released scripts."""
READINGS = {reading.error: reading for reading in (TRUNCATED, RELEASED)}


def headline_reading(profile: Profile, device: torch.device) -> Reading:
    """Return the names of the metrics that a run shows as the error over known pixels, and by which it judges claims.

    Args:
        profile: profile of the run. Its `error` is the name of a reading's error, and its `precision` is the precision
            in which the decoders compute.
        device: device on which the decoders of the run compute.

    Returns:
        The reading that the profile names, if the decoders run under autocast on a GPU; otherwise `TRUNCATED`.

    Raises:
        BadInputError: the profile's `error` is not the `error` of `TRUNCATED` or `RELEASED`.
    """
    if profile.error not in READINGS:
        raise BadInputError(
            f"profile.error: expected the name of an error over known pixels, one of {', '.join(READINGS)}, "
            f"found {profile.error}"
        )
    half = profile.precision == AUTOCAST and device.type == "cuda"
    return READINGS[profile.error] if half else TRUNCATED


def headline_error(profile: Profile, device: torch.device) -> str:
    """Return the name of the metric by which a run judges claims about `pre_error`; see `headline_reading`."""
    return headline_reading(profile, device).error


def in_reading(spec: TableSpec, reading: Reading) -> TableSpec:
    """Return a copy of a table's specification in which the metrics of `reading` and of `TRUNCATED` are exchanged.

    Only the error and the sum of the errors are exchanged. Thus the main table shows the metrics of the run's reading.

    Args:
        spec: specification of the table, with the metrics of `TRUNCATED` in the main table.
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
