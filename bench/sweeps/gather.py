"""The command `python -m bench.gather DIR`, which makes one table of several runs.

It also draws a figure of quality against cost if the costs are known and all runs have the same items.

DIR contains one folder for each job, with a file `job.json`. If a job failed, or if its numbers cannot be
compared, the job has only one line in the table. This line contains the reason instead of numbers.

The numbers of a measured table cannot be compared if they have no stamps, or if their stamps differ from the stamps of
the first job. Different stamps are accepted if the sweep changes a key that chooses items or protocols. If the jobs
have different items, each line of the table also has the first digits of the manifest's hash.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas

from bench.config.compose import group_of
from bench.config.schema import REHEARSAL, REHEARSAL_NOTE
from bench.errors import BadInputError
from bench.results.out_folder import STARTED
from bench.results.run_files import JobFile
from bench.results.run_folder import REPORT, RUN
from bench.results.stamps import RESULTS, Stamps, read_stamps, unlike
from bench.runtime.files import read_if_there, write_atomically
from bench.runtime.strict_json import read_json_as
from bench.runtime.text import csv_text, one_line, printable
from bench.sweeps.jobs import JOB, SWEEP
from bench.tables.grid import Grid, markdown, print_grid, terminal

__all__ = ["gather", "main"]

BAD_INPUT = 2
USAGE = "usage: python -m bench.gather DIR"
COSTS = {"parameters": "parameters", "tera_flop": "TFLOP an image", "seconds_per_image": "seconds an image"}
STAMPING = {"experiment", "profile", "dataset", "metrics", "seed", "limit", "table", "paths"}
"""Groups of keys that choose items or protocols. If a sweep changes one of them, the stamps differ on purpose."""
REHEARSED = "All jobs of a rehearsal"
"""Title of the table if any of its numbers come from a rehearsal with random weights."""
NOTHING = pandas.DataFrame([{}], index=[0])
QUALITIES = ("fid", "lpips", "pre_error", "pre_error_released", "clip_score", "inception_score")


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
    jobs = sorted(folder.glob(f"*/{JOB}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not jobs:
        raise BadInputError(f"{folder}: expected folders of jobs, each with the file {JOB}, found no such folder")
    lines: list[pandas.DataFrame] = []
    problems: list[str] = []
    first: Stamps | None = None
    for path in jobs:
        job = _job(path.parent)
        try:
            found, stamps = _results(path.parent, job, first)
            lines.append(_lines(job, found, stamps, job["message"].partition("\n")[0]))
            first = first or stamps
        except BadInputError as error:
            problems.append(f"job {job['name']}: {error}")
            lines.append(_lines(job, NOTHING, None, str(error)))
    table = pandas.concat(lines, ignore_index=True)
    if "items" in table and table["items"].nunique() < 2:
        table = table.drop(columns="items")
    table = table.dropna(axis="columns", how="all")
    rehearsed = _rehearsed([path.parent for path in jobs])
    if rehearsed:
        table = table.assign(profile=REHEARSAL)
    write_atomically(folder / "sweep.csv", csv_text(table))
    keys = [name for name in table if str(name) in ("job", *_job(jobs[0].parent)["chosen"], "items", "profile")]
    grid = _grid(table, keys)
    title = REHEARSED if rehearsed else "All jobs"
    write_atomically(folder / "sweep.md", markdown(title, [grid], [REHEARSAL_NOTE] if rehearsed else []))
    if set(COSTS) & set(table.columns) and "items" not in table:
        from bench.reporting.figures import draw_tradeoff

        draw_tradeoff(
            folder / "sweep.png",
            table,
            costs={name: title for name, title in COSTS.items() if name in table},
            qualities=[name for name in QUALITIES if name in table],
            title=REHEARSED if rehearsed else "",
        )
    write_atomically(folder / "sweep.html", _page(folder, [path.parent for path in jobs], grid, rehearsed=rehearsed))
    print_grid(grid, title, terminal())
    print(one_line(f"{folder / 'sweep.csv'}"))
    return problems + _without_end(folder, {path.parent.name for path in jobs})


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


def _lines(job: Mapping[str, Any], found: pandas.DataFrame, stamps: Stamps | None, failed: str) -> pandas.DataFrame:
    items = {} if stamps is None else {"items": stamps.manifest[:12]}
    frame = found.assign(job=job["name"], **job["chosen"], **items, failed=failed or None)
    others = [name for name in found.columns if name not in job["chosen"]]
    return frame[["job", *job["chosen"], *items, *others, "failed"]]


def _results(folder: Path, job: Mapping[str, Any], first: Stamps | None) -> tuple[pandas.DataFrame, Stamps | None]:
    """Return the results of one job, and the stamps of its numbers.

    Args:
        folder: folder of the job.
        job: content of the job's `job.json`.
        first: stamps of the first job that has stamps; None if no earlier job has any.

    Returns:
        If the job measured a table: the rows with their costs, and the stamps. If the job trained a decoder: the
            numbers of the last validation, and None. If the job failed or has no such results: one empty row, and None.

    Raises:
        BadInputError: a file is damaged, or the numbers of a table have no stamps, or the stamps differ from `first`
            although the sweep changes no key that chooses items or protocols.
    """
    if job["status"] != 0:
        return NOTHING, None
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
        return found.assign(**of), stamps
    if (folder / "validation.csv").is_file():
        return _read_csv(folder / "validation.csv").tail(1), None
    return NOTHING, None


def _rehearsed(jobs: Sequence[Path]) -> bool:
    """Return True if any of the folders `jobs` contains a run of a rehearsal, which has no meaningful numbers."""
    return any(read_if_there(folder / RUN).get("profile") == REHEARSAL for folder in jobs)


def _page(folder: Path, jobs: list[Path], grid: Grid, *, rehearsed: bool) -> str:
    """Return the HTML text of `sweep.html`: all jobs in one table, with a link to each report that exists."""
    from bench.reporting.index import Entry, Index, counts_of, index_page
    from bench.reporting.page import first_line
    from bench.reporting.pixels import data_url

    entries = []
    for path in jobs:
        job = _job(path)
        report, failed = path / REPORT, job["status"] != 0
        chosen = ", ".join(f"{key}={value}" for key, value in job["chosen"].items())
        entries.append(
            Entry(
                f"{job['name']}: {chosen}",
                job["message"].partition("\n")[0] or ("failed" if failed else "done"),
                failed=failed,
                link=report.relative_to(folder).as_posix() if report.is_file() else None,
                counts=counts_of(path),
                seconds=_seconds(path),
            )
        )
    drawn = folder / "sweep.png"
    figure = data_url(drawn.read_bytes()) if drawn.is_file() else None
    index = Index("Sweep", f"{len(jobs)} jobs.", entries, grids=[grid], grid_title="All jobs", figure=figure)
    if rehearsed:
        index = replace(index, profile=REHEARSAL, first_line=first_line(REHEARSAL), grid_title=REHEARSED)
    return index_page(index)


def _seconds(folder: Path) -> float | None:
    """Return the total time of a run's stages in seconds, from its `run.json`; None if the time is unknown."""
    try:
        return sum((read_if_there(folder / RUN).get("seconds") or {}).values()) or None
    except (TypeError, AttributeError):
        return None


def _costs(folder: Path) -> dict[str, dict[str, float]]:
    costs = read_if_there(folder / RUN).get("costs") or {}
    try:
        return {row: {name: float(cost[name]) for name in COSTS if name in cost} for row, cost in costs.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return {}


def _grid(table: pandas.DataFrame, keys: list[Any]) -> Grid:
    """Return the columns of the sweep's table that are displayed.

    They are the columns in `keys`, the label of the row or the training step, the main metrics, the costs, and the
    reason of a failure. The further columns are displayed only if there are at most 8 of them.

    Args:
        table: all columns, as in `sweep.csv`.
        keys: columns that identify the job: the job's name, the swept keys, the items and the profile.
    """
    wanted = [*keys, *(name for name in ("label", "step", *QUALITIES, *COSTS, "failed") if name in table)]
    others = [name for name in table if name not in wanted and len(table.columns) <= len(wanted) + 8]
    shown = table[[*wanted, *others]]
    lines = [["–" if pandas.isna(cell) else _shown(cell) for cell in line] for line in shown.itertuples(index=False)]
    return Grid([str(name) for name in shown.columns], lines, left=len(keys) + ("label" in table))


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


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
