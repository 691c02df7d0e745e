"""The experiment `seeds`, which measures tables with decoders that were trained with different seeds.

The results show how much the numbers of a table depend on the training seed. They are saved as `seeds.json` next to the
card that describes the weights.

The shipped decoders are those in the folder `profile.weights`; all of them were trained with one seed. For each table,
the rows are measured with the shipped decoders first. This takes little time if an earlier run saved the scores of
these rows in the store. The first run also shows the items and protocols with which the table is measured now. Then the
rows are measured with the decoders of each further seed. All decoders decode the same latents. Only rows with a trained
decoder are run, because no other row depends on the training seed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.checking.inspection import Problem
from bench.checking.report import report
from bench.config.compose import changing, compose_config, for_each, typed
from bench.config.experiment_configs import SeedsConfig
from bench.config.schema import is_measured
from bench.errors import BadInputError
from bench.experiments.collection import joined, problems_of_each
from bench.experiments.run import run as run_experiment
from bench.models.checkpoints import WEIGHTS
from bench.results.environment import environment
from bench.results.out_folder import check_writable, open_out, writing_into
from bench.results.run_folder import RUN, Results
from bench.results.stamps import RESULTS
from bench.results.write import run_facts, write_run
from bench.runtime.distributed import World
from bench.runtime.files import write_atomically, write_json
from bench.runtime.strict_json import read_json
from bench.store import file_sha256
from bench.sweeps.jobs import Job, Run, run_job
from bench.tables.seeds import CARD, SEEDS, RowSeeds, SeedStudy, TableSeeds, Training, trained_decoders
from bench.training.mini.build import DONE
from bench.training.mini.card import CARD_TEXT, card_text

__all__ = ["SeedsExperiment"]

STAGES = ("check", "tabulate")


@dataclass(frozen=True)
class _Table:
    """A table to measure, with the experiment that measures it."""

    experiment: str
    words: list[str]
    """Overrides of the experiment, including `experiment=NAME`."""
    decoders: Mapping[str, str]
    """Name of each row's trained decoder in `profile.decoders`. The key is the name of the row."""


@dataclass(frozen=True)
class _FinishedRun:
    """The content of two files that the run of one table wrote into its folder."""

    results: Mapping[str, Any]
    """Content of the run's file `results.json`."""
    facts: Mapping[str, Any]
    """Content of the run's file `run.json`."""

    @classmethod
    def read(cls, folder: Path) -> _FinishedRun:
        return cls(*(read_json(folder / name) for name in (RESULTS, RUN)))

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """Value of each metric of each row, by row and metric. Metrics without a value are left out."""
        return {row["method"]: {name: entry["value"] for name, entry in _entries(row)} for row in self.results["rows"]}

    @property
    def protocols(self) -> dict[str, str]:
        """Hash of the protocol of each metric that has a value, by the name of the metric."""
        return {name: entry["protocol"] for row in self.results["rows"] for name, entry in _entries(row)}

    def weights(self, folder: Path, assets: str) -> dict[str, str]:
        """Return the SHA-256 of each weight file that the run used and that lies in a given folder.

        Args:
            folder: folder of a profile's weights.
            assets: value of `paths.assets`. It replaces the text `${paths.assets}` in the paths in `run.json`.

        Returns:
            The SHA-256 of each file, by the file's path relative to `folder`.
        """
        files = {Path(file.replace("${paths.assets}", assets)): sha for file, sha in self.facts["weights"].items()}
        return {file.relative_to(folder).as_posix(): sha for file, sha in files.items() if file.is_relative_to(folder)}


