"""How a decoder is trained: everything that changes its weights, apart from its sizes, its start and its data.

The schedule is that of buxiangzhiren/Asymmetric_VQGAN at 406c5cd, ldm/lr_scheduler.py: a linear warm-up, then half a
cosine. The discriminator's schedule runs by itself from the step at which it joins, in which its rate is still zero.
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
    """A learning rate by step."""

    peak: float
    steps: int
    """The last step; the rate is at its floor from there on."""
    warmup: int = 5000
    start: float = 0.01
    """Share of the peak at the first step."""
    floor: float = 1e-6
    """Lowest rate, absolute."""
    first: int | None = None
    """The step from which the schedule counts, of a network that joins later: the rate is zero up to this step and in
    it. None for a schedule that counts from step 0, where its rate is `start` times the peak."""

    def __call__(self, step: int) -> float:
        begin = self.first or 0
        done = step - begin
        if self.first is not None and done <= 0:
            return 0.0
        if done < self.warmup:
            return self.peak * (self.start + (1 - self.start) * done / self.warmup)
        share = min((done - self.warmup) / max(1, self.steps - begin - self.warmup), 1.0)
        floor = min(self.floor, self.peak)
        return floor + 0.5 * (self.peak - floor) * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class DecoderRecipe:
    """One training run."""

    steps: int
    """Updates of the decoder."""
    batch_size: int
    """Items of one update, over all processes."""
    at_once: int
    """Items of one forward pass, over all processes; the gradients of `batch_size / at_once` passes are added up."""
    learning_rate: float
    """Peak rate of fresh parameters, and of the discriminator."""
    objective: Objective = field(default_factory=Objective)
    pretrained_rate: float = 1.0
    """Rate of the parameters that were there before, as a multiple of the fresh ones'."""
    fresh: bool = False
    """Whether the decoder begins from fresh weights, whatever `start` names."""
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
    """Share of masks that are full, so that the decoder must rely on the latents."""
    full_masks: str = "drawn"
    """`drawn` for each item (the code), or `alternating` strictly (the paper's word)."""
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    save_every: int = 5000
    keep: int = 2
    """Checkpoints kept, the newest."""
    validate_every: int = 5000
    validation_items: int = 256
    profile: str = "mini"
    """For which it is meant; the mini one's recipes do not say so, as finished parts are known by their data."""

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
            raise ValueError(f"full_share: alternating masks are full every second time, found {self.full_share}")
        for name, allowed in (("full_masks", FULL_MASKS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}")

    def drawing(self, *, validation: bool = False) -> dict[str, Any]:
        """How items are drawn, as arguments of their data set; no mask is full where decoders are measured."""
        return {
            "resolution": self.resolution,
            "masks": self.masks,
            "full_share": 0.0 if validation else self.full_share,
            "alternating": self.full_masks == "alternating" and not validation,
        }

    def rate(self, *, pretrained: bool) -> WarmupCosine:
        """Of the decoder's parameters."""
        factor = self.pretrained_rate if pretrained else 1.0
        return WarmupCosine(factor * self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor)

    def discriminator_rate(self) -> WarmupCosine:
        """Rate of the discriminator's parameters: zero in the step in which it joins (`LambdaWarmUpCosineScheduler_D`
        with `start_step` at `disc_start`), so that it changes from the step after that.
        """
        first = self.objective.adversary_from
        return WarmupCosine(self.learning_rate, self.steps, self.warmup, self.rate_start, self.rate_floor, first)
