"""The experiment that repeats edits: each row edits, in every turn, the image that it saved in the turn before.

Turn 1 equals the table of one turn on the same items. `bench.evaluation.turns` makes and measures the later turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checking.inspection import Problem
from bench.config.experiment_configs import TurnsConfig
from bench.data.edited import TurnMasks
from bench.data.encoding import write_picture
from bench.data.items import Item
from bench.data.masks import preset
from bench.data.names import file_stem
from bench.data.prepared import BLOCK
from bench.errors import BadInputError
from bench.evaluation.measure import MeasuredRun, missing, run_stages
from bench.evaluation.setup import Setup
from bench.evaluation.turns import VERSION, MeasuredTurns, RowTurn, TurnPlan, measure_turns
from bench.experiments.report import RunReport
from bench.metrics.half_life import HalfLife, half_life
from bench.metrics.image_encoding import PREFIX, WAYS
from bench.metrics.names import VARIANTS
from bench.metrics.protocol import Protocol
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.metrics.turns import at_turn, of_all_turns
from bench.reporting.choice import drawn_places
from bench.reporting.figures import TurnsLine, TurnsPanel, draw_lines, draw_turns
from bench.reporting.gallery import Gallery
from bench.reporting.notes import items_note
from bench.reporting.page import Page, PageFigure, first_line, write_report
from bench.reporting.pixels import masked
from bench.reporting.turns_plot import turns_plots
from bench.results.influences import write_influences
from bench.results.run_folder import Results
from bench.results.write import write_results, write_run, write_table
from bench.runtime.not_available import NotAvailable
from bench.tables.build import bins_of, build_table, rows_compared
from bench.tables.comparisons import Comparisons
from bench.tables.grid import terminal
from bench.tables.render import few_sources_note
from bench.tables.turns import HALF_LIFE, TurnsTable, design_of_turns, frame, print_turns, renderings, turns_grids
from bench.tables.verdicts import PAPER

__all__ = ["TurnsExperiment"]

WHOLE = "generation"
"""Task whose items have no known pixels."""
PICTURES = "pictures.png"
CURVES = "turns.png"


class TurnsExperiment:
    """An experiment that measures the rows of a table in several turns of repeated edits."""

    def __init__(self, config: TurnsConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line.

        Raises:
            BadInputError: the way to save images is unknown, or the table's task has no known pixels.
        """
        if config.saved not in WAYS:
            raise BadInputError(f"saved: expected one of {', '.join(WAYS)}, found {config.saved}")
        if config.table.task == WHOLE:
            raise BadInputError(f"table.task: expected a task with known pixels, such as inpainting, found {WHOLE}")
        self.setup, self.config = Setup(config, overrides), config
        masks = TurnMasks(config.masks == "moving", preset(config.profile.masks), config.seed)
        self.plan = TurnPlan(config.turns, masks, config.saved)
        self._measured: MeasuredTurns | None = None

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files that the run needs."""
        return missing(self.setup)

    def run(self) -> Results:
        """Run every stage up to and including the stage in the configuration, and return the results."""
        found = run_stages(self.setup, self.conclude, self._measure)
        if found.forecast is not None and self.plan.turns > 1:
            rows = len(self.setup.methods)
            print(
                f"{self.config.name}: the estimate is for turn 1 alone; each of the {self.plan.turns - 1} further "
                f"turns samples the latents of {rows} rows, and so takes about {rows} times as long"
            )
        return found

    def _measure(self, run: MeasuredRun) -> None:
        with run.stages.timed("turns"):
            self._measured = measure_turns(self.setup, run, self.plan)

    def conclude(self, run: MeasuredRun) -> Results:
        """Make the table, the figures and the report from the values of all turns, and write them.

        Args:
            run: the scored run of turn 1.
        """
        scored, turns = self.measured.scored, self.plan.turns
        whole = replace(run, scored=of_all_turns(scored))
        report = RunReport(self.setup, whole)
        with run.stages.timed("tabulate"):
            summary = self.summary(whole.scored)
            protocols = self.protocols(summary)
            table = self.tabulate(run, summary, protocols)
            records = report.keep()
            write_influences(run.out, run.items.ids, summary, [column.metric for column in table.whole.columns])
            write_table(run.out, renderings(table))
            write_results(
                run.out,
                report.measured,
                table.whole,
                protocols=protocols,
                measures={metric: summary.measure(metric) for metric in protocols},
            )
        gallery = None
        if run.stages.include("report"):
            with run.stages.timed("report"):
                self._draw(run, table)
                ended = replace(run, scored=scored[-1])
                gallery = RunReport(self.setup, ended, partial(self.images, turn=turns)).gallery()
                self._save_images(run.out)
        facts = report.facts({})
        if gallery is not None:
            write_report(run.out, self.page(table, gallery, facts, protocols))
        write_run(run.out, facts)
        if gallery is not None:
            print_turns(table, terminal(), verbose=self.config.verbose)
            report.show_path()
        return Results(run.out, 0, table=frame(table), records=records)

    def summary(self, scored: Scored) -> Summary:
        """Return the estimates of the metrics of all turns.

        Args:
            scored: scores of all turns, as `of_all_turns` returns them.
        """
        turns, setup = range(1, self.plan.turns + 1), self.setup
        minimums = {at_turn(metric, turn): least for metric, least in setup.minimums.items() for turn in turns}
        fewest = self.config.profile.fid_minimum
        return Summary(scored, fewest, bins_of(setup.spec.columns), minimums=minimums)

    def protocols(self, summary: Summary) -> dict[str, Protocol]:
        """Return the protocol of each metric. Metrics of turn 1 have the protocols of the table of one turn.

        Args:
            summary: estimates of the metrics of all turns.
        """
        found = self.setup.protocols_of(summary)
        first = replace(summary, scored=self.measured.scored[0])
        for metric in dict.fromkeys(name for names in first.metrics.values() for name in names):
            for turn in range(2, self.plan.turns + 1):
                name = at_turn(metric, turn)
                found[name] = Protocol.of({**found[name].settings, "turn": self._protocol_of(turn)})
        return found

    def _protocol_of(self, turn: int) -> dict[str, Any]:
        """Return everything that distinguishes the values of a later turn from those of turn 1, as plain data."""
        way = VARIANTS[f"{PREFIX}{self.plan.way}"]
        masks = "the item's own in every turn"
        if self.plan.masks.moving:
            masks = f"one of its own in each turn, drawn from {self.plan.masks.family.name}"
        return {
            "number": turn,
            "input": f"the row's own image of the turn before, {way}",
            "masks": masks,
            "known": "pixels in no hole so far",
            "noise": "drawn anew in each turn, the same for all rows",
            "version": VERSION,
        }

    @property
    def measured(self) -> MeasuredTurns:
        """The images and scores of all turns. The scoring stage must have ended."""
        assert self._measured is not None
        return self._measured

    def tabulate(self, run: MeasuredRun, summary: Summary, protocols: Mapping[str, Protocol]) -> TurnsTable:
        """Return the table of all turns with its notes.

        Args:
            run: the scored run of turn 1.
            summary: estimates of the metrics of all turns.
            protocols: protocol of each metric, by the name of the metric.
        """
        setup = self.setup
        design = design_of_turns(setup.design, self.plan.turns)
        comparisons = Comparisons(summary, rows_compared(setup.spec, setup.rows))
        lives = {row: self.half_life(row) for row in setup.methods}
        whole = build_table(
            design,
            comparisons.table(),
            training={name: facts["training"] for name, facts in setup.facts["rows"].items()},
            notes=list(self.notes(run, summary, protocols)),
        )
        spec, whole = setup.spec, replace(whole, notes=(*whole.notes, *few_sources_note(whole)))
        return TurnsTable(
            whole, self.plan.turns, tuple(spec.columns), tuple(spec.beside), lives, str(setup.design.features)
        )

    def half_life(self, row: str) -> HalfLife | NotAvailable:
        """Return the half-life of a row's known region by the run's headline error, or the reason why there is none."""
        scored = self.measured.scored
        errors = np.stack([np.asarray(turn.rows[row][self.setup.reading.error], np.float64) for turn in scored])
        return half_life(errors, scored[0].sources)

    def notes(self, run: MeasuredRun, summary: Summary, protocols: Mapping[str, Protocol]) -> Iterator[str]:
        """Yield the notes that are printed below the table, one line of text for each.

        Args:
            run: the scored run of turn 1.
            summary: estimates of the metrics of all turns.
            protocols: protocol of each metric, by the name of the metric.
        """
        setup, plan = self.setup, self.plan
        yield from setup.protocol_of_run(run.items).notes()
        if self.config.profile.name != PAPER:
            yield (
                f"Measured on the {self.config.profile.name} profile, with small models and data made by this project. "
                "Compare these numbers only with each other."
            )
        yield (
            "In turn 1, every row decodes the same latents, as in a table of one turn. In each later turn, a row edits "
            f"its own image of the turn before, {VARIANTS[f'{PREFIX}{plan.way}']}; new latents are sampled of this "
            "image, with noise that is drawn anew in each turn and is the same for all rows. All measures compare with "
            "the original picture."
        )
        if plan.masks.moving:
            yield (
                "Each turn has a mask of its own, drawn by LaMa's rule. A pixel counts as known as long as no turn had "
                "its hole there. The known region therefore shrinks from turn to turn, for all rows alike."
            )
            error = setup.reading.error
            names = [at_turn(error, turn) for turn in range(1, plan.turns + 1)]
            first = next(iter(setup.methods))
            left = [summary.measurement(first, name).n for name in names]
            shares = [1 - float(np.mean(turn.mask_area)) for turn in self.measured.scored]
            yield (
                f"Items with known pixels, by turn: {', '.join(map(str, left))}. Known share of the pixels, by turn: "
                f"{', '.join(f'{share:.0%}' for share in shares)}."
            )
        else:
            yield "Every turn has the item's own mask, so that the known region is the same in all turns."
        yield (
            "± is one standard error; items of one source count as dependent. * differs from the reference row in the "
            "same turn at the 95 % level, paired by item, with p-values adjusted by Holm's method within each metric "
            "and turn."
        )
        yield HALF_LIFE
        yield items_note(run.items, summary)
        last = {metric: at_turn(metric, plan.turns) for metric in setup.spec.columns}
        stamps = "; ".join(
            f"{name} {protocols[name].hash[:12]}"
            for pair in last.items()
            for name in dict.fromkeys(pair)
            if name in protocols
        )
        yield f"Manifest {run.items.hash[:16]}, seed {self.config.seed}; protocols of first and last turn: {stamps}."

    def images(
        self, rows: Sequence[str], places: Sequence[int], turn: int
    ) -> tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]:
        """Return some items, and the images that some rows saved of them in one turn.

        Args:
            rows: names of the rows.
            places: positions of the N items in the manifest, starting with 0.
            turn: number of the turn, 1 or more.

        Returns:
            The items with their original pictures and with the union of all holes so far as masks, and for each row its
                images N×S×S×3.
        """
        edits, items = self.measured.edits[turn - 1], self.measured.items[turn - 1]
        return items.pick(places), {row: _at_places(edits[row], places) for row in rows}

    def _draw(self, run: MeasuredRun, table: TurnsTable) -> None:
        """Write the curves of all headline metrics, and the pictures of one item in every turn."""
        figures = run.out / "figures"
        figures.mkdir(exist_ok=True)
        title = f"{table.whole.title}, profile {table.whole.profile}, {self.config.masks} masks"
        draw_turns(figures / CURVES, [self._panel(table, metric) for metric in table.columns], title=title)
        place, turns = drawn_places(len(run.items), self.config.seed)[:1], range(1, self.plan.turns + 1)
        item = run.items.pick(place)[0]
        lines = [("original", [item.image] * len(turns)), ("masked", [self._masked(place, turn) for turn in turns])]
        lines += [
            (row.label, [self.images([row.key], place, turn)[1][row.key][0] for turn in turns]) for row in table.rows
        ]
        draw_lines(figures / PICTURES, lines, title=f"{title}\n{item.id}", heads=[f"turn {turn}" for turn in turns])

    def _masked(self, place: Sequence[int], turn: int) -> npt.NDArray[np.uint8]:
        row = next(iter(self.measured.edits[turn - 1].values()))
        item = self.measured.items[0].pick(place)[0]
        return masked(replace(item, mask=row.items.pick(place)[0].mask))

    def _panel(self, table: TurnsTable, metric: str) -> TurnsPanel:
        style, lines = table.style(metric), []
        for row in table.rows:
            found = [row.measured.get(at_turn(metric, turn)) for turn in range(1, table.turns + 1)]
            values = [None if one is None or one.value is None else one.value * style.scale for one in found]
            bands = [None if one is None or one.ci95 is None else one.ci95 for one in found]
            scaled = [None if band is None else (band[0] * style.scale, band[1] * style.scale) for band in bands]
            lines.append(TurnsLine(row.label, values, scaled))
        return TurnsPanel(style.heading(table.features), lines, logarithmic=metric == self.setup.reading.error)

    def _save_images(self, out: Path) -> None:
        """Write every image of every row and turn as `images/turn_K/ROW/ITEM.png` if `save_images` is set."""
        if not self.config.save_images:
            return
        items = self.measured.items[0]
        for turn, edits in enumerate(self.measured.edits, 1):
            for row, one in edits.items():
                folder = out / "images" / f"turn_{turn}" / row
                folder.mkdir(parents=True, exist_ok=True)
                for number, span in enumerate(items.blocks()):
                    for line, picture in zip(items.lines(*span), one.images(number), strict=True):
                        write_picture(folder / f"{file_stem(line['id'])}.png", picture)

    def page(
        self,
        table: TurnsTable,
        gallery: Gallery,
        facts: dict[str, Any],
        protocols: Mapping[str, Protocol],
    ) -> Page:
        """Return the content of the report's page. The gallery shows the last turn.

        Args:
            table: table to show.
            gallery: items to show with their pictures.
            facts: settings, weights and times of the run, as in `run.json`.
            protocols: protocol of each metric, by the name of the metric.
        """
        plots = turns_plots(table, logarithmic=self.setup.reading.error)
        return Page(
            table.whole.title,
            f"profile {table.whole.profile}",
            first_line(self.config.profile.name),
            facts,
            grids=list(turns_grids(table)),
            notes=(*table.whole.notes, "The gallery shows the images of the last turn."),
            protocols=protocols,
            gallery=gallery,
            figure=PageFigure("Each metric by turn", plots) if plots.lines else None,
        )


def _at_places(edits: RowTurn, places: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return a row's images N×S×S×3 of the items at some places. Each block of images is read once."""
    found: dict[int, npt.NDArray[np.uint8]] = {}
    for block, there in groupby(sorted(places), lambda place: place // BLOCK):
        images = edits.images(block)
        found |= {place: images[place % BLOCK].copy() for place in there}
    return np.stack([found[place] for place in places])
