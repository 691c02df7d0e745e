"""Defines the scoring stage of a run.

The stage applies every measure to the images of every row, and saves the scores of each block in the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from typing_extensions import TypedDict

from bench.checking.estimate import trial_items
from bench.config.instantiate import identity
from bench.data.items import Item
from bench.data.prefetch import ReadAhead
from bench.data.prepared import Items
from bench.evaluation.batch_size import Batches, finished_one_later
from bench.evaluation.sampling import Sampling, finite_items, forget_if_fresh, refuse_not_finite
from bench.generation.generator import float_images, image_batch, mask_batch
from bench.generation.method import Method, awaited
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.features import Features, Piece
from bench.metrics.measure import Arrays as Measured
from bench.metrics.measure import Measure
from bench.metrics.names import with_variant
from bench.metrics.protocol import Protocol
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.runtime.copies import ReadBack, moved
from bench.runtime.device import describe
from bench.runtime.progress import Pace, Progress
from bench.runtime.source import source_hash
from bench.store import Arrays, Fact, content_key, joined

__all__ = [
    "VERSION",
    "Cell",
    "Scoring",
    "features_of",
    "measure_protocols",
    "metric_protocols",
    "minimums_of",
    "unit_interval",
]

VERSION = 2
"""Version number of the scores. It is increased when a change of the code changes the scores of equal images."""
Array = npt.NDArray[Any]
Layout = dict[str, tuple[str, tuple[int, ...]]]
"""Description of a measure's arrays: for each array, by its name, its number type and its shape for one item."""
NOT_OF_THESE: Layout = {"": ("", ())}
"""Layout that is returned for invalid arrays. It differs from the layout of every measure."""
SCORES = "scores"
"""Name of the kind of array under which the store saves scores."""
TRUTH = ""
"""Row name that means the true images."""


class Cell(NamedTuple):
    """The combination of a row, a measure, and the variant of the row's images to which the measure is applied."""

    row: str
    """Name of the row; `TRUTH` for the true images."""
    measure: str
    variant: str = ""

    @property
    def unit(self) -> Unit:
        """The measure and the variant of this cell."""
        return Unit(self.measure, self.variant)


class Column(NamedTuple):
    """One array that the measure of a cell computes, identified by the cell and the name of the array."""

    cell: Cell
    array: str


