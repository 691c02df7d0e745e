"""Baselines. A baseline is a file of values with which later runs are compared; it is committed and reviewed.

Each number has its own line, all names are sorted, and all values except costs that are whole numbers are rounded to a
few significant digits. Therefore a new baseline differs from the old one only in numbers that a change of the code has
changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.gate.read_run import Measured, Number, Side
from bench.metrics.protocol import Protocol
from bench.results.run_files import BaselineFile, BaselineTable, check_baseline_numbers, check_seal, sealed
from bench.results.stamps import Stamps
from bench.runtime.files import write_atomically
from bench.runtime.strict_json import checked, read_json

__all__ = ["DIGITS", "baseline_of", "read_baseline", "rounded", "write_baseline"]

SCHEMA_VERSION = 2
DIGITS = 5
"""Number of significant digits of saved values.

Rounding to 5 digits changes a value by less than the smallest margin, and hides the small differences between machines.
"""
ERROR_DIGITS = 2
UNSTATED = Protocol.of({"baseline": "schema version 1, which does not state the sampling"})
"""Stand-in for the sampling of the latents of a baseline of schema version 1, which does not state the sampling."""


def rounded(value: float, digits: int = DIGITS) -> float:
    """Return `value`, rounded to `digits` significant digits."""
    return float(f"{value:.{digits}g}")


def read_baseline(path: Path) -> Side:
    """Read the tables of a baseline's file.

    Raises:
        BadInputError: the file does not exist, is damaged, or has another schema version than `SCHEMA_VERSION`.
    """
    try:
        found = read_json(path)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected a baseline, found no such file; --update writes a baseline") from None
    return baseline_of(found, path)


def baseline_of(found: Mapping[str, Any], path: Path, *, older: bool = False) -> Side:
    """Return the tables of a baseline from the content of its file.

    Args:
        found: content of the file.
        path: path or name of the file, for messages.
        older: True to accept schema version 1 as well. It states neither how the latents were sampled nor a hash of its
            content. Therefore the gate does not accept it.

    Raises:
        BadInputError: the content is damaged, or has another schema version.
    """
    version = found.get("schema_version")
    if isinstance(version, bool) or version not in ((1, SCHEMA_VERSION) if older else (SCHEMA_VERSION,)):
        raise BadInputError(f"{path}: expected a baseline with schema_version {SCHEMA_VERSION}, found {version}")
    if version != SCHEMA_VERSION:
        found = _upgraded(found)
    baseline = checked(found, BaselineFile, str(path))
    protocols = {key: Protocol.of(settings) for key, settings in baseline["protocols"].items()}
    for key, protocol in protocols.items():
        if protocol.hash != key:
            raise BadInputError(
                f"{path}: expected that the content of the protocol {key[:12]}… has this hash, found another hash"
            )
    for name, entry in found["experiments"].items():
        check_seal(entry, f"{path}: {name}")
    tables = baseline["experiments"].items()
    return Side(path, {name: _table(name, entry, protocols, f"{path}: {name}") for name, entry in tables}, ())


def _upgraded(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a baseline of schema version 1 with the keys of the current version."""
    entries = found.get("experiments")
    if not isinstance(entries, dict):
        return dict(found)
    tables = {
        name: sealed({"sampling": UNSTATED.hash if entry.get("manifest") else None, **entry})
        if isinstance(entry, dict)
        else entry
        for name, entry in entries.items()
    }
    protocols = found.get("protocols")
    if isinstance(protocols, dict):
        protocols = {**protocols, UNSTATED.hash: UNSTATED.settings}
    return {**found, "schema_version": SCHEMA_VERSION, "experiments": tables, "protocols": protocols}


def _table(name: str, entry: BaselineTable, protocols: Mapping[str, Protocol], place: str) -> Measured:
    check_baseline_numbers(entry, place)
    missing = [
        key for key in (*entry["protocols"].values(), entry["sampling"]) if key is not None and key not in protocols
    ]
    if missing:
        raise BadInputError(
            f"{place}: expected that the file contains every protocol to which its numbers refer, found no protocol "
            f"with the hash {missing[0][:12]}…"
        )
    numbers = {
        (row, metric): Number(
            found["value"], found["higher_is_better"], found["stderr"], found["n"], found.get("reason", "")
        )
        for row, metrics in entry["rows"].items()
        for metric, found in metrics.items()
    }
    costs = {(row, cost): float(value) for row, found in entry["costs"].items() for cost, value in found.items()}
    stamps = Stamps(
        entry["manifest"],
        {metric: protocols[key] for metric, key in entry["protocols"].items()},
        entry.get("pictures", {}),
    )
    sampling = None if entry["sampling"] is None else protocols[entry["sampling"]]
    return Measured(name, entry["profile"], stamps, numbers, costs, tuple(entry["custom"]), DIGITS, sampling)


def write_baseline(path: Path, new: Side) -> None:
    """Write the numbers of a run, or of a folder of runs, to a baseline's file.

    The run of a single table replaces only this table in an existing file. A folder of runs replaces the whole file.

    Args:
        path: file of the baseline.
        new: run or runs whose numbers are saved.

    Raises:
        BadInputError: a run has a problem, the existing file cannot be read, or the file cannot be written.
    """
    if new.problems:
        found = "\n".join(f"  {problem.what}" for problem in new.problems)
        raise BadInputError(
            f"{new.path}: expected runs without problems, found these problems, so {path} is not changed:\n{found}"
        )
    existing = read_baseline(path).tables if new.alone and path.exists() else {}
    tables = {**existing, **new.tables}
    content = {
        "schema_version": SCHEMA_VERSION,
        "experiments": {name: _as_json(table) for name, table in tables.items()},
        "protocols": {
            protocol.hash: protocol.settings
            for table in tables.values()
            for protocol in (*table.stamps.protocols.values(), table.sampling)
            if protocol is not None
        },
    }
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, text)
    except OSError as error:
        raise BadInputError(f"{path}: expected a file that can be written, found the error {error}") from None


def _as_json(table: Measured) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for (row, metric), number in table.numbers.items():
        rows.setdefault(row, {})[metric] = _number(number)
    costs: dict[str, dict[str, float]] = {}
    for (row, cost), value in table.costs.items():
        is_integer = value == int(value) and abs(value) < 2**53
        costs.setdefault(row, {})[cost] = (
            int(value) if is_integer else rounded(value, 2 if cost == "time_ratio" else DIGITS)
        )
    content = {
        "profile": table.profile,
        "manifest": table.stamps.manifest,
        "custom": list(table.custom),
        **({"pictures": dict(table.stamps.pictures)} if table.stamps.pictures else {}),
        "protocols": {metric: protocol.hash for metric, protocol in table.stamps.protocols.items()},
        "sampling": None if table.sampling is None else table.sampling.hash,
        "rows": rows,
        "costs": costs,
    }
    return sealed(content)


def _number(number: Number) -> dict[str, Any]:
    value, error = number.value, number.stderr
    return {
        "value": None if value is None else rounded(value),
        "stderr": None if error is None else rounded(error, ERROR_DIGITS),
        "n": number.n,
        "higher_is_better": number.higher_is_better,
        **({"reason": number.reason} if number.reason else {}),
    }
