"""One experiment, stage by stage: check, prepare, sample, score, tabulate, report.

Each stage takes what the one before left in the store and leaves its own. What is there is not made again: that is
resume, caching and sharing between experiments in one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pandas

from bench.checking.estimate import Taken, before_trial, estimate
from bench.checking.report import report
from bench.checking.settings import check_settings
from bench.checking.trial import try_out
from bench.config import group_of
from bench.costs import decoding_share, sampling_seconds
from bench.data.manifest import DamagedItemsError, Items, prepare_items
from bench.data.masks import preset
from bench.errors import BadInputError
from bench.generation.compiling import check_mode
from bench.generation.decoding import branch_is_off, made_beforehand, origin_of
from bench.generation.received import received_latents
from bench.influences import write_influences
from bench.kept import remove_features, write_features
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Scored, Summary
from bench.objects import make
from bench.reported import Reported
from bench.reporting.files import (
    write_manifest,
    write_records,
    write_report,
    write_results,
    write_run,
    write_table,
)
from bench.reporting.index import headline
from bench.reporting.latents import LatentStatistics
from bench.reporting.notes import notes
from bench.results import Results, open_out
from bench.schema import STAGES
from bench.tables.build import Table, best_rows, bins_of, build_table, rows_compared
from bench.tables.effects import effects_of
from bench.tables.judged_run import JudgedRun
from bench.tables.judging import DecodedLatents, at_least, exact_on, judge
from bench.tables.printed import judge_printed
from bench.tables.render import few_sources_note, frame, renderings
from bench.tables.seeds import RunSeeds, SeedStudy, trained_decoders
from bench.tables.verdicts import PAPER, Outcome, scope_of
from bench.world import World

__all__ = ["TableExperiment"]

log = logging.getLogger(__name__)

ITEMS = "items"
"""Their folder in the store."""
LATENTS_TABLE = 2
"""The table with a statement on what its rows decode."""
COMPARED = 8
"""On how many items images are compared with those of a decoder without its branch."""
CHOOSING = ("row", "table", "decoder", "measure", "limit")
"""Groups and keys whose overrides choose rows, columns or items, and change no image of any row that stays."""
TEXT_CLAIMS = 2
"""The table whose run judges what the paper says outside its tables."""


class TableExperiment(Reported):
    """Rows of one table, all decoded from the same latents."""

    def run(self) -> Results:
        """Every stage up to the configured one."""
        wanted = STAGES[: STAGES.index(self.config.stage) + 1]
        with self._stage("check"):
            self.check()
            self.load()
        if "prepare" not in wanted:
            self.predict()
            return Results(Path(), 0)
        self.world = World.join(self.device)
        out = open_out(self.config.out, self.config.name) if self.world.leads else Path()
        if self.config.profile.name != PAPER:
            log.info("profile %s: its numbers are comparable with nothing but themselves", self.config.profile.name)
        self.store.uses.begin(self.store.root, self.config.name, out if self.world.leads else None)
        try:
            return self.measure(out, wanted)
        except DamagedItemsError:
            if self.world.size > 1:  # the others wait for what this process has not done
                raise
            return self.measure(out, wanted)

    def measure(self, out: Path, wanted: Sequence[str]) -> Results:
        """The stages after the check, as far as they are wanted."""
        with self._stage("prepare"):
            items = self.prepare()
            self.store.uses.add(ITEMS, [items.folder.name])
        if "sample" not in wanted:
            return Results(out, 0)
        with self._stage("sample"):
            latents = self.sampling.run(items)
            self.foresee(items)
        if "score" not in wanted:
            return Results(out, 0)
        with self._stage("score"):
            scored = self.scoring.run(items, latents, self.sets)
            self.taken = Taken(self.sampling.pace.each, self.scoring.pace.each, self.meter.memory())
        if "tabulate" not in wanted or not self.world.leads:
            return Results(out, 0)
        return self.conclude(out, items, latents, scored)

    def conclude(self, out: Path, items: Items, latents: list[str], scored: Scored) -> Results:
        """Tabulate, and report where the run goes so far."""
        with self._stage("tabulate"):
            summary = Summary(scored, self.config.profile.fid_minimum, bins_of(self._spec.columns))
            protocols = self.protocols_of(summary)
            costs = self.costs(items, latents) if self.config.costs or self.config.stage == "report" else {}
            table = self.tabulate(items, latents, summary, costs, protocols)
            records = self.keep(out, items, scored)
            write_influences(out, items, summary, self._spec.columns)
            write_table(out, renderings(table))
            write_results(
                out,
                self.config,
                self.resolved,
                table,
                items=items,
                custom=self.custom,
                protocols=protocols,
                measures={metric: summary.measure(metric) for metric in protocols},
            )
        gallery = None
        if self.config.stage == "report":
            with self._stage("report"):
                self.report(out, items, latents, scored, table)
                gallery = self.gallery(items, latents, scored)
        facts = self.facts(items, costs)
        if gallery is not None:
            write_report(out, self.page(table, gallery, facts, protocols))
        write_run(out, facts)
        return Results(
            out,
            0,
            table=frame(table),
            records=records,
            summary=(self._spec.number, summary),
            headline=headline(table),
        )

    # --- check -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See before any work that all is there: targets, arguments, the table's own settings, and files."""
        self.check_settings()
        problems = self.inspection.problems
        if problems:
            raise BadInputError(report(self.config.name, problems, tail=before_trial(self.work)))

    def check_settings(self) -> None:
        """See that targets and arguments are right, whatever files are there."""
        check_settings(self.resolved, self._spec, self.rows)
        check_mode(self.config.compile, self.device)

    def load(self) -> None:
        """Load what every row needs, so that a wrong weight file is found before hours of sampling.

        The files are hashed before: what the keys of the store say is what was loaded.

        Raises:
            BadInputError: something does not load; the message is of the generator, the methods and the measures.
        """
        errors = []
        for part in ("weights", "generator", "methods", "measures"):
            try:
                getattr(self, part)
            except BadInputError as error:
                errors.append(str(error))
        if errors:
            raise BadInputError("\n".join(errors))

    def predict(self) -> None:
        """Say that all is there and what a run would take, and leave that in the store for the run to look back on."""
        size = sum(Path(path).stat().st_size for path in self.weights)
        print(f"{self.config.name}: ready: all is there, {len(self.rows)} rows and {size / 1e6:.1f} MB of weights")
        if known := getattr(self.generator, "unet_weights", None):
            print(f"generator: the UNet's weights are {known}")
        tried = try_out(self.sampling, self.scoring, resolution=self.config.profile.resolution, device=self.device)
        self.prediction.remember(asdict(tried))
        print("\n".join(estimate(self.work, tried, self.store.root)))

    # --- prepare -----------------------------------------------------------------------------------------------------

    def prepare(self) -> Items:
        """Items on disk, with their manifest."""
        profile, dataset = self.config.profile, self.resolved["dataset"]
        limits = [limit for limit in (dataset["items"], self.config.limit) if limit is not None]
        return prepare_items(
            self.store.root / ITEMS,
            make(dataset["pictures"], "dataset.pictures"),
            resolution=profile.resolution,
            masks=preset(profile.masks),
            seed=self.config.seed,
            limit=min(limits, default=None),
        )

    # --- sample ------------------------------------------------------------------------------------------------------

    def foresee(self, items: Items) -> None:
        """Have methods whose images are made beforehand make them: one process does, the others find them."""
        with self.world.leader_first():
            for method in self.methods.values():
                for one in made_beforehand(method):
                    one.prepare(items, self.store.root / "external")

    # --- tabulate ----------------------------------------------------------------------------------------------------

    def keep(self, out: Path, items: Items, scored: Scored) -> pandas.DataFrame:
        """Manifest and records in the run's folder, and features where they are asked for; returns the records."""
        write_manifest(out, items)
        records = write_records(out, items, scored)
        remove_features(out)
        if self.config.keep_features:
            fewest = self.config.profile.fid_minimum
            write_features(out, scored, items, dtype=self.config.features_dtype, fewest=fewest)
        return records

    def tabulate(
        self,
        items: Items,
        latents: list[str],
        summary: Summary,
        costs: Mapping[str, Mapping[str, float]],
        protocols: Mapping[str, Protocol],
    ) -> Table:
        """The paper's table with ours beside it, and what it says of the paper's claims."""
        profile = self.config.profile.name
        run = JudgedRun(
            self._spec.number,
            summary,
            scope_of(profile, custom=bool(self.custom) or items.manifest["subset"] == "custom"),
            rows_compared(self._spec, self.rows),
            self.training_seeds(items, protocols),
            self.reading.error,
        )
        masked = self._spec.task != "generation"
        seen = LatentStatistics.of(
            (self.sampling.latents_of(key), items.masks(*span) if masked else None)
            for key, span in zip(latents, items.blocks(), strict=True)
        )
        best = best_rows(self._spec, run.comparisons, self.styles)
        verdicts = judge(
            run,
            latents=self.decoded_latents(items, latents),
            structure=self.outcomes(items, latents, seen, costs),
        )
        table = build_table(
            self._spec,
            self.rows,
            run.comparisons.table(),
            profile=f"{profile}, custom ({', '.join(self.custom)})" if self.custom else profile,
            features=str(self.resolved["features"]["name"]),
            training={name: method.training for name, method in self.methods.items()},
            origins={name: origin_of(method) for name, method in self.methods.items()},
            notes=[*self._notes(items, summary, protocols, best), seen.gap_note(), *seen.leak_note()],
            claims=[*verdicts, *judge_printed(self._spec.number)],
            effects={metric: effects_of(summary, metric, run.seeds) for metric in self._spec.columns},
            best=best,
            styles=self.styles,
            reading=self.reading,
        )
        return replace(table, notes=(*table.notes, *few_sources_note(table)))

    def training_seeds(self, items: Items, protocols: Mapping[str, Protocol]) -> RunSeeds:
        """What is known of the rows' decoders over training seeds, on these items and by these protocols."""
        return SeedStudy.read(Path(self.config.profile.weights)).of_run(
            self._spec.number,
            manifest=items.hash,
            protocols={metric: protocol.hash for metric, protocol in protocols.items()},
            decoders=trained_decoders(self.resolved["rows"], self.config.profile.decoders),
            altered=[word for word in self.custom if group_of(word) not in CHOOSING],
        )

    def decoded_latents(self, items: Items, latents: list[str]) -> dict[str, DecodedLatents]:
        """What each row decoded, for the table that judges whether it was the same; nothing for the others."""
        if self._spec.number != LATENTS_TABLE:
            return {}
        received = received_latents(self.methods, self.all_items(items, latents))
        return {row: DecodedLatents(found.kind, found.sha256, found.items) for row, found in received.items()}

    def outcomes(
        self, items: Items, latents: list[str], seen: LatentStatistics, costs: Mapping[str, Mapping[str, float]]
    ) -> dict[str, Outcome]:
        """Outcomes of statements that no number of the table decides."""
        if self._spec.number != TEXT_CLAIMS:
            return {}
        first = self.first_batch(items, latents, COMPARED)
        is_off = branch_is_off(self.methods, first)
        found: dict[str, Outcome] = {"x2": is_off if isinstance(is_off, str) else exact_on(is_off, len(first.ids))}
        disturbed = seen.leak_next_to_the_hole(items.sources)
        if disturbed is not None:
            found["x6"] = at_least(
                "x6", disturbed.share, disturbed.ci95, disturbed.effective_sources, "share of the latents' deviation"
            )
        steps = self.resolved["generator"].get("steps")
        if self.config.costs and steps:
            batch = items.read(0, min(len(items), self.sampling.batch_size))
            found["x1"] = decoding_share(costs, sampling_seconds(self.generator, batch, self.device), steps)
        return found

    def _notes(
        self, items: Items, summary: Summary, protocols: Mapping[str, Protocol], best: Mapping[str, str]
    ) -> Iterator[str]:
        truncated = getattr(self.generator, "truncated", None)
        captions = [] if truncated is None else [item["caption"] for item in items.table.select_columns(["caption"])]
        return notes(
            self.config,
            self._spec,
            self.rows,
            items=items,
            summary=summary,
            protocols=protocols,
            best=best,
            styles=self.styles,
            reading=self.reading,
            truncated=None if truncated is None else truncated(captions),
        )

    def protocols_of(self, summary: Summary) -> dict[str, Protocol]:
        """By metric, everything that can change its value."""
        metrics = dict.fromkeys(metric for names in summary.metrics.values() for metric in names)
        return {
            metric: Protocol.of({"measure": self.protocols[summary.measure(metric)], **summary.statistic(metric)})
            for metric in metrics
        }

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started