class Scoring:
    """The scoring stage of a run, for all rows of one table."""

    def __init__(
        self,
        sampling: Sampling,
        methods: Mapping[str, Method],
        measures: Mapping[str, Measure],
        *,
        identities: Mapping[str, Any],
        protocols: Mapping[str, Mapping[str, Any]],
        units: Sequence[Unit],
        batches: Batches,
    ) -> None:
        """Set the methods and the measures.

        Args:
            sampling: sampling stage, which reads the latents.
            methods: method of each row.
            measures: measures by name.
            identities: for each row, everything that determines the images of the row's method, as plain data: the
                settings of the method and the hashes of its weights.
            protocols: for each measure, everything that can change its values, as plain data.
            units: pairs of a measure and a variant; each pair is scored for every row.
            batches: division of the items into batches, for decoding and measuring.
        """
        self.sampling, self.methods, self.measures, self.store = sampling, methods, measures, sampling.store
        self._identities, self._protocols = identities, protocols
        self.batches = batches
        self.pace = Pace()  # measured on blocks that had no scores in the store
        self.units = list(units)

    @property
    def batch_size(self) -> int:
        """Number of items in a batch. If no size for scoring is known, it is the batch size of the sampling stage."""
        return self.batches.size or self.sampling.batch_size

    @property
    def cells(self) -> list[Cell]:
        """All cells that are scored for each block: those of the true images first, and then those of each row."""
        return [Cell(TRUTH, name) for name in self.measures] + [
            Cell(row, *unit) for row in self.methods for unit in self.units
        ]

    def run(self, items: Items, latents: Sequence[str], sets: Mapping[str, str]) -> Scored:
        """Score every row and the true images, and return the scores of all items in the order of the manifest.

        If there are several processes, each process takes blocks that no other process has, until the store has the
        scores of all blocks. Then every process has the values of all single items. Features stay in the store, and are
        read from the store block by block when they are needed.

        Args:
            items: all items of the run.
            latents: for each block, the store key of its latents.
            sets: for each metric of whole sets of images, the name of the features from which it is computed.
        """
        spans = list(items.blocks())
        keys = [self._keys(items.lines(*span), key) for span, key in zip(spans, latents, strict=True)]
        self.store.uses.add(SCORES, [key for block in keys for key in block.values()])
        forget_if_fresh(self.store, self.sampling.world, SCORES, [key for block in keys for key in block.values()])
        layouts = Layouts(self, items.manifest["resolution"], self._stored_layouts(items.manifest["resolution"]))

        def right(number: int, cell: Cell, arrays: Arrays) -> bool:
            start, stop = spans[number]
            return _layout(arrays, stop - start) == layouts.of(cell)

        order = {number: keys[number] for number in self.sampling.world.rotated(range(len(spans)))}

        def made(number: int, block: list[Item], cells: Sequence[Cell], progress: Progress) -> dict[Cell, Arrays]:
            started = time.monotonic()
            arrays = self.block(block, self.sampling.latents_of(latents[number]), cells, progress)
            for cell in cells:
                _refuse_not_finite(cell, arrays[cell], [item.id for item in block])
            self.store.put_all(SCORES, {keys[number][cell]: arrays[cell] for cell in cells})
            if len(cells) == len(keys[number]):
                self.pace.add(len(block), since=started)
            return arrays

        def again(number: int, cell: Cell) -> Arrays:
            """Return the arrays of a cell from the store. If the store no longer has them, the cell is scored again."""
            arrays = self.store.get(SCORES, keys[number][cell], partial(right, number, cell))
            if arrays is None:
                arrays = made(number, items.read(*spans[number]), [cell], Progress("score", 0))[cell]
            return arrays

        values: dict[Column, Array] = {}
        widths: dict[Column, int] = {}
        with (
            Progress("score", len(items)) as progress,
            ReadAhead(items, [spans[number] for number in order]) as ahead,
            closing(self.store.turns(SCORES, order, right)) as turns,
        ):
            for turn in turns:
                number, found = turn.block, turn.found
                if turn.missing:
                    found |= made(number, ahead.read(spans[number]), turn.missing, progress)
                else:
                    progress.skip(spans[number][1] - spans[number][0])
                start, stop = spans[number]
                for column in (Column(cell, name) for cell in keys[number] for name in sorted(found[cell])):
                    array = found[column.cell][column.array]
                    if array.ndim == 2:
                        widths[column] = array.shape[1]
                        continue
                    if column not in values:
                        values[column] = np.zeros(len(items))
                    values[column][start:stop] = array
        layouts.remember()
        return self._together(items, values, _features(spans, widths, again), sets)

    def truth(self, items: Items) -> dict[str, Features]:
        """Return the features of other true images than those of the run's items.

        In the store, the features have the same keys as in a run that measures these items.

        Args:
            items: items whose true images form the set. Only those in `Items.references` count.

        Returns:
            Features of the M true images, by the name `MEASURE.ARRAY`.
        """
        spans = list(items.blocks())
        keys = [self._keys(items.lines(*span), "") for span in spans]
        cells = [Cell(TRUTH, name) for name in self.measures]
        used = [block[cell] for block in keys for cell in cells]
        self.store.uses.add(SCORES, used)
        forget_if_fresh(self.store, self.sampling.world, SCORES, used)

        def stored(number: int, cell: Cell) -> Arrays:
            key, (start, stop) = keys[number][cell], spans[number]
            found = self.store.get(SCORES, key, lambda arrays: _layout(arrays, stop - start) != NOT_OF_THESE)
            if found is None:
                found = self._truth_of(items.read(start, stop), cell.measure)
                _refuse_not_finite(cell, found, items.ids[start:stop])
                self.store.put_all(SCORES, {key: found})
            return found

        widths: dict[Column, int] = {}
        with Progress("score", len(items)) as progress:
            for number, (start, stop) in enumerate(spans):
                for cell in cells:
                    arrays = stored(number, cell)
                    widths |= {
                        Column(cell, name): values.shape[1] for name, values in arrays.items() if values.ndim == 2
                    }
                progress.advance(stop - start)
        places = np.asarray(items.references, np.int_)
        return {
            f"{column.cell.measure}.{column.array}": features[places]
            for column, features in _features(spans, widths, stored).items()
        }

    def _truth_of(self, block: Sequence[Item], name: str) -> Arrays:
        """Return the arrays that one measure computes from the true images of some items alone."""
        device = self.sampling.device

        def measured(chosen: Sequence[int]) -> Arrays:
            items = [block[place] for place in chosen]
            image, mask = (moved(tensor, device) for tensor in (image_batch(items), mask_batch(items)))
            scorer = Scorer({name: self.measures[name]}, image, mask, [item.exemplar for item in items])
            return ReadBack(scorer.truth(name)).wait()

        return joined(list(self.batches.over(range(len(block)), measured)))

    def _stored_layouts(self, resolution: int) -> Fact:
        """Return the file of the store in which the layouts of all cells are saved.

        Args:
            resolution: side of the items in pixels.
        """
        settings = {"rows": self._identities, "measures": self._protocols, "units": self.units, "code": source_hash()}
        of = {"what": "layouts of scores", "resolution": resolution, "device": describe(self.sampling.device)}
        return Fact(self.store.root, {**of, "settings": content_key({"of": settings})})

    def _keys(self, lines: list[dict[str, Any]], latents: str) -> dict[Cell, str]:
        keys = {}
        for name, protocol in self._protocols.items():
            shared = {"protocol": protocol, "items": lines}
            keys[Cell(TRUTH, name)] = content_key({**shared, "row": "truth"})
            for row, method in self._identities.items():
                for unit in self.units:
                    if unit.measure == name:
                        keys[Cell(row, *unit)] = content_key(
                            {**shared, "row": method, "variant": unit.variant, "latents": latents}
                        )
        return keys

    def block(
        self, block: Sequence[Item], latents: Arrays, cells: Sequence[Cell], progress: Progress
    ) -> dict[Cell, Arrays]:
        """Score some cells of a block, batch by batch. Values that depend only on true images are computed once.

        On a GPU, the CPU waits for the results of a batch only after all rows of the next batch are queued. The
        progress bar counts queued batches.

        Args:
            block: items of the block.
            latents: latents of these items.
            cells: cells to score.
            progress: progress bar, which is advanced after every batch.

        Returns:
            For each cell, its arrays by name. Each array has a value or a feature vector for each item of the block.
        """
        names = {cell.measure for cell in cells}
        measures = {name: measure for name, measure in self.measures.items() if name in names}

        def queue(chosen: Sequence[int]) -> ScoredBatch:
            items = [block[place] for place in chosen]
            batch, truth = self.sampling.batch(items, {name: values[list(chosen)] for name, values in latents.items()})
            holes = np.stack([item.mask for item in items]) > 0
            exemplars, words = [item.exemplar for item in items], [item.words for item in items]
            scorer = Scorer(measures, truth, batch.mask, exemplars, holes=holes, words=words)
            found: dict[Cell, Measured] = {}
            fine: dict[str, torch.Tensor] = {}
            rows = list(dict.fromkeys(cell.row for cell in cells))
            begun = {row: self.methods[row].begin(batch) for row in rows if row != TRUTH}
            for place, row in enumerate(rows):
                progress.begin(len(chosen) * place / len(rows))
                units = [cell.unit for cell in cells if cell.row == row]
                if row == TRUTH:
                    found |= {Cell(row, *unit): scorer.truth(unit.measure) for unit in units}
                    continue
                image = awaited(begun.pop(row), batch)
                fine[row] = finite_items(image)
                try:
                    scores = scorer.score(unit_interval(image), units, decoded=self.methods[row].decodes)
                except Exception:
                    _refuse_images(row, fine[row].cpu().numpy(), batch.ids)  # they may be the cause of the error
                    raise
                found |= {Cell(row, *unit): arrays for unit, arrays in scores.items()}
            return ScoredBatch(batch.ids, fine, found)

        def queued() -> Iterator[Callable[[], dict[Cell, Arrays]]]:
            for batch in self.batches.over(range(len(block)), queue):
                progress.advance(len(batch.ids))
                yield batch.wait

        batches = list(finished_one_later(queued()))
        whole = {cell: joined([found[cell] for found in batches]) for cell in cells}
        return {
            cell: arrays if cell.row == TRUTH else _measurable(arrays, self.measures[cell.measure], block)
            for cell, arrays in whole.items()
        }

    def _together(
        self, items: Items, values: Mapping[Column, Array], features: Mapping[Column, Features], sets: Mapping[str, str]
    ) -> Scored:
        """Combine all arrays into a `Scored`.

        An array of values gets the name of its metric. An array of features gets the name `MEASURE.ARRAY`. For a
        variant, the name of the variant is added at the end. The arrays of the true images have only the items in
        `Items.references`.
        """
        rows: dict[str, dict[str, Array | Features]] = {name: {} for name in self.methods}
        truth: dict[str, Array | Features] = {}
        measures: dict[str, str] = {}
        found: dict[Column, Array | Features] = {**values, **features}
        for column, arrays in found.items():
            cell = column.cell
            name = f"{cell.measure}.{column.array}" if column in features else column.array
            if column in values:
                measures[name] = cell.measure
            if cell.row == TRUTH:
                truth[name] = arrays[np.asarray(items.references, np.int_)]
            else:
                rows[cell.row][with_variant(name, cell.variant)] = arrays
        areas = np.array([line["mask_area"] for line in items.lines()])
        return Scored(rows, truth, sets, items.sources, items.references, areas, measures)


