"""A collection, which runs several experiments, such as all tables of the paper, and writes an index."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.text import Text

from bench.checking.estimate import Planned, before_trials, total
from bench.checking.inspection import Problem, merged
from bench.checking.report import report
from bench.config.compose import changing, compose_config, experiments, for_each, typed
from bench.config.experiment_configs import CollectingConfig, CollectionConfig
from bench.config.kinds import narrowed
from bench.config.overrides import command
from bench.errors import BadInputError
from bench.evaluation.setup import Setup
from bench.experiments.run import experiment_of
from bench.experiments.run import run as run_experiment
from bench.reporting.index import Entry, Index, counts_of, index_page
from bench.reporting.page import first_line
from bench.results.out_folder import open_out, writing_into
from bench.results.run_folder import REPORT, RUN, Results
from bench.results.stamps import RESULTS
from bench.results.write import run_facts, write_run
from bench.runtime.device import choose_device
from bench.runtime.distributed import World
from bench.runtime.files import read_if_there, write_atomically, write_json
from bench.runtime.text import one_line
from bench.sweeps.jobs import Job, Run, run_job
from bench.tables.grid import Grid, markdown, print_grid, terminal
from bench.tables.headline import headline_error
from bench.tables.judging import judge_across
from bench.tables.printed import judge_printed
from bench.tables.render import verdict_grid, verdicts_counted
from bench.tables.verdicts import scope_of

__all__ = ["Collection", "joined", "problems_of_each"]


class Collection:
    """An experiment that runs the experiments in the key `experiments` one after another.

    All these experiments share one store. Therefore the latents of an item are sampled only once.
    """

    def __init__(self, config: CollectionConfig, overrides: Sequence[str], run: Run = run_experiment) -> None:
        """Set the configuration, the overrides of the command line, and the function that runs an experiment."""
        self.config, self.overrides, self._run = config, list(overrides), run
        self.index: Index | None = None
        """Content of the index page that `report` has written; None before."""

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong for the experiments, including errors in their configurations."""
        return joined(problems_of_each(self.config, self.overrides))

    def run(self) -> Results:
        """Run every experiment, and write the index.

        Each experiment receives those overrides of this run that it uses. With `stage=check`, the experiments are only
        checked, and no index is written. The returned exit status is the highest exit status of all experiments.

        Raises:
            BadInputError: with `stage=check`, something is missing or wrong for an experiment.
        """
        each = for_each(self.config, self.overrides)
        if self.config.stage == "check":
            return self._check(each)
        out = open_out(self.config) if World.here().is_main_process else None
        results: dict[str, Results] = {}
        seconds: dict[str, float] = {}
        for name, words in each.items():
            started = time.monotonic()
            print(f"\n{name}", flush=True)
            results[name] = run_job(self._run, Job(name, {"experiment": name}, words), out)
            seconds[name] = round(time.monotonic() - started, 3)
        if out is not None:
            with writing_into(out):
                self.report(out, results, seconds)
        worst = max(result.status for result in results.values())
        failed = [name for name, result in results.items() if result.status]
        return Results(out or Path(), worst, f"failed experiments: {', '.join(failed)}" if failed else "")

    def _check(self, each: Mapping[str, list[str]]) -> Results:
        """Check every experiment, and print the time, memory and disk space that the ready experiments will need.

        An experiment is ready if nothing is missing or wrong for it.

        Args:
            each: overrides of each experiment, by the experiment's name.

        Raises:
            BadInputError: something is missing or wrong for an experiment. The message lists all problems.
        """
        found = inspected_each(self.config, self.overrides)
        missing = {name: one.problems for name, one in found.items()}
        planned = {name: one.planned for name, one in found.items() if one.planned is not None}
        ready: dict[str, Results] = {}
        for name in [name for name, problems in missing.items() if not problems]:
            try:
                ready[name] = self._run(each[name])
            except BadInputError as error:
                missing[name] = [Problem("", str(error))]
        forecasts = [result.forecast for result in ready.values() if result.forecast is not None]
        if forecasts:
            print(f"{self.config.name}: together, the experiments with complete files need {total(forecasts)}")
        problems = joined(missing)
        if problems:
            tail = [*before_trials(planned), *_readiness(missing)]
            raise BadInputError(report(self.config.name, problems, tail=tail))
        return Results(Path(), max(result.status for result in ready.values()))

    def report(self, out: Path, results: dict[str, Results], seconds: dict[str, float]) -> None:
        """Write `index.html`, `index.md`, `claims.json` and `run.json`, and print the index.

        `claims.json` has the verdicts on two kinds of claims: claims that are judged from the paper's printed numbers
        alone, and claims that need the measured numbers of several tables.

        Args:
            out: folder of the collection's run.
            results: results of each experiment, by the experiment's name.
            seconds: time in seconds that each experiment took, by the experiment's name.
        """
        summaries = {result.summary[0]: result.summary[1] for result in results.values() if result.summary is not None}
        words = [word for words in self.config.each.values() for word in words]
        changed = bool(changing([*words, *self.overrides]))
        subsets = [read_if_there(out / name / RESULTS).get("subset") for name in results]
        scope = scope_of(self.config.profile.name, custom=changed or "custom" in subsets)
        error = headline_error(self.config.profile, choose_device(self.config.device))
        verdicts = [*judge_printed(), *judge_across(summaries, profile=scope, error=error)]
        latents = [read_if_there(out / name / RUN).get("latents") or {} for name in results]
        entries = [self._entry(out, name, result, seconds[name]) for name, result in results.items()]
        grid = _index(entries, latents)
        across = verdict_grid(verdicts)
        title = f"{self.config.name}, profile {self.config.profile.name}"
        grids = [found for found in (grid, _headlines(entries), across) if found.lines]
        write_atomically(out / "index.md", markdown(title, grids, []))
        sampled, stored = (sum(found.get(key, 0) for found in latents) for key in ("sampled", "stored"))
        write_json(out / "claims.json", {"claims": [asdict(found) for found in verdicts]})
        facts = run_facts(
            self.config,
            self.config.resolved,
            self.overrides,
            device=self.config.device,
            weights={},
            facts={
                "experiments": {name: result.status for name, result in results.items()},
                "seconds": seconds,
                "latents": {"sampled": sampled, "stored": stored},
            },
        )
        self.index = Index(
            self.config.name.replace("_", " ").capitalize(),
            f"{len(results)} experiments in {sum(seconds.values()):.0f} s; {sampled} latents sampled, {stored} stored "
            "before.",
            entries,
            profile=f"profile {self.config.profile.name}",
            first_line=first_line(self.config.profile.name),
            claims=verdicts,
            command=command(self.overrides),
        )
        write_atomically(out / "index.html", index_page(self.index))
        write_run(out, facts)
        console = terminal()
        print_grid(grid, title, console)
        if self.config.verbose:
            print_grid(across, "Claims that rest on the printed numbers or on several tables", console)
        else:
            console.print(Text(verdicts_counted(verdicts)))
        print(f"\n{sampled} latents sampled, {stored} found in the store, {sum(seconds.values()):.0f} s")
        print(one_line(f"report: {out / 'index.html'}"))

    def _entry(self, out: Path, name: str, result: Results, seconds: float) -> Entry:
        return Entry(
            name,
            result.message.partition("\n")[0] or "done",
            failed=result.status != 0,
            about=experiments().get(name, ""),
            link=f"{name}/{REPORT}" if (out / name / REPORT).is_file() else None,
            headline=result.headline,
            counts=counts_of(out / name),
            seconds=seconds,
        )


