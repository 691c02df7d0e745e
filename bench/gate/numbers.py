"""What the gate compares: the headline numbers and costs of tables, as runs or a baseline have them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.gate.margins import COSTS, LAYERS
from bench.influences import INFLUENCES, Influence, read_influences
from bench.results import RUN, SCHEMA_VERSION
from bench.stamps import RESULTS, Stamps, read_stamps
from bench.tables.build import PUBLISHED

__all__ = ["Measured", "Number", "Problem", "Side", "read_side"]

VANILLA = ("stablediffusion", "paint_by_example")
"""Rows of the vanilla decoder, beside whose time the others' is taken."""
SECONDS = "least_seconds_per_image"
OVERALL = "all"
"""The row of what is said of a whole table."""
Cell = tuple[str, str]
"""A row, and a metric or a cost."""


@dataclass(frozen=True)
class Problem:
    """Why something cannot be compared."""

    experiment: str
    """Empty where it is about a whole folder."""
    what: str
    """Which field or file, what was expected and what was found."""


@dataclass(frozen=True)
class Number:
    """One headline number of one row."""

    value: float | None
    higher_is_better: bool
    stderr: float | None = None
    n: int = 0
    """Items it rests on."""
    reason: str = ""
    """Why there is no value."""
    influence: Influence | None = None
    """None where only the value was kept."""


@dataclass(frozen=True)
class Measured:
    """One table of one run, or of a baseline."""

    experiment: str
    profile: str
    stamps: Stamps
    """What its headline numbers were measured on and by."""
    numbers: Mapping[Cell, Number]
    costs: Mapping[Cell, float] = field(default_factory=dict)
    """By row and one of `COSTS`."""
    custom: tuple[str, ...] = ()
    """Overrides that make another table than the paper's."""
    digits: int | None = None
    """To how many digits its numbers were rounded; None for not."""


@dataclass(frozen=True)
class Side:
    """New or old."""

    path: Path
    tables: Mapping[str, Measured]
    """By experiment."""
    problems: tuple[Problem, ...]
    """Of what lies there but cannot be used."""
    alone: bool = False
    """Whether it is one table's run, which is then compared with the same table of the other side alone."""


def read_side(path: Path) -> Side:
    """A run's folder, or a folder of several runs.

    Raises:
        BadInputError: there is no such folder, or two runs in it are of the same experiment.
    """
    if not path.is_dir():
        raise BadInputError(f"{path}: expected the folder of a run, found {'a file' if path.exists() else 'none'}")
    alone = (path / RESULTS).is_file() or _is_table(path)
    folders = [path] if alone else sorted(folder for folder in path.iterdir() if _is_of_a_run(folder))
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


def _is_of_a_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (RESULTS, RUN, "job.json", "manifest.json"))


def _is_table(path: Path) -> bool:
    """Whether a folder without results is that of a table's run, as its other files say."""
    return (path / "manifest.json").is_file() or (
        (path / RUN).is_file() and not any(_is_of_a_run(folder) for folder in path.iterdir() if folder.is_dir())
    )


def _of_collection(path: Path) -> list[Problem]:
    """Experiments of a collection that did not end well."""
    if not (path / RUN).is_file():
        return []
    try:
        ended = _json(path / RUN).get("experiments") or {}
        return [
            Problem(str(name), f"{path / RUN}: expected status 0 of {name}, found {status}")
            for name, status in ended.items()
            if status
        ]
    except (BadInputError, AttributeError) as error:
        return [Problem("", str(error))]


