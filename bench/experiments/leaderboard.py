"""The leaderboard, which compares decoders of several latent spaces on the same pictures.

In each space, one encoder makes the latents once, and every decoder gets these latents. Each space has a table like
those of the paper, with paired differences, adjusted p-values and bold numbers. A further table shows all spaces: the
quality of the reconstructions, the sizes of the latents and the costs of the decoders.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas

from bench.checking.autoencoders import vae_problems
from bench.checking.dataset_listing import traits_of
from bench.checking.estimate import total
from bench.checking.inspection import Problem, merged
from bench.checking.report import report
from bench.checking.settings import check_settings
from bench.checking.shared_spaces import SharedSpace
from bench.config.experiment_configs import LeaderboardConfig, TableConfig
from bench.config.overrides import command
from bench.config.schema import PRECISIONS, STAGES, Row
from bench.errors import BadInputError
from bench.evaluation.finite import rows_without_finite_images
from bench.evaluation.measure import load
from bench.evaluation.setup import Setup
from bench.experiments.table import TableExperiment
from bench.models.autoencoders import LatentSpace, described_space, imitates, takes_mask
from bench.reporting.figures import draw_tradeoff
from bench.reporting.index import Entry, Index, index_page
from bench.reporting.leaderboard_plot import DRAWN, leaderboard_plots
from bench.reporting.page import first_line
from bench.results.out_folder import open_out, writing_into
from bench.results.run_folder import REPORT, RUN, Results
from bench.results.stamps import RESULTS, read_stamps, unlike
from bench.results.write import run_facts, write_run
from bench.runtime.clock import utc_now
from bench.runtime.files import read_if_there, write_atomically, write_json
from bench.runtime.text import csv_text, one_line
from bench.sweeps.jobs import JOB, Job, run_job
from bench.tables.grid import markdown, print_grid, terminal
from bench.tables.leaderboard import COSTS, LatentSizes, LeaderboardRow, leaderboard_frame, leaderboard_grids
from bench.tables.published_decoders import (
    MeasuredValue,
    ReproductionVerdict,
    judge_published,
    published_grid,
    published_values,
)

__all__ = ["Leaderboard"]

AUTOENCODER = "bench.models.load_autoencoder"
DECODED = "bench.generation.autoencoding.DecodedByAutoencoder"
ENCODING = "bench.generation.autoencoding.EncodingGenerator"
EXACT = PRECISIONS[0]
"""Precision of every encoder, and of the row with which the other rows of a space are compared."""
FILES = ("leaderboard.csv", "leaderboard.md", "leaderboard.json", "leaderboard.png", "index.html")
"""Names of the files that show all spaces."""


@dataclass(frozen=True)
class SpaceRow:
    """A row of a space's table, together with the row's precision and the name of the row's autoencoder."""

    vae: str
    """Name of the autoencoder in the configuration."""
    row: Row
    precision: str


@dataclass(frozen=True)
class Space:
    """A latent space, with its autoencoders and the rows of its table."""

    name: str
    shared: SharedSpace
    """The autoencoders, and the one whose encoder makes the latents."""
    rows: Mapping[str, SpaceRow]
    declared: str
    """Name of the space in the configuration; empty if the name comes from the weights."""