def _index(entries: Sequence[Entry], latents: Sequence[Mapping[str, int]]) -> Grid:
    lines = [
        [
            entry.name,
            entry.ended,
            ", ".join(f"{count} {verdict}" for verdict, count, _ in entry.counts) or "–",
            str(found.get("sampled", "–")),
            str(found.get("stored", "–")),
            f"{entry.seconds:.1f}",
        ]
        for entry, found in zip(entries, latents, strict=True)
    ]
    return Grid(
        ["experiment", "how it ended", "verdicts on these networks", "latents sampled", "stored", "seconds"],
        lines,
        left=3,
    )


def _headlines(entries: Sequence[Entry]) -> Grid:
    lines = [[entry.name, str(words)] for entry in entries for words in entry.headline]
    return Grid(["experiment", "best row of each column, compared with the reference row"], lines, left=2)


@dataclass(frozen=True)
class Inspected:
    """The findings about one experiment of a collection, before this experiment runs."""

    problems: list[Problem]
    """Everything that is missing or wrong. An error in the configuration of the experiment is one of the problems."""
    planned: Planned | None = None
    """Items and latents that the run will save. None if the experiment uses no items, or its configuration is wrong."""


def inspected_each(config: CollectingConfig, overrides: Sequence[str]) -> dict[str, Inspected]:
    """Inspect the files of each experiment of a collection, and return the findings about each experiment.

    The key of the result is the experiment's name.

    Args:
        config: configuration of the collection.
        overrides: overrides of the collection's run.
    """
    found: dict[str, Inspected] = {}
    for name, words in for_each(config, list(overrides)).items():
        try:
            experiment = experiment_of(narrowed(*typed(compose_config(words))), words)
            setup = getattr(experiment, "setup", None)
            problems = experiment.missing()
            found[name] = Inspected(problems, setup.planned if isinstance(setup, Setup) else None)
        except BadInputError as error:
            found[name] = Inspected([Problem("", str(error))])
    return found


def problems_of_each(config: CollectingConfig, overrides: Sequence[str]) -> dict[str, list[Problem]]:
    """Return everything that is missing or wrong for each experiment of a collection.

    The key of the result is the experiment's name. An error in the configuration of an experiment is also a problem.

    Args:
        config: configuration of the collection.
        overrides: overrides of the collection's run.
    """
    return {name: found.problems for name, found in inspected_each(config, overrides).items()}


def joined(problems: Mapping[str, Sequence[Problem]]) -> list[Problem]:
    """Merge the problems of several experiments. Equal problems become one problem with the names of the experiments.

    Args:
        problems: problems of each experiment, by the experiment's name.
    """
    return merged(replace(problem, experiments=(name,)) for name, found in problems.items() for problem in found)


def _readiness(problems: Mapping[str, Sequence[Problem]]) -> Iterator[str]:
    """Yield lines that say which experiments are ready, what each other experiment lacks, and what a run would do.

    Args:
        problems: problems of each experiment, by the experiment's name.
    """
    ready = [name for name, found in problems.items() if not found]
    yield f"ready: {len(ready)} of {len(problems)} experiments ({', '.join(ready) or 'none'})"
    for name, found in problems.items():
        if found:
            lacks = ", ".join(dict.fromkeys(one.asset.name if one.asset else _brief(one) for one in found))
            yield f"not ready: {name} ({lacks})"
    if ready:
        yield (
            "If you start the run now, it runs the ready experiments, lists what the others "
            "lack, and ends with exit status 2."
        )


def _brief(problem: Problem) -> str:
    return problem.keys[0] if problem.keys else problem.said.partition("\n")[0]
