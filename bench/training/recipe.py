"""The recipe of a decoder's training: all settings that change its weights, except sizes, start and data.

The schedule is that of buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/lr_scheduler.py: a linear warm-up, then half a
cosine. The discriminator has its own schedule, which starts at the step at which it joins, with a rate of zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from bench.training.objective import Objective

__all__ = ["DecoderRecipe", "WarmupCosine"]

FULL_MASKS = ("drawn", "alternating")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class WarmupCosine:
    """A learning rate as a function of the step."""

    peak: float
    steps: int
    """Last step; from there on, the rate is at its floor."""
    warmup: int = 5000
    start: float = 0.01
    """Fraction of the peak at the first step."""
    floor: float = 1e-6
    """Lowest rate, absolute."""
    first: int | None = None
    """Step at which the schedule of a network that joins later starts: the rate is zero up to and including this step.
    None for a schedule that starts at step 0 with `start` times the peak.
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
    """A training run."""

    steps: int
    """Number of updates of the decoder."""
    batch_size: int
    """Number of items of one update, over all processes."""
    at_once: int
    """Number of items of one forward pass, over all processes; the gradients of `batch_size / at_once` passes are added
    up.
    """
    learning_rate: float
    """Peak rate of new parameters, and of the discriminator."""
    objective: Objective = field(default_factory=Objective)
    pretrained_rate: float = 1.0
    """Rate of the parameters from `start`, as a multiple of the new ones' rate."""
    fresh: bool = False
    """True if the decoder starts from random weights, for any value of `start`."""
    warmup: int = 5000
    rate_start: float = 0.01
    rate_floor: float = 1e-6
    betas: tuple[float, float] = (0.5, 0.9)
    clip: float | None = None
    """Largest norm of the decoder's gradients together; None for no limit."""
    resolution: int = 256
    smallest_crop: float = 0.5
    masks: str = "thick_256"
    full_share: float = 0.5
    """Fraction of masks that are full, so that the decoder must use the latents."""
    full_masks: str = "drawn"
    """Choice of full masks: `drawn` for each item (the code), or strictly `alternating` (the paper's word)."""
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    save_every: int = 5000
    keep: int = 2
    """Number of checkpoints that are kept, the newest ones."""
    validate_every: int = 5000
    validation_items: int = 256
    profile: str = "mini"
    """Profile of the recipe; recipes of mini do not name it, because finished parts are identified by their data."""

    def __post_init__(self) -> None:
        sizes = ("steps", "batch_size", "at_once", "resolution", "save_every", "keep", "validate_every")
        for name in (*sizes, "validation_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        if self.learning_rate <= 0 or self.pretrained_rate < 0:
            raise ValueError(f"learning_rate: expected more than 0, found {self.learning_rate}")
        if self.batch_size % self.at_once:
            raise ValueError(f"at_once: expected a divisor of batch_size {self.batch_size}, found {self.at_once}")
        if not 0 <= self.full_share <= 1:
            raise ValueError(f"full_share: expected a share in [0, 1], found {self.full_share}")
        if self.full_masks == "alternating" and self.full_share != 0.5:
            raise ValueError(
                f"full_share: expected 0.5, as alternating masks are full every second time, found {self.full_share}"
            )
        for name, allowed in (("full_masks", FULL_MASKS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}")

    def drawing(self, *, validation: bool = False) -> dict[str, Any]:
        """Return the arguments of the items' data set; no mask is full if decoders are measured."""
        return {
            "resolution": self.resolution,
            "masks": self.masks,
            "full_share": 0.0 if validation else self.full_share,
            "alternating": self.full_masks == "alternating" and not validation,
        }

    def rate(self, *, pretrained: bool) -> WarmupCosine:
        """Return the learning rate of the decoder's parameters."""
        factor = self.pretrained_rate if pretrained else 1.0
        return WarmupCosine(factor * self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor)

    def discriminator_rate(self) -> WarmupCosine:
        """Return the rate of the discriminator's parameters, which is zero in the step in which it joins.

        It therefore changes from the next step on (`LambdaWarmUpCosineScheduler_D` with `start_step` at `disc_start`).
        """
        first = self.objective.adversary_from
        return WarmupCosine(self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor, first)
