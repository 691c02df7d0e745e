"""The values that the measures computed for every item of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features

__all__ = ["Scored"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scored:
    """The scores of N items, in the manifest's order."""

    rows: Mapping[str, Mapping[str, Array | Features]]
    """N values, or N rows of features, by row and by name of the array; the name ends with the variant, if any."""
    truth: Mapping[str, Array | Features]
    """Features of the M images of the reference set, by name."""
    sets: Mapping[str, str]
    """Name of the features that each metric of a set of images, such as `fid`, is computed from."""
    sources: Sequence[str]
    """Source of each item; items of one source are not independent."""
    references: Sequence[int]
    """Places of the items whose images are the reference set."""
    mask_area: npt.NDArray[np.float64]
    """Share of each item's pixels that lie in the hole, from 0 to 1."""
    measures: Mapping[str, str] = field(default_factory=dict)
    """Name of the measure of each metric that has a value for every item, by metric."""
