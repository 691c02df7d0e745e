"""The experiment that shows how sensitive the numbers of a table are to the protocol.

The experiment measures the same images several times: once with the table's protocol, and once for each choice. A
choice is a change of the protocol, such as another metric or another file format for the images. The stages from
`check` to `score` are those of the table's experiment, with a few more measures. If a run of the table has saved
results in the store, they are not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.checking.inspection import Problem
from bench.checking.settings import measure_names
from bench.config.experiment_configs import MeasuringConfig
from bench.config.schema import Choice
from bench.data.prepared import Items
from bench.data.squaring import check_squaring
from bench.errors import BadInputError
from bench.evaluation.measure import MeasuredRun, missing, run_stages
from bench.evaluation.references import reference_items
from bench.evaluation.setup import Setup
from bench.experiments.report import RunReport
from bench.metrics.batch_scorer import Unit
from bench.metrics.bins import RULES, area_bin
from bench.metrics.image_encoding import PREFIX, WAYS
from bench.metrics.protocol import Protocol
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.reporting.gallery import Gallery
from bench.reporting.notes import items_note
from bench.reporting.page import Page, first_line, write_report
from bench.results.run_folder import SCHEMA_VERSION, Results
from bench.results.write import write_run, write_table
from bench.runtime.files import write_json
from bench.tables.build import METRICS, bins_of, label_of
from bench.tables.grid import terminal
from bench.tables.sensitivity import DEFAULT, USUAL, SensitivityTable, View, build_sensitivity, needed, restricted
from bench.tables.sensitivity_render import frame, print_table, renderings, rows_as_json, sensitivity_grids
from bench.tables.verdicts import PAPER

__all__ = ["SensitivityExperiment"]


class SensitivityExperiment:
    """An experiment that measures a table's rows with the table's protocol, and again for each of `metrics.choices`."""

    def __init__(self, config: MeasuringConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides, and add the measures that the choices need to the table's measures.

        Raises:
            BadInputError: there is no choice, or a choice is invalid. The message names the key.
        """
        self.config = config
        self.choices, self._left_out = _possible(config.metrics.choices)
        self._own = measure_names(config.resolved["metrics"], config.table.task)
        _check_choices(config.metrics.choices, config.metrics.measures)
        further = [name for choice in self.choices.values() for name in choice.measures]
        self.setup = Setup(config, overrides, further=further, more=self._saved_otherwise)

    @property
    def _saved_otherwise(self) -> list[Unit]:
        """Units of scoring for the choices that set `saved`, a way to save the images before they are measured.

        A unit is a measure together with a way to save. Each choice that sets `saved` has one unit for every measure of
        the table's task and of the choice itself.
        """
        return [
            Unit(measure, f"{PREFIX}{choice.saved}")
            for choice in self.choices.values()
            if choice.saved is not None
            for measure in dict.fromkeys([*self._own, *choice.measures])
        ]

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files that the run needs."""
        return missing(self.setup)

    def run(self) -> Results:
        """Run every stage up to and including the stage in the configuration, and return the results."""
        return run_stages(self.setup, self.conclude)

    def conclude(self, run: MeasuredRun) -> Results:
        """Write the table that compares the numbers of each choice with the numbers of the table's protocol.

        A choice with the key `against` is compared with another choice instead. If the run includes the stage `report`,
        the report is written as well.

        Args:
            run: the scored run.
        """
        report = RunReport(self.setup, run)
        with run.stages.timed("tabulate"):
            summaries = self.summaries(run.scored, run.items)
            protocols = {view: self.setup.protocols_of(summary) for view, summary in summaries.items()}
            table = self.sensitivity(run.items, summaries, protocols)
            records = report.keep()
            write_table(run.out, renderings(table))
            self._write_results(run, table, summaries, protocols)
        gallery = None
        if run.stages.include("report"):
            with run.stages.timed("report"):
                gallery = report.gallery()
                report.save_images()
        facts = report.facts({})
        if gallery is not None:
            write_report(run.out, self.page(table, gallery, facts, protocols))
        write_run(run.out, facts)
        if gallery is not None:
            print_table(table, terminal(), verbose=self.config.verbose)
            report.show_path()
        return Results(run.out, 0, table=frame(table), records=records)

    @cached_property
    def columns(self) -> list[str]:
        """Names of the table's metrics, including metrics that are shown in separate tables."""
        return [*self.setup.spec.columns, *self.setup.spec.beside]

    def summaries(self, scored: Scored, items: Items) -> dict[View, Summary]:
        """Return the estimates of the metrics that the sensitivity table shows, for each view.

        A view is a combination of items, bins and a reference set. The result has each view that a choice or the
        table's protocol uses.

        Args:
            scored: scores of all rows.
            items: items of the run.
        """
        fewest, bins = self.config.profile.fid_minimum, bins_of(self.columns)
        return {
            view: Summary(
                restricted(self._seen(scored, items, view), names),
                fewest,
                bins,
                view.rule,
                view.share,
                self.setup.minimums,
            )
            for view, names in needed(self.columns, self.choices).items()
        }

    def _seen(self, scored: Scored, items: Items, view: View) -> Scored:
        """Return the scores, with the features of a view's reference set as the features of the true images.

        If the view has no reference set of its own, the scores are returned unchanged. Otherwise, the first picture of
        the reference set stands for the first item, and so on. This order does not matter, because the pictures of the
        reference set are independent of the items.
        """
        change = self.choices[view.reference].reference if view.reference else None
        if change is None:
            return scored
        others = reference_items(self.setup, change, items)
        places = range(min(len(others.references), len(items)))
        truth = {name: features[list(places)] for name, features in self.setup.scoring.truth(others).items()}
        described = f"{view.reference}, manifest {others.hash[:16]}"
        return replace(scored, truth=truth, references=list(places), reference=described)

    def sensitivity(
        self, items: Items, summaries: Mapping[View, Summary], protocols: Mapping[View, Mapping[str, Protocol]]
    ) -> SensitivityTable:
        """Return the sensitivity table with its notes.

        Args:
            items: items of the run.
            summaries: estimates of the metrics, by the view.
            protocols: protocol of each metric, by the view and the name of the metric.
        """
        setup = self.setup
        return build_sensitivity(
            setup.design,
            {name: label_of(setup.rows[name], setup.spec) for name in setup.methods},
            self.choices,
            summaries,
            notes=list(self.notes(items, summaries, protocols)),
        )

    def notes(
        self, items: Items, summaries: Mapping[View, Summary], protocols: Mapping[View, Mapping[str, Protocol]]
    ) -> Iterator[str]:
        """Yield the notes that are printed below the table, one line of text for each.

        Args:
            items: items of the run.
            summaries: estimates of the metrics, by the view.
            protocols: protocol of each metric, by the view and the name of the metric.
        """
        usual = summaries[USUAL]
        yield from self.setup.protocol_of_run(items).notes()
        if self.config.profile.name != PAPER:
            yield (
                f"Measured on the {self.config.profile.name} profile, with small models and data made by this project. "
                "The table shows which choices change which numbers. Only profile=paper can show by how much "
                "they change the paper's numbers."
            )
        yield (
            f"“{DEFAULT}” is the protocol of the other experiments, ± one standard error. Each choice's value is "
            "followed by its difference from that line, or from another line if the choice names "
            "one, on the same items, ± one "
            "standard error of the difference; items of one source count as dependent. –: the choice does not affect "
            "the metric."
        )
        for label in self._left_out:
            yield (
                f"“{label}” is not measured, because its reference set names nothing that differs; "
                "dataset.other_split=DIR names other pictures."
            )
        yield items_note(items, usual)
        for low, high in bins_of(self.columns):
            sides = [area_bin(usual.scored.mask_area, low / 100, high / 100, rule=rule) for rule in RULES]
            counts = " and ".join(f"{side.sum()} by {name}" for side, name in zip(sides, RULES.values(), strict=True))
            yield f"{low}–{high} % masked: {counts}; {np.not_equal(*sides).sum()} items lie on an edge."
        names = protocols[USUAL]
        stamps = "; ".join(f"{name} {names[name].hash[:12]}" for name in self.columns if name in names)
        yield f"Manifest {items.hash[:16]}, seed {self.config.seed}; protocols: {stamps}."

    def page(
        self,
        table: SensitivityTable,
        gallery: Gallery,
        facts: dict[str, Any],
        protocols: Mapping[View, Mapping[str, Protocol]],
    ) -> Page:
        """Return the content of the report's page.

        Args:
            table: table to show.
            gallery: items to show with their pictures.
            facts: settings, weights and times of the run, as in `run.json`.
            protocols: protocol of each metric, by the view and the name of the metric.
        """
        stamped = {
            f"{metric} ({view})" if str(view) else metric: protocol
            for view, named in protocols.items()
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
        run: MeasuredRun,
        table: SensitivityTable,
        summaries: Mapping[View, Summary],
        protocols: Mapping[View, Mapping[str, Protocol]],
    ) -> None:
        stamped = {protocol.hash: protocol.settings for of_view in protocols.values() for protocol in of_view.values()}
        write_json(
            run.out / "results.json",
            {
                "schema_version": SCHEMA_VERSION,
                "experiment": self.config.name,
                "table": self.setup.spec.number,
                "profile": self.config.profile.name,
                "custom": self.setup.custom,
                "manifest": run.items.hash,
                "subset": run.items.manifest["subset"],
                "protocol": self.setup.protocol_of_run(run.items).as_json,
                "protocols": stamped,
                "measures": {
                    metric: summary.measure(metric) for view, summary in summaries.items() for metric in protocols[view]
                },
                "notes": list(table.notes),
                "rows": rows_as_json(table, protocols),
                "claims": [],
            },
        )


