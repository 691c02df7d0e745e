"""Measures the pictures of editors with the same operations, in the same order, as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.edits.checks import EditFacts, PictureFacts, edit_facts, picture_facts
from bench.edits.measures import Measures
from bench.edits.pairing import Pairs
from bench.evaluation.batch_size import Batches
from bench.generation.generator import picture_batch
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.diagnostics import DiagnosticsMeasure
from bench.metrics.features import Features
from bench.metrics.known_region import to_uint8
from bench.metrics.scores import Scored
from bench.runtime.copies import ReadBack
from bench.runtime.progress import Progress

__all__ = ["Measured", "measure"]

T = TypeVar("T")
TRUTH = ""
"""Name in the place of an editor's name that means the true pictures."""
PIXELS: Mapping[str, int] = {"cpu": 2**18, "cuda": 2**22}
"""Largest number of pixels in a batch whose size is chosen automatically, by the type of the device. Larger batches are
slower on a CPU, because they no longer fit into its caches."""
DIAGNOSTICS = "diagnostics"
"""Name of the measure whose values the checks need. It is applied even if it is not chosen."""
MOST = 32
"""Largest number of pictures in a batch whose size is chosen automatically."""


@dataclass(frozen=True)
class Measured:
    """All measured values of paired pictures, and the properties of the pictures that the checks need."""

    scored: Scored
    pictures: Sequence[PictureFacts]
    edits: Mapping[str, Sequence[EditFacts]]


class _Column(NamedTuple):
    """The name of one array that a measure computes from the pictures of one editor."""

    editor: str
    measure: str
    array: str


@dataclass
class _Collected:
    """Arrays of values and features, which are collected batch by batch and combined when all pictures are measured."""

    count: int
    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    features: dict[str, dict[int, npt.NDArray[Any]]] = field(default_factory=dict)

    def add(self, places: Sequence[int], name: str, array: npt.NDArray[Any]) -> None:
        """Add one array of a batch.

        Args:
            places: indices of the B pictures of the batch.
            name: name of the array.
            array: B values of a metric, or B×d features.
        """
        if array.ndim == 1:
            self.values.setdefault(name, np.full(self.count, np.nan))[list(places)] = array
        else:
            self.features.setdefault(name, {}).update(zip(places, array, strict=True))

    def arrays(self) -> dict[str, npt.NDArray[Any] | Features]:
        """Return all arrays in the order of the pictures."""
        stacked = {
            name: Features.of(np.stack([rows[place] for place in range(self.count)]), name)
            for name, rows in self.features.items()
        }
        return {**self.values, **stacked}


def measure(
    pairs: Pairs,
    measures: Measures,
    *,
    device: torch.device,
    batch_size: int | None,
) -> Measured:
    """Measure the pictures of each editor.

    An editor is left out if one of its pictures differs in size from the true picture.

    Args:
        pairs: paired pictures.
        measures: measures to apply.
        device: device of the measures.
        batch_size: number of pictures in a batch; None to choose this number by the number of pixels.
    """
    editors = pairs.measurable
    collected = {editor: _Collected(len(pairs)) for editor in (TRUTH, *editors)}
    pictures: dict[int, PictureFacts] = {}
    edits: dict[str, dict[int, EditFacts]] = {editor: {} for editor in editors}
    named: dict[str, str] = {}
    applied = {DIAGNOSTICS: DiagnosticsMeasure(), **measures.loaded}
    units = [Unit(name) for name in applied]

    def exemplar(place: int) -> npt.NDArray[np.uint8] | None:
        return None if pairs.exemplars is None else pairs.exemplars.pixels(place)

    def batch(places: Sequence[int]) -> int:
        true = [pairs.truth.pixels(place) for place in places]
        given = [None if pairs.masks is None else pairs.masks.read(place) for place in places]
        for place, pixels, one in zip(places, true, given, strict=True):
            pictures[place] = picture_facts(pixels, one)
        images = picture_batch(true).to(device)
        masks = np.stack([np.zeros(images.shape[2:], np.bool_) if one is None else one.hole for one in given])
        mask = torch.from_numpy(masks).unsqueeze(1).float().to(device)
        prompts = [] if pairs.prompts is None else [pairs.prompts[place] for place in places]
        scorer = Scorer(applied, images, mask, [exemplar(place) for place in places], prompts, holes=masks)
        found = {
            _Column(TRUTH, name, array): values
            for name in measures.loaded
            for array, values in scorer.truth(name).items()
        }
        levels: dict[str, list[npt.NDArray[np.uint8]]] = {}
        for editor in editors:
            edited = [pairs.edited[editor].read(place) for place in places]
            levels[editor] = [to_uint8(image, rounding="truncate").permute(1, 2, 0).numpy() for image in edited]
            scores = scorer.score(_like_a_decoder(edited).to(device), units)
            found |= {
                _Column(editor, unit.measure, array): values
                for unit, arrays in scores.items()
                for array, values in arrays.items()
            }
        back = ReadBack(found).wait()
        for editor, pictured in levels.items():
            diagnosed = {
                column.array: values
                for column, values in back.items()
                if (column.editor, column.measure) == (editor, DIAGNOSTICS)
            }
            for number, (place, pixels, one) in enumerate(zip(places, true, given, strict=True)):
                diagnosis = {name: float(values[number]) for name, values in diagnosed.items()}
                hole = None if one is None else one.hole
                edits[editor][place] = edit_facts(pixels, pictured[number], hole, diagnosis)
        for column, values in back.items():
            if column.measure not in measures.loaded:
                continue
            if values.ndim == 1:
                named[column.array] = column.measure
            name = column.array if values.ndim == 1 else f"{column.measure}.{column.array}"
            collected[column.editor].add(places, name, values)
        return len(places)

    with Progress("score", len(pairs), unit="pictures") as progress:
        for places in _equal_sizes(pairs):
            height, width = pairs.truth.sizes[places[0]]
            size = batch_size or max(1, min(MOST, PIXELS.get(device.type, PIXELS["cpu"]) // (height * width)))
            for count in Batches(size, device=device).over(places, batch):
                progress.advance(count)
    areas = np.array([pictures[place].hole for place in range(len(pairs))])
    scored = Scored(
        {editor: collected[editor].arrays() for editor in editors},
        collected[TRUTH].arrays(),
        measures.sets,
        pairs.sources,
        range(len(pairs)),
        areas,
        named,
    )
    return Measured(scored, _ordered(pictures), {editor: _ordered(facts) for editor, facts in edits.items()})


def _like_a_decoder(images: Sequence[Tensor]) -> Tensor:
    """Combine images 3×H×W into one batch that has the memory layout of a decoder's result.

    The last digits of a convolution depend on this layout. With the layout of a decoder's result, the saved images of a
    run get exactly the scores that the run measured.
    """
    return torch.stack(list(images)).contiguous(memory_format=torch.channels_last)


def _equal_sizes(pairs: Pairs) -> Iterator[list[int]]:
    """Yield, for each size of pictures, the indices of the pictures that have this size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, size in enumerate(pairs.truth.sizes):
        groups.setdefault(size, []).append(place)
    yield from groups.values()


def _ordered(found: Mapping[int, T]) -> list[T]:
    return [found[place] for place in sorted(found)]
