"""The command `python -m bench.explain RUN ROW COLUMN`, which prints how one number of a run's table was computed.

The command prints the number's items, protocol and weights, and the command that started the run. It reads all of them
from the run's folder.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.config.overrides import command
from bench.errors import BadInputError
from bench.results.run_files import check_files, check_seal
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS
from bench.runtime.strict_json import read_json
from bench.runtime.text import as_line, printable
from bench.tables.build import style_of

__all__ = ["explain", "main", "weights_of"]

BAD_INPUT = 2
MANIFEST, RECORDS = "manifest.json", "records.parquet"
STAMP = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
"""Pattern of the time in the name of a run's folder. A folder has such a name if `out=` was not set."""

Plain = dict[str, Any]


def explain(run: Path, row: str, column: str) -> Plain:
    """Return how one number was computed, as plain data. Unknown values are None.

    Args:
        run: folder of a finished run.
        row: label of the row, or name of the row in the configuration. If a line of a sensitivity table has a changed
            protocol, the change is added: the label ends with the change in words, and the name is `NAME/CHOICE`, where
            CHOICE is the name of the change.
        column: full name of the metric, or the title of the metric's column.

    Raises:
        BadInputError: `run` is not the folder of one finished run with a table of numbers; or a file in the folder was
            changed after the run; or the row or the column does not exist. If the row does not exist, the message
            lists all rows. If the column does not exist, the message lists all columns.
    """
    results, facts = _results(run), _json(run / RUN, "the file that describes a finished run")
    with _of_a_finished_run(run):
        check_seal(facts, str(run / RUN))
        check_files(run, facts.get("files", {}))
        return _explained(run, results, facts, row, column)


@contextmanager
def _of_a_finished_run(run: Path) -> Iterator[None]:
    """Raise a `BadInputError` if an error in the `with` block shows that the files are not those of a finished run.

    A file can be valid JSON but contain unexpected values. The code that uses these values then raises an error such as
    KeyError.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise BadInputError(
            f"{run}: expected {RESULTS} and {RUN} of a finished run, found an error: {type(error).__name__}: {error}"
        ) from None


def _explained(run: Path, results: Plain, facts: Plain, row: str, column: str) -> Plain:
    line = _row(results, row)
    metric = _metric(results, line, column)
    entry = line["metrics"][metric]
    settings = results.get("protocols", {}).get(entry["protocol"])
    measure = results.get("measures", {}).get(entry.get("measured_as", metric))
    config = facts["config"]
    method = (config["rows"].get(line["method"]) or {}).get("method")
    return {
        "run": str(run),
        "experiment": results["experiment"],
        "row": {"key": _key(line), "label": _label(line), "origin": line.get("origin"), "against": line.get("against")},
        "column": {"metric": metric, "title": _titles(results).get(metric)},
        "value": {name: found for name, found in entry.items() if name not in ("protocol", "published")},
        "published": {"value": entry.get("published"), "unit": entry.get("published_unit")},
        "reference": results.get("reference"),
        "items": _items(run, results, entry, metric, line["method"]),
        "protocol": None if settings is None else {"hash": entry["protocol"], "settings": settings},
        "weights": {
            "row": weights_of(facts, method),
            "generator": weights_of(facts, config["generator"]),
            "measure": None if measure is None else weights_of(facts, config["metrics"]["measures"][measure]),
        },
        "lineage": facts["lineage"].get(line["method"]),
        "own_row": facts.get("own_rows", {}).get(line["method"]),
        "made_by": {
            "command": facts.get("command") or command(facts["overrides"]),
            "overrides": facts["overrides"],
            "custom": facts["custom"],
            "profile": facts["profile"],
            "seed": facts["seed"],
            "commit": facts["source"]["commit"],
            "dirty": facts["source"]["dirty"],
            "started": facts.get("started") or _from_name(run),
            "device": facts["device"],
            "threads": facts["threads"],
            "hardware": facts["hardware"],
            "versions": facts["versions"],
        },
    }


def _from_name(run: Path) -> str | None:
    """Return the time in the name of a run's folder, for runs of older versions, whose `run.json` does not have it."""
    stamp = STAMP.search(run.resolve().name)
    return stamp[0] if stamp else None


def _json(path: Path, what: str) -> Plain:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected {what}, found no such file") from None


def _results(run: Path) -> Plain:
    below = sorted(path.parent.name for path in run.glob(f"*/{RESULTS}"))
    if below and not (run / RESULTS).exists():
        raise BadInputError(
            f"{run}: expected the folder of one run, found a folder of several runs: {', '.join(below)}"
        )
    results = _json(run / RESULTS, "the file with the results of a run")
    rows = results.get("rows") if isinstance(results, dict) else None
    if not isinstance(rows, list):
        raise BadInputError(f"{run / RESULTS}: expected a list under the key rows, found no such list")
    if not any("metrics" in line for line in rows):
        raise BadInputError(
            f"{run / RESULTS}: expected a table with numbers, found no numbers in {results.get('experiment')}"
        )
    return results