def _check_choices(choices: Mapping[str, Choice], measures: Mapping[str, Any]) -> None:
    if not choices:
        raise BadInputError(
            "metrics.choices: expected at least one choice to compare with the settings of the profile, found no choice"
        )
    for name, choice in choices.items():
        key = f"metrics.choices.{name}"
        unknown = [metric for metric in choice.metrics if metric not in METRICS]
        if unknown:
            raise BadInputError(f"{key}.metrics: expected some of {', '.join(METRICS)}, found {unknown[0]}")
        if not (choice.saved or choice.metrics or choice.bins or choice.items or choice.reference):
            raise BadInputError(
                f"{key}: expected at least one of the keys saved, metrics, bins, items and reference, found none"
            )
        if choice.items is not None and not 0 < choice.items < 1:
            raise BadInputError(f"{key}.items: expected a share above 0 and below 1, found {choice.items}")
        if choice.reference is not None:
            check_squaring(vars(choice.reference), f"{key}.reference")
        for part, found, allowed in (("saved", choice.saved, WAYS), ("bins", choice.bins, RULES)):
            if found is not None and found not in allowed:
                raise BadInputError(f"{key}.{part}: expected one of {', '.join(allowed)}, found {found}")
        if choice.against is not None and choice.against not in choices.keys() - {name}:
            others = ", ".join(other for other in choices if other != name)
            raise BadInputError(f"{key}.against: expected one of {others}, found {choice.against}")
        for measure in choice.measures:
            if measure not in measures:
                raise BadInputError(f"{key}.measures: expected some of {', '.join(measures)}, found {measure}")


def _possible(choices: Mapping[str, Choice]) -> tuple[dict[str, Choice], list[str]]:
    """Return the choices that can be measured, and the labels of the others.

    A choice cannot be measured if it changes the reference set, but none of the keys of its reference set has a value.
    """
    empty = [
        name
        for name, choice in choices.items()
        if choice.reference is not None and all(value is None for value in vars(choice.reference).values())
    ]
    return {name: one for name, one in choices.items() if name not in empty}, [choices[name].label for name in empty]
