"""Functions that check numbers against the range of possible values of their metric.

A number outside the range of its metric shows that a file is damaged, or that the number belongs to another metric.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from bench.metrics.names import MetricName

__all__ = ["RANGES", "is_share", "never_negative", "out_of_range"]

UNBOUNDED = (-math.inf, math.inf)
RANGES: Mapping[str, tuple[float, float]] = {
    "kid": UNBOUNDED,
    "cmmd_unbiased": UNBOUNDED,
    "psnr": UNBOUNDED,
    "border_excess": UNBOUNDED,
    "inception_score": (1.0, math.inf),
    "clip_score": (-100.0, 100.0),
    "clip_prompt": (-100.0, 100.0),
    "ssim": (-1.0, 1.0),
    "ssim_known": (-1.0, 1.0),
    "perceptual_efficientnet": (0.0, 4.0),
    "shift": (0.0, math.inf),
    "zoom": (-20.0, 20.0),
    "blur": (-math.sqrt(0.5), 2.0),
    "explained": (0.0, 1.0),
    "contrast_change": (-100.0, math.inf),
    "sharpness_change": (-100.0, math.inf),
    **{f"changed_{levels}": (0.0, 1.0) for levels in (1, 2, 4, 8)},
}
"""Smallest and largest possible value of some metrics, by the metric. `kid` and `cmmd_unbiased` are unbiased estimates
and `border_excess` is a difference, so these can be negative. The two CLIP scores are 100 times a cosine. Zoom and blur
are estimated within the limits in `bench.metrics.registration`, and changes of contrast and sharpness are percentages.
"""
NOT_NEGATIVE = (
    "fid", "fd_", "cmmd", "dists", "lpips", "pre_", "border_step", "known_values", "colour_", "layers_as_printed",
    "text_words", "text_left_out",
)  # fmt: skip
"""Beginnings of the names of distances, errors and counts. Such a metric cannot be negative."""
SHARES = ("text_accuracy", "text_ned")
"""Beginnings of the names of shares and of likenesses, whose values are 0 to 1."""
TURN = re.compile(r"_turn_\d+$")
"""Pattern of the ending of a metric of a later turn; see `bench.metrics.turns.at_turn`."""
ROUNDING = 1e-6
"""Tolerance for rounding errors, relative to the bound. For example, the Inception Score of equal pictures is 1, but a
rounding error can make it a little smaller."""


def never_negative(metric: str) -> bool:
    """Return True if no value of a metric can be negative.

    Args:
        metric: full name of the metric, such as `fid_saved_round_40_50`.
    """
    return _range(metric)[0] >= 0


def is_share(metric: str) -> bool:
    """Return True if a metric is a share of words, or a likeness of words, from 0 to 1.

    If all items have the same share, such as 0 or 1, this does not mean that the next item has it too.

    Args:
        metric: full name of the metric.
    """
    return metric.startswith(SHARES)


def _range(metric: str) -> tuple[float, float]:
    name = TURN.sub("", MetricName.parse(metric).metric)
    if is_share(name):
        return 0.0, 1.0
    return RANGES.get(name, (0.0, math.inf) if name.startswith(NOT_NEGATIVE) else UNBOUNDED)


def out_of_range(metric: str, value: float) -> str | None:
    """Return a message if `value` is outside the metric's range.

    Return None if `value` is inside the range, or if the range is unknown. A value may exceed a bound by a rounding
    error.

    Args:
        metric: full name of the metric, such as `fid_saved_round_40_50`.
        value: finite number.
    """
    least, most = _range(metric)
    slack = ROUNDING * max(abs(bound) for bound in (least, most, 1.0) if math.isfinite(bound))
    if least - slack <= value <= most + slack:
        return None
    expected = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
    return f"expected {expected}, found {value:g}"
