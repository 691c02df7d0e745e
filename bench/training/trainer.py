"""Training of a decoder for a frozen first stage, on one or more devices.

An interrupted training resumes exactly from its last checkpoint. An item, its mask and its noise depend only on the
seed and on the item's position in the run, and learning rates depend only on the step. Therefore a checkpoint needs to
contain only the networks, their optimisers, the step, and the time that the training took so far.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from bench.data.imagenet_train import TrainingItem
from bench.errors import BadInputError, RunFailedError, TerminatedError
from bench.models.decoder import Decoder
from bench.models.discriminator import PatchDiscriminator
from bench.models.first_stage import FirstStage
from bench.runtime.device import tf32
from bench.runtime.distributed import World
from bench.runtime.seeding import seed_for
from bench.runtime.signals import Request, deferred
from bench.training.checkpoint import read_checkpoint, save_checkpoint
from bench.training.objective import DecoderStep, Perceptual
from bench.training.recipe import AUTO, TF32, DecoderRecipe

__all__ = [
    "CPU_AT_ONCE",
    "DecoderTraining",
    "Progressed",
    "check_at_once",
    "default_workers",
    "device_ids",
    "named_workers",
    "posterior_noise",
]

CPU_AT_ONCE = 8
"""Largest number of items in one forward pass on a CPU, if the training chooses it. More would not be faster there."""
MOST_WORKERS = 8
"""Largest default number of processes that read training data for one process that trains."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progressed:
    """The result of one update: its losses and learning rates, by name."""

    step: int
    """Number of finished updates."""
    losses: dict[str, float]
    rates: dict[str, float]


def check_at_once(recipe: DecoderRecipe, processes: int) -> None:
    """Check that several processes can share the items of one forward pass.

    Several processes cannot use `auto`: if only one process ran out of memory, the other processes would wait for its
    gradients for ever.

    Args:
        recipe: recipe of the training.
        processes: number of processes that train together.

    Raises:
        BadInputError: `recipe.at_once` is `auto` although several processes train, or it is not a multiple of
            `processes`.
    """
    if processes > 1 and recipe.at_once == AUTO:
        raise BadInputError(f"training.at_once: expected a number, because {processes} processes train, found {AUTO}")
    if isinstance(recipe.at_once, int) and recipe.at_once % processes:
        raise BadInputError(
            f"training.at_once: expected a multiple of {processes}, the number of processes, found {recipe.at_once}"
        )


def device_ids(device: torch.device) -> list[int] | None:
    """Return the argument `device_ids` of `DistributedDataParallel`.

    For a CUDA device with an index, this is a list that contains only the index. For all other devices it is None.
    """
    return [device.index] if device.type == "cuda" and device.index is not None else None


def posterior_noise(shape: tuple[int, ...], seed: int, positions: Sequence[int]) -> Tensor | None:
    """Return the standard normal noise with which the first stage samples the latents of some items.

    Args:
        shape: shape of the noise for one item; () if the first stage uses no noise.
        seed: seed of the run.
        positions: position of each item in the run. The noise of an item depends only on its position and on the seed.

    Returns:
        A tensor of B × `shape` on the CPU; None if `shape` is ().
    """
    if not shape:
        return None
    draws = [
        torch.randn(shape, generator=torch.Generator().manual_seed(seed_for(seed, "posterior", position)))
        for position in positions
    ]
    return torch.stack(draws)


