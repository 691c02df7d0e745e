"""The command `asymbench publish RUN OUT`, which writes the files that publish a run's rows on the Hugging Face hub.

It only writes files and uploads nothing. `bench.results.model_card` describes the files.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from bench.config.overrides import command
from bench.data.names import file_stem
from bench.errors import UNWRITABLE, BadInputError
from bench.results.explain import weights_of
from bench.results.finished_run import FinishedRun, read_finished_run
from bench.results.hub_metrics import MeasuredBy, published_name
from bench.results.model_card import HubDataset, PublishedNumber, PublishedRow, RunFacts, files_of
from bench.results.out_folder import check_writable
from bench.results.run_files import SEAL, Entry, ResultRow, TableResults, is_layers
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS, stamps_of
from bench.runtime.atomic import named_disk_errors
from bench.runtime.files import write_atomically
from bench.runtime.strict_json import checked
from bench.runtime.text import one_line, printable
from bench.tables.build import PUBLISHED, style_of

__all__ = ["Publication", "main", "publish"]

BAD_INPUT = 2
MINI = "mini"
"""Name of the profile, and of its metrics, whose networks and pictures this project made itself."""
DRAWN = "bench.data.mini."
"""Beginning of the full names of the functions that draw miniature data sets."""
OPEN = ConfigDict(extra="allow")
MINI_WEIGHTS = "${paths.assets}/mini/"
"""Beginning of the paths of the mini profile's own weight files in `run.json`."""
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
"""Pattern of the identifier of a model or a data set on the hub."""


