"""Repeated edits: each row edits, in every turn, the image that it saved in the turn before.

The latents of turn 1 are those that all rows share, so that turn 1 equals the table of one turn. Each later turn
samples latents of every row's own images, with noise of its own. The measures always compare with the original picture.
A pixel counts as known if no turn so far had its hole there. The store keeps the latents, the saved images and the
scores of each turn. Their keys contain the keys of the turn before, so that an interrupted run continues where it
stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch

from bench.data.edited import EditedItems, SavedImages, TurnMasks
from bench.data.prepared import Items
from bench.errors import BadInputError
from bench.evaluation.batch_size import Batches
from bench.evaluation.measure import MeasuredRun
from bench.evaluation.sampling import Sampling, forget_if_fresh
from bench.evaluation.scoring import unit_interval
from bench.evaluation.setup import Setup
from bench.generation.generator import float_images, image_batch, mask_batch
from bench.generation.method import Batch, Method, image_of
from bench.metrics.image_encoding import saved
from bench.metrics.scores import Scored
from bench.runtime.copies import moved
from bench.runtime.seeding import seed_for
from bench.store import Arrays, content_key, joined

__all__ = ["VERSION", "MeasuredTurns", "OwnEdit", "RowTurn", "TurnPlan", "measure_turns"]

VERSION = 1
"""Version number of the saved images. It is increased when a change of the code changes them for equal settings."""
EDITS = "edits"
"""Name of the kind of array under which the store keeps the images that a row saved in a turn."""
IMAGES = "images"
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TurnPlan:
    """Number of turns, masks of the turns, and the way in which images are saved between turns."""

    turns: int
    masks: TurnMasks
    way: str
    """Way in which an image is saved, a key of `bench.metrics.image_encoding.WAYS`."""


class RowTurn:
    """One turn of one row. The row makes an image of every item, and the store keeps the saved images."""

    def __init__(
        self, setup: Setup, row: str, sampling: Sampling, items: Items, latents: Sequence[str], way: str
    ) -> None:
        """Set the inputs of the turn. Nothing is decoded before `run` or `images` is called.

        Args:
            setup: objects of the run.
            row: name of the row.
            sampling: sampling stage of the turn, which has made `latents`.
            items: pictures that the row edits in this turn, with the masks of this turn.
            latents: store key of the latents of each block.
            way: way in which the images are saved, a key of `bench.metrics.image_encoding.WAYS`.
        """
        self.row, self.method, self.sampling, self.items = row, setup.methods[row], sampling, items
        self.latents, self._way, self._store = list(latents), way, setup.store
        made = {"version": VERSION, "row": setup.identity_of(row), "saved": way}
        self.keys = [content_key({**made, "latents": key}) for key in latents]
        """Store key of the saved images of each block. It contains the latents' key, and thus all earlier turns."""
        self.images = lru_cache(maxsize=2)(self._images)
        """Function that returns the saved images N×S×S×3 uint8 of a block, given the block's number."""

    def run(self) -> None:
        """Make and save the images of every block for which the store has none."""
        self._store.uses.add(EDITS, self.keys)
        forget_if_fresh(self._store, self.sampling.world, EDITS, self.keys)
        blocks = {number: {IMAGES: self.keys[number]} for number in self.sampling.world.rotated(range(len(self.keys)))}
        for turn in self._store.turns(EDITS, blocks, lambda number, _, arrays: self._fits(number, arrays)):
            if turn.missing:
                self._make(turn.block)

    @property
    def saved_images(self) -> SavedImages:
        """The saved images of this turn, which are the inputs of the next turn."""
        return SavedImages(self.keys, self.images)

    def _images(self, number: int) -> Pixels:
        found = self._store.get(EDITS, self.keys[number], partial(self._fits, number))
        return (found or self._make(number))[IMAGES]

    def _fits(self, number: int, arrays: Arrays) -> bool:
        found, (start, stop), side = arrays.get(IMAGES), self._spans[number], self.items.manifest["resolution"]
        return found is not None and found.dtype == np.uint8 and found.shape == (stop - start, side, side, 3)

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return list(self.items.blocks())

    def _make(self, number: int) -> Arrays:
        block, latents = self.items.read(*self._spans[number]), self.sampling.latents_of(self.latents[number])

        def made(places: Sequence[int]) -> Arrays:
            chosen = {name: values[list(places)] for name, values in latents.items()}
            batch, _ = self.sampling.batch([block[place] for place in places], chosen)
            with torch.inference_mode():
                pixels = saved(unit_interval(image_of(self.method, batch)), self._way)
            return {IMAGES: pixels.permute(0, 2, 3, 1).cpu().numpy()}

        arrays = joined(list(Batches(self.sampling.batch_size).over(range(len(block)), made)))
        self._store.put(EDITS, self.keys[number], arrays)
        return arrays


