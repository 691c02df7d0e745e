"""One table, and where decoders were measured one figure, of several runs: `python -m bench.gather DIR`.

DIR holds a folder for each job, with its `job.json`; a job that failed has a line that says why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas

from bench.errors import BadInputError
from bench.jobs import JOB
from bench.results import write_atomically
from bench.tables.grid import Grid, html_page, markdown, print_grid, terminal

__all__ = ["gather"]

BAD_INPUT = 2
COSTS = {"parameters": "parameters", "tera_flop": "TFLOP an image", "seconds_per_image": "seconds an image"}
QUALITIES = ("fid", "lpips", "pre_error", "clip_score", "inception_score")


def gather(folder: Path) -> pandas.DataFrame:
    """Print and write `sweep.csv`, `sweep.md` and `sweep.html`, and `sweep.png` where costs are known.

    Args:
        folder: of the jobs' folders.

    Raises:
        BadInputError: there is no job in it.
    """
    jobs = sorted(folder.glob(f"*/{JOB}"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not jobs:
        raise BadInputError(f"{folder}: expected folders of jobs, each with its {JOB}, found none")
    whole = pandas.concat([_lines(path.parent) for path in jobs], ignore_index=True)
    whole = whole.dropna(axis="columns", how="all")
    write_atomically(folder / "sweep.csv", whole.to_csv(index=False))
    keys = [name for name in whole if str(name) in ("job", *_chosen(jobs[0].parent))]
    grid = _grid(whole, keys)
    write_atomically(folder / "sweep.md", markdown("All jobs", [grid], []))
    write_atomically(folder / "sweep.html", html_page("All jobs", [grid], []))
    print_grid(grid, "All jobs", terminal())
    if set(COSTS) & set(whole.columns):
        from bench.reporting.figures import draw_tradeoff

        draw_tradeoff(
            folder / "sweep.png",
            whole,
            costs={name: title for name, title in COSTS.items() if name in whole},
            qualities=[name for name in QUALITIES if name in whole],
        )
    print(f"\n{folder / 'sweep.csv'}")
    return whole


def _chosen(folder: Path) -> dict[str, str]:
    chosen: dict[str, str] = json.loads((folder / JOB).read_text())["chosen"]
    return chosen


def _lines(folder: Path) -> pandas.DataFrame:
    job = json.loads((folder / JOB).read_text())
    found = pandas.DataFrame([{}], index=[0])
    if job["status"] == 0:
        table = next((path for path in (folder / "table.csv", folder / "validation.csv") if path.is_file()), None)
        if table is not None:
            found = pandas.read_csv(table).copy()  # in one piece: to its many columns more are added
            found = found.tail(1) if table.name == "validation.csv" else found
    costs = _costs(folder)
    if "row" in found:
        found = found.assign(
            **{name: [costs.get(row, {}).get(name) for row in found["row"]] for name in COSTS if costs}
        )
    frame = found.assign(job=job["name"], **job["chosen"], failed=job["message"].partition("\n")[0] or None)
    return frame[["job", *job["chosen"], *found.columns, "failed"]]


def _costs(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        costs: dict[str, dict[str, Any]] = json.loads((folder / "run.json").read_text()).get("costs") or {}
    except (OSError, ValueError):
        return {}
    return costs


def _grid(whole: pandas.DataFrame, keys: list[Any]) -> Grid:
    """The columns that a reader wants: what was swept, the row, the metrics that have no other number beside them."""
    wanted = [*keys, *(name for name in ("label", "step", *QUALITIES, *COSTS, "failed") if name in whole)]
    others = [name for name in whole if name not in wanted and len(whole.columns) <= len(wanted) + 8]
    shown = whole[[*wanted, *others]]
    lines = [["–" if pandas.isna(cell) else _shown(cell) for cell in line] for line in shown.itertuples(index=False)]
    return Grid([str(name) for name in shown.columns], lines, left=len(keys))


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m bench.gather DIR", file=sys.stderr)
        return BAD_INPUT
    try:
        gather(Path(arguments[0]))
    except BadInputError as error:
        print(f"bench.gather: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
