"""The sensitivity of a table's numbers: the same images measured under each of the features' choices alone.

Everything up to the scores is a table's experiment, with a few measures more; what that table already left in the store
is not made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.manifest import Items
from bench.errors import BadInputError
from bench.experiment import TableExperiment
from bench.metrics.bins import RULES, area_bin
from bench.metrics.protocol import Protocol
from bench.metrics.saving import PREFIX, WAYS
from bench.metrics.scoring import Unit
from bench.metrics.summary import Scored, Summary
from bench.reporting.files import write_report, write_run, write_table
from bench.reporting.gallery import Gallery
from bench.reporting.notes import items_note
from bench.reporting.page import Page, first_line
from bench.results import SCHEMA_VERSION, Results, write_json
from bench.schema import Choice, Config
from bench.showing import save_images
from bench.tables.build import METRICS, bins_of, label_of
from bench.tables.grid import terminal
from bench.tables.sensitivity import DEFAULT, SensitivityTable, build_sensitivity, needed, restricted, rule_of
from bench.tables.sensitivity_render import frame, print_table, renderings, rows_as_json, sensitivity_grids
from bench.tables.verdicts import PAPER

__all__ = ["SensitivityExperiment"]


class SensitivityExperiment(TableExperiment):
    """Rows of a table, measured as that table is and then once for each choice."""

    def __init__(self, config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> None:
        """Take a configuration as `bench.config.typed` gives it, and add the choices' measures to the table's.

        Raises:
            BadInputError: a choice is none; the message names its key.
        """
        assert config.features is not None  # the configuration was validated
        assert config.table is not None
        self.choices = config.features.choices
        features, task = resolved["features"], config.table.task
        self._own = list(features["tasks"].get(task, []))
        _check_choices(self.choices, features["measures"])
        further = [name for choice in self.choices.values() for name in choice.measures]
        tasks = {**features["tasks"], task: list(dict.fromkeys([*self._own, *further]))} if self._own else {}
        super().__init__(config, {**resolved, "features": {**features, "tasks": tasks or features["tasks"]}}, overrides)

    @property
    def more(self) -> list[Unit]:
        """Images saved otherwise, seen by the table's own measures."""
        return [
            (measure, f"{PREFIX}{choice.saved}")
            for choice in self.choices.values()
            if choice.saved is not None
            for measure in dict.fromkeys([*self._own, *choice.measures])
        ]

    def conclude(self, out: Path, items: Items, latents: list[str], scored: Scored) -> Results:
        """Every choice's numbers beside the table's own, in one table."""
        with self._stage("tabulate"):
            summaries = self.summaries(scored)
            protocols = {rule: self.protocols_of(summary) for rule, summary in summaries.items()}
            table = self.sensitivity(items, summaries, protocols)
            records = self.keep(out, items, scored)
            write_table(out, renderings(table))
            self._write_results(out, items, table, summaries, protocols)
        gallery = None
        if self.config.stage == "report":
            with self._stage("report"):
                gallery = self.gallery(items, latents, scored)
                if self.config.save_images:
                    save_images(out, self.methods, self.sampling, items, latents)
                print_table(table, terminal())
                print(f"\n{out}")
        facts = self.facts(items, {})
        if gallery is not None:
            write_report(out, self.report_of(table, gallery, facts, protocols))
        write_run(out, facts)
        return Results(out, 0, table=frame(table), records=records)

    @cached_property
    def columns(self) -> list[str]:
        """Metrics of the table, those beside it included."""
        return [*self._spec.columns, *self._spec.beside]

    def summaries(self, scored: Scored) -> dict[str, Summary]:
        """By the bins' rule, estimates of what the table shows and of nothing else."""
        fewest, bins = self.config.profile.fid_minimum, bins_of(self.columns)
        return {
            rule: Summary(restricted(scored, names), fewest, bins, rule)
            for rule, names in needed(self.columns, self.choices).items()
        }

    def sensitivity(
        self, items: Items, summaries: Mapping[str, Summary], protocols: Mapping[str, Mapping[str, Protocol]]
    ) -> SensitivityTable:
        """The table, its notes below it."""
        spec, profile = self._spec, self.config.profile.name
        return build_sensitivity(
            spec,
            {name: label_of(self.rows[name], spec) for name in self.methods},
            self.choices,
            summaries,
            profile=f"{profile}, custom ({', '.join(self.custom)})" if self.custom else profile,
            features=str(self.resolved["features"]["name"]),
            notes=list(self.notes(items, summaries, protocols)),
            styles=self.styles,
        )

    def notes(
        self, items: Items, summaries: Mapping[str, Summary], protocols: Mapping[str, Mapping[str, Protocol]]
    ) -> Iterator[str]:
        """One line each, for below the table."""
        usual = summaries[rule_of(None)]
        if self.config.profile.name != PAPER:
            yield (
                f"Measured on the {self.config.profile.name} profile: small models and data of this project's own "
                "making. Which choices move which numbers shows here; how far, only profile=paper says of the paper's."
            )
        yield (
            f"“{DEFAULT}” is the protocol of the other experiments, ± one standard error. Behind a choice's value "
            "stands its difference to that line, or to the one that it names, on the same items, ± one standard error "
            "of the difference, items of one source taken together. –: the choice does not touch the metric."
        )
        yield items_note(items, usual)
        for low, high in bins_of(self.columns):
            sides = [area_bin(usual.scored.mask_area, low / 100, high / 100, rule=rule) for rule in RULES]
            counts = " and ".join(f"{side.sum()} by {name}" for side, name in zip(sides, RULES.values(), strict=True))
            yield f"{low}–{high} % masked: {counts}; {np.not_equal(*sides).sum()} items lie on an edge."
        names = protocols[rule_of(None)]
        stamps = "; ".join(f"{name} {names[name].hash[:12]}" for name in self.columns if name in names)
        yield f"Manifest {items.hash[:16]}, seed {self.config.seed}; protocols: {stamps}."

    def report_of(
        self,
        table: SensitivityTable,
        gallery: Gallery,
        facts: dict[str, Any],
        protocols: Mapping[str, Mapping[str, Protocol]],
    ) -> Page:
        """What the report says."""
        stamped = {
            metric if rule == rule_of(None) else f"{metric} ({rule} bins)": protocol
            for rule, named in protocols.items()
            for metric, protocol in named.items()
        }
        return Page(
            table.title,
            f"profile {table.profile}",
            first_line(self.config.profile.name),
            facts,
            grids=list(sensitivity_grids(table)),
            notes=table.notes,
            protocols=stamped,
            gallery=gallery,
        )

    def _write_results(
        self,
        out: Path,
        items: Items,
        table: SensitivityTable,
        summaries: Mapping[str, Summary],
        protocols: Mapping[str, Mapping[str, Protocol]],
    ) -> None:
        stamped = {protocol.hash: protocol.settings for of_rule in protocols.values() for protocol in of_rule.values()}
        write_json(
            out / "results.json",
            {
                "schema_version": SCHEMA_VERSION,
                "experiment": self.config.name,
                "table": self._spec.number,
                "profile": self.config.profile.name,
                "custom": self.custom,
                "manifest": items.hash,
                "subset": items.manifest["subset"],
                "protocols": stamped,
                "measures": {
                    metric: summary.measure(metric) for rule, summary in summaries.items() for metric in protocols[rule]
                },
                "notes": list(table.notes),
                "rows": rows_as_json(table, protocols),
                "claims": [],
            },
        )


def _check_choices(choices: Mapping[str, Choice], measures: Mapping[str, Any]) -> None:
    if not choices:
        raise BadInputError("features.choices: expected at least one way to measure otherwise, found none")
    for name, choice in choices.items():
        key = f"features.choices.{name}"
        unknown = [metric for metric in choice.metrics if metric not in METRICS]
        if unknown:
            raise BadInputError(f"{key}.metrics: expected some of {', '.join(METRICS)}, found {unknown[0]}")
        if not (choice.saved or choice.metrics or choice.bins):
            raise BadInputError(f"{key}: expected one of saved, metrics, bins, found none")
        for part, found, allowed in (("saved", choice.saved, WAYS), ("bins", choice.bins, RULES)):
            if found is not None and found not in allowed:
                raise BadInputError(f"{key}.{part}: expected one of {', '.join(allowed)}, found {found}")
        if choice.against is not None and choice.against not in choices.keys() - {name}:
            others = ", ".join(other for other in choices if other != name)
            raise BadInputError(f"{key}.against: expected one of {others}, found {choice.against}")
        for measure in choice.measures:
            if measure not in measures:
                raise BadInputError(f"{key}.measures: expected some of {', '.join(measures)}, found {measure}")