def _read_table(folder: Path) -> Measured:
    """One run.

    Raises:
        BadInputError: it is not complete, or its files are not what a run leaves.
    """
    run, results = _json(folder / RUN), _json(folder / RESULTS)
    if run.get("status") != "complete":
        raise BadInputError(f"{folder / RUN}: expected status complete, found {run.get('status') or 'none'}")
    if results.get("schema_version") != SCHEMA_VERSION:
        raise BadInputError(
            f"{folder / RESULTS}: expected schema_version {SCHEMA_VERSION}, found {results.get('schema_version')}"
        )
    if (run.get("experiment"), run.get("manifest")) != (results.get("experiment"), results.get("manifest")):
        raise BadInputError(f"{folder}: expected {RUN} and {RESULTS} of one run, found those of two")
    try:
        if "decoders" in results:
            return _architecture(results)
        return _table(folder, run, results)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        words = f"{type(error).__name__}: {error}"
        raise BadInputError(f"{folder}: expected the files of a table's run, found {words}") from None


def _table(folder: Path, run: Mapping[str, Any], results: Mapping[str, Any]) -> Measured:
    columns: list[str] = [column["metric"] for column in results.get("columns", [])]
    rows = {row["method"]: row for row in results["rows"] if row["origin"] != PUBLISHED}
    if len(rows) != sum(row["origin"] != PUBLISHED for row in results["rows"]):
        raise BadInputError(f"{folder / RESULTS}: expected one line of each row, found several; this is no table's run")
    if not rows or not columns:
        raise BadInputError(f"{folder / RESULTS}: expected rows with measured columns, found none")
    stamps = read_stamps(folder)
    influences = read_influences(folder)
    numbers = {
        (name, metric): _number(folder, (name, metric), row["metrics"].get(metric), influences)
        for name, row in rows.items()
        for metric in columns
    }
    return Measured(
        results["experiment"],
        results["profile"],
        Stamps(stamps.manifest, {metric: stamps.protocols[metric] for metric in columns if metric in stamps.protocols}),
        numbers,
        _costs(run.get("costs") or {}),
        tuple(results["custom"]),
    )


def _number(
    folder: Path, cell: Cell, entry: Mapping[str, Any] | None, influences: Mapping[Cell, Influence] | None
) -> Number:
    row, metric = cell
    if entry is None:
        return Number(None, False, reason="not measured")
    value, better = entry["value"], bool(entry["higher_is_better"])
    if value is None:
        return Number(None, better, reason=entry["reason"])
    if not math.isfinite(value):
        raise BadInputError(f"{folder / RESULTS}: expected a finite {metric} of {row}, found {value}")
    found = None if influences is None else influences.get(cell)
    count = 0 if found is None else len(found.items)
    if influences is not None and count != entry["n"]:
        raise BadInputError(
            f"{folder / INFLUENCES}: expected {entry['n']} items of {metric} of {row}, as in {RESULTS}, found {count}"
        )
    return Number(float(value), better, entry["stderr"], entry["n"], "", found)


def _costs(found: Mapping[str, Mapping[str, float]]) -> dict[Cell, float]:
    costs = {(row, name): float(entry[name]) for row, entry in found.items() for name in COSTS if name in entry}
    seconds = {row: entry[SECONDS] for row, entry in found.items() if SECONDS in entry}
    vanilla = next((seconds[row] for row in VANILLA if row in seconds), None)
    if vanilla:
        costs |= {(row, "time_ratio"): time / vanilla for row, time in seconds.items() if row not in VANILLA}
    return costs


def _architecture(results: Mapping[str, Any]) -> Measured:
    """Tables 7 and 8: nothing is measured on items, so that every number is exact."""
    lines: Sequence[Mapping[str, Any]] = results["rows"]
    agreeing = Number(float(sum(line["agrees"] for line in lines)), True, n=len(lines))
    costs = {
        (entry["name"], name): float(entry[name]) for entry in results["decoders"] for name in COSTS if name in entry
    }
    custom = tuple(results["custom"])
    return Measured(
        results["experiment"], results["profile"], Stamps("", {}), {(OVERALL, LAYERS): agreeing}, costs, custom
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected the file of a whole run, found none: it is empty or partial") from None
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: expected JSON, found {error}") from None
    if not isinstance(found, dict):
        raise BadInputError(f"{path}: expected a JSON object, found a {type(found).__name__}")
    return found
