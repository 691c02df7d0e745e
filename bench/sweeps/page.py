"""The page of a sweep: all jobs in one table, quality against size, and a link to the report of each job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.config.schema import REHEARSAL, REHEARSAL_NOTE
from bench.reporting.index import Entry, counts_of
from bench.reporting.page import first_line, template
from bench.reporting.plots import Plots
from bench.results.run_files import JobFile
from bench.results.run_folder import REPORT, RUN
from bench.runtime.files import read_if_there
from bench.sweeps.again import sweep_command, sweep_title, swept_values
from bench.sweeps.table import SweepTable
from bench.tables.grid import Grid

__all__ = ["profiles_of", "sweep_notes", "sweep_page"]


@dataclass(frozen=True)
class SweepPage:
    """The content of `sweep.html`."""

    title: str
    summary: str
    profile: str
    """Name of the profile, such as `profile mini`; empty if no job says it."""
    first_line: str
    """Text that says how the numbers were made, or with which other numbers they can be compared."""
    grids: Sequence[Grid]
    plots: Plots | None
    entries: Sequence[Entry]
    notes: Sequence[str]
    command: str
    """Command that runs the sweep again; empty if it is not known."""


def sweep_page(folder: Path, jobs: Sequence[tuple[Path, JobFile]], table: SweepTable) -> str:
    """Return the HTML text of `sweep.html`.

    Args:
        folder: folder of the sweep.
        jobs: folder of each job, and the content of its `job.json`.
        table: all lines.
    """
    records = [job for _, job in jobs]
    profiles = profiles_of([path for path, _ in jobs])
    failed = sum(job["status"] != 0 for job in records)
    values = "; ".join(f"{key}: {', '.join(of)}" for key, of in swept_values(records).items())
    ended = f", {failed} of them failed" if failed else ""
    page = SweepPage(
        sweep_title(records),
        f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}{ended}. {values}".strip(),
        f"profile{'s' if len(profiles) > 1 else ''} {', '.join(profiles)}" if profiles else "",
        _first_line(profiles),
        list(table.grids()),
        table.plots(),
        [_entry(folder, path, job) for path, job in jobs],
        sweep_notes(table, profiles),
        sweep_command(folder, records),
    )
    return template("sweep.html").render(page=page)


def sweep_notes(table: SweepTable, profiles: Sequence[str]) -> list[str]:
    """Return the notes below the table; the first one says if any number comes from a rehearsal."""
    return [*([REHEARSAL_NOTE] if REHEARSAL in profiles else []), *table.notes()]


def profiles_of(jobs: Sequence[Path]) -> list[str]:
    """Return the profiles of the jobs in these folders, each once. A job that does not say its profile has none."""
    found = (read_if_there(path / RUN).get("profile") for path in jobs)
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))


def _first_line(profiles: Sequence[str]) -> str:
    if REHEARSAL in profiles:
        return first_line(REHEARSAL)
    if len(profiles) > 1:
        return "the jobs have different profiles: compare only numbers of the same profile with each other"
    return first_line(profiles[0]) if profiles else ""


def _entry(folder: Path, path: Path, job: JobFile) -> Entry:
    report, failed = path / REPORT, job["status"] != 0
    chosen = ", ".join(f"{key}={value}" for key, value in job["chosen"].items())
    return Entry(
        f"{job['name']}: {chosen}",
        job["message"].partition("\n")[0] or ("failed" if failed else "done"),
        failed=failed,
        link=report.relative_to(folder).as_posix() if report.is_file() else None,
        counts=counts_of(path),
        seconds=_seconds(path),
    )


def _seconds(folder: Path) -> float | None:
    """Return the total time of a run's stages in seconds, from its `run.json`; None if the time is unknown."""
    try:
        return sum((read_if_there(folder / RUN).get("seconds") or {}).values()) or None
    except (TypeError, AttributeError):
        return None
