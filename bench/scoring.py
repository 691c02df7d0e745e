"""The stage that scores: every measure on every row's images, all rows inside a batch, kept in the store by block."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.data.items import Item
from bench.data.manifest import Items
from bench.data.reading import ReadAhead
from bench.generation.batching import Batches
from bench.generation.decoding import Method
from bench.metrics.features import Features, Piece
from bench.metrics.measure import Measure
from bench.metrics.scoring import Scorer, Unit
from bench.metrics.summary import HOLE_ONLY, Scored
from bench.progress import Pace, Progress
from bench.sampling import Sampling, finite
from bench.store import Arrays, Store, content_key, joined

__all__ = ["VERSION", "Part", "Scoring", "unit_interval"]

VERSION = 2
"""Raised when the same images give other scores."""
Part = tuple[str, Unit]
"""A row, or `TRUTH`, and what is measured on its images."""
Column = tuple[Part, str]
"""One array of a part."""
Array = npt.NDArray[Any]
SCORES = "scores"
"""Their kind in the store."""
TRUTH = ""
"""Stands for the true images where scores are kept by row."""


class Scoring:
    """All rows of one table."""

    def __init__(
        self,
        sampling: Sampling,
        methods: Mapping[str, Method],
        measures: Mapping[str, Measure],
        *,
        identities: Mapping[str, Any],
        protocols: Mapping[str, Mapping[str, Any]],
        hole_only: bool,
        store: Store,
        batches: Batches,
        more: Sequence[Unit] = (),
    ) -> None:
        """Take what makes images and what measures them.

        Args:
            sampling: has the latents.
            methods: by row.
            measures: by name.
            identities: by row, what makes its images, weights by their hashes, as plain data.
            protocols: by measure, everything that can change its values, as plain data.
            hole_only: whether images are measured with the truth in place of their known pixels as well.
            store: keeps the scores.
            batches: how many items are decoded and measured at once.
            more: what else to measure of every row, such as images saved otherwise.
        """
        self.sampling, self.methods, self.measures, self.store = sampling, methods, measures, store
        self._identities, self._protocols = identities, protocols
        self.batches = batches
        self.pace = Pace()  # of blocks of which nothing was there
        self.units: list[Unit] = [(name, "") for name in measures]
        if hole_only:
            seeing = [name for name, measure in measures.items() if getattr(measure, "sees_hole", True)]
            self.units += [(name, HOLE_ONLY) for name in seeing]
        self.units += more

    @property
    def batch_size(self) -> int:
        """Items at once."""
        return self.batches.size or self.sampling.batch_size

    @property
    def parts(self) -> list[Part]:
        """Everything that is measured of a block."""
        return [(TRUTH, (name, "")) for name in self.measures] + [
            (row, unit) for row in self.methods for unit in self.units
        ]

    def run(self, items: Items, latents: Sequence[str], sets: Mapping[str, str]) -> Scored:
        """Everything measured on every row and on the truth, items as in the manifest.

        Of several processes each measures its share of the blocks. Values that items have by themselves are exchanged;
        features stay in the store, to be read piece by piece.

        Args:
            items: the run's.
            latents: keys of their blocks.
            sets: metrics of whole sets and the arrays that they are made of, as `Scored` has them.
        """
        spans = list(items.blocks())
        keys = [self._keys(items.lines(*span), key) for span, key in zip(spans, latents, strict=True)]
        self.store.uses.add(SCORES, [key for block in keys for key in block.values()])
        mine = {number: keys[number] for number in self.sampling.world.share(range(len(spans)))}

        def made(number: int, block: list[Item], parts: Sequence[Part], progress: Progress) -> dict[Part, Arrays]:
            started = time.monotonic()
            arrays = self.block(block, self.sampling.latents_of(latents[number]), parts, progress)
            self.store.put_all(SCORES, {keys[number][part]: arrays[part] for part in parts})
            if len(parts) == len(keys[number]):
                self.pace.add(len(block), since=started)
            return arrays

        def again(number: int, part: Part) -> Arrays:
            """What a process has put into the store, made again where the store has lost it since."""
            arrays = self.store.get(SCORES, keys[number][part])
            if arrays is None:
                arrays = made(number, items.read(*spans[number]), [part], Progress("score", 0))[part]
            return arrays

        blocks: dict[int, dict[Column, Array]] = {}
        widths: Mapping[Column, int] = {}
        count = sum(spans[number][1] - spans[number][0] for number in mine)
        with (
            Progress("score", count) as progress,
            ReadAhead(items, [spans[number] for number in mine]) as ahead,
            closing(self.store.turns(SCORES, mine)) as turns,
        ):
            for turn in turns:
                number, found = turn.block, turn.found
                if turn.missing:
                    found |= made(number, ahead.read(spans[number]), turn.missing, progress)
                else:
                    progress.skip(spans[number][1] - spans[number][0])
                columns = {(part, name): found[part][name] for part in keys[number] for name in sorted(found[part])}
                blocks[number] = {column: values for column, values in columns.items() if values.ndim == 1}
                widths = {column: values.shape[1] for column, values in columns.items() if values.ndim == 2}
        values, widths = self._exchanged(len(items), {spans[number]: block for number, block in blocks.items()}, widths)
        return self._together(items, values, _features(spans, widths, again), sets)

    def _exchanged(
        self, count: int, blocks: Mapping[tuple[int, int], Mapping[Column, Array]], widths: Mapping[Column, int]
    ) -> tuple[dict[Column, Array], Mapping[Column, int]]:
        """Values of all items by column, whichever process measured them; and the widths that the leader knows."""
        world, device = self.sampling.world, self.sampling.device
        columns, widths = world.told((list(next(iter(blocks.values()), {})), widths), device)
        values = np.zeros((count, len(columns)))
        for (start, stop), block in blocks.items():
            for index, column in enumerate(columns):
                values[start:stop, index] = block[column]
        if world.size > 1:
            from bench.metrics.states import ItemValues  # a process alone does without torchmetrics, slow to import

            places = [place for span in blocks for place in range(*span)]
            everyone = ItemValues(count, len(columns)).to(device)
            everyone.update(torch.tensor(places, dtype=torch.long, device=device), torch.from_numpy(values[places]))
            with world.together():
                values = everyone.compute().cpu().numpy()
        return {column: values[:, index] for index, column in enumerate(columns)}, widths

    def _keys(self, lines: list[dict[str, Any]], latents: str) -> dict[Part, str]:
        keys = {}
        for name, protocol in self._protocols.items():
            shared = {"protocol": protocol, "items": lines}
            keys[TRUTH, (name, "")] = content_key({**shared, "row": "truth"})
            for row, method in self._identities.items():
                for unit in self.units:
                    if unit[0] == name:
                        keys[row, unit] = content_key({**shared, "row": method, "variant": unit[1], "latents": latents})
        return keys

    def block(
        self, block: Sequence[Item], latents: Arrays, parts: Sequence[Part], progress: Progress
    ) -> dict[Part, Arrays]:
        """Some parts of a block, batch by batch: what rests on the truth is computed once for all rows.

        Args:
            block: the items.
            latents: theirs.
            parts: what to measure.
            progress: is told of every batch.
        """
        names = {unit[0] for _, unit in parts}
        measures = {name: measure for name, measure in self.measures.items() if name in names}

        def scored(chosen: Sequence[int]) -> tuple[int, dict[Part, Arrays]]:
            items = [block[place] for place in chosen]
            batch, truth = self.sampling.batch(items, {name: values[list(chosen)] for name, values in latents.items()})
            scorer = Scorer(measures, truth, batch.mask, [item.exemplar for item in items])
            found: dict[Part, Arrays] = {}
            for row in dict.fromkeys(row for row, _ in parts):
                units = [unit for name, unit in parts if name == row]
                if row == TRUTH:
                    found |= {(row, unit): dict(scorer.truth(unit[0])) for unit in units}
                    continue
                method = self.methods[row]
                image = unit_interval(finite(method(batch), f"score: images of {row}", batch.ids))
                scores = scorer.score(image, units, decoded=getattr(method, "decodes", False))
                found |= {(row, unit): arrays for unit, arrays in scores.items()}
            return len(chosen), found

        batches = []
        for count, found in self.batches.over(range(len(block)), scored):
            batches.append(found)
            progress.advance(count)
        return {part: joined([found[part] for found in batches]) for part in parts}

    def _together(
        self, items: Items, values: Mapping[Column, Array], features: Mapping[Column, Features], sets: Mapping[str, str]
    ) -> Scored:
        """Everything under the names that metrics have."""
        rows: dict[str, dict[str, Array | Features]] = {name: {} for name in self.methods}
        truth: dict[str, Array | Features] = {}
        measures: dict[str, str] = {}
        found: dict[Column, Array | Features] = {**values, **features}
        for column, arrays in found.items():
            (row, (measure, variant)), array = column
            name = f"{measure}.{array}" if column in features else array
            if column in values:
                measures[name] = measure
            if row == TRUTH:
                truth[name] = arrays[np.asarray(items.references)]
            else:
                rows[row][f"{name}_{variant}" if variant else name] = arrays
        areas = np.array([line["mask_area"] for line in items.lines()])
        return Scored(rows, truth, sets, items.sources, items.references, areas, measures)


def _features(
    spans: Sequence[tuple[int, int]], widths: Mapping[Column, int], stored: Callable[[int, Part], Arrays]
) -> dict[Column, Features]:
    """Of all items by column, read from the store when they are wanted."""
    return {
        (part, name): Features(
            [
                Piece(stop - start, partial(_read, stored, number, part, name))
                for number, (start, stop) in enumerate(spans)
            ],
            width,
        )
        for (part, name), width in widths.items()
    }


def _read(stored: Callable[[int, Part], Arrays], number: int, part: Part, name: str) -> Array:
    return stored(number, part)[name]


def unit_interval(image: torch.Tensor) -> torch.Tensor:
    """Images from [-1, 1] to [0, 1], in float32 whatever they were in."""
    return ((image.float() + 1) / 2).clamp(0, 1)
