"""Reading of the headline numbers and costs of tables that the gate compares, from runs or a baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.gate.margins import COSTS, LAYERS
from bench.metrics.protocol import Protocol
from bench.results.influences import INFLUENCES, Influence, read_influences
from bench.results.run_files import (
    CollectionRun,
    Costs,
    DecoderCosts,
    Entry,
    LayerResults,
    RunConfig,
    TableResults,
    TableRun,
    check_file,
    check_files,
    check_seal,
    is_layers,
    read_results,
)
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS, Stamps, sampling_of, stamps_of
from bench.runtime.strict_json import checked, read_json
from bench.tables.build import PUBLISHED

__all__ = ["Measured", "Number", "Problem", "Side", "read_side"]

VANILLA = ("stablediffusion", "paint_by_example")
"""Rows of the vanilla decoder, to whose time the other rows' times are compared."""
SECONDS = "least_seconds_per_image"
OVERALL = "all"
"""Name of the row that stands for a whole table."""
Cell = tuple[str, str]
"""A row, and a metric or a cost."""


@dataclass(frozen=True)
class Problem:
    """The reason why something cannot be compared."""

    experiment: str
    """Name of the experiment; empty if the problem concerns a whole folder."""
    what: str
    """Field or file, with what was expected and what was found."""


@dataclass(frozen=True)
class Number:
    """A headline number of one row."""

    value: float | None
    higher_is_better: bool
    stderr: float | None = None
    n: int = 0
    """Number of items that it is computed from."""
    reason: str = ""
    """Reason why there is no value."""
    influence: Influence | None = None
    """Influences of the items; None if only the value was saved."""


@dataclass(frozen=True)
class Measured:
    """The table of one run, or of a baseline."""

    experiment: str
    profile: str
    stamps: Stamps
    """Items and protocols of its headline numbers."""
    numbers: Mapping[Cell, Number]
    costs: Mapping[Cell, float] = field(default_factory=dict)
    """Costs by row and by one of `COSTS`."""
    custom: tuple[str, ...] = ()
    """Overrides that change the paper's table."""
    digits: int | None = None
    """Number of digits to which its numbers were rounded; None if they were not."""
    sampling: Protocol | None = None
    """Protocol by which its latents were sampled; None if there are no latents."""


@dataclass(frozen=True)
class Side:
    """The new or the old side of a comparison."""

    path: Path
    tables: Mapping[str, Measured]
    """Tables by experiment."""
    problems: tuple[Problem, ...]
    """Problems with files that exist and cannot be used."""
    alone: bool = False
    """True if it is a single table's run, which is then compared only with the same table of the other side."""


def read_side(path: Path) -> Side:
    """Read a run's folder, or a folder of several runs.

    Raises:
        BadInputError: the folder does not exist, or two runs in it are of the same experiment.
    """
    if not path.is_dir():
        raise BadInputError(f"{path}: expected the folder of a run, found {'a file' if path.exists() else 'none'}")
    alone = (path / RESULTS).exists() or _is_table(path)
    runs = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and _is_run(folder))
    if alone and runs:
        mixed = (
            f"{path}: expected one run or a folder of runs, found the files of a run beside the runs {', '.join(runs)}"
        )
        return Side(path, {}, (Problem("", mixed),))
    folders = [path] if alone else sorted(folder for folder in path.iterdir() if _is_run(folder))
    tables: dict[str, Measured] = {}
    problems: list[Problem] = []
    for folder in folders:
        try:
            found = _read_table(folder)
        except BadInputError as error:
            problems.append(Problem(folder.name if folder != path else "", str(error)))
            continue
        if found.experiment in tables:
            raise BadInputError(f"{path}: expected one run of each experiment, found two of {found.experiment}")
        tables[found.experiment] = found
    if not alone:
        problems += _of_collection(path)
    if not tables and not problems:
        problems.append(Problem("", f"{path}: expected a run's {RESULTS} and {RUN}, or folders of runs; found neither"))
    return Side(path, tables, tuple(problems), alone)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (RESULTS, RUN, "job.json", "manifest.json"))


def _is_table(path: Path) -> bool:
    """Tell whether a folder without results is that of a table's run, judging by its other files."""
    return (path / "manifest.json").is_file() or (
        (path / RUN).is_file() and not any(_is_run(folder) for folder in path.iterdir() if folder.is_dir())
    )


def _of_collection(path: Path) -> list[Problem]:
    """Return the experiments of a collection that did not end well."""
    if not (path / RUN).exists():
        return []
    try:
        ended = checked(_read_run(path), CollectionRun, str(path / RUN))["experiments"]
    except BadInputError as error:
        return [Problem("", str(error))]
    return [
        Problem(name, f"{path / RUN}: expected status 0 of {name}, found {status}")
        for name, status in ended.items()
        if status
    ]


