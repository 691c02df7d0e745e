"""A training loop that can be interrupted and resumed.

Each step depends only on its number and on the state that a checkpoint saves. A training that is killed at any moment
and started again therefore ends with the same weights as an uninterrupted training.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.runtime.seeding import seed_for
from bench.training.checkpoint import read_checkpoint, save_checkpoint

__all__ = ["Schedule", "fit", "seeded", "torch_generator"]

log = logging.getLogger(__name__)

LOG_EVERY = 100


@dataclass(frozen=True)
class Schedule:
    """The length and the learning rate of a training with AdamW.

    The rate rises linearly to `learning_rate` in the warm-up. It then falls along half a cosine to 1 % of
    `learning_rate`.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of all gradients together. Larger gradients are scaled down to it."""
    save_every: int = 250

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.save_every) < 1 or self.learning_rate <= 0:
            raise ValueError(
                "steps, batch_size, save_every, learning_rate: expected 1 or more for the first three and a "
                f"learning_rate above 0, found {self.steps}, {self.batch_size}, {self.save_every}, {self.learning_rate}"
            )

    def factor(self, step: int) -> float:
        """Return the learning rate of a step as a fraction of `learning_rate`, in (0, 1]."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def torch_generator(run_seed: int, *purpose: str | int) -> torch.Generator:
    """Return a random generator for one purpose. It is on the CPU, so that its draws are equal on every device.

    Args:
        run_seed: seed of the run.
        purpose: words and numbers that name the purpose. Different purposes get independent draws.
    """
    return torch.Generator().manual_seed(seed_for(run_seed, *purpose))


@contextmanager
def seeded(run_seed: int, *purpose: str | int) -> Iterator[None]:
    """Seed PyTorch's global random generator on the CPU during the block, for example to draw a new network's weights.

    After the block, the generator has the state that it had before the block.

    Args:
        run_seed: seed of the run.
        purpose: words and numbers that name the purpose. Different purposes get independent draws.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(run_seed, *purpose))
        yield


def fit(
    model: nn.Module,
    loss: Callable[[int], Mapping[str, Tensor]],
    schedule: Schedule,
    *,
    checkpoint: Path,
    settings: str,
) -> float:
    """Train a model in place. If the checkpoint exists, the training continues from the checkpoint.

    Args:
        model: module with all trained parameters. Parameters that do not require gradients stay unchanged.
        loss: function that returns the terms of the loss at a step, each a scalar. The sum of the terms is minimised.
        schedule: number of steps, and their learning rates.
        checkpoint: file that is written every `save_every` steps and at the end.
        settings: text that identifies the training, such as the hash of its recipe. Only a checkpoint with an equal
            text is resumed.

    Returns:
        The seconds that all steps took. After an interruption, only the time up to the last checkpoint is included.

    Raises:
        BadInputError: the checkpoint has other settings, or is damaged.
        OSError: the disk is full. The last checkpoint is complete.
        FloatingPointError: the loss is not finite.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    first, earlier_seconds = _resume(model, optimizer, checkpoint, settings)
    model.train()
    sums: dict[str, float] = {}
    started, logged = time.monotonic(), first
    for step in range(first, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * schedule.factor(step)
        terms = loss(step)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"{checkpoint.stem}: the loss of step {step} is not finite")
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(trained, schedule.clip)
        optimizer.step()
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        done = step + 1
        if done % LOG_EVERY == 0 or done == schedule.steps:
            means = "  ".join(f"{name} {value / (done - logged):.4f}" for name, value in sums.items())
            rate = (done - first) / (time.monotonic() - started)
            minutes_left = (schedule.steps - done) / rate / 60
            log.info(
                "%s  step %d/%d  %s  %.2f steps/s  %.0f min left",
                checkpoint.stem,
                done,
                schedule.steps,
                means,
                rate,
                minutes_left,
            )
            sums, logged = {}, done
        if done % schedule.save_every == 0 or done == schedule.steps:
            state = {
                "step": done,
                "seconds": earlier_seconds + time.monotonic() - started,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
            }
            save_checkpoint(checkpoint, state, settings=settings)
    model.eval()
    return earlier_seconds + time.monotonic() - started


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, path: Path, settings: str) -> tuple[int, float]:
    if not path.is_file():
        return 0, 0.0
    state = read_checkpoint(path, settings=settings)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])
