"""Functions that split and build the full names of metrics, which consist of metric, variant and range of mask area.

For example, `fid_saved_round_40_50` is the metric `fid` in the variant `saved_round`, computed from the items whose
hole covers 40 to 50 % of the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["COMPARING", "HOLE_ONLY", "VARIANTS", "MetricName"]

HOLE_ONLY = "hole_only"
"""Name of the variant in which the true pixels replace the known pixels of each image."""
VARIANTS: Mapping[str, str] = {
    HOLE_ONLY: "the truth in place of its known pixels",
    "saved_truncate": "truncated to 8 bits",
    "saved_round": "rounded to 8 bits",
    "saved_jpeg95": "truncated to 8 bits, written as JPEG of quality 95 with 4:2:0 subsampling, and read again",
}
"""Variants of metrics by name. Each value describes how the measured images differ from the images that a row makes."""
STATISTICS = ("fid", "fd", "kid", "cmmd_unbiased", "cmmd", "inception_score")
"""Statistics that are computed from the features of whole sets of images. `fd` is the statistic of `fid`, for features
of other networks than Inception. A statistic whose name begins with another one stands before that one."""
COMPARING = ("fid", "fd", "kid", "cmmd_unbiased", "cmmd")
"""Statistics that compare a row's features with those of a reference set."""
PATTERN = re.compile(rf"(?P<metric>.*?)(_(?P<variant>{'|'.join(VARIANTS)}))?(_(?P<low>\d+)_(?P<high>\d+))?", re.DOTALL)


@dataclass(frozen=True)
class MetricName:
    """The parts of a metric's full name. `str` joins the parts to the full name."""

    metric: str
    """Name without the endings of the variant and of the bin, such as `fid` for `fid_hole_only_40_50`."""
    variant: str = ""
    """Key of `VARIANTS`; empty if the images are measured exactly as the row makes them."""
    bin: tuple[int, int] | None = None
    """Lower and upper edge, in percent, of a bin of mask area, such as (40, 50). Only items in the bin are measured.
    None if all items are measured."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a full name into its parts.

        If the text ends with neither a known variant nor a bin, the whole text becomes the field `metric`.
        """
        found = PATTERN.fullmatch(text)
        assert found is not None  # the pattern matches any text
        area = None if found["low"] is None else (int(found["low"]), int(found["high"]))
        return cls(found["metric"], found["variant"] or "", area)

    @property
    def statistic(self) -> str | None:
        """The statistic in `STATISTICS` with which the metric's name begins; None if the name begins with no such
        statistic.

        For example, the statistic of `fid` and of `fid_clean` is `fid`, and that of `fd_efficientnet` is `fd`.
        """
        return next((kind for kind in STATISTICS if re.fullmatch(rf"{kind}(_\w+)?", self.metric)), None)

    def __str__(self) -> str:
        area = "" if self.bin is None else f"_{self.bin[0]}_{self.bin[1]}"
        return f"{with_variant(self.metric, self.variant)}{area}"

    def array(self, features: Mapping[str, str]) -> str:
        """Return the name of the array from which the metric is computed.

        Args:
            features: a mapping from the name of each metric of whole sets of images, such as `fid`, to the name of its
                features. If a metric is not a key of `features`, its array has the name of the metric.
        """
        return with_variant(features.get(self.metric, self.metric), self.variant)


def with_variant(name: str, variant: str) -> str:
    """Return the name of an array or a metric in the given variant. If `variant` is empty, `name` is returned
    unchanged.
    """
    return f"{name}_{variant}" if variant else name
