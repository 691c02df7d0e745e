"""The command `python -m bench.gather DIR`, which makes one table of several runs.

It also draws a figure of quality against cost if the costs are known and all runs have the same items.

DIR contains one folder for each job, with a file `job.json`. If a job failed, or if its numbers cannot be
compared, the job has only one line in the table. This line contains the reason instead of numbers.

The numbers of a measured table cannot be compared if they have no stamps, or if their stamps differ from the stamps of
the first job. Different stamps are accepted if the sweep changes a key that chooses items or protocols. If the jobs
have different items, each line of the table also has the first digits of the manifest's hash.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas

from bench.config.compose import group_of
from bench.config.schema import REHEARSAL
from bench.errors import BadInputError
from bench.results.out_folder import STARTED
from bench.results.run_files import JobFile, is_layers, read_results
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS, Stamps, read_stamps, unlike
from bench.runtime.files import read_if_there, write_atomically
from bench.runtime.strict_json import read_json_as
from bench.runtime.text import csv_text, one_line, printable
from bench.sweeps.again import sweep_title, swept_values
from bench.sweeps.jobs import JOB, SWEEP
from bench.tables.build import METRICS, Styles, style_of, styles_of
from bench.tables.grid import markdown, print_grid, terminal

__all__ = ["gather", "main"]

BAD_INPUT = 2
USAGE = "usage: python -m bench.gather DIR"
COSTS = {"parameters": "parameters", "tera_flop": "TFLOP an image", "seconds_per_image": "seconds an image"}
"""Costs of a row, by the names under which `bench.evaluation.costs.row_costs` measures them, with titles for a figure.
"""
STAMPING = {"experiment", "profile", "dataset", "metrics", "seed", "limit", "table", "paths"}
"""Groups of keys that choose items or protocols. If a sweep changes one of them, the stamps differ on purpose."""
REHEARSED = "All jobs of a rehearsal"
"""Title of the table if any of its numbers come from a rehearsal with random weights."""
NOTHING = pandas.DataFrame([{}], index=[0])
WEIGHTS = "decoder/diffusion_pytorch_model.safetensors"
"""Path of the trained weights in the folder of a training."""


@dataclass(frozen=True)
class GatheredJob:
    """The results of one job."""

    frame: pandas.DataFrame
    """Lines of the job, without the columns that identify the job; one empty line if the job has no numbers."""
    stamps: Stamps | None = None
    """Stamps of the numbers; None for a training and for a job without numbers."""
    headings: Mapping[str, str] = field(default_factory=dict)
    """Heading of each main metric of the job's table, by the name of the metric."""


