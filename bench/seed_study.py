"""`experiment=seeds`: every table's values for further training seeds of its decoders, as data of the weights' card.

For each table the rows of the shipped decoders are measured first, which costs little where an earlier run has left
their scores in the store. They say on which items and by which protocols the table is measured now. After them come the
decoders of each further seed. All trainings decode the same latents, and only rows that decode by a trained decoder are
run: no other row changes with the training seed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.checking.report import report
from bench.checking.wanted import of_each
from bench.config import changing, compose_config, for_each, typed
from bench.errors import BadInputError
from bench.jobs import Job, Run, run_job
from bench.models.checkpoints import WEIGHTS
from bench.reporting.files import run_facts, write_run
from bench.results import RUN, Results, check_writable, environment, open_out, write_atomically, write_json
from bench.schema import Config
from bench.stamps import RESULTS
from bench.store import file_sha256
from bench.tables.seeds import CARD, SEEDS, RowSeeds, SeedStudy, TableSeeds, Training, trained_decoders
from bench.training.card import CARD_TEXT, card_text
from bench.training.workshop import DONE
from bench.world import World

__all__ = ["SeedsExperiment"]

STAGES = ("check", "tabulate")


@dataclass(frozen=True)
class _Table:
    """One table's experiment."""

    experiment: str
    words: list[str]
    """The overrides that it is run with."""
    decoders: Mapping[str, str]
    """The names, in `profile.decoders`, of the trained decoders of its rows, by row."""


@dataclass(frozen=True)
class _FinishedRun:
    """What the run of one table left in its folder."""

    results: Mapping[str, Any]
    """The content of `results.json`."""
    facts: Mapping[str, Any]
    """The content of `run.json`."""

    @classmethod
    def read(cls, folder: Path) -> _FinishedRun:
        return cls(*(json.loads((folder / name).read_text()) for name in (RESULTS, RUN)))

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """The metrics of each row that have a value."""
        return {row["method"]: {name: entry["value"] for name, entry in _entries(row)} for row in self.results["rows"]}

    @property
    def protocols(self) -> dict[str, str]:
        """The hash of the protocol of each metric that has a value."""
        return {name: entry["protocol"] for row in self.results["rows"] for name, entry in _entries(row)}

    def weights(self, folder: Path, assets: str) -> dict[str, str]:
        """SHA-256 of the weight files that lie in a folder, by their paths in it.

        Args:
            folder: of a profile's weights.
            assets: what `paths.assets` stands for.
        """
        files = {Path(file.replace("${paths.assets}", assets)): sha for file, sha in self.facts["weights"].items()}
        return {file.relative_to(folder).as_posix(): sha for file, sha in files.items() if file.is_relative_to(folder)}