def _key(line: Plain) -> str:
    return f"{line['method']}/{line['choice']}" if line.get("choice") else str(line["method"])


def _label(line: Plain) -> str:
    return f"{line['label']}, {line['how']}" if line.get("choice") else str(line["label"])


def _row(results: Plain, given: str) -> Plain:
    for line in results["rows"]:
        if given in (_key(line), _label(line)):
            found: Plain = line
            return found
    known = "; ".join(f"{_key(line)} ({_label(line)})" for line in results["rows"])
    raise BadInputError(f"row: expected one of {known}; found {given}")


def _titles(results: Plain) -> dict[str, str]:
    """Return the title of each metric by the metric's name. A metric without a title is left out."""
    names = dict.fromkeys(metric for line in results["rows"] for metric in line["metrics"])
    titles = {metric: style.heading() for metric in names if (style := style_of(metric)) is not None}
    titles |= {beside["metric"]: _with_unit(beside) for beside in results.get("beside", [])}
    shown = [*results.get("columns", []), *results.get("readings", [])]
    return titles | {column["metric"]: column["title"] for column in shown}


def _with_unit(beside: Plain) -> str:
    return f"{beside['title']} [{beside['unit']}]" if beside["unit"] else str(beside["title"])


def _metric(results: Plain, line: Plain, given: str) -> str:
    titles = _titles(results)
    for metric in line["metrics"]:
        style = style_of(metric)
        if given in (metric, titles.get(metric), style.title if style else None):
            return str(metric)
    known = ", ".join(f"{metric} ({titles[metric]})" if metric in titles else metric for metric in line["metrics"])
    raise BadInputError(
        f"column: expected one of {known or 'the measured columns, but this row has none'}; found {given}"
    )


def _items(run: Path, results: Plain, entry: Plain, metric: str, row: str) -> Plain:
    """Describe the items from which a number was computed, as plain data.

    In the description, `records` is a text with the path of `records.parquet` and with the column and the rows of the
    items' values in it. `features` is the path of the folder with the items' features. `records` is None if the run has
    no `records.parquet` or if this file has no column for the metric. `features` is None if the run saved no features
    or if `records` is not None.

    Args:
        run: folder of the run.
        results: content of `results.json`.
        entry: entry of the number in `results`.
        metric: full name of the metric.
        row: name of the row in the configuration.
    """
    manifest = _json(run / MANIFEST, "the manifest of a run") if (run / MANIFEST).exists() else None
    items = manifest["items"] if manifest else None
    records = run / RECORDS
    columns = _columns(records) if records.exists() else []
    features = run / "features" / "index.json"
    return {
        "rests_on": entry["n"],
        "sources": entry["sources"],
        "of": None if items is None else len(items),
        "subset": results["subset"],
        "manifest": results["manifest"],
        "resolution": manifest.get("resolution") if manifest else None,
        "masks": manifest["masks"] if manifest else None,
        "manifest_file": str(run / MANIFEST) if manifest else None,
        "records": f"{records}: column {metric} where row is {row}" if metric in columns else None,
        "features": str(features.parent) if metric not in columns and features.exists() else None,
    }


def _columns(records: Path) -> list[str]:
    import pyarrow.parquet  # imported here because it takes longer to import than everything else

    try:
        names: list[str] = pyarrow.parquet.read_schema(records).names
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        words = str(error).partition("\n")[0]
        raise BadInputError(f"{records}: expected the records of a run, found an error: {words}") from None
    return names


