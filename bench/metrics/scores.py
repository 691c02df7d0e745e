"""A container for the arrays that the measures of a run compute for its items."""

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
    """All arrays that the measures computed in a run, with the sources and the mask areas of its N items.

    The items are in the order of the manifest.
    """

    rows: Mapping[str, Mapping[str, Array | Features]]
    """Arrays of each row of the table: first key, the row's name; second key, the array's name. An array has N values
    or N×d features. If it belongs to a variant of a metric, its name ends with the variant, such as `_hole_only`."""
    truth: Mapping[str, Array | Features]
    """Arrays of the M true images that form the reference set, by the array's name; features have the shape M×d."""
    sets: Mapping[str, str]
    """Name of the features from which a metric is computed, by the metric's name. Only metrics of whole sets of images,
    such as `fid`, have an entry."""
    sources: Sequence[str]
    """Source of each of the N items. Items of one source are not independent."""
    references: Sequence[int]
    """Indices of the M items whose true images form the reference set."""
    mask_area: npt.NDArray[np.float64]
    """For each item, the number of pixels in the hole divided by the number of all pixels, from 0 to 1."""
    measures: Mapping[str, str] = field(default_factory=dict)
    """Name of the measure that computes a metric, by the metric's name. Only metrics with a value for every item have
    an entry; `sets` contains the other metrics."""
    reference: str = ""
    """Description of the reference set if it does not consist of true images of the items; otherwise empty.

    The image at each place then stands for the item with the index in `references`.
    """
