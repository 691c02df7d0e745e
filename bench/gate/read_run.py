"""Functions that read the numbers that the gate compares: the headline metrics and the costs of each run's table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.errors import BadInputError
from bench.gate.margins import COSTS, LAYERS
from bench.metrics.protocol import Protocol
from bench.results.finished_run import read_finished_run, read_run_file
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
    is_layers,
)
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS, Stamps, sampling_of, stamps_of
from bench.runtime.strict_json import checked
from bench.tables.build import PUBLISHED

__all__ = ["Measured", "Number", "Problem", "Side", "read_side"]

VANILLA = ("stablediffusion", "paint_by_example")
"""Names of the rows of the vanilla decoder. The time of every other row is divided by the time of this row."""
SECONDS = "least_seconds_per_image"
OVERALL = "all"
"""Name of the one row that a baseline or a comparison uses for the whole of Table 7 or 8."""
Cell = tuple[str, str]
"""Name of a row, and name of a metric or of a cost: the address of one number."""


@dataclass(frozen=True)
class Problem:
    """The reason why something cannot be compared."""

    experiment: str
    """Name of the experiment that has the problem; empty if the problem concerns a whole folder."""
    what: str
    """Description of the problem: a field or a file, the content that was expected, and the content that was found."""
    metric: str = ""
    """Metric or cost that has the problem; empty if the problem concerns the whole experiment."""
    rows: tuple[str, ...] = ()
    """Rows that have the problem; empty if the problem concerns all rows."""


@dataclass(frozen=True)
class Number:
    """The value of one headline metric of one row."""

    value: float | None
    higher_is_better: bool
    stderr: float | None = None
    n: int = 0
    """Number of items from which the value is computed."""
    reason: str = ""
    """Reason why there is no value; empty if there is one."""
    influence: Influence | None = None
    """Influences of the items on the value; None if only the value was saved, as in a baseline."""
    ci95: tuple[float, float] | None = None
    """95 % interval of the value; None if it is unknown, as in a baseline."""


@dataclass(frozen=True)
class Measured:
    """The numbers of one table, read from a run or from a baseline."""

    experiment: str
    profile: str
    stamps: Stamps
    """Hash of the manifest, and protocol of each headline metric."""
    numbers: Mapping[Cell, Number]
    costs: Mapping[Cell, float] = field(default_factory=dict)
    """Costs by the name of the row and the name of the cost, which is one of `COSTS`."""
    custom: tuple[str, ...] = ()
    """Overrides that change the paper's table."""
    digits: int | None = None
    """Number of significant digits to which the numbers were rounded; None if they were not rounded."""
    sampling: Protocol | None = None
    """Protocol by which the latents were sampled; None if the table uses no latents."""


@dataclass(frozen=True)
class Side:
    """All new or all old numbers of a comparison, as read from runs or from a baseline."""

    path: Path
    tables: Mapping[str, Measured]
    """Tables by the name of the experiment."""
    problems: tuple[Problem, ...]
    """Problems with files that exist but cannot be used."""
    alone: bool = False
    """Whether this side is the run of a single table. If the new side is such a run, only its table is compared."""


def read_side(path: Path) -> Side:
    """Read the folder of one run, or a folder that contains the folders of several runs.

    A file that cannot be used becomes one of the problems in the result, and the other runs are still read.

    Raises:
        BadInputError: the folder does not exist, or contains two runs of the same experiment.
    """
    if not path.is_dir():
        raise BadInputError(
            f"{path}: expected the folder of a run, found {'a file' if path.exists() else 'no such folder'}"
        )
    alone = (path / RESULTS).exists() or _is_table(path)
    runs = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and _is_run(folder))
    if alone and runs:
        mixed = f"{path}: expected one run or a folder of runs, found the files of a run and the runs {', '.join(runs)}"
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
            raise BadInputError(f"{path}: expected one run of each experiment, found two runs of {found.experiment}")
        tables[found.experiment] = found
    if not alone:
        problems += _of_collection(path)
    if not tables and not problems:
        problems.append(
            Problem("", f"{path}: expected a folder with {RESULTS} and {RUN}, or a folder of runs, found neither")
        )
    return Side(path, tables, tuple(problems), alone)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (RESULTS, RUN, "job.json", "manifest.json"))


