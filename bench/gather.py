"""One table, and where decoders were measured one figure, of several runs: `python -m bench.gather DIR`.

DIR holds a folder for each job, with its `job.json`; a job that failed has a line that says why. So has one whose
numbers have no stamps, or others than the first job's, unless what was swept is what makes them differ: then each line
says which items it is of.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas

from bench.config import group_of
from bench.errors import BadInputError
from bench.jobs import JOB
from bench.results import REPORT, RUN, read_if_there, write_atomically
from bench.stamps import RESULTS, Stamps, read_stamps, unlike
from bench.tables.grid import Grid, markdown, print_grid, terminal

__all__ = ["gather"]

BAD_INPUT = 2
COSTS = {"parameters": "parameters", "tera_flop": "TFLOP an image", "seconds_per_image": "seconds an image"}
STAMPING = {"experiment", "profile", "dataset", "features", "seed", "limit", "table", "paths"}
"""Groups of overrides that choose items or protocols: swept, they make stamps differ on purpose."""
NOTHING = pandas.DataFrame([{}], index=[0])
QUALITIES = ("fid", "lpips", "pre_error", "pre_error_released", "clip_score", "inception_score")


def gather(folder: Path) -> list[str]:
    """Print and write `sweep.csv`, `sweep.md` and `sweep.html`, and `sweep.png` where costs are known.

    Args:
        folder: of the jobs' folders.

    Returns:
        Which jobs ended well but have no place in the table, and why.

    Raises:
        BadInputError: there is no job in it.
    """
    jobs = sorted(folder.glob(f"*/{JOB}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not jobs:
        raise BadInputError(f"{folder}: expected folders of jobs, each with its {JOB}, found none")
    lines: list[pandas.DataFrame] = []
    refused: list[str] = []
    first: Stamps | None = None
    for path in jobs:
        job = _job(path.parent)
        try:
            found, stamps = _results(path.parent, job, first)
            lines.append(_lines(job, found, stamps, job["message"].partition("\n")[0]))
            first = first or stamps
        except BadInputError as error:
            refused.append(f"job {job['name']}: {error}")
            lines.append(_lines(job, NOTHING, None, str(error)))
    whole = pandas.concat(lines, ignore_index=True)
    if "items" in whole and whole["items"].nunique() < 2:
        whole = whole.drop(columns="items")
    whole = whole.dropna(axis="columns", how="all")
    write_atomically(folder / "sweep.csv", whole.to_csv(index=False))
    keys = [name for name in whole if str(name) in ("job", *_job(jobs[0].parent)["chosen"], "items")]
    grid = _grid(whole, keys)
    write_atomically(folder / "sweep.md", markdown("All jobs", [grid], []))
    print_grid(grid, "All jobs", terminal())
    if set(COSTS) & set(whole.columns) and "items" not in whole:
        from bench.reporting.figures import draw_tradeoff

        draw_tradeoff(
            folder / "sweep.png",
            whole,
            costs={name: title for name, title in COSTS.items() if name in whole},
            qualities=[name for name in QUALITIES if name in whole],
        )
    write_atomically(folder / "sweep.html", _page(folder, [path.parent for path in jobs], grid))
    print(f"\n{folder / 'sweep.csv'}")
    return refused


def _job(folder: Path) -> dict[str, Any]:
    """How a job ended.

    Raises:
        BadInputError: its file is damaged.
    """
    path = folder / JOB
    try:
        job: dict[str, Any] = json.loads(path.read_text())
        kinds = {"name": str, "chosen": dict, "status": int, "message": str}
        wrong = [key for key, kind in kinds.items() if not isinstance(job[key], kind)]
        if wrong or not all(isinstance(value, str) for value in job["chosen"].values()):
            raise TypeError(f"{', '.join(wrong or ['chosen'])} of another type")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInputError(f"{path}: expected how a job ended, found {type(error).__name__}: {error}") from None
    return job


def _read_csv(path: Path, *columns: str) -> pandas.DataFrame:
    try:
        found = pandas.read_csv(path)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: expected a table, found {error}") from None
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
    """The rows of a job's table with what they cost, and their stamps; or the last validation of a training.

    Args:
        folder: of the job.
        job: what it is.
        first: stamps of the first job that has some.

    Raises:
        BadInputError: the numbers are not stamped, or not as the first job's.
    """
    if job["status"] != 0:
        return NOTHING, None
    if (folder / "table.csv").is_file():
        stamps = read_stamps(folder)
        reason = None if first is None else unlike(stamps, first)
        if reason is not None and not STAMPING & {group_of(key) for key in job["chosen"]}:
            raise BadInputError(f"{folder / RESULTS}: expected the stamps of the first job; {reason}")
        found = _read_csv(folder / "table.csv", "row").copy()  # in one piece: to its many columns more are added
        costs = _costs(folder)
        of = {name: [costs.get(row, {}).get(name) for row in found["row"]] for name in COSTS if costs}
        return found.assign(**of), stamps
    if (folder / "validation.csv").is_file():
        return _read_csv(folder / "validation.csv").tail(1), None
    return NOTHING, None


def _page(folder: Path, jobs: list[Path], grid: Grid) -> str:
    """All jobs in one table, each with its report where it left one."""
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
                seconds=sum((read_if_there(path / RUN).get("seconds") or {}).values()) or None,
            )
        )
    drawn = folder / "sweep.png"
    figure = f"data:image/png;base64,{base64.b64encode(drawn.read_bytes()).decode()}" if drawn.is_file() else None
    return index_page(Index("Sweep", f"{len(jobs)} jobs.", entries, grids=[grid], grid_title="All jobs", figure=figure))


def _costs(folder: Path) -> dict[str, dict[str, float]]:
    costs = read_if_there(folder / RUN).get("costs") or {}
    try:
        return {row: {name: float(cost[name]) for name in COSTS if name in cost} for row, cost in costs.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return {}


def _grid(whole: pandas.DataFrame, keys: list[Any]) -> Grid:
    """The columns that a reader wants: what was swept, the row, the metrics that have no other number beside them."""
    wanted = [*keys, *(name for name in ("label", "step", *QUALITIES, *COSTS, "failed") if name in whole)]
    others = [name for name in whole if name not in wanted and len(whole.columns) <= len(wanted) + 8]
    shown = whole[[*wanted, *others]]
    lines = [["–" if pandas.isna(cell) else _shown(cell) for cell in line] for line in shown.itertuples(index=False)]
    return Grid([str(name) for name in shown.columns], lines, left=len(keys) + ("label" in whole))


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m bench.gather DIR", file=sys.stderr)
        return BAD_INPUT
    try:
        problems = gather(Path(arguments[0]))
    except BadInputError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"bench.gather: {problem}", file=sys.stderr)
    return BAD_INPUT if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
