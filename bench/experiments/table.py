"""The experiment that measures one of the paper's tables.

Its stages are `check`, `prepare`, `sample`, `score`, `tabulate` and `report`. The code of the first four stages is in
`bench.evaluation.measure`. This module has the code of the stages `tabulate` and `report`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.checking.inspection import Problem
from bench.config.compose import group_of
from bench.config.experiment_configs import TableConfig
from bench.data.prepared import Items
from bench.evaluation.costs import decoding_share, sampling_seconds
from bench.evaluation.measure import MeasuredRun, missing, run_stages
from bench.evaluation.setup import Setup
from bench.experiments.report import RunReport
from bench.generation.decoding import branch_is_off
from bench.generation.received import received_latents
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Summary
from bench.reporting.latents import LatentStatistics
from bench.reporting.notes import notes
from bench.reporting.page import write_report
from bench.results.influences import write_influences
from bench.results.run_folder import Results
from bench.results.write import (
    write_results,
    write_run,
    write_table,
)
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Findings, Table, best_rows, bins_of, build_table, rows_compared
from bench.tables.effects import effects_of
from bench.tables.headlines import headlines
from bench.tables.judged_run import JudgedRun
from bench.tables.judging import DecodedLatents, at_least, exact_on, judge
from bench.tables.main_table import MAIN_TABLE, main_renderings
from bench.tables.printed import judge_printed
from bench.tables.render import few_sources_note, frame, renderings
from bench.tables.seeds import RunSeeds, SeedStudy, trained_decoders
from bench.tables.verdicts import Outcome, scope_of

__all__ = ["TableExperiment"]

log = logging.getLogger(__name__)

LATENTS_TABLE = 2
"""Number of the table for which the paper makes a statement about the latents that its rows decode."""
COMPARED = 8
"""Largest number of items with which a claim about the branch is tested.