def _measurable(arrays: Arrays, measure: Measure, items: Sequence[Item]) -> Arrays:
    """Return the arrays of a measure with NaN in the place of values for items that have no true picture.

    Features stay unchanged, and so do the values for which the measure needs no true picture.

    Args:
        arrays: arrays that the measure computed for the items, by name.
        measure: the measure.
        items: the items.
    """
    pictured = np.array([item.pictured for item in items])
    if pictured.all():
        return arrays
    return {
        name: values if values.ndim != 1 or name in measure.without_truth else np.where(pictured, values, np.nan)
        for name, values in arrays.items()
    }


class ScoredBatch:
    """The scores of one batch in all cells, which are being copied to the memory of the CPU."""

    def __init__(self, ids: Sequence[str], fine: Mapping[str, torch.Tensor], found: Mapping[Cell, Measured]) -> None:
        """Start to copy the scores.

        Args:
            ids: ids of the B items.
            fine: for each row, B booleans: for each item, True if the row's image of the item is finite.
            found: arrays or tensors of each cell, by name.
        """
        self.ids, self._cells = ids, list(found)
        self._flags = {row: Column(Cell(row, ""), "finite") for row in fine}
        scores = {Column(cell, name): values for cell, arrays in found.items() for name, values in arrays.items()}
        self._copies = ReadBack({**{self._flags[row]: flags for row, flags in fine.items()}, **scores})

    def wait(self) -> dict[Cell, Arrays]:
        """Wait for the scores, and return them: for each cell, its arrays by name.

        Raises:
            FloatingPointError: some images are not finite; the message names the row and the items.
        """
        arrays = self._copies.wait()
        for row, flags in self._flags.items():
            _refuse_images(row, arrays.pop(flags), self.ids)
        found: dict[Cell, Arrays] = {cell: {} for cell in self._cells}
        for column, values in arrays.items():
            found[column.cell][column.array] = values
        return found


