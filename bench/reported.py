"""What a table's run shows of itself: figures, the report with its gallery, what rows cost, and `run.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.checking.estimate import hindsight
from bench.costs import row_costs, unknown_costs
from bench.data.manifest import Items
from bench.generation.decoding import Batch, Method, origin_of
from bench.loading import Loaded
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Scored
from bench.reporting.cost_plot import costs_of
from bench.reporting.figures import draw_borders, draw_rows
from bench.reporting.files import run_facts
from bench.reporting.gallery import Gallery, choose, compared, drawn, drawn_places, fill
from bench.reporting.page import Page, first_line
from bench.reporting.paper_figures import ERROR, PaperFigures
from bench.showing import images_of, save_images
from bench.tables.build import Table, label_of
from bench.tables.grid import terminal
from bench.tables.render import further_grids, print_table

__all__ = ["Reported"]

TIMED = 8
"""Items that rows are timed on, at once."""


class Reported(Loaded):
    """A table's run as far as it is shown."""

    def report(self, out: Path, items: Items, latents: list[str], scored: Scored, table: Table) -> None:
        """The figures, the terminal's table, and images where they are asked for."""
        chosen = drawn_places(len(items), self.config.seed)
        shown, images = images_of(self._shown, self.sampling, items, latents, chosen)
        (out / "figures").mkdir(exist_ok=True)
        labelled = [(label_of(self.rows[name], self._spec), pictures) for name, pictures in images.items()]
        title = f"{table.title}, profile {table.profile}"
        draw_rows(out / "figures" / "rows.png", shown, labelled, title=title)
        if self._spec.task != "generation":
            draw_borders(out / "figures" / "borders.png", shown, labelled, title=f"Borders of holes: {title}")
        self.paper_figures(items, latents, scored, title).write(out / "figures", self._spec.figures)
        if self.config.save_images:
            save_images(out, self.methods, self.sampling, items, latents)
        print_table(table, terminal())
        if self.taken is not None and (found := hindsight(self.prediction.recall(), self.taken)) is not None:
            print(f"\n{found}")
        print(f"\n{out}")

    def paper_figures(self, items: Items, latents: list[str], scored: Scored, title: str) -> PaperFigures:
        """What the paper's own figures are drawn from."""
        return PaperFigures(
            items,
            lambda rows, places: images_of(
                {row: self.methods[row] for row in rows}, self.sampling, items, latents, places
            ),
            labels={name: label_of(self.rows[name], self._spec) for name in self._shown},
            errors={row: np.asarray(values[ERROR]) for row, values in scored.rows.items() if ERROR in values},
            seed=self.config.seed,
            title=title,
        )

    def gallery(self, items: Items, latents: list[str], scored: Scored) -> Gallery:
        """The items that the report shows, by the rule of `bench.reporting.gallery`, with their pictures."""
        labels = {name: label_of(row, self._spec) for name, row in self.rows.items() if name in self._shown}
        values = {
            row: {name: np.asarray(of) for name, of in scored.rows[row].items() if of.ndim == 1} for row in labels
        }
        reference = self._spec.reference if self._spec.reference in labels else ""
        metrics = compared(self._spec.columns, values)
        picks = choose(values, metrics, reference or "") or drawn(len(items), self.config.seed)
        images = partial(images_of, self._shown, self.sampling, items, latents)
        return fill(picks, images, values, metrics, labels, reference=reference or "", of=len(items))

    @property
    def _shown(self) -> dict[str, Method]:
        """The methods of the table's own rows."""
        return {name: method for name, method in self.methods.items() if not self.rows[name].beside}

    def page(self, table: Table, gallery: Gallery, facts: dict[str, Any], protocols: Mapping[str, Protocol]) -> Page:
        """What the report says."""
        sampling, steps = self.sampling.pace.each, self.resolved["generator"].get("steps")
        return Page(
            f"Table {table.number}. {table.title}",
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

    def costs(self, items: Items, latents: list[str]) -> dict[str, dict[str, float]]:
        """What each of the table's own rows costs whose images this project's code makes: others' are only read."""
        own = {name: method for name, method in self._shown.items() if not origin_of(method)}
        return row_costs(own, self.first_batch(items, latents, min(TIMED, self.scoring.batch_size)))

    def first_batch(self, items: Items, latents: list[str], count: int) -> Batch:
        """The first items of the first block, as methods take them."""
        stop = min(len(items), count, next(items.blocks())[1])
        arrays = {name: values[:stop] for name, values in self.sampling.latents_of(latents[0]).items()}
        return self.sampling.batch(items.read(0, stop), arrays)[0]

    def all_items(self, items: Items, latents: list[str]) -> Iterator[Batch]:
        """Every item in a batch of its own, as the last digits of latents depend on the size of a batch."""
        for key, (first, last) in zip(latents, items.blocks(), strict=True):
            arrays = self.sampling.latents_of(key)
            for place in range(first, last):
                one = {name: values[place - first : place - first + 1] for name, values in arrays.items()}
                yield self.sampling.batch(items.read(place, place + 1), one)[0]

    def facts(self, items: Items, costs: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """How the run came to be, for `run.json` and the report."""
        return run_facts(
            self.config,
            self.resolved,
            self.overrides,
            device=str(self.device),
            weights=self.weights,
            facts={
                "custom": self.custom,
                "unet_weights": getattr(self.generator, "unet_weights", None),
                "lineage": {
                    name: lineage
                    for name, method in self.methods.items()
                    if (lineage := getattr(method, "lineage", None))
                },
                "manifest": items.hash,
                "dropped": items.manifest["dropped"],
                "broken": items.manifest["broken"],
                "processes": self.world.size,
                "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
                "latents": self.sampling.counts,
                "taken": asdict(self.taken) if self.taken else None,
                "costs": costs,
                "costs_unknown": unknown_costs(self.device) if costs else {},
            },
        )
