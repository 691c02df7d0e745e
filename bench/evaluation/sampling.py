"""The sampling stage. It makes the latents of each block of items once, and saves them in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.data.items import Item
from bench.data.prefetch import ReadAhead
from bench.data.prepared import Items
from bench.evaluation.batch_size import Batches
from bench.generation.generator import Generator, float_images, image_batch, mask_batch
from bench.generation.method import Batch
from bench.runtime.device import moved
from bench.runtime.distributed import World
from bench.runtime.progress import Pace, Progress
from bench.store import Arrays, Check, Store, content_key, joined

__all__ = ["Sampling", "finite", "forget_if_fresh"]

VERSION = 2
"""Version number of the latents. It is increased when a change of the code changes the latents for equal settings."""
UNPROBED = 8
"""Batch size for other work if no probe has found a size. This happens if the store already has all latents, so that
nothing was sampled."""
LATENTS = "latents"
"""Name of the kind of array under which the store saves latents."""
FLOAT = np.dtype(np.float32)
"""Number type of all saved latents."""
KINDS = (LATENTS, "encoded", "encoded_known")
"""Names of the three latents that are saved for each item: the latents that the generator samples, the latents of the
encoded true image, and the latents of the encoded true image with a grey hole."""


class Sampling:
    """The sampling stage of a run: one generator makes the latents of all items."""

    def __init__(
        self,
        generator: Generator,
        *,
        identity: Any,
        seed: int,
        store: Store,
        device: torch.device,
        batches: Batches,
        world: World,
    ) -> None:
        """Set the generator and the store.

        Args:
            generator: generator, already on the device.
            identity: settings of the generator and hashes of its weights, as plain data.
            seed: seed of the run.
            store: store that saves the latents.
            device: device of the generator, to which images and masks are moved.
            batches: division of the items into batches, for sampling.
            world: processes of the run, which divide the blocks among themselves and use the same store.
        """
        self.generator, self.seed, self.store, self.device = generator, seed, store, device
        self.world = world
        self.counts = {"sampled": 0, "stored": 0}
        self._again: dict[str, Callable[[Progress], Arrays]] = {}
        self._fits: dict[str, Check] = {}
        self.pace = Pace()
        self._settings: Mapping[str, Any] = {"version": VERSION, "generator": identity, "seed": seed}
        self.batches = batches

    def run(self, items: Items) -> list[str]:
        """Make the latents of every block for which the store has none.

        Returns:
            Store key of the latents of each block, in the order of the blocks.
        """
        spans = {
            content_key({**self._settings, "items": items.lines(start, stop)}): (start, stop)
            for start, stop in items.blocks()
        }
        self._again = {key: partial(self._made, key, partial(items.read, *span)) for key, span in spans.items()}
        shape = self._shape_of_one(items)
        self._fits = {key: partial(_are_latents, stop - start, shape) for key, (start, stop) in spans.items()}
        self.store.uses.add(LATENTS, spans)
        forget_if_fresh(self.store, self.world, LATENTS, spans)
        mine = {key: {LATENTS: key} for key in self.world.share(list(spans))}
        count = sum(spans[key][1] - spans[key][0] for key in mine)
        with (
            Progress("sample", count) as progress,
            ReadAhead(items, [spans[key] for key in mine]) as ahead,
            closing(self.store.turns(LATENTS, mine, lambda key, _, arrays: self._fits[key](arrays))) as turns,
        ):
            for turn in turns:
                start, stop = spans[turn.block]
                if turn.missing:
                    self._made(turn.block, partial(ahead.read, (start, stop)), progress)
                else:
                    self.counts["stored"] += stop - start
                    progress.skip(stop - start)
        self.counts = {name: self.world.all_reduce_sum(count, self.device) for name, count in self.counts.items()}
        return list(spans)

    def _made(self, key: str, read: Callable[[], list[Item]], progress: Progress) -> Arrays:
        started = time.monotonic()
        block = read()
        arrays = self.block(block, progress)
        self.store.put(LATENTS, key, arrays)
        self.pace.add(len(block), since=started)
        self.counts["sampled"] += len(block)
        return arrays

    def _shape_of_one(self, items: Items) -> tuple[int, ...] | None:
        """Return the shape C×h×w of one item's latents; None if the generator does not declare the shape."""
        return self.generator.latent_shape(items.read(0, 1))

    def block(self, block: Sequence[Item], progress: Progress) -> Arrays:
        """Make the latents of some items, without using the store.

        Args:
            block: items.
            progress: progress bar, which is advanced after each batch.

        Returns:
            Latents N×C×h×w of the N items for each name in `KINDS`, float32, in the generator's scale.
        """

        def sampled(batch: Sequence[Item]) -> Arrays:
            seen, mask = float_images(image_batch(batch)), mask_batch(batch)
            made = {
                LATENTS: self.generator.sample(batch, self.seed),
                "encoded": self.generator.encode(seen),
                "encoded_known": self.generator.encode(seen * (mask == 0)),
            }
            ids = [item.id for item in batch]
            return {name: finite(values, f"sample: {name}", ids).float().cpu().numpy() for name, values in made.items()}

        made = []
        for arrays in self.batches.over(block, sampled, probe=lambda batch: self.generator.sample(batch, self.seed)):
            made.append(arrays)
            progress.advance(len(arrays[LATENTS]))
        return joined(made)

    @property
    def batch_size(self) -> int:
        """Number of items in a batch; `UNPROBED` if no size was given or found."""
        return self.batches.size or UNPROBED

    def latents_of(self, key: str) -> Arrays:
        """Return the latents of a block for which `run` was called.

        If the store no longer has them, they are made again.

        Args:
            key: store key of the block's latents.
        """
        arrays = self.store.get(LATENTS, key, self._fits[key])
        if arrays is None:
            arrays = self._again[key](Progress("sample", 0))
        return arrays

    def batch(self, items: Sequence[Item], latents: Arrays) -> tuple[Batch, torch.Tensor]:
        """Combine some items and their latents into the batch that methods receive.

        Args:
            items: B items.
            latents: latents of these items for each name in `KINDS`, as `block` returns them.

        Returns:
            The batch, and the true images B×3×H×W uint8. Both are on the device.
        """
        image, mask = (moved(tensor, self.device) for tensor in (image_batch(items), mask_batch(items)))
        z, encoded, known = (self.generator.decodable(torch.from_numpy(latents[name])) for name in KINDS)
        ids = tuple(item.id for item in items)
        return Batch(ids, z, float_images(image), mask, encoded, known), image