class Layouts:
    """The layouts that the arrays of each cell must have.

    A layout consists of the names, the number types and the shapes of a cell's arrays. The layouts are found by scoring
    one item of noise, and are saved in the store. Scores from the store that have another layout are not used.
    """

    def __init__(self, scoring: Scoring, resolution: int, fact: Fact) -> None:
        """Keep the arguments for later. Nothing is measured until `of` or `remember` is called.

        Args:
            scoring: scoring stage of the run.
            resolution: side of the items in pixels.
            fact: file of the store in which the layouts of all cells are saved.
        """
        self._scoring, self._resolution, self._fact = scoring, resolution, fact
        self._known: dict[tuple[Unit, bool | None], Layout] = {}

    def of(self, cell: Cell) -> Layout:
        """Return the names, types and shapes that the arrays of a `Cell` must have, as a `Layout`."""
        return self._stored[cell] if cell in self._stored else self._found(cell)

    def remember(self) -> None:
        """Save the layouts of all cells in the store, unless the store has them already."""
        if not self._stored:
            layouts = {cell: self._found(cell) for cell in self._scoring.cells}
            self._fact.remember({"cells": [_as_stored(cell, layout) for cell, layout in layouts.items()]})

    @cached_property
    def _stored(self) -> dict[Cell, Layout]:
        """Layouts of all cells, if the store has them; otherwise empty."""
        found = self._fact.recall()
        return {} if found is None else dict(map(_from_stored, found["cells"]))

    def _found(self, cell: Cell) -> Layout:
        unit = cell.unit
        decoded = None if cell.row == TRUTH else self._scoring.methods[cell.row].decodes
        if (unit, decoded) not in self._known:
            arrays = self._scorer.truth(unit.measure) if decoded is None else self._measured(unit, decoded)
            self._known[unit, decoded] = _layout(ReadBack(arrays).wait(), 1)
        return self._known[unit, decoded]

    def _measured(self, unit: Unit, decoded: bool) -> Measured:
        image = float_images(image_batch(self._items[1:])).to(self._scoring.sampling.device)
        return self._scorer.score(unit_interval(image), [unit], decoded=decoded)[unit]

    @cached_property
    def _items(self) -> list[Item]:
        return trial_items(self._resolution, 2)

    @cached_property
    def _scorer(self) -> Scorer:
        device, first = self._scoring.sampling.device, self._items[:1]
        truth, mask = image_batch(first).to(device), mask_batch(first).to(device)
        return Scorer(self._scoring.measures, truth, mask, [first[0].exemplar], words=[first[0].words])