@dataclass
class DecoderTraining:
    """A training run of a decoder. To train, iterate over `updates()`, which also saves the checkpoints."""

    decoder: Decoder
    """The decoder to train. It is changed in place."""
    first_stage: FirstStage
    data: Dataset[TrainingItem]
    perceptual: Perceptual
    recipe: DecoderRecipe
    seed: int
    device: torch.device
    folder: Path
    """Folder in which checkpoints are written and searched."""
    settings: str
    """Text that identifies the recipe and the data, such as a hash.

    The run resumes only from a checkpoint with an equal text.
    """
    pretrained: frozenset[str] = frozenset()
    """Names of the decoder's parameters that come from another decoder; they have a learning rate of their own."""
    world: World = field(default_factory=World)
    workers: int = 0
    """Number of data-loading processes that each training process starts; 0 to load data in the process itself."""
    at_once: int = field(default=0, init=False)
    """Number of items in one forward pass. It becomes smaller if `recipe.at_once` is `auto` and memory runs out."""
    discriminator: PatchDiscriminator | None = field(default=None, init=False)
    step: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    """Seconds that all updates took. After an interruption, only the time up to the last checkpoint is included."""

    def __post_init__(self) -> None:
        recipe = self.recipe
        self._sizes = recipe.sizes_at_once(CPU_AT_ONCE if self.device.type == "cpu" else None)
        self.at_once = self._sizes.pop(0)
        check_at_once(recipe, self.world.size)
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.decoder.to(self.device).to(memory_format=layout).train()
        if recipe.objective.adversary != "none" and recipe.objective.adversary_from < recipe.steps:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed_for(self.seed, "discriminator"))
                self.discriminator = PatchDiscriminator()
            self.discriminator.to(self.device).to(memory_format=layout).train()
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.decoder.named_parameters():
            groups[name in self.pretrained].append(parameter)
        self._groups = [kind for kind, parameters in groups.items() if parameters]
        self._optimizer = self._adam([groups[kind] for kind in self._groups])
        self._discriminator_optimizer = (
            self._adam([list(self.discriminator.parameters())]) if self.discriminator else None
        )
        self._request = Request()
        self._latest: Progressed | None = None
        self._unfinished: Progressed | None = None
        """Last update before an interruption, if the caller had not finished its work on it, such as a validation."""
        self._resume()

    def _adam(self, groups: Sequence[Sequence[nn.Parameter]]) -> torch.optim.Adam:
        return torch.optim.Adam(
            [{"params": list(parameters)} for parameters in groups], lr=0.0, betas=self.recipe.betas, fused=True
        )

    # --- the loop ----------------------------------------------------------------------------------------------------

    def updates(self) -> Iterator[Progressed]:
        """Train to the last step, and yield the result of each update.

        The caller works on the result of an update, for example in a validation, and then requests the next update. If
        a checkpoint of the finished update is due, it is written only at this request. If the caller is killed before
        the request, the finished update is repeated after a restart.

        SIGTERM ends a training of one process at once: an update that has not changed the weights yet is abandoned, and
        the caller's block in `interruptible` is abandoned as well. Several processes wait for each other in every pass.
        Therefore they abandon the update together, before their next pass.

        Raises:
            FloatingPointError: a loss is not finite. The message names the last checkpoint, which is complete.
            TerminatedError: SIGTERM was received. If an update is finished, a checkpoint of the last one was written.
            OSError: the disk is full. The last checkpoint is complete.
        """
        step_of = self._create_step()
        with deferred() as self._request:
            if self._unfinished is not None:
                self._latest = self._unfinished
                yield self._latest
                self._unfinished = None
            batches: Iterator[Mapping[str, Tensor]] = iter(self._loader())
            while self.step < self.recipe.steps:
                started = time.monotonic()
                sums: dict[str, Tensor] | None = None
                statistics = self._statistics()
                try:
                    with self._ends_at_once():
                        sums = self._gradients(step_of, batches)
                except torch.OutOfMemoryError:
                    if not self._sizes:
                        raise
                except TerminatedError:  # the weights are still those of the last finished update
                    for buffer, before in statistics:
                        buffer.copy_(before)
                    if self.step:
                        self.save()
                    raise
                if sums is None:  # outside the `except` block, the exception no longer keeps tensors alive
                    batches = self._with_smaller_passes()
                    continue
                means = dict(
                    zip(sums, self.world.all_reduce_mean(torch.stack(list(sums.values()))).tolist(), strict=True)
                )
                if not all(torch.isfinite(torch.tensor(value)) for value in means.values()):
                    raise FloatingPointError(self._not_finite_message(means))
                rates = self._update()
                self.step += 1
                self.seconds += time.monotonic() - started
                self._latest = Progressed(self.step, means, rates)
                yield self._latest
                # Save only now, so that a validation that the caller did not finish is repeated after a restart.
                if self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps:
                    self.save()
            if self._request.made:
                raise TerminatedError
        self.decoder.eval()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let SIGTERM end the caller's block at once, if the training has one process.

        The block contains the caller's work on the result of an update. On SIGTERM, a checkpoint is written that also
        contains this result. After a restart, `updates` yields the result again before all others, because the block
        was not finished. No checkpoint is written if only the first update of the training is finished.

        Raises:
            TerminatedError: SIGTERM was received during the block or before it.
        """
        try:
            with self._ends_at_once():
                yield
        except TerminatedError:
            if self.step > 1:
                self.save(self._latest)
            raise

    def _statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Return each buffer of the discriminator with a copy of its values, because passes change the buffers."""
        buffers = [] if self.discriminator is None else list(self.discriminator.buffers())
        return [(buffer, buffer.clone()) for buffer in buffers]

    def _ends_at_once(self) -> AbstractContextManager[None]:
        return self._request.ends_at_once() if self.world.size == 1 else nullcontext()

    def _gradients(self, step_of: DecoderStep, batches: Iterator[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Compute the gradients of one update, and return the mean of each loss over the passes of this update.

        Raises:
            TerminatedError: SIGTERM was received. If there are several processes, all raise it before the same pass.
        """
        for optimizer in (self._optimizer, self._discriminator_optimizer):
            if optimizer is not None:
                optimizer.zero_grad(set_to_none=True)
        passes = self.recipe.batch_size // self.at_once
        sums: dict[str, Tensor] = {}
        for number in range(passes):
            if self.world.size > 1 and self.world.any_process(self._request.made, self.device):
                raise TerminatedError
            batch = next(batches)
            with self._delay_exchange(number < passes - 1), tf32(self.recipe.precision == TF32):
                losses = self._pass(step_of, batch, share=1 / passes)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value / passes
        return sums

    def _with_smaller_passes(self) -> Iterator[Mapping[str, Tensor]]:
        """Take the next smaller number of items for a pass, and return the batches from the current update on."""
        before, self.at_once = self.at_once, self._sizes.pop(0)
        torch.cuda.empty_cache()
        log.warning(
            "%d items at once do not fit into the device's memory; the training continues with %d at once",
            before,
            self.at_once,
        )
        return iter(self._loader())

    def _create_step(self) -> DecoderStep:
        decoder: nn.Module = torch.compile(self.decoder) if self.recipe.compile else self.decoder  # type: ignore[assignment]
        discriminator: nn.Module | None = self.discriminator
        if self.world.size > 1:
            ids = device_ids(self.device)
            decoder = DistributedDataParallel(decoder, device_ids=ids)
            discriminator = discriminator and DistributedDataParallel(
                discriminator, device_ids=ids, broadcast_buffers=False
            )
        self._exchanged = [net for net in (decoder, discriminator) if isinstance(net, DistributedDataParallel)]
        return DecoderStep(
            decoder, self.decoder.conv_out, discriminator, self.perceptual, self.recipe.objective, self._autocast
        )

    def _pass(self, step_of: DecoderStep, batch: Mapping[str, Tensor], *, share: float) -> dict[str, Tensor]:
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        image = batch["image"].to(self.device, memory_format=layout, non_blocking=True)
        noise = posterior_noise(self.first_stage.noise_shape(image), self.seed, batch["position"].tolist())
        with self._autocast():
            z = self.first_stage.latents(image, noise)
        mask = batch["mask"].to(self.device, non_blocking=True) if self.decoder.condition_encoder is not None else None
        return step_of(z, image, mask, step=self.step, share=share)

    def _update(self) -> dict[str, float]:
        rates = {}
        for group, pretrained in zip(self._optimizer.param_groups, self._groups, strict=True):
            group["lr"] = self.recipe.rate(pretrained=pretrained)(self.step)
            rates["pretrained" if pretrained else "fresh"] = group["lr"]
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.decoder.parameters(), self.recipe.clip)
        self._optimizer.step()
        if self._discriminator_optimizer is not None and self.recipe.objective.adversarial(self.step):
            self._discriminator_optimizer.param_groups[0]["lr"] = self.recipe.discriminator_rate()(self.step)
            rates["discriminator"] = self._discriminator_optimizer.param_groups[0]["lr"]
            self._discriminator_optimizer.step()
        return rates

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    @contextmanager
    def _delay_exchange(self, hold: bool) -> Iterator[None]:
        """Prevent the exchange of gradients between processes during the block if `hold` is True.

        Only the last pass of an update exchanges gradients. Until then, each process adds up the gradients of its
        passes.
        """
        before = [net.require_backward_grad_sync for net in self._exchanged]
        for net in self._exchanged:
            net.require_backward_grad_sync = not hold
        yield
        for net, synced in zip(self._exchanged, before, strict=True):
            net.require_backward_grad_sync = synced

    def _loader(self) -> DataLoader[TrainingItem]:
        at_once = self.at_once
        each = at_once // self.world.size

        def positions() -> Iterator[list[int]]:
            passes = self.recipe.batch_size // at_once
            for number in range(self.step * passes, self.recipe.steps * passes):
                first = number * at_once + self.world.rank * each
                yield list(range(first, first + each))

        return DataLoader(
            self.data,
            batch_sampler=_Positions(positions),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        return sorted(self.folder.glob("step_*.pt"))

    def save(self, unfinished: Progressed | None = None) -> None:
        """Write a checkpoint of the current step, and remove all checkpoints except the newest `recipe.keep`.

        Only the main process writes; the other processes wait for it.

        Args:
            unfinished: the update of this step, if `updates` must yield it again after a restart.
        """
        if self.world.is_main_process:
            state = {"step": self.step, "seconds": self.seconds, "decoder": self.decoder.state_dict()}
            if unfinished is not None:
                state["unfinished"] = {"losses": unfinished.losses, "rates": unfinished.rates}
            state["optimizer"] = self._optimizer.state_dict()
            if self.discriminator is not None and self._discriminator_optimizer is not None:
                state["discriminator"] = self.discriminator.state_dict()
                state["discriminator_optimizer"] = self._discriminator_optimizer.state_dict()
            save_checkpoint(self.folder / f"step_{self.step:08d}.pt", state, settings=self.settings)
            for old in self.checkpoints()[: -self.recipe.keep]:
                old.unlink()
        self.world.wait()

    def _resume(self) -> None:
        found = self.checkpoints()
        if not found:
            return
        state = read_checkpoint(found[-1], settings=self.settings)
        self.decoder.load_state_dict(state["decoder"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.discriminator is not None and self._discriminator_optimizer is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self._discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        if "unfinished" in state:
            self._unfinished = Progressed(self.step, **state["unfinished"])
        log.info("the training continues from step %d", self.step)

    @property
    def told(self) -> int:
        """Number of updates whose results the caller already has when `updates` is called."""
        return self.step - (self._unfinished is not None)

    def _not_finite_message(self, losses: Mapping[str, float]) -> str:
        found = self.checkpoints()
        last = f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"
        values = ", ".join(f"{name} {value:g}" for name, value in losses.items())
        return f"the loss of step {self.step} is not finite ({values}); {last}"


@dataclass
class _Positions:
    """A batch sampler for a known sequence of batches; each batch is a list of positions."""

    make: Callable[[], Iterator[list[int]]]

    def __iter__(self) -> Iterator[list[int]]:
        return self.make()


def default_workers(device: torch.device, processes: int) -> int:
    """Return how many processes should read training data for each process that trains.

    Args:
        device: device of the training. The result is 0 for a CPU, because the training itself needs all cores.
        processes: number of processes that train. They are assumed to share this machine's cores.
    """
    return 0 if device.type == "cpu" else min(MOST_WORKERS, (os.cpu_count() or 1) // processes)


@contextmanager
def named_workers() -> Iterator[None]:
    """Replace the errors of data-loading processes during the block by errors with one clear message.

    If a data-loading process dies, PyTorch is notified by a signal and can raise the error at any point of the
    training. The block must therefore contain the whole training.

    Raises:
        RunFailedError: a data-loading process died.
        BadInputError: a data-loading process raised a `BadInputError`. PyTorch's additions to the message are removed.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise RunFailedError(
            f"a process that loads pictures ended, possibly for lack of memory ({error}); to continue from the last "
            "checkpoint, run the same command again with more memory or with fewer such processes (workers=N)"
        ) from None
    except BadInputError as error:
        said = str(error).rpartition(f"{BadInputError.__module__}.{BadInputError.__name__}: ")[2]
        raise BadInputError(said.strip()) from None
