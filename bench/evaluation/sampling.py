"""The sampling stage. It makes the latents of each block of items once, and saves them in the store.

It samples latents for all rows. It also encodes the true images, but only if a row or a control of the run needs the
encoded images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.data.items import Item
from bench.data.prefetch import ReadAhead
from bench.data.prepared import Items
from bench.evaluation.batch_size import Batches, finished_one_later
from bench.generation.generator import Generator, float_images, image_batch, mask_batch
from bench.generation.method import ENCODED, Batch
from bench.runtime.copies import ReadBack, moved
from bench.runtime.distributed import World
from bench.runtime.progress import Pace, Progress
from bench.store import Arrays, Fact, Store, content_key, joined

__all__ = ["NeededLatents", "Sampling", "finite_items", "forget_if_fresh", "latents_of_items", "refuse_not_finite"]

VERSION = 2
"""Version number of the latents. It is increased when a change of the code changes the latents for equal settings."""
UNPROBED = 8
"""Batch size for work other than sampling if no probe has found a size. This happens if the store already has all
latents, so that nothing was sampled."""
POLL = 0.2
"""Seconds after which a process checks again whether the main process has removed the arrays."""
LATENTS = "latents"
"""Name of the kind of array under which the store saves latents."""
FLOAT = np.dtype(np.float32)
"""Number type of all saved latents."""
KINDS = (LATENTS, *ENCODED)
"""Names of the three kinds of latents: the latents that the generator samples, the latents of the encoded true image,
and the latents of the encoded true image with a grey hole."""


@dataclass(frozen=True)
class NeededLatents:
    """Description of the latents that a run needs."""

    identity: Any
    """Settings of the generator and hashes of its weights, as plain data."""
    seed: int
    """Seed of the run."""
    encoded: Sequence[str] = ENCODED
    """Kinds of encoded latents that are needed beside the sampled ones, some of `ENCODED`."""
    shape: Sequence[int] | None = None
    """Shape C×h×w of one item's latents; None if the generator does not declare it."""


