"""The full names of metrics, such as `fid_hole_only_40_50`, and their parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["HOLE_ONLY", "VARIANTS", "MetricName"]

HOLE_ONLY = "hole_only"
"""Variant in which the known pixels of the images were replaced by those of the true images."""
VARIANTS: Mapping[str, str] = {
    HOLE_ONLY: "the truth in place of its known pixels",
    "saved_truncate": "truncated to 8 bits",
    "saved_round": "rounded to 8 bits",
    "saved_jpeg95": "truncated to 8 bits, written as JPEG of quality 95 with 4:2:0 subsampling, and read again",
}
"""Variants of metrics, each with the difference between the measured images and the images that a row makes."""
PATTERN = re.compile(rf"(?P<metric>.*?)(_(?P<variant>{'|'.join(VARIANTS)}))?(_(?P<low>\d+)_(?P<high>\d+))?", re.DOTALL)


@dataclass(frozen=True)
class MetricName:
    """The parts of a metric's full name; `str` joins them again."""

    metric: str
    """The metric itself, such as `fid`."""
    variant: str = ""
    """Key of `VARIANTS`; empty if the images are measured as the row makes them."""
    bin: tuple[int, int] | None = None
    """Bin of mask area in percent to which the items belong, such as (40, 50); None for all items."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parts of a full name; any other text becomes the name of the metric itself."""
        found = PATTERN.fullmatch(text)
        assert found is not None  # the pattern matches any text
        area = None if found["low"] is None else (int(found["low"]), int(found["high"]))
        return cls(found["metric"], found["variant"] or "", area)

    def __str__(self) -> str:
        area = "" if self.bin is None else f"_{self.bin[0]}_{self.bin[1]}"
        return f"{with_variant(self.metric, self.variant)}{area}"

    def array(self, features: Mapping[str, str]) -> str:
        """Return the name of the array that the metric is computed from.

        Args:
            features: name of the features of each metric that is computed from a set of images.
        """
        return with_variant(features.get(self.metric, self.metric), self.variant)


def with_variant(name: str, variant: str) -> str:
    """Return the name that an array or metric has for a variant of the images."""
    return f"{name}_{variant}" if variant else name