class _Dataset(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    name: str
    root: NotRequired[Any]


class _Measure(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    measure: dict[str, Any]


class _Metrics(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    name: str
    measures: dict[str, _Measure]


class _Table(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    task: str | None


class _Profile(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    resolution: int


class _Config(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    dataset: _Dataset
    metrics: _Metrics
    table: _Table
    profile: _Profile


class _Source(TypedDict):
    __pydantic_config__ = OPEN  # type: ignore[misc]
    commit: str | None
    dirty: bool | None


class _Facts(TypedDict):
    """Those keys of `run.json` that only a publication reads."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    overrides: list[str]
    versions: dict[str, str | None]
    source: _Source
    config: _Config


@dataclass(frozen=True)
class Publication:
    """Options of a publication: the only row to publish, the name of the model, and the identifier of the data set."""

    row: str | None = None
    """Name or label of the only row that is published; None publishes every measured row."""
    model: str | None = None
    """Name of the model in the model-index; None takes the name of the row."""
    dataset: str | None = None
    """Identifier of the data set on the hub, with `@` and a commit if it is known; None takes the name of the data set
    in lower case with hyphens."""


def publish(run: Path, out: Path, publication: Publication) -> list[Path]:
    """Write the files of each published row into the folder `OUT/ROW`.

    The folder `out` appears with all files, or not at all.

    Args:
        run: folder of a finished run with one table, such as the run of one latent space of a leaderboard.
        out: folder that does not exist or is empty.
        publication: options that the user set.

    Returns:
        The folder of each row.

    Raises:
        BadInputError: the run is not finished, was changed, has no hashes, is a rehearsal, or used the models, metrics
            or pictures of the mini profile; or its table is a list of layers or a sensitivity table, or has no measured
            number; or an option of `publication` is invalid; or `out` is not empty or cannot be written.
    """
    check_writable(str(out), "OUT")
    if out.is_dir() and any(out.iterdir()):
        raise BadInputError(f"OUT: expected a new or an empty folder, found files in {out}")
    found = _published(_read(run), publication)
    folders = {file_stem(row.key).replace("/", "_"): files_of(row) for row in found}
    _write(out, folders)
    return [out / name for name in folders]


def _write(out: Path, folders: Mapping[str, Mapping[str, str]]) -> None:
    """Write the files into a temporary folder beside `out`, and rename this folder to `out`."""
    out = out.resolve()
    partial = out.with_name(f".{out.name[:100]}.{secrets.token_hex(8)}.partial")
    try:
        with named_disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
            for name, files in folders.items():
                (partial / name).mkdir()
                for file, text in files.items():
                    write_atomically(partial / name / file, text)
            os.replace(partial, out)  # fails if `out` got a file in the meantime
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise
        raise BadInputError(f"OUT: expected a folder that can be written, found an error: {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@dataclass(frozen=True)
class _Publishable:
    """The checked files of a run that may be published."""

    found: FinishedRun
    results: TableResults
    facts: _Facts


def _read(folder: Path) -> _Publishable:
    """Read a run, and refuse a run that must not be published."""
    below = sorted(path.parent.name for path in folder.glob(f"*/{RESULTS}"))
    if below and not (folder / RESULTS).exists():
        raise BadInputError(
            f"{folder}: expected the folder of one table, found a folder of several runs: {', '.join(below)}; "
            "choose one of them"
        )
    found = read_finished_run(folder)
    results, path = found.results, folder / RESULTS
    if is_layers(results) or any(row.get("choice") for row in results["rows"]):
        raise BadInputError(f"{path}: expected a table with one line for each row, found another kind of table")
    if SEAL not in found.content or RESULTS not in found.run.get("files", {}):
        raise BadInputError(
            f"{folder / RUN}: expected the hashes of the run's files under the keys {SEAL} and files, found no hashes"
        )
    facts = checked(found.content, _Facts, str(folder / RUN))
    config = facts["config"]
    own = {
        f"the profile {MINI}": found.run["profile"] == MINI,
        f"the metrics {MINI}": config["metrics"]["name"] == MINI,
        "a data set of the mini profile": any(text.startswith(DRAWN) for text in _texts(config["dataset"])),
        "weights of the mini profile": any(file.startswith(MINI_WEIGHTS) for file in found.run["weights"]),
    }
    for what, is_own in own.items():
        if is_own:
            raise BadInputError(
                f"{folder}: expected a run without the networks and pictures that this project made for the mini "
                f"profile, found {what}"
            )
    stamps_of(results, path)
    return _Publishable(found, results, facts)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def _published(run: _Publishable, publication: Publication) -> list[PublishedRow]:
    """Return the rows to publish.

    Raises:
        BadInputError: no row has a measured number, or the chosen row has none, or an option is invalid.
    """
    path = run.found.folder / RESULTS
    shown = _columns(run.results)
    measured = {row["method"]: row for row in run.results["rows"] if row.get("origin") != PUBLISHED}
    with_numbers = {key: row for key, row in measured.items() if any(_entries(row, shown, measured=True))}
    if not with_numbers:
        raise BadInputError(f"{path}: expected at least one row with a measured number, found none")
    chosen = with_numbers
    if publication.row is not None:
        chosen = {key: row for key, row in measured.items() if publication.row in (key, row["label"])}
        if len(chosen) != 1:
            known = "; ".join(f"{key} ({row['label']})" for key, row in measured.items())
            raise BadInputError(f"--row: expected one of {known}; found {publication.row}")
        if not chosen.keys() <= with_numbers.keys():
            raise BadInputError(f"--row: expected a row with a measured number, found only null for {publication.row}")
    if publication.model is not None and (len(chosen) > 1 or not HUB_ID.fullmatch(publication.model)):
        raise BadInputError(
            "--model: expected a name such as OWNER/NAME for one row, which --row chooses, found "
            f"{publication.model} for {len(chosen)} row{'s' if len(chosen) > 1 else ''}"
        )
    facts = _facts(run, publication.dataset)
    return [_row(run, facts, row, shown, publication.model) for row in chosen.values()]


def _columns(results: TableResults) -> list[str]:
    """Return the metrics that the run's tables show, each once."""
    shown = [*results.get("columns", []), *results.get("readings", []), *results.get("beside", [])]
    return list(dict.fromkeys(column["metric"] for column in shown))


def _entries(row: ResultRow, shown: list[str], *, measured: bool) -> Iterator[tuple[str, Entry]]:
    """Yield the metrics in `shown` that have a value for a row; if `measured` is False, those that have none."""
    entries = row.get("metrics", {})
    for metric in shown:
        if metric in entries and (entries[metric]["value"] is not None) == measured:
            yield metric, entries[metric]


def _facts(run: _Publishable, dataset: str | None) -> RunFacts:
    config, results, content = run.facts["config"], run.results, run.found.content
    protocol = results.get("protocol")
    return RunFacts(
        experiment=results["experiment"],
        profile=run.found.run["profile"],
        task=config["table"]["task"],
        dataset=_dataset(config["dataset"], dataset, protocol),
        resolution=config["profile"]["resolution"],
        subset=results.get("subset") or "custom",
        manifest=results.get("manifest", ""),
        protocol=protocol,
        protocols=results.get("protocols", {}),
        custom=run.found.run["custom"],
        versions=run.facts["versions"],
        source=_source(run.facts["source"]),
        command=content.get("command") or command(run.facts["overrides"]),
    )


def _source(source: _Source) -> str:
    changes = {None: "unknown whether with changes", True: "with changes", False: "without changes"}[source["dirty"]]
    return f"commit {source['commit'] or 'unknown'}, {changes}"


def _dataset(config: _Dataset, given: str | None, protocol: Mapping[str, Any] | None) -> HubDataset:
    """Return the identifier, name, split and commit with which the data set is published.

    If the configured name is the path of the folder of pictures, only the last part of the path is published.

    Args:
        config: configuration of the data set.
        given: identifier on the hub from the command line, perhaps with `@` and a commit. If it is None, the identifier
            is the data set's name in lower case with hyphens.
        protocol: value of the key `protocol` in the results, which may state the split.
    """
    name = config["name"]
    if name == config.get("root"):
        name = name.rstrip("/").rpartition("/")[2]
    stated = (protocol or {}).get("fields", {}).get("split")
    split = None if stated is None else str(stated)
    if given is None:
        return HubDataset(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed", one_line(name), split)
    identifier, at, revision = given.partition("@")
    if not HUB_ID.fullmatch(identifier) or (at and not re.fullmatch(r"[0-9a-f]{40}", revision)):
        raise BadInputError(f"--dataset: expected OWNER/NAME or OWNER/NAME@COMMIT with 40 digits, found {given}")
    return HubDataset(identifier, one_line(name), split, revision or None)


def _row(run: _Publishable, facts: RunFacts, row: ResultRow, shown: list[str], model: str | None) -> PublishedRow:
    key = row["method"]
    config = run.found.run["config"]["rows"].get(key)
    return PublishedRow(
        key=key,
        label=row["label"],
        model=model or one_line(key),
        numbers=[_number(run, metric, entry) for metric, entry in _entries(row, shown, measured=True)],
        missing={metric: entry.get("reason", "") for metric, entry in _entries(row, shown, measured=False)},
        weights=weights_of(run.found.content, config.get("method") if config else None),
        run=facts,
    )


def _number(run: _Publishable, metric: str, entry: Entry) -> PublishedNumber:
    """Return a number with the name under which it is published.

    Raises:
        BadInputError: the files do not say which measure computed the number.
    """
    config = run.facts["config"]
    path = run.found.folder / RESULTS
    measure = run.results.get("measures", {}).get(metric)
    if measure not in config["metrics"]["measures"]:
        raise BadInputError(f"{path}: measures: expected a measure of metrics.measures for {metric}, found {measure}")
    node = config["metrics"]["measures"][measure]["measure"]
    settings = run.results["protocols"][str(entry["protocol"])].get("measure")
    if not isinstance(settings, Mapping) or not isinstance(settings.get("weights"), str):
        raise BadInputError(f"{path}: protocols: expected the hash of a measure under measure.weights, found none")
    by = MeasuredBy(
        str(node.get("_target_")), sorted(weights_of(run.found.content, node).values()), settings["weights"]
    )
    style = style_of(metric)
    unit = style.unit if style is not None and style.scale == 1 else ""
    return PublishedNumber(published_name(metric, by), entry, unit)


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit status: 0 if the files were written, 2 for bad input.

    Args:
        arguments: words of the command line after `asymbench publish`.
    """
    parser = argparse.ArgumentParser(
        prog="asymbench publish",
        description="Write a model card with a model-index, and a YAML file of evaluation results, for each measured "
        "row of a run. Nothing is uploaded.",
        epilog="Exit status: 0 if the files were written, 2 for bad input.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run with one table")
    parser.add_argument("out", type=Path, metavar="OUT", help="new or empty folder for the files")
    parser.add_argument("--row", metavar="ROW", help="name or label of the only row to publish")
    parser.add_argument("--model", metavar="ID", help="name of the model, such as OWNER/NAME; needs one row")
    parser.add_argument("--dataset", metavar="ID", help="data set on the hub, such as OWNER/NAME or OWNER/NAME@COMMIT")
    given = parser.parse_args(arguments)
    try:
        folders = publish(given.run, given.out, Publication(given.row, given.model, given.dataset))
    except BadInputError as error:
        print(printable(f"asymbench publish: {error}"), file=sys.stderr)
        return BAD_INPUT
    for folder in folders:
        print(one_line(str(folder)))
    return 0