class _StoredArray(TypedDict):
    """The description of one array in the store: its name, its number type, and its shape for one item."""

    name: str
    type: str
    shape: list[int]


class _StoredLayout(TypedDict):
    """The layout of one cell in the store."""

    row: str
    measure: str
    variant: str
    arrays: list[_StoredArray]


def _as_stored(cell: Cell, layout: Layout) -> _StoredLayout:
    arrays: list[_StoredArray] = [
        {"name": name, "type": kind, "shape": list(shape)} for name, (kind, shape) in layout.items()
    ]
    return {"row": cell.row, "measure": cell.measure, "variant": cell.variant, "arrays": arrays}


def _from_stored(found: _StoredLayout) -> tuple[Cell, Layout]:
    layout = {array["name"]: (array["type"], tuple(array["shape"])) for array in found["arrays"]}
    return Cell(found["row"], found["measure"], found["variant"]), layout


def _refuse_images(row: str, fine: Array, ids: Sequence[str]) -> None:
    refuse_not_finite(fine, f"score: images of {row}", ids)


def _refuse_not_finite(cell: Cell, arrays: Arrays, ids: Sequence[str]) -> None:
    """Check that all features of a cell are finite, because a distance between sets needs finite features.

    Raises:
        FloatingPointError: a feature is not finite; the message names the measure, the row and the items.
    """
    for name, values in arrays.items():
        if values.ndim == 2:
            refuse_not_finite(np.all(np.isfinite(values), axis=1), f"score: {cell.measure}.{name} of {cell.row}", ids)