def _is_table(path: Path) -> bool:
    """Return whether a folder without a file of results belongs to the run of a single table.

    The result is True if the folder contains a manifest. It is also True if the folder contains `run.json` but no
    folder of another run.
    """
    return (path / "manifest.json").is_file() or (
        (path / RUN).is_file() and not any(_is_run(folder) for folder in path.iterdir() if folder.is_dir())
    )


def _of_collection(path: Path) -> list[Problem]:
    """Return a problem for each experiment of a collection that did not end with status 0.

    The statuses are read from `run.json` in the folder of the collection. If this file does not exist, the list is
    empty. If the file is not valid, the list has one problem that says so.

    Args:
        path: folder of the collection, which contains the folders of its experiments.
    """
    if not (path / RUN).exists():
        return []
    try:
        ended = checked(read_run_file(path), CollectionRun, str(path / RUN))["experiments"]
    except BadInputError as error:
        return [Problem("", str(error))]
    return [
        Problem(name, f"{path / RUN}: expected that {name} ended with status 0, found status {status}")
        for name, status in ended.items()
        if status
    ]


def _read_table(folder: Path) -> Measured:
    """Read the table of one run from its folder.

    Raises:
        BadInputError: the run is not complete, its files are invalid, or they belong to different runs.
    """
    found = read_finished_run(folder)
    return _architecture(found.results) if is_layers(found.results) else _table(folder, found.run, found.results)


def _table(folder: Path, run: TableRun, results: TableResults) -> Measured:
    path = folder / RESULTS
    columns = [column["metric"] for column in results.get("columns", [])]
    rows = {row["method"]: row for row in results["rows"] if row.get("origin") != PUBLISHED}
    if len(rows) != sum(row.get("origin") != PUBLISHED for row in results["rows"]):
        raise BadInputError(f"{path}: expected one entry for each row of the table, found several entries for one row")
    if not rows or not columns:
        raise BadInputError(f"{path}: expected at least one measured row and at least one column, found fewer")
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
        replace(stamps, protocols={name: stamps.protocols[name] for name in columns if name in stamps.protocols}),
        numbers,
        _costs(run.get("costs", {})),
        tuple(run["custom"]),
        sampling=sampling_of(run),
    )


def _require_configured(path: Path, config: RunConfig, rows: Collection[str], columns: Sequence[str]) -> None:
    """Raise a `BadInputError` if a row or a column of the run's configuration is missing in the run's results.

    Args:
        path: file of the results, for the message.
        config: configuration from `run.json`.
        rows: names of the rows in the results.
        columns: metrics of the columns in the results.
    """
    rows_of_config = [
        name
        for name, row in config["rows"].items()
        if row.get("method") and (row.get("control") is None or row["control"] in config["controls"])
    ]
    for what, expected, found in (("row", rows_of_config, rows), ("column", config["table"]["columns"], columns)):
        missing = [name for name in expected if name not in found]
        if missing:
            raise BadInputError(f"{path}: expected the {what} {missing[0]}, as in {RUN}, found no such {what}")


def _number(folder: Path, cell: Cell, entry: Entry | None, influences: Mapping[Cell, Influence] | None) -> Number:
    row, metric = cell
    if entry is None:
        return Number(None, False, reason="not measured")
    value, better = entry["value"], bool(entry["higher_is_better"])
    if entry["higher_is_better"] is None and value is not None:
        return Number(None, better, reason="neither a higher nor a lower value of this metric is better")
    if value is None:
        return Number(None, better, reason=entry.get("reason", ""))
    found = None if influences is None else influences.get(cell)
    count = 0 if found is None else len(found.items)
    if influences is not None and count != entry["n"]:
        raise BadInputError(
            f"{folder / INFLUENCES}: expected {entry['n']} items of {metric} of {row}, as in {RESULTS}, found {count}"
        )
    low_high = entry.get("ci95")
    interval = None if low_high is None else (low_high[0], low_high[1])
    return Number(value, better, entry["stderr"], entry["n"], "", found, interval)


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
    """Return the numbers of Table 7 or 8: the costs of the decoders, and the metric `LAYERS`.

    `LAYERS` is the number of the table's lines that agree with the paper. It has no standard error, because it is not
    measured on items.
    """
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