class Sampling:
    """The sampling stage of a run: one generator makes the latents of all items."""

    def __init__(
        self,
        generator: Callable[[], Generator],
        needed: NeededLatents,
        *,
        store: Store,
        device: torch.device,
        batches: Batches,
        world: World,
    ) -> None:
        """Set the generator and the store.

        Args:
            generator: function that returns the generator, on the device. It is called only when the generator is
                needed. If the store has all latents, a run may not need the generator.
            needed: description of the latents to make.
            store: store that saves the latents.
            device: device of the generator, to which images and masks are moved.
            batches: division of the items into batches, for sampling.
            world: processes of the run. They use the same store, and each process takes the next block that no other
                process has.
        """
        self._generator, self.seed, self.store, self.device = generator, needed.seed, store, device
        self.world = world
        self.counts = {"sampled": 0, "stored": 0}
        self._parts: dict[str, dict[str, str]] = {}
        """For each block, the store key of each kind of its latents.

        The outer key is the store key of the block's sampled latents. The inner key is the kind.
        """
        self._read: dict[str, Callable[[], list[Item]]] = {}
        self._fits: dict[str, Callable[[str, Arrays], bool]] = {}
        self.pace = Pace()
        self._settings: Mapping[str, Any] = {"version": VERSION, "generator": needed.identity, "seed": self.seed}
        self._shape = None if needed.shape is None else tuple(needed.shape)
        self.batches = batches
        self.kinds = (LATENTS, *(kind for kind in ENCODED if kind in needed.encoded))
        """Kinds of latents that the run needs, some of `KINDS`."""

    @property
    def generator(self) -> Generator:
        """The generator, which makes the latents. The first access loads it."""
        return self._generator()

    def run(self, items: Items) -> list[str]:
        """Make the latents of every block for which the store has none.

        If there are several processes, each process takes blocks that no other process has, until the store has all
        blocks. A slow process therefore does not delay the others, and this function returns in all processes at about
        the same time.

        Returns:
            Store key of the latents of each block, in the order of the blocks.
        """
        spans = {self._key(items.lines(*span), LATENTS): span for span in items.blocks()}
        self._parts = {
            key: {LATENTS: key} | {kind: self._key(items.lines(*span), kind) for kind in self.kinds[1:]}
            for key, span in spans.items()
        }
        self._read = {key: partial(items.read, *span) for key, span in spans.items()}
        self._fits = {key: partial(_are_latents, stop - start, self._shape) for key, (start, stop) in spans.items()}
        every = [part for parts in self._parts.values() for part in parts.values()]
        self.store.uses.add(LATENTS, every)
        forget_if_fresh(self.store, self.world, LATENTS, every)
        blocks = {key: self._parts[key] for key in self.world.rotated(list(spans))}
        with (
            Progress("sample", len(items)) as progress,
            ReadAhead(items, [spans[key] for key in blocks]) as ahead,
            closing(
                self.store.turns(LATENTS, blocks, lambda key, kind, arrays: self._fits[key](kind, arrays))
            ) as turns,
        ):
            for turn in turns:
                start, stop = spans[turn.block]
                if turn.missing:
                    self._made(turn.block, partial(ahead.read, (start, stop)), turn.missing, progress)
                else:
                    progress.skip(stop - start)
        sampled = self.world.all_reduce_sum(self.counts["sampled"], self.device)
        self.counts = {"sampled": sampled, "stored": max(0, len(items) - sampled)}
        return list(spans)

    def _key(self, lines: list[dict[str, Any]], kind: str) -> str:
        """Return the store key of one kind of latents of a block.

        Args:
            lines: description of the block's items.
            kind: one of `KINDS`.
        """
        known = {**self._settings, "items": lines}
        return content_key(known if kind == LATENTS else {**known, "kind": kind})

    def _made(
        self, key: str, read: Callable[[], list[Item]], kinds: Sequence[str], progress: Progress
    ) -> dict[str, Arrays]:
        """Make some kinds of latents of a block, save them, and return them by kind."""
        started = time.monotonic()
        block = read()
        arrays = self.block(block, progress, kinds)
        made = {kind: {kind: arrays[kind]} for kind in kinds}
        self.store.put_all(LATENTS, {self._parts[key][kind]: values for kind, values in made.items()})
        if LATENTS in kinds:
            self.counts["sampled"] += len(block)
            if set(kinds) == set(self.kinds):
                self.pace.add(len(block), since=started)
        return made

    def block(self, block: Sequence[Item], progress: Progress, kinds: Sequence[str] | None = None) -> Arrays:
        """Make latents of some items, without using the store.

        Args:
            block: items.
            progress: progress bar, which is advanced after each batch.
            kinds: kinds of latents to make; None for all kinds that the run needs.

        Returns:
            Latents N×C×h×w of the N items for each of the kinds, float32, in the generator's scale.
        """
        wanted = self.kinds if kinds is None else kinds

        def queue(batch: Sequence[Item]) -> BatchOfLatents:
            made = latents_of_items(self.generator, batch, self.seed, wanted)
            return BatchOfLatents([item.id for item in batch], made)

        def queued() -> Iterator[Callable[[], Arrays]]:
            for batch in self.batches.over(block, queue, probe=lambda batch: self.generator.sample(batch, self.seed)):
                progress.advance(len(batch.ids))
                yield batch.wait

        return joined(list(finished_one_later(queued())))

    @property
    def batch_size(self) -> int:
        """Number of items in a batch; `UNPROBED` if no size was given or found."""
        return self.batches.size or UNPROBED

    def latents_of(self, key: str) -> Arrays:
        """Return the latents of a block as a mapping from their kind to the array.

        `run` must have been called for the items first. If the store no longer has the latents, they are made again.

        Args:
            key: store key of the block's latents, as `run` returns it.
        """
        parts, fits = self._parts[key], self._fits[key]
        found = {kind: self.store.get(LATENTS, part, partial(fits, kind)) for kind, part in parts.items()}
        lost = [kind for kind, arrays in found.items() if arrays is None]
        if lost:
            found |= self._made(key, self._read[key], lost, Progress("sample", 0))
        return {kind: arrays[kind] for kind, arrays in found.items() if arrays is not None}

    def batch(self, items: Sequence[Item], latents: Arrays) -> tuple[Batch, torch.Tensor]:
        """Combine some items and their latents into the batch that methods receive.

        Args:
            items: B items.
            latents: latents of these items for some of the names in `KINDS`, as `block` returns them.

        Returns:
            The batch, and the true images B×3×H×W uint8. Both are on the device.
        """
        image, mask = (moved(tensor, self.device) for tensor in (image_batch(items), mask_batch(items)))
        z, encoded, known = (
            self.generator.decodable(torch.from_numpy(latents[name])) if name in latents else None for name in KINDS
        )
        assert z is not None  # every run needs the sampled latents
        ids = tuple(item.id for item in items)
        return Batch(ids, z, float_images(image), mask, encoded, known), image


