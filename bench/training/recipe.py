"""The recipe of a decoder's training: all settings that change the result, except sizes, initial weights and data.

The learning rate follows the schedule of buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/lr_scheduler.py: a linear
warm-up, then half a cosine. The discriminator has its own schedule. It begins with a rate of zero at the step at which
the discriminator joins the training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from bench.training.objective import Objective

__all__ = ["DecoderRecipe", "WarmupCosine"]

FULL_MASKS = ("drawn", "alternating")
AUTO = "auto"
"""Value of `at_once` that lets the training find a number that fits the device."""
TF32 = "tf32"
"""Precision in which a GPU rounds the factors of float32 products to 10 bits. Validation stays in float32."""
PRECISIONS = ("float32", TF32, "bfloat16")


@dataclass(frozen=True)
class WarmupCosine:
    """A learning rate as a function of the step."""

    peak: float
    steps: int
    """Step at which the rate reaches `floor`. After this step, the rate stays there."""
    warmup: int = 5000
    start: float = 0.01
    """Rate at the beginning of the warm-up, as a fraction of `peak`."""
    floor: float = 1e-6
    """Lowest rate after the warm-up. This is a rate, not a fraction of `peak`."""
    first: int | None = None
    """Step at which the schedule starts, for a network that joins the training later.

    The rate is zero up to and including this step. None means that the schedule starts at step 0 with `start` × `peak`.
    """

    def __call__(self, step: int) -> float:
        offset = self.first or 0
        done = step - offset
        if self.first is not None and done <= 0:
            return 0.0
        if done < self.warmup:
            return self.peak * (self.start + (1 - self.start) * done / self.warmup)
        share = min((done - self.warmup) / max(1, self.steps - offset - self.warmup), 1.0)
        floor = min(self.floor, self.peak)
        return floor + 0.5 * (self.peak - floor) * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class DecoderRecipe:
    """The settings of one training run of a decoder."""

    steps: int
    """Number of updates of the decoder."""
    batch_size: int
    """Number of items in one update, added up over all processes."""
    at_once: int | str
    """Number of items in one forward pass, added up over all processes.

    One update adds the gradients of `batch_size / at_once` passes. `auto` is for one process: it begins with the whole
    batch, and takes the next smaller divisor of `batch_size` whenever a pass does not fit the device's memory.
    """
    learning_rate: float
    """Highest learning rate of new parameters of the decoder, and of the discriminator."""
    objective: Objective = field(default_factory=Objective)
    pretrained_rate: float = 1.0
    """Learning rate of the parameters that come from `start`, as a multiple of the rate of new parameters."""
    fresh: bool = False
    """True if the decoder starts from random weights, whatever the value of `start` is."""
    warmup: int = 5000
    rate_start: float = 0.01
    rate_floor: float = 1e-6
    betas: tuple[float, float] = (0.5, 0.9)
    clip: float | None = None
    """Largest norm of all gradients of the decoder together. Larger gradients are scaled down. None means no limit."""
    resolution: int = 256
    smallest_crop: float = 0.5
    masks: str = "thick_256"
    full_share: float = 0.5
    """Fraction of masks that are full (all ones). With a full mask, the decoder sees no known pixels, only latents."""
    full_masks: str = "drawn"
    """Way to choose the items that get a full mask.

    `drawn` decides at random for each item, as in the released code. With `alternating`, every second mask is full, as
    the paper says.
    """
    precision: str = "float32"
    """Precision of the training's forward and backward passes: `float32`, `tf32`, or `bfloat16` by autocast."""
    channels_last: bool = True
    compile: bool = False
    save_every: int = 5000
    keep: int = 2
    """Number of newest checkpoints that are kept. Older checkpoints are deleted."""
    validate_every: int = 5000
    validation_items: int = 256
    profile: str = "mini"
    """Profile that the recipe belongs to.

    Recipes of mini do not contain this field: a finished part is identified by its recipe, which must not change.
    """

    def __post_init__(self) -> None:
        sizes = ("steps", "batch_size", "resolution", "save_every", "keep", "validate_every", "validation_items")
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        if self.at_once != AUTO and (not isinstance(self.at_once, int) or self.at_once < 1):
            raise ValueError(f"at_once: expected a whole number of 1 or more, or {AUTO}, found {self.at_once}")
        if self.learning_rate <= 0 or self.pretrained_rate < 0:
            raise ValueError(
                "learning_rate, pretrained_rate: expected a learning_rate above 0 and a pretrained_rate of 0 or more, "
                f"found {self.learning_rate} and {self.pretrained_rate}"
            )
        if isinstance(self.at_once, int) and self.batch_size % self.at_once:
            raise ValueError(f"at_once: expected a divisor of batch_size ({self.batch_size}), found {self.at_once}")
        if not 0 <= self.full_share <= 1:
            raise ValueError(f"full_share: expected a number from 0 to 1, found {self.full_share}")
        if self.full_masks == "alternating" and self.full_share != 0.5:
            raise ValueError(
                f"full_share: expected 0.5, because full_masks=alternating makes every second mask full, found "
                f"{self.full_share}"
            )
        for name, allowed in (("full_masks", FULL_MASKS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}")

    def sizes_at_once(self, most: int | None = None) -> list[int]:
        """Return the numbers of items that one forward pass may have, largest first.

        Args:
            most: largest number, if `at_once` is `auto`; None for no limit.
        """
        if isinstance(self.at_once, int):
            return [self.at_once]
        divisors = [count for count in range(self.batch_size, 0, -1) if self.batch_size % count == 0]
        return [count for count in divisors if most is None or count <= most]

    def drawing(self, *, validation: bool = False) -> dict[str, Any]:
        """Return the keyword arguments with which the data set of items is created.

        Args:
            validation: True for the items of a validation, whose masks are never full.
        """
        return {
            "resolution": self.resolution,
            "masks": self.masks,
            "full_share": 0.0 if validation else self.full_share,
            "alternating": self.full_masks == "alternating" and not validation,
        }

    def rate(self, *, pretrained: bool) -> WarmupCosine:
        """Return the learning rate of the decoder's parameters as a function of the step.

        Args:
            pretrained: True for parameters that come from the decoder `start`, False for new parameters.
        """
        factor = self.pretrained_rate if pretrained else 1.0
        return WarmupCosine(factor * self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor)

    def discriminator_rate(self) -> WarmupCosine:
        """Return the learning rate of the discriminator's parameters as a function of the step.

        The rate is zero in the step in which the discriminator joins the training. Thus the discriminator's weights
        change from the next step on. The released code does the same by `LambdaWarmUpCosineScheduler_D`, with
        `start_step` at `disc_start`.
        """
        first = self.objective.adversary_from
        return WarmupCosine(self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor, first)
