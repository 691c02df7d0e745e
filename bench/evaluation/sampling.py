"""The sampling stage, which makes the latents of every block of items once and saves them in the store."""

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
"""Version number, increased when a change of the code gives other latents for the same settings."""
UNPROBED = 8
"""Batch size that is used while no probe has found one, because nothing had to be sampled."""
LATENTS = "latents"
"""Store kind under which latents are saved."""
FLOAT = np.dtype(np.float32)
"""Type of all saved latents."""
KINDS = (LATENTS, "encoded", "encoded_known")
"""Latents saved for each item: the generator's, those of the whole image, and those of the image with a grey hole."""


class Sampling:
    """The latents of one generator for all items of a run."""

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
            device: device to which batches are moved.
            batches: batches in which items are sampled.
            world: processes that share the work and the store.
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
        """Make the latents of every block that the store does not have, and return the key of each block."""
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
        """Return the shape of one item's latents; None if the generator does not declare it."""
        return self.generator.latent_shape(items.read(0, 1))

    def block(self, block: Sequence[Item], progress: Progress) -> Arrays:
        """Return the latents of some items for each of `KINDS`, in the generator's scale."""

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
        """Number of items in a batch."""
        return self.batches.size or UNPROBED

    def latents_of(self, key: str) -> Arrays:
        """Return the latents of a block that `run` has processed, made again if the store has lost them since."""
        arrays = self.store.get(LATENTS, key, self._fits[key])
        if arrays is None:
            arrays = self._again[key](Progress("sample", 0))
        return arrays

    def batch(self, items: Sequence[Item], latents: Arrays) -> tuple[Batch, torch.Tensor]:
        """Return the batch that a method receives for some items, and their true images B×3×H×W uint8, on the device.

        Args:
            items: B items.
            latents: latents of these items for each of `KINDS`.
        """
        image, mask = (moved(tensor, self.device) for tensor in (image_batch(items), mask_batch(items)))
        z, encoded, known = (self.generator.decodable(torch.from_numpy(latents[name])) for name in KINDS)
        ids = tuple(item.id for item in items)
        return Batch(ids, z, float_images(image), mask, encoded, known), image


def finite(values: torch.Tensor, what: str, ids: Sequence[str]) -> torch.Tensor:
    """Return the values if all are finite, so that other values are never saved.

    Args:
        values: one entry of any shape for each item.
        what: description of the values, with which the message begins.
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
    """Remove saved arrays before any process looks for them, if the run must make everything anew."""
    if store.fresh:
        with world.main_process_first():
            if world.is_main_process:
                store.forget(kind, keys)


def _are_latents(count: int, shape: tuple[int, ...] | None, arrays: Arrays) -> bool:
    """Return whether arrays are latents of `count` items in the given shape, or in any single shape if it is None."""
    shapes = {values.shape for values in arrays.values()}
    if arrays.keys() != set(KINDS) or len(shapes) != 1 or {values.dtype for values in arrays.values()} != {FLOAT}:
        return False
    (found,) = shapes
    return found[:1] == (count,) and shape in (None, found[1:])