class Leaderboard:
    """An experiment that compares decoders within each latent space, and shows all of them side by side."""

    def __init__(self, config: LeaderboardConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line.

        Raises:
            BadInputError: there is no autoencoder; a space has no row in full precision; or names are not unique.
        """
        self.config, self.overrides = config, list(overrides)
        if not config.vaes:
            raise BadInputError("vae: expected a list of at least one autoencoder, found an empty list")
        self._check_names()

    def _check_names(self) -> None:
        """Require that every space has a row in full precision, and that names of spaces and rows are unique."""
        vaes, owners = self.config.vaes, dict[str, str]()
        declared = {spec.space for spec in vaes.values()}
        for name, spec in vaes.items():
            if name in declared and not spec.space and spec.encoder is None:
                raise BadInputError(
                    f"vaes.{name}.space: expected the name of a space, because another autoencoder declares the space "
                    f"{name}, found no value"
                )
        for space in self.spaces.values():
            if not self._exact(space):
                raise BadInputError(
                    f"vaes.{space.shared.source}.precisions: expected {EXACT} among the precisions of the space "
                    f"{space.name}, because its other rows are compared with it, found none"
                )
            for key, row in space.rows.items():
                if owners.setdefault(key, row.vae) != row.vae:
                    raise BadInputError(
                        f"vaes: expected names that give each row a name of its own, found the row {key} of both "
                        f"{owners[key]} and {row.vae}"
                    )

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """The latent spaces by name, each with its rows.

        Autoencoders with the same value of `space` share a space. An autoencoder without this value joins the space of
        the autoencoder whose folder is the value of its key `encoder`. If `encoder` is not set, or if the leaderboard
        has no autoencoder in this folder, a new space is made for the autoencoder.
        """
        vaes = self.config.vaes
        folders = {Path(spec.path).resolve(): spec.space or name for name, spec in vaes.items() if spec.encoder is None}
        members: dict[str, list[str]] = {}
        for name, spec in vaes.items():
            of = folders.get(Path(spec.encoder).resolve(), name) if spec.encoder else name
            members.setdefault(spec.space or of, []).append(name)
        return {space: self._space(space, names) for space, names in members.items()}

    def _space(self, space: str, names: Sequence[str]) -> Space:
        """Return a space with the rows of the given autoencoders.

        The latents of the space are made for one of these autoencoders, by the encoder in its key `encoder` if this key
        is set, and otherwise by its own encoder. The autoencoder is the first one that has this key or was not trained
        on the latents of another autoencoder. If there is none, it is the first of all.
        """
        vaes = {name: self.config.vaes[name] for name in names}
        own = (name for name, spec in vaes.items() if spec.encoder is not None or not imitates(spec.path))
        source = next(own, names[0])
        rows = {key: row for name in names for key, row in self._rows(name).items()}
        return Space(space, SharedSpace(vaes, source), rows, vaes[source].space)

    def _rows(self, name: str) -> dict[str, SpaceRow]:
        """Return the rows of one autoencoder. The key is the name of the row.

        There is one row for each precision. If the decoder takes a mask, there are two rows for each precision: one
        with the mask and one without the mask. If every mask covers the whole picture, no pixel is known, and there is
        again only one row for each precision, without the mask.
        """
        spec = self.config.vaes[name]
        known = traits_of(self.config.resolved["dataset"]).masks != "whole"
        masked = (True, False) if known and takes_mask(spec.path) else (None,)
        found = {}
        for precision in spec.precisions:
            for mask in masked:
                use, words = {True: ("_mask", " w/ mask"), False: ("_nomask", " w/o mask"), None: ("", "")}[mask]
                number = "" if precision == EXACT else f"_{precision}"
                method = {
                    "_target_": DECODED,
                    "autoencoder": _autoencoder(spec.path, spec.space, spec.encoder),
                    "masked": mask is True,
                    "precision": precision,
                    "seed": self.config.seed,
                }
                label = f"{spec.label}{words}{'' if precision == EXACT else f', {precision}'}"
                found[f"{name}{use}{number}"] = SpaceRow(name, Row(label=label, method=method), precision)
        return found

    def table_config(self, space: Space, rows: Sequence[str], out: Path | None = None) -> TableConfig:
        """Return the configuration of one space's table.

        Args:
            space: the latent space.
            rows: names of the rows to measure.
            out: folder of the leaderboard; None if the table is only checked.
        """
        config = self.config
        chosen = {name: space.rows[name].row for name in rows}
        exact = [name for name in rows if space.rows[name].precision == EXACT]
        table = replace(
            config.table,
            title=f"Decoders of the latent space {space.name}. {config.table.title}",
            reference=exact[0] if exact else None,
        )
        generator = {"_target_": ENCODING, "autoencoder": _autoencoder(str(space.shared.encoder), space.declared)}
        changed: dict[str, Any] = {
            "name": f"{config.name}_{space.name}",
            "out": None if out is None else str(out / space.name),
            "generator": generator,
            "rows": chosen,
            "table": table,
            "training": None,
            "started": utc_now(),
            "resolved": {
                **config.resolved,
                "generator": generator,
                "rows": {name: asdict(row) for name, row in chosen.items()},
                "table": asdict(table),
                "vaes": {},
            },
        }
        same = {field.name for field in fields(TableConfig)} - changed.keys()
        return TableConfig(**{name: getattr(config, name) for name in same}, **changed)

    def _setup(self, space: Space, rows: Sequence[str]) -> Setup:
        return Setup(self.table_config(space, rows), self.overrides)

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files of the autoencoders, data set and metrics."""
        for setup in self._setups.values():
            check_settings(setup.resolved, setup.spec, setup.rows)
        shared = next(iter(self._setups.values())).inspect(("dataset", "metrics"))
        problems = merged([*vae_problems(self.config.vaes), *shared.problems])
        return problems or [*self._unfit(), *(one for space in self.spaces.values() for one in space.shared.problems())]

    def _unfit(self) -> Iterator[Problem]:
        """Yield a problem for each space whose encoder cannot encode pictures of the profile's resolution."""
        resolution = self.config.profile.resolution
        for space in self.spaces.values():
            divisor = self._described(space).divisor
            if resolution % divisor:
                said = f"expected pictures whose side is a multiple of {divisor}, found profile.resolution={resolution}"
                yield Problem(str(space.shared.encoder), said, (f"vaes.{space.shared.source}.path",))

    def run(self) -> Results:
        """Measure the table of every space, and write one table of all spaces.

        With a `stage` before `tabulate`, no table is written. The exit status of the results is the highest exit status
        of all spaces.

        Raises:
            BadInputError: something is missing or wrong. The message lists everything.
        """
        problems = self.missing()
        if problems:
            raise BadInputError(report(self.config.name, problems))
        if self.config.stage == "check":
            return self._check()
        world = next(iter(self._setups.values())).world
        self._load()
        out = open_out(self.config) if world.is_main_process else None
        if out is not None:
            self._remove_earlier(out)
        results: dict[str, Results] = {}
        reasons: dict[str, str] = {}
        for name, space in self.spaces.items():
            print(f"\n{name}", flush=True)

            def measure(words: list[str], space: Space = space) -> Results:
                usable = self._exact(space)
                if STAGES.index(self.config.stage) >= STAGES.index("score"):
                    reasons.update(self._unusable(space))
                    usable = [row for row in space.rows if row not in reasons]
                return TableExperiment(self.table_config(space, usable, out), words).run()

            results[name] = run_job(measure, Job(name, {"space": name}, self.overrides), out)
        if out is not None and self.config.stage in ("tabulate", "report"):
            with writing_into(out):
                self.conclude(out, results, reasons)
        worst = max(result.status for result in results.values())
        failed = [name for name, result in results.items() if result.status]
        return Results(out or Path(), worst, f"failed spaces: {', '.join(failed)}" if failed else "")

    def _load(self) -> None:
        """Load the networks of each space in turn, so that wrong weights are found before anything is measured.

        Raises:
            BadInputError: the networks of at least one space do not load. The message lists the errors.
        """
        errors = []
        for space in self.spaces.values():
            setup = self._setup(space, self._exact(space))
            try:
                load(setup)
                assert setup.facts  # the store keeps them, so that the next run loads nothing
            except BadInputError as error:
                errors.append(str(error))
        if errors:
            raise BadInputError("\n".join(dict.fromkeys(errors)))

    def _remove_earlier(self, out: Path) -> None:
        """Remove the tables, the figure and the index page of an earlier leaderboard from `out`.

        The folder of a space is also removed if this leaderboard does not have the space.
        """
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        for file in out.glob(f"*/{JOB}"):
            if file.parent.name not in self.spaces and "space" in read_if_there(file).get("chosen", {}):
                shutil.rmtree(file.parent)

    @cached_property
    def _setups(self) -> dict[str, Setup]:
        """The objects that the rows in full precision of each space need. The key is the name of the space."""
        return {name: self._setup(space, self._exact(space)) for name, space in self.spaces.items()}

    @staticmethod
    def _exact(space: Space) -> list[str]:
        return [name for name, row in space.rows.items() if row.precision == EXACT]

    def _check(self) -> Results:
        """Check the table of each space with its rows in full precision, and print what all spaces together need.

        The printed needs are time, memory and disk space. Rows in half precision are not checked here. A complete run
        tries them on its own pictures.
        """
        found = [
            TableExperiment(self.table_config(space, self._exact(space)), self.overrides).run()
            for space in self.spaces.values()
        ]
        forecasts = [result.forecast for result in found if result.forecast is not None]
        if forecasts:
            print(f"{self.config.name}: together, the spaces need {total(forecasts)}")
        return Results(Path(), max(result.status for result in found))

    def _unusable(self, space: Space) -> dict[str, str]:
        """Return the rows in half precision that cannot be measured. The key is the row, and the value is the reason.

        A row is not measured if any of its images has NaN or infinite values, because a mean over its other images
        would be another quantity.
        """
        half = [name for name, row in space.rows.items() if row.precision != EXACT]
        return rows_without_finite_images(self._setup(space, half)) if half else {}

    def conclude(self, out: Path, results: Mapping[str, Results], reasons: Mapping[str, str]) -> None:
        """Write the table of all spaces, its figure, the index page and `run.json`, and print the table.

        Args:
            out: folder of the leaderboard.
            results: results of each space, by the name of the space.
            reasons: reason why a row could not be measured, by the name of the row.
        """
        config = self.config
        rows = [row for name in results for row in self._board_rows(out, name, results[name], reasons)]
        table = leaderboard_frame(rows)
        metrics = [metric for metric in config.table.columns if metric in table]
        grids = list(leaderboard_grids(rows, metrics, config.metrics.name))
        title = f"Decoders of all latent spaces. {config.table.title}, profile {config.profile.name}"
        verdicts = [verdict for name in results for verdict in self._reproductions(out, name, results[name])]
        if verdicts:
            grids.append(published_grid(verdicts))
        notes = [*self._notes(out, results), *(f"{row.label}: {row.reason}" for row in rows if row.reason)]
        write_atomically(out / "leaderboard.csv", csv_text(table))
        write_atomically(out / "leaderboard.md", markdown(title, grids, notes))
        write_json(
            out / "leaderboard.json",
            {
                "rows": json.loads(table.to_json(orient="records", double_precision=15)),
                "published": [asdict(verdict) for verdict in verdicts],
                "protocol": self._protocol(out, results),
                "notes": notes,
            },
        )
        costs = {name: COSTS[name].title for name in DRAWN if name in table}
        figure = None
        if metrics and costs:
            scaled = table.assign(**{name: table[name] * COSTS[name].scale for name in costs})
            draw_tradeoff(out / "leaderboard.png", scaled, costs=costs, qualities=metrics, title=title)
            plots = leaderboard_plots(rows, metrics, config.metrics.name)
            figure = plots if plots.lines else None
        entries = [self._entry(out, name, result) for name, result in results.items()]
        index = Index(
            "Leaderboard of decoders",
            f"{len(rows)} rows in {len(results)} latent spaces. Each space has a report of its own, with paired "
            "differences between its decoders.",
            entries,
            profile=f"profile {config.profile.name}",
            first_line=first_line(config.profile.name),
            grids=grids,
            grid_title=title,
            figure=figure,
            command=command(self.overrides),
        )
        write_atomically(out / "index.html", index_page(index))
        ended = {"experiments": {name: result.status for name, result in results.items()}}
        write_run(
            out, run_facts(config, config.resolved, self.overrides, device=config.device, weights={}, facts=ended)
        )
        console = terminal()
        for grid in grids:
            print_grid(grid, "", console)
        for note in notes:
            print(one_line(note))
        print(one_line(f"all columns: {out / 'leaderboard.md'}"))
        print(one_line(f"report: {out / 'index.html'}"))

    def _board_rows(self, out: Path, name: str, result: Results, reasons: Mapping[str, str]) -> list[LeaderboardRow]:
        space = self.spaces[name]
        sizes = self._sizes(name)
        costs = read_if_there(out / name / RUN).get("costs") or {}
        lines = {} if result.table is None else {str(line["row"]): line for _, line in result.table.iterrows()}
        found = []
        for key, entry in space.rows.items():
            values = {} if key not in lines else _numbers(lines[key])
            reason = reasons.get(key) or ("" if values else result.message.partition("\n")[0] or "not measured")
            found.append(
                LeaderboardRow(key, entry.row.label, sizes, entry.precision, values, costs.get(key, {}), reason)
            )
        return found

    def _reproductions(self, out: Path, name: str, result: Results) -> list[ReproductionVerdict]:
        """Compare measured values with the published values of the same decoders, and return the verdicts.

        The measured values are those of the rows that have full precision and do not use a mask.
        """
        if result.table is None:
            return []
        protocol = self._protocol(out, [name])
        measured = {}
        for _, line in result.table.iterrows():
            entry = self.spaces[name].rows[str(line["row"])]
            if entry.precision == EXACT and not (entry.row.method or {})["masked"]:
                measured[entry.vae] = _estimates(_numbers(line))
        return list(judge_published(published_values(), measured, protocol.get("fields") or {}))

    def _sizes(self, name: str) -> LatentSizes:
        space = self._described(self.spaces[name])
        return LatentSizes(name, space.channels, space.factor)

    @staticmethod
    def _described(space: Space) -> LatentSpace:
        return described_space(space.shared.encoder, space=space.declared)

    def _entry(self, out: Path, name: str, result: Results) -> Entry:
        link = f"{name}/{REPORT}" if (out / name / REPORT).is_file() else None
        ended = result.message.partition("\n")[0] or "done"
        return Entry(name, ended, failed=result.status != 0, link=link, headline=result.headline)

    @staticmethod
    def _protocol(out: Path, names: Iterable[str]) -> dict[str, Any]:
        """Return the protocol of the first space whose `results.json` has one; an empty mapping if none has one."""
        found = (read_if_there(out / name / RESULTS).get("protocol") for name in names)
        return next((protocol for protocol in found if protocol), {})

    def _notes(self, out: Path, results: Mapping[str, Results]) -> list[str]:
        """Return the notes on the table of all spaces.

        They name the protocol, and each space whose numbers cannot be compared with those of the first space.
        """
        protocol = self._protocol(out, results).get("name")
        notes = [
            f"Protocol: {protocol or 'none is declared (see docs/protocols.md)'}.",
            "FID and KID compare the reconstructions with the same pictures before encoding. ± is one standard error. "
            "Differences between two latent spaces are not tested.",
        ]
        done = [name for name, result in results.items() if result.status == 0]
        stamps = {name: read_stamps(out / name) for name in done}
        for name in done[1:]:
            reason = unlike(stamps[name], stamps[done[0]])
            if reason is not None:
                notes.append(f"The numbers of {name} cannot be compared with those of {done[0]}: {reason}")
        return [*notes, *(note for name in results for note in self.spaces[name].shared.notes())]


def _autoencoder(path: str, space: str, encoder: str | None = None) -> dict[str, Any]:
    return {"_target_": AUTOENCODER, "path": path, "space": space, "encoder": encoder}


def _numbers(line: pandas.Series) -> dict[str, float]:
    """Return the numbers in one line of a table's data frame, by the name of the column. Missing ones are left out."""
    return {
        str(name): float(value)
        for name, value in line.items()
        if isinstance(value, float | int) and not isinstance(value, bool) and not pandas.isna(value)
    }


def _estimates(numbers: Mapping[str, float]) -> dict[str, MeasuredValue]:
    """Return each value with its 95 % interval, by the name of its metric.

    `numbers` is a result of `_numbers`. A value for which it has no interval gets the interval None.
    """
    found = {}
    for metric, value in numbers.items():
        low, high = numbers.get(f"{metric}_ci95_low"), numbers.get(f"{metric}_ci95_high")
        found[metric] = MeasuredValue(value, None if low is None or high is None else (low, high))
    return found
