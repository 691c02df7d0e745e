"""An object that makes the report on a table's run: figures, page, gallery, costs, records and `run.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas

from bench.checking.estimate import hindsight
from bench.data.items import Item
from bench.evaluation.costs import own_row_costs, row_costs, unknown_costs
from bench.evaluation.images import images_of, save_images
from bench.evaluation.measure import MeasuredRun
from bench.evaluation.setup import Setup
from bench.experiments.kept_drawings import KeptDrawings, sha256_of, write_files
from bench.generation.method import Batch
from bench.generation.python_objects import notes_on
from bench.metrics.legibility import LegibilityMeasure
from bench.metrics.networks.text_reader import TextReader
from bench.metrics.protocol import Protocol
from bench.reporting.choice import ComparedRows, choose, compared, drawn, drawn_places
from bench.reporting.cost_plot import costs_of
from bench.reporting.figures import draw_borders, draw_rows
from bench.reporting.gallery import Gallery, fill
from bench.reporting.page import Page, first_line
from bench.reporting.paper_figures import ERROR, OF_WORDS, PaperFigures
from bench.reporting.sheet import Places, Sheet, Thumbnails, thumbnails
from bench.results.features import remove_features, write_features
from bench.results.run_folder import REPORT, portable
from bench.results.write import Measured, records_of, run_facts, write_manifest, write_records
from bench.runtime.text import one_line
from bench.tables.build import Table, label_of
from bench.tables.grid import terminal
from bench.tables.render import further_grids, print_table

__all__ = ["RunReport"]

Images = Callable[[Sequence[str], Sequence[int]], tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]]
"""Function that takes names of rows and indices of items, and returns the items and the images of each row."""
TIMED = 8
"""Largest number of items in the batch with which the time of each row is measured."""


class RunReport:
    """An object that makes the figures, the page and other files of a table's measured run."""

    def __init__(self, setup: Setup, run: MeasuredRun, made: Images | None = None) -> None:
        """Set the finished run, and the objects with which the run was measured.

        Args:
            setup: objects of the run.
            run: the finished run.
            made: function that returns items and the images of rows, as the method `images` does, if these images are
                not made from the run's latents; otherwise None.
        """
        self.setup, self.run, self.config, self._made = setup, run, setup.config, made

    @property
    def measured(self) -> Measured:
        """The experiment, the items and the rows to which the numbers of the run belong."""
        config, items, rows = self.config, self.run.items, self.setup.resolved["rows"]
        return Measured(
            config.name,
            config.profile.name,
            items.hash,
            items.manifest["subset"],
            {key: portable(row["method"] or {}, config.paths.assets) for key, row in rows.items()},
            self.setup.protocol_of_run(items).as_json,
        )

    def draw(self, table: Table) -> None:
        """Write the figures, and save the rows' images if `save_images` is set. The store keeps only the figures."""
        figures = self.run.out / "figures"
        figures.mkdir(exist_ok=True)
        title = f"{table.title}, profile {table.profile}"
        paper = self.paper_figures(title)
        shows = {
            "title": title,
            "task": self.setup.spec.task,
            "labels": self._labels,
            "seed": self.config.seed,
            "errors": sha256_of(paper.errors),
            "figures": {name: vars(spec) for name, spec in self.setup.spec.figures.items()},
        }
        write_files(figures, self._drawings.files("figures", shows, partial(self._draw, paper)))
        self.save_images()

    def _draw(self, paper: PaperFigures, folder: Path) -> None:
        """Draw all figures of the run into a folder: its rows, the borders of the holes, and the paper's figures."""
        shown, images = self.images([*self._labels], drawn_places(len(self.run.items), self.config.seed))
        labelled = [(self._labels[name], pictures) for name, pictures in images.items()]
        draw_rows(folder / "rows.png", shown, labelled, title=paper.title)
        if self.setup.spec.task != "generation":
            draw_borders(folder / "borders.png", shown, labelled, title=f"Borders of holes: {paper.title}")
        paper.write(folder, self.setup.spec.figures)

    @property
    def _drawings(self) -> KeptDrawings:
        return KeptDrawings(self.setup, self.run.latents, [*self._labels], len(self.run.items))

    def save_images(self) -> None:
        """Save every row's image of every item if `save_images` is set."""
        if self.config.save_images:
            setup, run = self.setup, self.run
            save_images(run.out, setup.methods, setup.sampling, run.items, run.latents)

    def images(self, rows: Sequence[str], places: Sequence[int]) -> tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]:
        """Return some items of the run, and the images that the methods of some rows make of these items.

        Args:
            rows: names of the rows.
            places: positions of the items in the manifest, starting with 0.

        Returns:
            The items, and an array with their images for each row, as `bench.evaluation.images.images_of` returns them.
        """
        if self._made is not None:
            return self._made(rows, places)
        methods = {row: self.setup.methods[row] for row in rows}
        return images_of(methods, self.setup.sampling, self.run.items, self.run.latents, places)

    def show(self, table: Table) -> None:
        """Print the table and the path of the report. Call this method after every file of the run has been written.

        If the store has an estimate of the run's time and memory, a comparison with the estimate is printed as well.
        """
        print_table(table, terminal(), verbose=self.config.verbose)
        if (found := hindsight(self.setup.prediction.recall(), self.run.taken)) is not None:
            print(one_line(found))
        self.show_path()

    def show_path(self) -> None:
        """Print the path of the report's page."""
        print(one_line(f"report: {self.run.out / REPORT}"))

    def paper_figures(self, title: str) -> PaperFigures:
        """Return the object that draws the paper's figures from this run's images and errors.

        Args:
            title: title of the run's table and profile, which each figure shows.
        """
        scored = self.run.scored
        return PaperFigures(
            self.run.items,
            self.images,
            labels=self._labels,
            errors={row: np.asarray(values[ERROR]) for row, values in scored.rows.items() if ERROR in values},
            seed=self.config.seed,
            title=title,
            read=self._read if self._reader is not None else None,
        )

    @property
    def _reader(self) -> TextReader | None:
        """The program that reads text for a measure of this run; None if no measure reads text, or no figure needs it.

        The measures are loaded for it, because a run whose scores are all stored does not load them.
        """
        if OF_WORDS.keys().isdisjoint(figure.kind for figure in self.setup.spec.figures.values()):
            return None
        measures = self.setup.measures.values()
        return next((one.reader for one in measures if isinstance(one, LegibilityMeasure)), None)

    def _read(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Return the text that is read in each crop h×w×3."""
        assert self._reader is not None  # the figures call this method only with a reader
        return [reading.text for reading in self._reader.read(crops)]

    def gallery(self) -> Gallery:
        """Return the gallery of the page: some items with their pictures, and a sheet of all items.

        `bench.reporting.choice` says how the items are chosen, and `bench.reporting.sheet` which items have thumbnails.
        The store keeps all pictures.
        """
        labels, spec, count = self._labels, self.setup.spec, len(self.run.items)
        scored = {row: self.run.scored.rows[row].items() for row in labels}
        values = {row: {name: np.asarray(of) for name, of in found if of.ndim == 1} for row, found in scored.items()}
        reference = spec.reference if spec.reference in labels else ""
        metrics = compared(spec.columns, values)
        rows = ComparedRows(values, metrics, labels, reference or "")
        picks = choose(rows) or drawn(count, self.config.seed)
        names = {metric.name for metric in metrics}
        used = {row: {name: array for name, array in found.items() if name in names} for row, found in values.items()}
        shows = {
            "picks": [asdict(pick) for pick in picks],
            "metrics": [asdict(metric) for metric in metrics],
            "labels": labels,
            "reference": rows.reference,
            "values": {row: sha256_of(arrays) for row, arrays in used.items()},
        }
        images, read = partial(self.images, [*labels]), partial(self.images, [])
        gallery = self._drawings.gallery(shows, lambda: fill(picks, images, rows, of=count))

        def small(places: Places) -> Thumbnails | None:
            determined_by = {"places": asdict(places), "labels": labels}
            return self._drawings.thumbnails(determined_by, lambda: thumbnails(places, images, read, labels))

        return replace(gallery, sheet=Sheet.of(self.run.items.manifest["items"], rows, picks, small))

    @property
    def _labels(self) -> dict[str, str]:
        """Label of each row in the main table, by the name of the row. Rows in the separate table are left out."""
        rows = {name: self.setup.rows[name] for name in self.setup.methods}
        return {name: label_of(row, self.setup.spec) for name, row in rows.items() if not row.beside}

    def page(self, table: Table, gallery: Gallery, facts: dict[str, Any], protocols: Mapping[str, Protocol]) -> Page:
        """Return the content of the report's page.

        Args:
            table: table to show.
            gallery: items to show with their pictures.
            facts: settings, weights, times and costs of the run, as the method `facts` returns them.
            protocols: protocol of each metric, by the name of the metric.
        """
        sampling, steps = self.setup.sampling.pace.each, self.setup.resolved["generator"].get("steps")
        return Page(
            table.title if table.number is None else f"Table {table.number}. {table.title}",
            f"profile {table.profile}",
            first_line(self.config.profile.name),
            facts,
            table=table,
            grids=further_grids(table),
            claims=table.claims,
            notes=table.notes,
            protocols=protocols,
            gallery=gallery,
            costs=costs_of(table, facts["costs"], sampling=sampling, steps=steps),
        )

    def costs(self, *, anew: bool = False) -> dict[str, dict[str, float]]:
        """Return the costs of the rows in the main table, such as seconds per image.

        The first key is the name of the row, and the second key is the name of the cost. The costs are measured if the
        store has none for the same networks, latents, batch and kind of device. Rows whose images were made by other
        programs are left out, because this run cannot measure their costs.

        Args:
            anew: True to measure the costs even if the store has them. The new costs are not stored.
        """
        setup = self.setup
        own = [row for row in self._labels if not setup.facts["rows"][row]["origin"]]
        count = self.first_items(min(TIMED, setup.scoring.batch_size))

        def find() -> dict[str, dict[str, float]]:
            return row_costs({row: setup.methods[row] for row in own}, self.first_batch(count))

        if anew:
            return find()
        known = setup.remembered("costs", self.run.latents[:1], find, rows=own, count=count)
        return {row: known[row] for row in own}

    def own_rows(self) -> dict[str, dict[str, Any]]:
        """Return the code and the costs of each row that is a user's own, by the name of the row.

        `bench.generation.own_rows.code_of_row` and `bench.evaluation.costs.own_row_costs` describe the content. The
        store keeps the costs.
        """
        setup, own = self.setup, self.setup.own_code
        if not own:
            return {}

        def find() -> dict[str, Any]:
            batch = self.first_batch(1)
            return {row: own_row_costs(setup.methods[row], batch) for row in own}

        costs = setup.remembered("costs of own rows", self.run.latents[:1], find, rows=[*own], count=1)
        return {row: {**code, **costs[row]} for row, code in own.items()}

    def first_items(self, most: int) -> int:
        """Return how many of the first `most` items are in the first block."""
        return min(most, next(self.run.items.blocks())[1])

    def first_batch(self, stop: int) -> Batch:
        """Return a batch of the first `stop` items, all of which are in the first block."""
        items, sampling = self.run.items, self.setup.sampling
        arrays = {name: values[:stop] for name, values in sampling.latents_of(self.run.latents[0]).items()}
        return sampling.batch(items.read(0, stop), arrays)[0]

    def all_items(self) -> Iterator[Batch]:
        """Yield one batch for each item, with only this item.

        If a method computes latents, their last digits depend on the batch size. Because each batch has one item, the
        latents of different rows are comparable.
        """
        items, sampling = self.run.items, self.setup.sampling
        for key, (first, last) in zip(self.run.latents, items.blocks(), strict=True):
            arrays = sampling.latents_of(key)
            for place in range(first, last):
                one = {name: values[place - first : place - first + 1] for name, values in arrays.items()}
                yield sampling.batch(items.read(place, place + 1), one)[0]

    def keep(self) -> pandas.DataFrame:
        """Write the manifest and the records, and also the features if `keep_features` is set.

        Returns:
            The records as a table.
        """
        out, items, scored = self.run.out, self.run.items, self.run.scored
        write_manifest(out, items)
        records = records_of(items.ids, scored)
        write_records(out, records)
        remove_features(out)
        if self.config.keep_features:
            fewest = self.config.profile.fid_minimum
            dtype, minimums = self.config.features_dtype, self.setup.minimums
            write_features(out, scored, items, dtype=dtype, fewest=fewest, minimums=minimums)
        return records

    def facts(self, costs: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """Return the settings, weights, items, times and costs of the run, for `run.json` and for the page.

        Args:
            costs: costs of the rows, as `costs` returns them; empty if they were not measured.
        """
        setup, items = self.setup, self.run.items
        lineages = {name: facts["lineage"] for name, facts in setup.facts["rows"].items()}
        return run_facts(
            self.config,
            setup.resolved,
            setup.overrides,
            device=str(setup.device),
            weights=setup.weights,
            facts={
                "custom": setup.custom,
                "python_rows": notes_on(setup.resolved["rows"]),
                "own_rows": self.own_rows(),
                "unet_weights": setup.facts["generator"]["unet_weights"] or None,
                "lineage": {name: lineage for name, lineage in lineages.items() if lineage},
                "manifest": items.hash,
                "items": len(items),
                "dropped": items.manifest["dropped"],
                "broken": items.manifest["broken"],
                "left_out": items.manifest["left_out"],
                "processes": setup.world.size,
                "seconds": {name: round(value, 3) for name, value in self.run.stages.seconds.items()},
                "latents": setup.sampling.counts,
                "taken": asdict(self.run.taken),
                "costs": costs,
                "costs_unknown": unknown_costs(setup.device) if costs else {},
            },
        )