def _entries(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((metric, entry) for metric, entry in row["metrics"].items() if entry["value"] is not None)


class SeedsExperiment:
    """The tables of `experiments`, each with the shipped decoders and with those of every further training seed."""

    def __init__(self, config: Config, resolved: dict[str, Any], overrides: Sequence[str], run: Run) -> None:
        """Take a configuration as `bench.config.typed` gives it, and what runs one experiment."""
        assert config.seeds_from is not None  # the configuration was validated
        assert config.card is not None
        self.config, self.resolved, self.overrides, self._run = config, resolved, list(overrides), run
        self.trained, self.card = Path(config.seeds_from), Path(config.card)
        self.seconds: dict[str, float] = {}
        self.source = environment()["source"]  # before this run changes files of the checkout

    def run(self) -> Results:
        """Measure what `seeds.json` does not have yet, and write it and `CARD.md` anew after each table.

        Raises:
            BadInputError: before any work, for weights without a card, a folder without any further training, a stage
                other than check and tabulate, several processes, a table without trained decoders, or a run that is not
                about the tables as they are and would write into the shipped card.
        """
        self._check()
        tables = [self._table(name, words) for name, words in for_each(self.config, self.overrides).items()]
        if self.config.stage == "check":
            problems = of_each(self.config, self.overrides)
            if problems:
                raise BadInputError(report(self.config.name, problems))
            self._announce(tables)
            return Results(Path(), 0)
        self._announce(tables)
        out = open_out(self.config.out, self.config.name)
        failed = {name: status for table in tables for name, status in self._measure(table, out).items()}
        self._note(out)
        return Results(out, max(failed.values(), default=0), f"failed: {', '.join(failed)}" if failed else "")

    # --- check

    def _check(self) -> None:
        if self.config.stage not in STAGES:
            raise BadInputError(f"stage: seeds knows {' and '.join(STAGES)}, found {self.config.stage}")
        if World.here().size > 1:
            raise BadInputError(f"seeds: expected one process, found {World.here().size}")
        weights = Path(self.config.profile.weights)
        if not (weights / CARD).is_file():
            raise BadInputError(f"profile.weights: expected the weights of a card, found no {weights / CARD}")
        if not any(self.parts(seed) for seed in self.further):
            wanted = ", ".join(f"*@{seed}/{DONE}" for seed in self.further)
            raise BadInputError(f"seeds_from: expected decoders of further seeds, found no {wanted} in {self.trained}")
        custom = changing(self.overrides)
        if custom and self.card.resolve() == weights.resolve():
            raise BadInputError(
                f"card: expected a folder of its own for a run with {', '.join(custom)}, found that of the shipped "
                f"card, {self.card}, which is about the tables as they are"
            )
        check_writable(str(self.card), "card")

    def _announce(self, tables: Sequence[_Table]) -> None:
        """Say which decoders of each seed are measured and which are not there."""
        wanted = list(dict.fromkeys(name for table in tables for name in table.decoders.values()))
        for seed in self.further:
            there = [name for name in wanted if name in self.parts(seed)]
            missing = [name for name in wanted if name not in there]
            print(f"seed {seed}: {', '.join(there) or 'nothing'}; not trained: {', '.join(missing) or 'none'}")

    @cached_property
    def shipped(self) -> Mapping[str, Any]:
        """What the card of the shipped weights says."""
        card: dict[str, Any] = json.loads((Path(self.config.profile.weights) / CARD).read_text())
        return card

    @property
    def further(self) -> list[int]:
        """The training seeds beside the shipped one."""
        return [seed for seed in dict.fromkeys(self.config.seeds) if seed != self.shipped["seed"]]

    def parts(self, seed: int) -> dict[str, Path]:
        """The folders of the finished decoders of a training seed, by their names in the profile.

        For the shipped seed they are the profile's own.

        Raises:
            BadInputError: a decoder was made by another recipe than the shipped one, so that they are no two trainings
                of the same design.
        """
        decoders = {name: Path(path) for name, path in self.config.profile.decoders.items()}
        if seed == self.shipped["seed"]:
            return decoders
        folders = {name: self.trained / f"{name}@{seed}" for name in decoders}
        found = {name: folder for name, folder in folders.items() if (folder / DONE).is_file()}
        for name, folder in found.items():
            made = json.loads((folder / DONE).read_text())
            if made["recipe"] != self.shipped["parts"][name]["recipe"]:
                raise BadInputError(f"{folder / DONE}: expected the recipe of the card's {name}, found another one")
        return found

    def _table(self, name: str, words: list[str]) -> _Table:
        config, resolved = typed(compose_config(words))
        rows = {
            row: resolved["rows"][row]
            for row, spec in config.rows.items()
            if spec.control is None or spec.control in config.controls
        }
        trained = trained_decoders(rows, config.profile.decoders)
        decoders = {row: part for row, part in trained.items() if part in config.profile.decoders}
        if not decoders:
            raise BadInputError(f"experiments: expected tables with rows of trained decoders, found {name}")
        return _Table(name, words, decoders)

    # --- measure

    def _measure(self, table: _Table, out: Path) -> dict[str, int]:
        """Measure one table with every seed; returns the status of each run that failed, by its name."""
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
        """Run some rows of a table with the decoders of one seed, in a folder of its own."""
        started = time.monotonic()
        name = _name(table, seed)
        print(f"\n{name}: {', '.join(rows)}", flush=True)
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
        """One table of the study as the run of the shipped decoders alone gives it."""
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
        """What a run measured of one row, whose decoder has that training seed and weights of that SHA-256."""
        return Training(seed, weights, self.source["commit"], self.source["dirty"], run.values[row])

    # --- keep

    def _keep(self, number: int, table: TableSeeds) -> None:
        """Put one table into `seeds.json`, and make `CARD.md` anew from it."""
        study = SeedStudy.read(self.card)
        study = replace(study, tables={**study.tables, number: table})
        self.card.mkdir(parents=True, exist_ok=True)
        write_json(self.card / SEEDS, study.as_json())
        write_atomically(self.card / CARD_TEXT, card_text(self.shipped, study))

    def _note(self, out: Path) -> None:
        facts = run_facts(
            self.config,
            self.resolved,
            self.overrides,
            device=self.config.device,
            weights={},
            facts={"seconds": self.seconds},
        )
        write_run(out, facts)
        for seed in [self.shipped["seed"], *self.further]:
            spent = [value for name, value in self.seconds.items() if name.endswith(f"@{seed}")]
            print(f"seed {seed}: {sum(spent):.0f} s")
        print(self.card / SEEDS)


def _name(table: _Table, seed: int) -> str:
    """The name of a run's folder."""
    return f"{table.experiment}@{seed}"