def finite(values: torch.Tensor, what: str, ids: Sequence[str]) -> torch.Tensor:
    """Check that values are finite before they are used or saved, and return them unchanged.

    Args:
        values: tensor whose first axis is the items; the shape of an entry is free.
        what: description of the values, which is the beginning of the message.
        ids: id of each item.

    Raises:
        FloatingPointError: some values are not finite; the message names their items.
    """
    fine = torch.isfinite(values).flatten(1).all(1).tolist()
    if not all(fine):
        bad = ", ".join(name for name, good in zip(ids, fine, strict=True) if not good)
        raise FloatingPointError(f"{what}: values that are not finite for {bad}")
    return values


def forget_if_fresh(store: Store, world: World, kind: str, keys: Iterable[str]) -> None:
    """Remove arrays from the store if the run was told to compute everything again (`fresh=true`).

    The first process removes them before any other process looks for them.

    Args:
        store: store of the run.
        world: processes of the run.
        kind: name of the kind of array.
        keys: store keys of the arrays.
    """
    if store.fresh:
        with world.main_process_first():
            if world.is_main_process:
                store.forget(kind, keys)


def _are_latents(count: int, shape: tuple[int, ...] | None, arrays: Arrays) -> bool:
    """Return whether arrays from the store can be the latents of a block.

    There must be one float32 array for each name in `KINDS`, and all arrays must have the same shape.

    Args:
        count: number of items of the block.
        shape: shape of one item's latents; None to accept any shape.
        arrays: arrays by name.
    """
    shapes = {values.shape for values in arrays.values()}
    if arrays.keys() != set(KINDS) or len(shapes) != 1 or {values.dtype for values in arrays.values()} != {FLOAT}:
        return False
    (found,) = shapes
    return found[:1] == (count,) and shape in (None, found[1:])