def weights_of(facts: Mapping[str, Any], node: Any) -> dict[str, str]:
    """Return the SHA-256 of each weight file that `node` names, by the path of the file.

    Args:
        facts: content of `run.json`.
        node: a value of the configuration, possibly nested. Each text in it may be the path of a weight file, or of a
            folder that contains weight files.
    """
    paths = set(_words(node))
    return {
        file: sha
        for file, sha in facts["weights"].items()
        if any(file == path or file.startswith(f"{path}/") for path in paths)
    }


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _words(value)
    elif isinstance(node, list):
        for value in node:
            yield from _words(value)
    elif isinstance(node, str) and node:
        yield node.rstrip("/")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _shown(found: Plain) -> Iterator[tuple[str, str]]:
    """Yield the lines that the command prints, each as a pair of a heading and a text.

    Args:
        found: result of `explain`.
    """
    value, items, made = found["value"], found["items"], found["made_by"]
    yield "row", f"{found['row']['label']} ({found['row']['key']}, {found['row']['origin'] or 'native'})"
    yield "column", f"{found['column']['metric']}" + (f" ({title})" if (title := found["column"]["title"]) else "")
    if value["value"] is None:
        yield "value", f"none: {value.get('reason') or 'no reason given'}"
    else:
        low, high = value["ci95"] or (None, None)
        yield (
            "value",
            f"{_number(value['value'])} ± {_number(value['stderr'])}, 95 % interval [{_number(low)}, {_number(high)}], "
            f"n = {value['n']} items from {value['sources']} sources"
            + (f", {value['effective_sources']:.3g} effective sources" if value.get("effective_sources") else "")
            + ("; better than every other measured row" if value.get("best") else ""),
        )
    yield (
        "better value",
        {True: "a higher one", False: "a lower one", None: "neither a higher nor a lower one"}[
            value["higher_is_better"]
        ],
    )
    against = {
        "difference_to_reference": found["reference"] or "the reference row",
        "difference": found["row"]["against"] or "the table's own protocol",
    }
    for name, other in against.items():
        if name in value:
            low, high = value[name]["ci95"]
            p = f", p = {value[name]['p_holm']:.3g} (Holm)" if value[name].get("p_holm") is not None else ""
            interval = f"[{_number(low)}, {_number(high)}] (unadjusted)"
            yield "difference", f"{_number(value[name]['value'])} {interval}{p}, to {other}"
    unit = found["published"]["unit"]
    if found["published"]["value"] is not None:
        yield "published", f"{found['published']['value']:g}{f', unit: {unit}' if unit else ''}"
    of = "" if items["of"] is None else f" of {items['of']}"
    yield "items", f"{items['rests_on']}{of}, {items['subset']} subset, manifest {items['manifest']}"
    for name in ("manifest_file", "records", "features"):
        if items[name]:
            yield name.replace("_", " "), items[name]
    if found["protocol"]:
        yield "protocol", found["protocol"]["hash"]
        yield from ((f"  {key}", text) for key, text in _flat(found["protocol"]["settings"]))
    for part, files in found["weights"].items():
        yield f"weights of the {part}", "unknown" if files is None else "" if files else "none"
        yield from ((f"  {sha}", file) for file, sha in (files or {}).items())
    yield from _own_row(found["own_row"]) if found["own_row"] else ()
    changed = {
        None: "unknown whether the code had changes",
        True: "with changes that are not in this commit",
        False: "without changes",
    }[made["dirty"]]
    yield "commit", f"{made['commit'] or 'unknown'} ({changed})"
    yield "run", f"profile {made['profile']}, seed {made['seed']}, {made['device']}, {made['threads']} threads"
    yield "started", made["started"] or f"unknown: {RUN} has no key started, and the folder's name has no time"
    yield "machine", ", ".join(f"{key} {text}" for key, text in made["hardware"].items())
    yield "versions", ", ".join(f"{key} {text}" for key, text in made["versions"].items() if text)
    yield "command", made["command"]


def _own_row(own: Plain) -> Iterator[tuple[str, str]]:
    """Yield the lines on the code and the size of a row that is a user's own.

    Args:
        own: entry of the row under `own_rows` in `run.json`.
    """
    for code in own["code"]:
        yield "code of the row", code["name"]
        yield f"  {code['sha256'] or 'package'}", code["file"] or code["package"] or "none: the code is in no file"
    if own["imports"]:
        yield "imports of this code", ""
        yield from ((f"  {sha}", file) for file, sha in own["imports"].items())
    for name, title in {"parameters": "parameters", "tera_flop": "TFLOP per image"}.items():
        value = own[name]
        shown = "" if value is None else f"{value:,}" if name == "parameters" else f"{value:.4g}"
        yield title, shown or f"unknown: {own['unknown'][name]}"


def _in_lines(found: Plain) -> str:
    return "\n".join(as_line(f"{what:<22} {said}").rstrip() for what, said in _shown(found))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit status: 0 if the number was explained, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.explain",
        description="Explain one number of a run's table: its items, protocol, weights, run and command.",
        epilog="Exit status: 0 if the number was explained, 2 for bad input.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("row", help="label of the row, or its name in the configuration")
    parser.add_argument("column", help="name of the metric, or its title")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    given = parser.parse_args(arguments)
    try:
        found = explain(given.run, given.row, given.column)
        with _of_a_finished_run(given.run):
            text = json.dumps(found, indent=1, ensure_ascii=False) if given.json else _in_lines(found)
    except BadInputError as error:
        print(printable(f"bench.explain: {error}"), file=sys.stderr)
        return BAD_INPUT
    print(text)
    return 0