class OwnEdit(Method):
    """A method that makes a row's image of a later turn: it shows the row's own earlier image to the row's method.

    The batch that the scoring stage gives to this method has the row's latents of the turn, but the original picture,
    and the mask of all holes so far. Both are replaced by the inputs of the turn.
    """

    def __init__(self, method: Method, items: Items) -> None:
        """Set the method of the row, and the pictures and masks that it gets in this turn."""
        self._method, self._items, self.decodes = method, items, method.decodes
        self._places = {name: place for place, name in enumerate(items.ids)}

    def __call__(self, batch: Batch) -> torch.Tensor:
        own = self._items.pick(self._places[name] for name in batch.ids)
        image, mask = (moved(tensor, batch.image.device) for tensor in (image_batch(own), mask_batch(own)))
        return self._method(replace(batch, image=float_images(image), mask=mask, decoded={}))


@dataclass(frozen=True)
class MeasuredTurns:
    """Everything that was made and measured in all turns."""

    scored: Sequence[Scored]
    """Scores of each turn, starting with turn 1."""
    edits: Sequence[Mapping[str, RowTurn]]
    """For each turn, the images of each row, by the name of the row."""
    items: Sequence[Items]
    """For each turn, the original pictures with the union of all holes so far, with which the scores compare."""


def measure_turns(setup: Setup, run: MeasuredRun, plan: TurnPlan) -> MeasuredTurns:
    """Measure all turns of every row.

    Args:
        setup: objects of the run.
        run: the scored run of turn 1.
        plan: number and masks of the turns.

    Raises:
        BadInputError: the images of a row are made before the first batch, so that the row cannot edit its own images.
    """
    _refuse_finished_images(setup)
    rows = list(setup.methods)
    edits = [{row: RowTurn(setup, row, setup.sampling, run.items, run.latents, plan.way) for row in rows}]
    scored, known = [run.scored], [run.items]
    for turn in range(1, plan.turns + 1):
        if turn > 1:
            edits.append({row: _next_turn(setup, run.items, before, turn, plan) for row, before in edits[-1].items()})
            known.append(_known(run.items, turn, plan))
            scored.append(_scored(setup, known[-1], edits[-1]))
            for before in edits[-2].values():
                before.images.cache_clear()  # a block of large images takes much memory
        for one in edits[-1].values():
            one.run()
    return MeasuredTurns(scored, edits, known)


def _known(items: Items, turn: int, plan: TurnPlan) -> Items:
    """Return the original pictures with the union of all holes of the turns 1 to `turn`."""
    if not plan.masks.moving:
        return items
    return EditedItems.of(items, lambda name, first: plan.masks.until(name, first, turn))


def _next_turn(setup: Setup, items: Items, before: RowTurn, turn: int, plan: TurnPlan) -> RowTurn:
    """Sample the latents of a row's own images, and return the row's next turn."""
    own = EditedItems.of(items, lambda name, first: plan.masks.of(name, first, turn), before.saved_images)
    encoded = setup.facts["rows"][before.row]["encoded"]
    sampling = setup.sampling_with(seed_for(setup.config.seed, "turn", turn), encoded)
    return RowTurn(setup, before.row, sampling, own, sampling.run(own), plan.way)


def _scored(setup: Setup, known: Items, edits: Mapping[str, RowTurn]) -> Scored:
    """Measure one turn of all rows against the original pictures.

    Each row has a scoring stage of its own, because each row has latents of its own.
    """
    found = [
        setup.scoring_with(one.sampling, {row: OwnEdit(one.method, one.items)}).run(known, one.latents, setup.sets)
        for row, one in edits.items()
    ]
    return replace(found[0], rows={row: arrays for one in found for row, arrays in one.rows.items()})


def _refuse_finished_images(setup: Setup) -> None:
    finished = [row for row, facts in setup.facts["rows"].items() if facts["beforehand"]]
    if finished:
        raise BadInputError(
            f"rows.{finished[0]}: expected a row that can edit its own images again, found a row whose images were "
            "made before the run or by another program"
        )
