"""The command `python -m bench.gather DIR`, which makes one table of several runs, and a figure if costs are known.

DIR holds a folder with a `job.json` for each job. The line of a failed job contains the reason. So does that of a job
whose numbers have no stamps, or other stamps than the first job's, unless the swept keys explain the difference; in
that case, each line names its items.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas

from bench.config.compose import group_of
from bench.errors import BadInputError
from bench.results.run_files import JobFile
from bench.results.run_folder import REPORT, RUN
from bench.results.stamps import RESULTS, Stamps, read_stamps, unlike
from bench.runtime.files import read_if_there, write_atomically
from bench.runtime.strict_json import read_json_as
from bench.runtime.text import csv_text, one_line, printable
from bench.sweeps.jobs import JOB
from bench.tables.grid import Grid, markdown, print_grid, terminal

__all__ = ["gather", "main"]

BAD_INPUT = 2
COSTS = {"parameters": "parameters", "tera_flop": "TFLOP an image", "seconds_per_image": "seconds an image"}
STAMPING = {"experiment", "profile", "dataset", "metrics", "seed", "limit", "table", "paths"}
"""Groups of overrides that choose items or protocols; if they are swept, the stamps differ on purpose."""
NOTHING = pandas.DataFrame([{}], index=[0])
QUALITIES = ("fid", "lpips", "pre_error", "pre_error_released", "clip_score", "inception_score")


def gather(folder: Path) -> list[str]:
    """Print and write `sweep.csv`, `sweep.md` and `sweep.html`, and `sweep.png` if costs are known.

    Args:
        folder: folder of the jobs' folders.

    Returns:
        The jobs that ended well but have no place in the table, with the reasons.

    Raises:
        BadInputError: the folder holds no job.
    """
    jobs = sorted(folder.glob(f"*/{JOB}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not jobs:
        raise BadInputError(f"{folder}: expected folders of jobs, each with its {JOB}, found none")
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
    write_atomically(folder / "sweep.csv", csv_text(table))
    keys = [name for name in table if str(name) in ("job", *_job(jobs[0].parent)["chosen"], "items")]
    grid = _grid(table, keys)
    write_atomically(folder / "sweep.md", markdown("All jobs", [grid], []))
    if set(COSTS) & set(table.columns) and "items" not in table:
        from bench.reporting.figures import draw_tradeoff

        draw_tradeoff(
            folder / "sweep.png",
            table,
            costs={name: title for name, title in COSTS.items() if name in table},
            qualities=[name for name in QUALITIES if name in table],
        )
    write_atomically(folder / "sweep.html", _page(folder, [path.parent for path in jobs], grid))
    print_grid(grid, "All jobs", terminal())
    print(one_line(f"{folder / 'sweep.csv'}"))
    return problems


def _job(folder: Path) -> JobFile:
    """Read how a job ended.

    Raises:
        BadInputError: the job's file is missing or damaged.
    """
    path = folder / JOB
    try:
        return read_json_as(path, JobFile)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a record of how the job ended, found no file") from None


def _read_csv(path: Path, *columns: str) -> pandas.DataFrame:
    try:
        found = pandas.read_csv(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: expected a table, found {error}") from None
    if found.empty:
        raise BadInputError(f"{path}: expected a table, found no line below its head")
    missing = [name for name in columns if name not in found]
    if missing:
        raise BadInputError(f"{path}: expected a column {missing[0]}, found {', '.join(map(str, found))[:80]}")
    return found


def _lines(job: Mapping[str, Any], found: pandas.DataFrame, stamps: Stamps | None, failed: str) -> pandas.DataFrame:
    items = {} if stamps is None else {"items": stamps.manifest[:12]}
    frame = found.assign(job=job["name"], **job["chosen"], **items, failed=failed or None)
    others = [name for name in found.columns if name not in job["chosen"]]
    return frame[["job", *job["chosen"], *items, *others, "failed"]]


def _results(folder: Path, job: Mapping[str, Any], first: Stamps | None) -> tuple[pandas.DataFrame, Stamps | None]:
    """Return the rows of a job's table with their costs and stamps, or the last validation of a training.

    Args:
        folder: folder of the job.
        job: content of its `job.json`.
        first: stamps of the first job that has some.

    Raises:
        BadInputError: the numbers have no stamps, or other stamps than the first job's.
    """
    if job["status"] != 0:
        return NOTHING, None
    if (folder / "table.csv").is_file():
        stamps = read_stamps(folder)
        reason = None if first is None else unlike(stamps, first)
        if reason is not None and not STAMPING & {group_of(key) for key in job["chosen"]}:
            raise BadInputError(f"{folder / RESULTS}: expected the stamps of the first job; {reason}")
        found = _read_csv(folder / "table.csv", "row").copy()  # copied into one block, because many columns are added
        costs = _costs(folder)
        of = {name: [costs.get(row, {}).get(name) for row in found["row"]] for name in COSTS if costs}
        return found.assign(**of), stamps
    if (folder / "validation.csv").is_file():
        return _read_csv(folder / "validation.csv").tail(1), None
    return NOTHING, None


def _page(folder: Path, jobs: list[Path], grid: Grid) -> str:
    """Return a page with all jobs in one table, each with a link to its report if there is one."""
    from bench.reporting.index import Entry, Index, counts_of, index_page

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
    figure = f"data:image/png;base64,{base64.b64encode(drawn.read_bytes()).decode()}" if drawn.is_file() else None
    return index_page(Index("Sweep", f"{len(jobs)} jobs.", entries, grids=[grid], grid_title="All jobs", figure=figure))


def _seconds(folder: Path) -> float | None:
    """Return the seconds of all stages of a run together; None if they are unknown."""
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
    """Return the columns for display: swept keys, the row, and metrics without those that give no number."""
    wanted = [*keys, *(name for name in ("label", "step", *QUALITIES, *COSTS, "failed") if name in table)]
    others = [name for name in table if name not in wanted and len(table.columns) <= len(wanted) + 8]
    shown = table[[*wanted, *others]]
    lines = [["–" if pandas.isna(cell) else _shown(cell) for cell in line] for line in shown.itertuples(index=False)]
    return Grid([str(name) for name in shown.columns], lines, left=len(keys) + ("label" in table))


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m bench.gather DIR", file=sys.stderr)
        return BAD_INPUT
    try:
        problems = gather(Path(arguments[0]))
    except BadInputError as error:
        problems = [str(error)]
    for problem in problems:
        print(printable(f"bench.gather: {problem}"), file=sys.stderr)
    return BAD_INPUT if problems else 0