def _read_table(folder: Path) -> Measured:
    """Read one run.

    Raises:
        BadInputError: the run is not complete, or its files are invalid.
    """
    content = _read_run(folder)
    path = folder / RESULTS
    run = checked(content, TableRun, str(folder / RUN))
    check_file(path, run.get("files", {}))
    check_files(folder, run.get("files", {}))
    try:
        results = read_results(path)
    except FileNotFoundError:
        raise _partial(path) from None
    if run["experiment"] != results["experiment"]:
        raise BadInputError(f"{folder}: expected {RUN} and {RESULTS} of one run, found those of two")
    if is_layers(results):
        return _architecture(results)
    if run["manifest"] != results.get("manifest"):
        raise BadInputError(f"{folder}: expected {RUN} and {RESULTS} of one run, found those of two")
    return _table(folder, run, results)


def _read_run(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json` of a complete run."""
    path = folder / RUN
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise _partial(path) from None
    if content.get("status") != "complete":
        raise BadInputError(f"{path}: expected status complete, found {content.get('status') or 'none'}")
    check_seal(content, str(path))
    return content


def _partial(path: Path) -> BadInputError:
    return BadInputError(f"{path}: expected this file of a complete run, found none")


def _table(folder: Path, run: TableRun, results: TableResults) -> Measured:
    path = folder / RESULTS
    columns = [column["metric"] for column in results.get("columns", [])]
    rows = {row["method"]: row for row in results["rows"] if row.get("origin") != PUBLISHED}
    if len(rows) != sum(row.get("origin") != PUBLISHED for row in results["rows"]):
        raise BadInputError(f"{path}: expected one entry for each row of a table, found several")
    if not rows or not columns:
        raise BadInputError(f"{path}: expected rows with measured columns, found none")
    _require_configured(path, run["config"], rows, columns)
    stamps = stamps_of(results, path)
    check_file(folder / INFLUENCES, run.get("files", {}))
    influences = read_influences(folder)
    numbers = {
        (name, metric): _number(folder, (name, metric), row.get("metrics", {}).get(metric), influences)
        for name, row in rows.items()
        for metric in columns
    }
    return Measured(
        results["experiment"],
        run["profile"],
        Stamps(stamps.manifest, {metric: stamps.protocols[metric] for metric in columns if metric in stamps.protocols}),
        numbers,
        _costs(run.get("costs", {})),
        tuple(run["custom"]),
        sampling=sampling_of(run),
    )


def _require_configured(path: Path, config: RunConfig, rows: Collection[str], columns: Sequence[str]) -> None:
    """Require that a table has the rows and columns of its run's configuration."""
    rows_of_config = [
        name
        for name, row in config["rows"].items()
        if row.get("method") and (row.get("control") is None or row["control"] in config["controls"])
    ]
    for what, expected, found in (("row", rows_of_config, rows), ("column", config["table"]["columns"], columns)):
        missing = [name for name in expected if name not in found]
        if missing:
            raise BadInputError(f"{path}: expected the {what} {missing[0]}, as in {RUN}, found none")


def _number(folder: Path, cell: Cell, entry: Entry | None, influences: Mapping[Cell, Influence] | None) -> Number:
    row, metric = cell
    if entry is None:
        return Number(None, False, reason="not measured")
    value, better = entry["value"], bool(entry["higher_is_better"])
    if value is None:
        return Number(None, better, reason=entry.get("reason", ""))
    found = None if influences is None else influences.get(cell)
    count = 0 if found is None else len(found.items)
    if influences is not None and count != entry["n"]:
        raise BadInputError(
            f"{folder / INFLUENCES}: expected {entry['n']} items of {metric} of {row}, as in {RESULTS}, found {count}"
        )
    return Number(value, better, entry["stderr"], entry["n"], "", found)


def _costs(found: Mapping[str, Costs]) -> dict[Cell, float]:
    plain = {row: dict(_plain_costs(entry)) for row, entry in found.items()}
    costs = {(row, name): entry[name] for row, entry in plain.items() for name in COSTS if name in entry}
    seconds = {row: entry[SECONDS] for row, entry in plain.items() if SECONDS in entry}
    vanilla = next((seconds[row] for row in VANILLA if row in seconds), None)
    if vanilla:
        costs |= {(row, "time_ratio"): time / vanilla for row, time in seconds.items() if row not in VANILLA}
    return costs


def _plain_costs(entry: Costs | DecoderCosts) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def _architecture(results: LayerResults) -> Measured:
    """Return the number of agreeing lines of Tables 7 and 8; it is exact, because nothing is measured on items."""
    lines = results["rows"]
    agreeing = Number(float(sum(line["agrees"] for line in lines)), True, n=len(lines))
    costs = {
        (entry["name"], name): value
        for entry in results["decoders"]
        for name, value in _plain_costs(entry)
        if name in COSTS
    }
    custom = tuple(results["custom"])
    return Measured(
        results["experiment"], results["profile"], Stamps("", {}), {(OVERALL, LAYERS): agreeing}, costs, custom
    )