For these items, the images that a decoder makes with a mask of ones are compared with the images that the same decoder
makes without its branch.
"""
CHOOSING = ("row", "table", "decoder", "measure", "limit")
"""Groups and keys whose overrides only choose rows, columns or items. They do not change the image that a row has of an
item.
"""
TEXT_CLAIMS = 2
"""Number of the table whose run also judges claims from the text of the paper, which belong to no table."""


class TableExperiment:
    """An experiment that measures the rows of one table. All rows share the latents that the generator samples."""

    def __init__(self, config: TableConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line."""
        self.setup, self.config = Setup(config, overrides), config

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files that the run needs."""
        return missing(self.setup)

    def run(self) -> Results:
        """Run every stage up to and including the stage in the configuration, and return the results."""
        return run_stages(self.setup, self.conclude)

    def conclude(self, run: MeasuredRun) -> Results:
        """Make the table from the measured values, and write it.

        If the run includes the stage `report`, write the report as well.

        Args:
            run: the scored run.
        """
        setup, report = self.setup, RunReport(self.setup, run)
        with run.stages.timed("tabulate"):
            summary = Summary(
                run.scored,
                self.config.profile.fid_minimum,
                bins_of([*setup.spec.columns, *(self.config.tex.columns or ())]),
                minimums=setup.minimums,
            )
            protocols = setup.protocols_of(summary)
            costs = report.costs(anew=self.config.costs) if self.config.costs or run.stages.include("report") else {}
            table = self.tabulate(report, summary, costs, protocols)
            records = report.keep()
            write_influences(run.out, run.items.ids, summary, setup.spec.columns)
            write_table(run.out, renderings(table))
            write_table(run.out, main_renderings(table, self.config.tex), name=MAIN_TABLE)
            write_results(
                run.out,
                report.measured,
                table,
                protocols=protocols,
                measures={metric: summary.measure(metric) for metric in protocols},
            )
        gallery = None
        if run.stages.include("report"):
            with run.stages.timed("report"):
                report.draw(table)
                gallery = report.gallery()
        facts = report.facts(costs)
        if gallery is not None:
            write_report(run.out, report.page(table, gallery, facts, protocols))
        write_run(run.out, facts)
        if gallery is not None:
            report.show(table)
        return Results(
            run.out,
            0,
            table=frame(table),
            records=records,
            summary=(setup.spec.number, summary.without_features()),
            headline=headlines(table),
        )

    def tabulate(
        self,
        report: RunReport,
        summary: Summary,
        costs: Mapping[str, Mapping[str, float]],
        protocols: Mapping[str, Protocol],
    ) -> Table:
        """Return the table with the measured numbers, the paper's numbers, and the verdicts on the claims.

        Args:
            report: the report on the run, which also gives access to the run's items and latents.
            summary: estimates of the metrics with their uncertainty.
            costs: costs of the rows, by row and cost; empty if they were not measured.
            protocols: protocol of each metric, by the name of the metric.
        """
        setup, items, profile = self.setup, report.run.items, self.config.profile.name
        run = JudgedRun(
            setup.spec.number,
            summary,
            scope_of(profile, custom=bool(setup.custom) or items.manifest["subset"] == "custom"),
            rows_compared(setup.spec, setup.rows),
            self.training_seeds(items, protocols),
            setup.reading.error,
        )
        masked = setup.spec.task != "generation"
        seen = None
        if setup.studies_latents:
            seen = LatentStatistics.of(
                (setup.sampling.latents_of(key), items.masks(*span) if masked else None)
                for key, span in zip(report.run.latents, items.blocks(), strict=True)
            )
        best = best_rows(setup.spec, run.comparisons, setup.styles)
        verdicts = judge(
            run,
            latents=self.decoded_latents(report),
            structure=self.outcomes(report, seen, costs),
        )
        table = build_table(
            setup.design,
            run.comparisons.table(),
            training={name: facts["training"] for name, facts in setup.facts["rows"].items()},
            origins={name: facts["origin"] for name, facts in setup.facts["rows"].items()},
            notes=[
                *setup.protocol_of_run(items).notes(),
                *self._notes(report, summary, protocols, best),
                *([] if seen is None else [seen.gap_note(), *seen.leak_note()]),
            ],
            findings=Findings(
                claims=[*verdicts, *judge_printed(setup.spec.number)],
                effects={metric: effects_of(summary, metric, run.seeds) for metric in setup.spec.columns},
                best=best,
                pairs=run.comparisons.pairs(setup.spec.columns),
            ),
        )
        return replace(table, notes=(*table.notes, *few_sources_note(table)))

    def training_seeds(self, items: Items, protocols: Mapping[str, Protocol]) -> RunSeeds:
        """Return the values that `experiment=seeds` measured for the rows' decoders with several training seeds.

        Only values that were measured on the same items and with the same protocols are used. If an override of this
        run may change latents or images, no value is used.

        Args:
            items: items of the run.
            protocols: protocol of each metric, by the name of the metric.
        """
        return SeedStudy.read(Path(self.config.profile.weights)).of_run(
            self.setup.spec.number,
            manifest=items.hash,
            protocols={metric: protocol.hash for metric, protocol in protocols.items()},
            decoders=trained_decoders(self.setup.resolved["rows"], self.config.profile.decoders),
            altered=[word for word in self.setup.custom if group_of(word) not in CHOOSING],
        )

    def decoded_latents(self, report: RunReport) -> dict[str, DecodedLatents]:
        """Return the kind and the SHA-256 of the latents that each row decoded, and the number of items.

        The key of the result is the row's name. The result is empty for every table except `LATENTS_TABLE`, because
        only a claim about this table needs it.
        """
        if self.setup.spec.number != LATENTS_TABLE:
            return {}
        setup, run = self.setup, report.run

        def find() -> dict[str, Any]:
            return {row: asdict(one) for row, one in received_latents(setup.methods, report.all_items()).items()}

        rows, count = [*setup.methods], len(run.items)
        found = setup.remembered("latents that rows decode", run.latents, find, rows=rows, count=count)
        return {row: DecodedLatents(one["kind"], one["sha256"], one["items"]) for row, one in found.items()}

    def outcomes(
        self, report: RunReport, seen: LatentStatistics | None, costs: Mapping[str, Mapping[str, float]]
    ) -> dict[str, Outcome]:
        """Return the outcomes of those claims that the numbers of the table cannot decide.

        The key is the short name of the claim, such as `x1`. The result is empty for every table except `TEXT_CLAIMS`.
        If no decoder is suitable for the test of `x2`, the outcome of `x2` is a `NotAvailable`. Any other claim that
        this run cannot test is left out.

        Args:
            report: the report on the run, which also gives access to the run's items and latents.
            seen: statistics of the sampled and of the encoded latents; None if the run does not study its latents.
            costs: costs of the rows, by row and cost.
        """
        setup, items = self.setup, report.run.items
        if setup.spec.number != TEXT_CLAIMS:
            return {}
        count = report.first_items(COMPARED)

        def test() -> dict[str, Any]:
            is_off = branch_is_off(setup.methods, report.first_batch(count))
            return {"reason": is_off.reason} if isinstance(is_off, NotAvailable) else {"off": is_off}

        known = setup.remembered("branch is off", report.run.latents[:1], test, rows=[*setup.methods], count=count)
        found: dict[str, Outcome] = {
            "x2": NotAvailable(known["reason"]) if "reason" in known else exact_on(known["off"], count)
        }
        disturbed = None if seen is None else seen.leak_next_to_the_hole(items.sources)
        if disturbed is not None:
            found["x6"] = at_least(
                "x6", disturbed.share, disturbed.ci95, disturbed.effective_sources, "share of the latents' deviation"
            )
        steps = setup.resolved["generator"].get("steps")
        if self.config.costs and steps:
            batch = items.read(0, min(len(items), setup.sampling.batch_size))
            found["x1"] = decoding_share(costs, sampling_seconds(setup.generator, batch, setup.device), steps)
        return found

    def _notes(
        self, report: RunReport, summary: Summary, protocols: Mapping[str, Protocol], best: Mapping[str, str]
    ) -> Iterator[str]:
        setup, items = self.setup, report.run.items

        def count() -> dict[str, Any]:
            captions = [item["caption"] for item in items.table.select_columns(["caption"])]
            return {"captions": setup.generator.truncated(captions)}

        return notes(
            self.config,
            setup.design,
            items=items,
            summary=summary,
            protocols=protocols,
            best=best,
            truncated=setup.remembered("truncated captions", report.run.latents, count, rows=(), count=len(items))[
                "captions"
            ],
        )
