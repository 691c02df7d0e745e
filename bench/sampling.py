"""The stage that samples: latents of every block of items, made once and kept in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch

from bench.data.items import Item
from bench.data.manifest import Items
from bench.data.reading import ReadAhead
from bench.device import moved
from bench.generation.batching import Batches
from bench.generation.decoding import Batch
from bench.generation.latents import Generator, float_images, image_batch, mask_batch
from bench.progress import Pace, Progress
from bench.store import Arrays, Store, content_key, joined
from bench.world import World

__all__ = ["Sampling", "finite"]

VERSION = 2
"""Raised when the same settings give other latents."""
UNPROBED = 8
"""Items at once where a probe is to find how many, and nothing had to be sampled yet."""
LATENTS = "latents"
"""Their kind in the store."""
KINDS = (LATENTS, "encoded", "encoded_known")
"""Of each item: the generator's, the first stage's of its image, and of the image with grey in the hole."""


class Sampling:
    """Latents of one generator."""

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
        """Take what makes latents and where they are kept.

        Args:
            generator: on the device.
            identity: what it is, its weights by their hashes, as plain data.
            seed: the run's.
            store: keeps the latents.
            device: where batches are put.
            batches: how many items are sampled at once.
            world: the processes that share the work and the store.
        """
        self.generator, self.seed, self.store, self.device = generator, seed, store, device
        self.world = world
        self.counts = {"sampled": 0, "stored": 0}
        self._again: dict[str, Callable[[Progress], Arrays]] = {}
        self.pace = Pace()
        self._settings: Mapping[str, Any] = {"version": VERSION, "generator": identity, "seed": seed}
        self.batches = batches

    def run(self, items: Items) -> list[str]:
        """Latents of every block, in the store; returns their keys."""
        spans = {
            content_key({**self._settings, "items": items.lines(start, stop)}): (start, stop)
            for start, stop in items.blocks()
        }
        self._again = {key: partial(self._made, key, partial(items.read, *span)) for key, span in spans.items()}
        self.store.uses.add(LATENTS, spans)
        mine = {key: {LATENTS: key} for key in self.world.share(list(spans))}
        count = sum(spans[key][1] - spans[key][0] for key in mine)
        with (
            Progress("sample", count) as progress,
            ReadAhead(items, [spans[key] for key in mine]) as ahead,
            closing(self.store.turns(LATENTS, mine)) as turns,
        ):
            for turn in turns:
                start, stop = spans[turn.block]
                if turn.missing:
                    self._made(turn.block, partial(ahead.read, (start, stop)), progress)
                else:
                    self.counts["stored"] += stop - start
                    progress.skip(stop - start)
        self.counts = {name: self.world.total(count, self.device) for name, count in self.counts.items()}
        return list(spans)

    def _made(self, key: str, read: Callable[[], list[Item]], progress: Progress) -> Arrays:
        started = time.monotonic()
        block = read()
        arrays = self.block(block, progress)
        self.store.put(LATENTS, key, arrays)
        self.pace.add(len(block), since=started)
        self.counts["sampled"] += len(block)
        return arrays

    def block(self, block: Sequence[Item], progress: Progress) -> Arrays:
        """Latents of some items by their `KINDS`, as the generator scales them."""

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
        """Items at once."""
        return self.batches.size or UNPROBED

    def latents_of(self, key: str) -> Arrays:
        """Latents of a block that `run` has seen; made again where the store has lost them since."""
        arrays = self.store.get(LATENTS, key)
        if arrays is None:
            arrays = self._again[key](Progress("sample", 0))
        return arrays

    def batch(self, items: Sequence[Item], latents: Arrays) -> tuple[Batch, torch.Tensor]:
        """What a method may use of some items, and their true images B×3×H×W uint8, on the device.

        Args:
            items: B of them.
            latents: theirs, by their `KINDS`.
        """
        image, mask = (moved(tensor, self.device) for tensor in (image_batch(items), mask_batch(items)))
        z, encoded, known = (self.generator.decodable(torch.from_numpy(latents[name])) for name in KINDS)
        ids = tuple(item.id for item in items)
        return Batch(ids, z, float_images(image), mask, encoded, known), image


def finite(values: torch.Tensor, what: str, ids: Sequence[str]) -> torch.Tensor:
    """The values, unless some of an item's are not finite: then nothing is to be stored of them.

    Raises:
        FloatingPointError: the message names those items.
    """
    fine = torch.isfinite(values).flatten(1).all(1).tolist()
    if not all(fine):
        bad = ", ".join(name for name, good in zip(ids, fine, strict=True) if not good)
        raise FloatingPointError(f"{what}: values that are not finite for {bad}")
    return values