def _layout(arrays: Mapping[str, Array], count: int) -> Layout:
    """Return the layout of arrays, or `NOT_OF_THESE` if the arrays are invalid.

    The arrays are invalid if an array does not have `count` items, or if a feature is not finite.
    """
    if any(values.shape[:1] != (count,) for values in arrays.values()):
        return NOT_OF_THESE
    if any(values.ndim == 2 and not np.isfinite(values).all() for values in arrays.values()):
        return NOT_OF_THESE
    return {name: (values.dtype.str, values.shape[1:]) for name, values in arrays.items()}


def _features(
    spans: Sequence[tuple[int, int]], widths: Mapping[Column, int], stored: Callable[[int, Cell], Arrays]
) -> dict[Column, Features]:
    """Return the features of all items for each column that has features.

    The features are read from the store only when they are needed.

    Args:
        spans: for each block, the index of its first item and the index after its last item.
        widths: for each column that has features, the number of features of one item.
        stored: function that returns the arrays of a cell for a block, given the block's number and the cell.
    """
    return {
        Column(cell, name): Features(
            [
                Piece(stop - start, partial(_read, stored, number, cell, name))
                for number, (start, stop) in enumerate(spans)
            ],
            width,
        )
        for (cell, name), width in widths.items()
    }


def _read(stored: Callable[[int, Cell], Arrays], number: int, cell: Cell, name: str) -> Array:
    return stored(number, cell)[name]


def measure_protocols(
    protocols: Mapping[str, Mapping[str, Any]], specs: Mapping[str, Any], weights: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return everything that can change the values of each measure, as plain data, by the name of the measure.

    Args:
        protocols: `Measure.protocol` of each measure, by the name of the measure.
        specs: settings of the measures, the value of `metrics.measures`, as plain data.
        weights: SHA-256 of the weight files that the settings name, by path.
    """
    return {
        name: {
            **protocol,
            "weights": content_key({"measure": identity(specs[name]["measure"], weights)}),
            "scoring": VERSION,
        }
        for name, protocol in protocols.items()
    }


def metric_protocols(summary: Summary, measures: Mapping[str, Mapping[str, Any]]) -> dict[str, Protocol]:
    """Return the protocol of each metric that some row in `summary` has, by the metric's full name.

    Args:
        summary: estimates of the metrics.
        measures: result of `measure_protocols`.
    """
    metrics = dict.fromkeys(metric for names in summary.metrics.values() for metric in names)
    return {
        metric: Protocol.of({"measure": measures[summary.measure(metric)], **summary.statistic(metric)})
        for metric in metrics
    }


def features_of(specs: Mapping[str, Any]) -> dict[str, str]:
    """Return, for each metric of a whole set of images, the name of the features from which it is computed.

    The name of the features has the form `MEASURE.ARRAY`.

    Args:
        specs: settings of the measures, the value of `metrics.measures`, as plain data.
    """
    return {metric: f"{name}.{array}" for name, spec in specs.items() for metric, array in spec["set_metrics"].items()}


def minimums_of(specs: Mapping[str, Any]) -> dict[str, int]:
    """Return the smallest number of items of each metric of a whole set of images whose measure sets this number.

    Args:
        specs: settings of the measures, the value of `metrics.measures`, as plain data.
    """
    known = [spec for spec in specs.values() if spec["fewest"] is not None]
    return {metric: spec["fewest"] for spec in known for metric in spec["set_metrics"]}


def unit_interval(image: torch.Tensor) -> torch.Tensor:
    """Convert images of any float type from [-1, 1] to float32 in [0, 1]. Results outside [0, 1] are clipped."""
    return ((image.float() + 1) / 2).clamp(0, 1)