def _entries(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((metric, entry) for metric, entry in row["metrics"].items() if entry["value"] is not None)


class SeedsExperiment:
    """An experiment that measures tables with the shipped decoders and with decoders of further training seeds.

    The configuration key `experiments` names the experiments of these tables.
    """

    def __init__(self, config: SeedsConfig, overrides: Sequence[str], run: Run = run_experiment) -> None:
        """Set the configuration, the overrides of the command line, and the function that runs an experiment."""
        self.config, self.overrides, self._run = config, list(overrides), run
        self.trained, self.card = Path(config.seeds_from), Path(config.card)
        self.seconds: dict[str, float] = {}
        self.source = environment()["source"]  # before this run changes files of the checkout

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong for any table, including errors in the tables' configurations."""
        return joined(problems_of_each(self.config, self.overrides))

    def run(self) -> Results:
        """Measure the values that `seeds.json` lacks, and rewrite `seeds.json` and `CARD.md` after each measured seed.

        With `stage=check`, nothing is measured. The returned exit status is the highest exit status of all runs.

        Raises:
            BadInputError: the stage is neither `check` nor `tabulate`, or the run has several processes. The weights
                have no card, or the folder of the new card is not writable. No decoder of a further seed exists, or
                such a decoder was trained with another recipe than the shipped decoder. A table has no trained decoder.
                Overrides change the tables, and the new card would replace the card of the shipped weights. All these
                errors are raised before anything is measured. With `stage=check`, it is also an error if something is
                missing or wrong for a table.
        """
        self._check()
        tables = [self._table(name, words) for name, words in for_each(self.config, self.overrides).items()]
        if self.config.stage == "check":
            problems = self.missing()
            if problems:
                raise BadInputError(report(self.config.name, problems))
            self._announce(tables)
            return Results(Path(), 0)
        self._announce(tables)
        out = open_out(self.config)
        failed = {name: status for table in tables for name, status in self._measure(table, out).items()}
        self._note(out)
        return Results(out, max(failed.values(), default=0), f"failed runs: {', '.join(failed)}" if failed else "")

    # --- check

    def _check(self) -> None:
        if self.config.stage not in STAGES:
            raise BadInputError(
                f"stage: expected {' or '.join(STAGES)} for experiment=seeds, found {self.config.stage}"
            )
        if World.here().size > 1:
            raise BadInputError(f"seeds: expected a run with one process, found {World.here().size} processes")
        weights = Path(self.config.profile.weights)
        if not (weights / CARD).is_file():
            raise BadInputError(
                f"profile.weights: expected a folder that contains {CARD}, found no file {weights / CARD}"
            )
        if not any(self.parts(seed) for seed in self.further):
            wanted = ", ".join(f"*@{seed}/{DONE}" for seed in self.further)
            raise BadInputError(
                f"seeds_from: expected decoders trained with further seeds, found no file {wanted} in {self.trained}"
            )
        custom = changing(self.overrides)
        if custom and self.card.resolve() == weights.resolve():
            raise BadInputError(
                f"card: expected another folder than that of the shipped card, because {', '.join(custom)} changes the "
                f"tables, found {self.card}"
            )
        check_writable(str(self.card), "card")

    def _announce(self, tables: Sequence[_Table]) -> None:
        """Print, for each further seed, which of the needed decoders exist and which were not trained."""
        needed = list(dict.fromkeys(name for table in tables for name in table.decoders.values()))
        for seed in self.further:
            present = [name for name in needed if name in self.parts(seed)]
            missing = [name for name in needed if name not in present]
            print(f"seed {seed}: trained: {', '.join(present) or 'none'}; not trained: {', '.join(missing) or 'none'}")

    @cached_property
    def shipped(self) -> Mapping[str, Any]:
        """Content of `card.json`, which describes the shipped weights."""
        return read_json(Path(self.config.profile.weights) / CARD)

    @property
    def further(self) -> list[int]:
        """The configured training seeds without duplicates and without the seed of the shipped weights."""
        return [seed for seed in dict.fromkeys(self.config.seeds) if seed != self.shipped["seed"]]

    def parts(self, seed: int) -> dict[str, Path]:
        """Return the folders of the decoders that were trained with the given seed.

        The key of a folder is the decoder's name in `profile.decoders`.

        For the seed of the shipped decoders, these are the folders in `profile.decoders`. For any other seed, decoders
        whose training is not finished are left out.

        Raises:
            BadInputError: a decoder was trained with another recipe than the shipped decoder with this name. The
                difference between the two decoders would then not show the effect of the seed alone.
        """
        decoders = {name: Path(path) for name, path in self.config.profile.decoders.items()}
        if seed == self.shipped["seed"]:
            return decoders
        folders = {name: self.trained / f"{name}@{seed}" for name in decoders}
        found = {name: folder for name, folder in folders.items() if (folder / DONE).is_file()}
        for name, folder in found.items():
            made = read_json(folder / DONE)
            if made["recipe"] != self.shipped["parts"][name]["recipe"]:
                raise BadInputError(
                    f"{folder / DONE}: expected the recipe that {CARD} has for {name}, found another recipe"
                )
        return found

    def _table(self, name: str, words: list[str]) -> _Table:
        config, resolved = typed(compose_config(words))
        number = config.table.number if config.table is not None else 0
        rows = {
            row: resolved["rows"][row]
            for row, spec in config.rows.items()
            if is_measured(spec, number, config.controls)
        }
        trained = trained_decoders(rows, config.profile.decoders)
        decoders = {row: part for row, part in trained.items() if part in config.profile.decoders}
        if not decoders:
            raise BadInputError(
                "experiments: expected only tables that each have a row whose decoder is in profile.decoders, found no "
                f"such row in {name}"
            )
        return _Table(name, words, decoders)

    # --- measure

    def _measure(self, table: _Table, out: Path) -> dict[str, int]:
        """Measure one table with the decoders of every seed, and save the values in `seeds.json`.

        The rows are always run with the shipped decoders. The values of a further seed are not measured again if
        `seeds.json` has them for the same items, protocols and weights. If the run with the shipped decoders fails, no
        further seed is measured.

        Returns:
            The exit status of each run that failed, by the run's name.
        """
        shipped = self.shipped["seed"]
        result = self._run_rows(table, shipped, list(table.decoders), out)
        if result.status:
            return {_name(table, shipped): result.status}
        run = _FinishedRun.read(result.path)
        number, measured = run.results["table"], self._by_shipped(table, run)
        earlier = SeedStudy.read(self.card).tables.get(number)
        if earlier is not None and measured.measured_as(earlier):
            known = {row: earlier.rows[row] for row in measured.rows if row in earlier.rows}
            measured = replace(measured, rows={**measured.rows, **known})
        self._keep(number, measured)
        failed = {}
        for seed in self.further:
            hashes = {name: file_sha256(folder / WEIGHTS) for name, folder in self.parts(seed).items()}
            missing = {
                row: hashes[name]
                for row, name in table.decoders.items()
                if name in hashes and not measured.rows[row].has(seed, hashes[name])
            }
            if not missing:
                continue
            result = self._run_rows(table, seed, list(missing), out)
            if result.status:
                failed[_name(table, seed)] = result.status
                continue
            run = _FinishedRun.read(result.path)
            for row, sha in missing.items():
                measured = measured.with_training(row, self._training(run, row, seed, sha))
            self._keep(number, measured)
        return failed

    def _run_rows(self, table: _Table, seed: int, rows: Sequence[str], out: Path) -> Results:
        """Run some rows of a table with the decoders of one seed. The run has its own folder inside `out`."""
        started = time.monotonic()
        name = _name(table, seed)
        print(f"\n{name}: this run measures the rows {', '.join(rows)}", flush=True)
        words = [*table.words, f"row=[{','.join(rows)}]", "stage=tabulate"]
        if seed != self.shipped["seed"]:
            used = {table.decoders[row] for row in rows}
            words += [f"profile.decoders.{part}='{path}'" for part, path in self.parts(seed).items() if part in used]
        result = run_job(self._run, Job(name, {"experiment": table.experiment, "seed": str(seed)}, words), out)
        self.seconds[name] = round(time.monotonic() - started, 3)
        if result.status:
            print(result.message)
        return result

    def _by_shipped(self, table: _Table, run: _FinishedRun) -> TableSeeds:
        """Return what `seeds.json` says about one table, with the values of the shipped decoders only."""
        seed = self.shipped["seed"]
        decoders = self.parts(seed)
        hashes = {row: file_sha256(decoders[name] / WEIGHTS) for row, name in table.decoders.items()}
        used = run.weights(Path(self.config.profile.weights), self.config.paths.assets)
        return TableSeeds(
            experiment=table.experiment,
            manifest=run.results["manifest"],
            seed=self.config.seed,
            protocols=run.protocols,
            weights={path: sha for path, sha in used.items() if path in self.shipped["sha256"]},
            rows={
                row: RowSeeds(table.decoders[row], (self._training(run, row, seed, sha),))
                for row, sha in hashes.items()
            },
        )

    def _training(self, run: _FinishedRun, row: str, seed: int, weights: str) -> Training:
        """Return the values of one row in a run, with the training seed and the weights of the row's decoder.

        The result also has the commit of this project's code.

        Args:
            run: files of the finished run.
            row: name of the row.
            seed: training seed of the row's decoder.
            weights: SHA-256 of the decoder's weights.
        """
        return Training(seed, weights, self.source["commit"], self.source["dirty"], run.values[row])

    # --- keep

    def _keep(self, number: int, table: TableSeeds) -> None:
        """Replace the values of one table in `seeds.json`, and write `CARD.md` again with the new values."""
        study = SeedStudy.read(self.card)
        study = replace(study, tables={**study.tables, number: table})
        self.card.mkdir(parents=True, exist_ok=True)
        write_json(self.card / SEEDS, study.as_json())
        write_atomically(self.card / CARD_TEXT, card_text(self.shipped, study))

    def _note(self, out: Path) -> None:
        facts = run_facts(
            self.config,
            self.config.resolved,
            self.overrides,
            device=self.config.device,
            weights={},
            facts={"seconds": self.seconds},
        )
        with writing_into(out):
            write_run(out, facts)
        for seed in [self.shipped["seed"], *self.further]:
            spent = [value for name, value in self.seconds.items() if name.endswith(f"@{seed}")]
            print(f"seed {seed}: measured in {sum(spent):.0f} s")
        print(self.card / SEEDS)


def _name(table: _Table, seed: int) -> str:
    """Return the name of the run that measures a table with one seed. The run's folder has the same name."""
    return f"{table.experiment}@{seed}"