def gather(folder: Path) -> list[str]:
    """Write one table of all jobs, and print it.

    The files are `sweep.csv`, `sweep.md` and `sweep.html`, and the figure `sweep.png` if costs are known and all jobs
    have the same items.

    Args:
        folder: folder that contains the jobs' folders.

    Returns:
        One sentence for each job with a problem. There are two such problems: a job ended with status 0, but the table
            cannot show its numbers; or the sweep started a job, but the job has no `job.json` and no line in the table.

    Raises:
        BadInputError: the folder contains no job, or a `job.json` is damaged.
    """
    # Imported here, because they take a second, and every command that could sweep imports this module.
    from bench.sweeps.page import profiles_of, sweep_notes, sweep_page
    from bench.sweeps.table import SweepTable

    jobs = sorted(folder.glob(f"*/{JOB}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not jobs:
        raise BadInputError(f"{folder}: expected folders of jobs, each with the file {JOB}, found no such folder")
    records = [_job(path.parent) for path in jobs]
    found: list[GatheredJob] = []
    lines: list[pandas.DataFrame] = []
    problems: list[str] = []
    first: Stamps | None = None
    for path, job in zip(jobs, records, strict=True):
        try:
            one = _results(path.parent, job, first)
            lines.append(_lines(job, one, job["message"].partition("\n")[0]))
            found.append(one)
            first = first or one.stamps
        except BadInputError as error:
            problems.append(f"job {job['name']}: {error}")
            lines.append(_lines(job, GatheredJob(NOTHING), str(error)))
    table = pandas.concat(lines, ignore_index=True)
    if "items" in table and table["items"].nunique() < 2:
        table = table.drop(columns="items")
    table = table.dropna(axis="columns", how="all")
    profiles = profiles_of([path.parent for path in jobs])
    rehearsed = REHEARSAL in profiles
    if rehearsed:
        table = table.assign(profile=REHEARSAL)
    write_atomically(folder / "sweep.csv", csv_text(table))
    swept = tuple(swept_values(records))
    alike = _alike([one.stamps for one in found if one.stamps is not None], swept)
    styles = _styles([path.parent for path in jobs])
    shown = SweepTable(table, swept, _headings(found), styles, alike=alike)
    grids, title = list(shown.grids()), REHEARSED if rehearsed else sweep_title(records)
    write_atomically(folder / "sweep.md", markdown(title, grids, sweep_notes(shown, profiles)))
    if shown.costs and shown.metrics and "items" not in table:
        from bench.reporting.figures import draw_tradeoff

        draw_tradeoff(
            folder / "sweep.png",
            table.assign(label=table.get("label", "decoder")),
            costs={name: title for name, title in COSTS.items() if name in shown.costs},
            qualities=[*shown.metrics],
            title=REHEARSED if rehearsed else "",
        )
    page = sweep_page(folder, list(zip((path.parent for path in jobs), records, strict=True)), shown)
    write_atomically(folder / "sweep.html", page)
    for grid in grids:
        print_grid(grid, f"{title}: {grid.title}", terminal())
    print(one_line(f"table: {folder / 'sweep.csv'}"))
    print(one_line(f"page: {folder / 'sweep.html'}"))
    return problems + _without_end(folder, {path.parent.name for path in jobs})


def _alike(stamps: Sequence[Stamps], swept: Sequence[str]) -> bool:
    """Return whether all jobs have the same items and protocols.

    Trainings have no stamps. Their numbers have the same items unless the sweep changes a key that chooses items.
    """
    if not stamps:
        return not STAMPING & {group_of(key) for key in swept}
    return all(unlike(one, stamps[0]) is None for one in stamps[1:])


def _headings(jobs: Sequence[GatheredJob]) -> dict[str, str]:
    """Return the heading of each main metric of the jobs' tables.

    If two jobs have different headings of a metric, because their feature networks differ, the name of the network is
    left out.
    """
    found: dict[str, str] = {}
    for metric, heading in ((metric, heading) for job in jobs for metric, heading in job.headings.items()):
        style = style_of(metric)
        other = found.setdefault(metric, heading) != heading
        found[metric] = style.heading() if other and style is not None else found[metric]
    return found


def _styles(jobs: Sequence[Path]) -> Styles:
    """Return the styles of all metrics, with those that the configuration of the first readable job adds."""
    for path in jobs:
        try:
            return styles_of(read_if_there(path / RUN)["config"]["metrics"]["measures"])
        except (BadInputError, KeyError, TypeError, AttributeError):
            continue
    return METRICS


def _without_end(folder: Path, ended: set[str]) -> list[str]:
    """Return one sentence for each job that the sweep has started and that is not in `ended`.

    Args:
        folder: folder of the sweep.
        ended: names of the jobs that have recorded how they ended.
    """
    started = read_if_there(folder / STARTED)
    jobs = started.get("config") if started.get("experiment") == SWEEP else None
    why = "the job still runs, or it was ended before it could write the file"
    return [
        f"job {name}: expected the file {JOB}, which records how the job ended, found no such file; {why}"
        for name in (jobs if isinstance(jobs, dict) else {})
        if name not in ended
    ]


def _job(folder: Path) -> JobFile:
    """Return the content of a job's `job.json`, which says how the job ended.

    Raises:
        BadInputError: the file is missing or damaged.
    """
    path = folder / JOB
    try:
        return read_json_as(path, JobFile)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a record of how the job ended, found no such file") from None


def _read_csv(path: Path, *columns: str) -> pandas.DataFrame:
    try:
        found = pandas.read_csv(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: expected a table, found an error: {error}") from None
    if found.empty:
        raise BadInputError(f"{path}: expected a table with lines below its headings, found no line")
    missing = [name for name in columns if name not in found]
    if missing:
        raise BadInputError(
            f"{path}: expected the column {missing[0]}, found the columns {', '.join(map(str, found))[:80]}"
        )
    return found


def _lines(job: JobFile, found: GatheredJob, failed: str) -> pandas.DataFrame:
    items = {} if found.stamps is None else {"items": found.stamps.manifest[:12]}
    frame = found.frame.assign(job=job["name"], **job["chosen"], **items, failed=failed or None)
    others = [name for name in found.frame.columns if name not in job["chosen"]]
    return frame[["job", *job["chosen"], *items, *others, "failed"]]


def _results(folder: Path, job: JobFile, first: Stamps | None) -> GatheredJob:
    """Return the results of one job.

    Args:
        folder: folder of the job.
        job: content of the job's `job.json`.
        first: stamps of the first job that has stamps; None if no earlier job has any.

    Returns:
        If the job measured a table: the rows with their costs. If the job trained a decoder: the numbers of the last
            validation, and the number of parameters. If the job failed or has no such results: one empty line.

    Raises:
        BadInputError: a file is damaged, or the numbers of a table have no stamps, or the stamps differ from `first`
            although the sweep changes no key that chooses items or protocols.
    """
    if job["status"] != 0:
        return GatheredJob(NOTHING)
    if (folder / "table.csv").is_file():
        stamps = read_stamps(folder)
        reason = None if first is None else unlike(stamps, first)
        if reason is not None and not STAMPING & {group_of(key) for key in job["chosen"]}:
            raise BadInputError(
                f"{folder / RESULTS}: expected the items and protocols of the first job, found a difference: {reason}"
            )
        found = _read_csv(folder / "table.csv", "row").copy()  # copied into one block, because many columns are added
        costs = _costs(folder)
        of = {name: [costs.get(row, {}).get(name) for row in found["row"]] for name in COSTS if costs}
        results = read_results(folder / RESULTS)
        columns = [] if is_layers(results) else [*results.get("columns", []), *results.get("readings", [])]
        return GatheredJob(
            found.assign(**of), stamps, {one["metric"]: one.get("title", one["metric"]) for one in columns}
        )
    if (folder / "validation.csv").is_file():
        size = _parameters(folder / WEIGHTS)
        return GatheredJob(_read_csv(folder / "validation.csv").tail(1).assign(**size))
    return GatheredJob(NOTHING)


def _parameters(weights: Path) -> dict[str, int]:
    """Return the number of parameters of a weight file as the cost `parameters`; empty if the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "np") as opened:
            return {"parameters": sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())}  # noqa: SIM118
    except (OSError, SafetensorError):
        return {}


def _costs(folder: Path) -> dict[str, dict[str, float]]:
    costs = read_if_there(folder / RUN).get("costs") or {}
    try:
        return {row: {name: float(cost[name]) for name in COSTS if name in cost} for row, cost in costs.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return {}


def main(arguments: list[str]) -> int:
    """Run the command `python -m bench.gather` and return its exit status: 0, or 2 if there is any problem."""
    if arguments in (["-h"], ["--help"]):
        print(f"{USAGE}\n\nMake one table and one figure from all jobs of the sweep in the folder DIR.")
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return BAD_INPUT
    try:
        problems = gather(Path(arguments[0]))
    except BadInputError as error:
        problems = [str(error)]
    for problem in problems:
        print(printable(f"bench.gather: {problem}"), file=sys.stderr)
    return BAD_INPUT if problems else 0
