"""A baseline: the values that a project holds its later runs to, as a file that is committed and read in review.

One number stands on a line, everything is sorted, and values have as many digits as mean something, so that a new
baseline differs from the old one where the code does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.gate.numbers import Measured, Number, Side
from bench.metrics.protocol import Protocol
from bench.results import write_atomically
from bench.stamps import Stamps

__all__ = ["DIGITS", "read_baseline", "rounded", "write_baseline"]

SCHEMA_VERSION = 1
DIGITS = 5
"""Of values: a hundredth of the smallest margin, and what another machine's rounding seldom reaches."""
ERROR_DIGITS = 2


def rounded(value: float, digits: int = DIGITS) -> float:
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")


def read_baseline(path: Path) -> Side:
    """What a baseline holds.

    Raises:
        BadInputError: there is none, or it is damaged or of another version.
    """
    try:
        found = json.loads(path.read_text())
        if found["schema_version"] != SCHEMA_VERSION:
            raise BadInputError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {found['schema_version']}")
        protocols = {key: Protocol.of(settings) for key, settings in found["protocols"].items()}
        tables = {name: _table(name, entry, protocols) for name, entry in found["experiments"].items()}
    except OSError:
        raise BadInputError(f"{path}: expected a baseline, found no file; --update writes one") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"{path}: expected a baseline, found {type(error).__name__}: {error}") from None
    for key, protocol in protocols.items():
        if protocol.hash != key:
            raise BadInputError(f"{path}: expected {key[:12]}… as the hash of a protocol, found another")
    return Side(path, tables, ())


def _table(name: str, entry: Mapping[str, Any], protocols: Mapping[str, Protocol]) -> Measured:
    numbers = {
        (row, metric): Number(
            None if found["value"] is None else float(found["value"]),
            bool(found["higher_is_better"]),
            found["stderr"],
            found["n"],
            found.get("reason", ""),
        )
        for row, metrics in entry["rows"].items()
        for metric, found in metrics.items()
    }
    costs = {(row, cost): float(value) for row, found in entry["costs"].items() for cost, value in found.items()}
    stamps = Stamps(entry["manifest"], {metric: protocols[key] for metric, key in entry["protocols"].items()})
    return Measured(name, entry["profile"], stamps, numbers, costs, tuple(entry["custom"]), DIGITS)


def write_baseline(path: Path, new: Side) -> None:
    """Write what a run or a folder of runs measured; one table's run replaces this table alone.

    Raises:
        BadInputError: something of it cannot be used, or the file that is to be changed cannot be read.
    """
    if new.problems:
        found = "\n".join(f"  {problem.what}" for problem in new.problems)
        raise BadInputError(f"{path}: expected a baseline of whole runs; it is left as it is:\n{found}")
    kept = read_baseline(path).tables if new.alone and path.exists() else {}
    tables = {**kept, **new.tables}
    content = {
        "schema_version": SCHEMA_VERSION,
        "experiments": {name: _as_json(table) for name, table in tables.items()},
        "protocols": {
            protocol.hash: protocol.settings
            for table in tables.values()
            for protocol in table.stamps.protocols.values()
        },
    }
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(path, text)
    except OSError as error:
        raise BadInputError(f"{path}: expected a file that can be written, found {error}") from None


def _as_json(table: Measured) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for (row, metric), number in table.numbers.items():
        rows.setdefault(row, {})[metric] = _number(number)
    costs: dict[str, dict[str, float]] = {}
    for (row, cost), value in table.costs.items():
        whole = value == int(value) and abs(value) < 2**53
        costs.setdefault(row, {})[cost] = int(value) if whole else rounded(value, 2 if cost == "time_ratio" else DIGITS)
    return {
        "profile": table.profile,
        "manifest": table.stamps.manifest,
        "custom": list(table.custom),
        "protocols": {metric: protocol.hash for metric, protocol in table.stamps.protocols.items()},
        "rows": rows,
        "costs": costs,
    }


def _number(number: Number) -> dict[str, Any]:
    value, error = number.value, number.stderr
    return {
        "value": None if value is None else rounded(value),
        "stderr": None if error is None else rounded(error, ERROR_DIGITS),
        "n": number.n,
        "higher_is_better": number.higher_is_better,
        **({"reason": number.reason} if number.reason else {}),
    }