class BatchOfLatents:
    """The latents of one batch, which are being copied to the memory of the CPU."""

    def __init__(self, ids: Sequence[str], made: Mapping[str, Tensor]) -> None:
        """Start to copy the latents.

        Args:
            ids: ids of the B items.
            made: latents B×C×h×w of each kind.
        """
        self.ids, self._kinds = ids, list(made)
        flags = {("finite", kind): finite_items(values) for kind, values in made.items()}
        self._copies = ReadBack({**flags, **{("values", kind): values.float() for kind, values in made.items()}})

    def wait(self) -> Arrays:
        """Wait for the latents, and return them by kind.

        Raises:
            FloatingPointError: some latents are not finite; the message names their items.
        """
        found = self._copies.wait()
        for kind in self._kinds:
            refuse_not_finite(found["finite", kind], f"sample: {kind}", self.ids)
        return {kind: found["values", kind] for kind in self._kinds}


def latents_of_items(
    generator: Generator, items: Sequence[Item], seed: int, kinds: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Make latents of some items with a generator.

    Args:
        generator: generator, on its device.
        items: N items.
        seed: seed of the run.
        kinds: kinds of latents to make, some of `KINDS`.

    Returns:
        Latents N×C×h×w for each of the kinds, in the generator's scale.
    """
    made = {}
    if LATENTS in kinds:
        made[LATENTS] = generator.sample(items, seed)
    if not set(ENCODED).isdisjoint(kinds):
        seen = float_images(image_batch(items))
        if "encoded" in kinds:
            made["encoded"] = generator.encode(seen)
        if "encoded_known" in kinds:
            made["encoded_known"] = generator.encode(seen * (mask_batch(items) == 0))
    return made


def finite_items(values: Tensor) -> Tensor:
    """Return B booleans, on the device of the values: for each item, True if all values of the item are finite.

    Args:
        values: tensor whose first axis counts the B items. The other axes may have any number and any size.
    """
    return torch.isfinite(values).flatten(1).all(1)


def refuse_not_finite(fine: npt.NDArray[np.bool_], what: str, ids: Sequence[str]) -> None:
    """Check that the values of all items are finite before they are used or saved.

    Args:
        fine: for each item, True if its values are finite; see `finite_items`.
        what: description of the values, with which the message begins.
        ids: id of each item.

    Raises:
        FloatingPointError: some values are not finite; the message names their items.
    """
    if not fine.all():
        bad = ", ".join(name for name, good in zip(ids, fine, strict=True) if not good)
        raise FloatingPointError(f"{what}: expected finite values, found values that are not finite for items {bad}")


def forget_if_fresh(store: Store, world: World, kind: str, keys: Iterable[str]) -> None:
    """Remove arrays from the store if the run was told to compute everything again (`fresh=true`).

    The main process removes the arrays, saves in the store that they are removed, and goes on without waiting for any
    other process. Any other process waits until the store says that the arrays are removed.

    Args:
        store: store of the run.
        world: processes of the run.
        kind: name of the kind of array.
        keys: store keys of the arrays.
    """
    if not store.fresh:
        return
    every = sorted(keys)
    run = {"session": world.session, "experiment": store.uses.experiment, "kind": kind}
    note = Fact(store.root, {"what": "arrays removed for fresh=true", **run, "keys": content_key({"keys": every})})
    if world.is_main_process:
        store.forget(kind, every)
        if world.size > 1:
            note.remember({"arrays": len(every)})
        return
    while note.recall() is None:
        time.sleep(POLL)


def _are_latents(count: int, shape: tuple[int, ...] | None, kind: str, arrays: Arrays) -> bool:
    """Return True if arrays from the store can be one kind of latents of a block.

    The array with the name of the kind must exist, and must have the right type and shape. Further arrays are allowed,
    because earlier versions saved all kinds of latents together.

    Args:
        count: number of items of the block.
        shape: shape of one item's latents; None to accept any shape.
        kind: one of `KINDS`.
        arrays: arrays by name.
    """
    found = arrays.get(kind)
    if found is None or found.dtype != FLOAT:
        return False
    return found.shape[:1] == (count,) and shape in (None, found.shape[1:])
