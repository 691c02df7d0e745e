"""Types of the JSON files of runs, jobs and baselines, and functions that read and check these files.

A type names only the keys that later commands read. Other keys are allowed, and their types are not checked. Every
number in a file must be finite. A boolean or a text is not accepted as a number (`bench.runtime.strict_json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypedDict, TypeIs

from bench.errors import BadInputError
from bench.metrics.ranges import out_of_range
from bench.results.run_folder import SCHEMA_VERSION
from bench.runtime.clock import is_moment
from bench.runtime.strict_json import checked, read_json
from bench.store import content_key, file_sha256

__all__ = [
    "MANIFEST",
    "BaselineFile",
    "BaselineNumber",
    "BaselineTable",
    "CollectionRun",
    "Costs",
    "DecoderCosts",
    "Entry",
    "JobFile",
    "LayerResults",
    "ProtocolEntry",
    "ResultRow",
    "RunConfig",
    "TableResults",
    "TableRun",
    "check_baseline_numbers",
    "check_file",
    "check_files",
    "check_seal",
    "file_seals",
    "is_layers",
    "read_results",
    "refuse_twice",
    "sealed",
]

MANIFEST = "manifest.json"
SEAL = "sha256"
"""Key under which a JSON file contains the hash of all its other content. This hash is the seal of the file."""
SEALED_FILES = ("results.json", MANIFEST, "records.parquet", "influences.parquet")
"""Names of the files of a run whose SHA-256 is saved in `run.json`."""
OPEN = ConfigDict(extra="allow")

Count = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _rising(found: list[float]) -> list[float]:
    if found[0] > found[1]:
        raise ValueError("an interval whose lower end is not above its upper end")
    return found


def _moment(found: str) -> str:
    if not is_moment(found):
        raise ValueError("a date and a time by ISO 8601 with an offset, such as 2026-01-31T12:00:00+00:00")
    return found


Interval = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Moment = Annotated[str, AfterValidator(_moment)]


# --- results.json


class Entry(TypedDict):
    """The value of one metric for one row, or the reason why there is no value."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    value: float | None
    stderr: NotNegative | None
    n: Count
    higher_is_better: bool | None
    protocol: str | None
    """Hash of the protocol; None if nothing was measured."""
    reason: NotRequired[str]
    ci95: NotRequired[Interval | None]
    sources: NotRequired[Count]
    effective_sources: NotRequired[NotNegative | None]
    published: NotRequired[float | None]
    published_unit: NotRequired[str | None]
    measured_as: NotRequired[str]
    best: NotRequired[bool]


class ResultRow(TypedDict):
    """A row of a table. In a sensitivity table, `choice` names the change of the protocol, if there is one."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    method: str
    label: str
    origin: NotRequired[str | None]
    choice: NotRequired[str | None]
    how: NotRequired[str]
    against: NotRequired[str | None]
    metrics: NotRequired[dict[str, Entry]]


class ResultColumn(TypedDict):
    """A column of the main table, with its metric."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    metric: str
    title: NotRequired[str]


class Beside(TypedDict):
    """A metric that a separate table shows instead of the main table."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    metric: str
    title: str
    unit: str


class Claim(TypedDict):
    """A claim and its verdict."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    verdict: str
    by: NotRequired[str]


class ProtocolEntry(TypedDict):
    """The protocol of a run, as `bench.evaluation.protocols.RunProtocol.as_json` returns it."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    name: str | None
    fields: dict[str, int | str | None]
    declared: str | None
    changed: list[str]


class TableResults(TypedDict):
    """The content of a `results.json` whose table has measured numbers."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    schema_version: int
    experiment: str
    profile: NotRequired[str]
    table: NotRequired[int | None]
    """Number of the table in the paper; None for a table that the paper does not have."""
    custom: NotRequired[list[str]]
    manifest: NotRequired[str]
    subset: NotRequired[str | None]
    protocol: NotRequired[ProtocolEntry]
    protocols: NotRequired[dict[str, dict[str, Any]]]
    measures: NotRequired[dict[str, str]]
    columns: NotRequired[list[ResultColumn]]
    readings: NotRequired[list[ResultColumn]]
    beside: NotRequired[list[Beside]]
    reference: NotRequired[str | None]
    rows: list[ResultRow]
    claims: NotRequired[list[Claim]]


class Costs(TypedDict, total=False):
    """The costs of a row, as `bench.evaluation.costs.row_costs` returns them. Each cost can be missing."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    parameters: Count
    tera_flop: NotNegative
    peak_activation_bytes: Count
    peak_memory_bytes: Count
    seconds_per_image: Positive
    least_seconds_per_image: Positive
    most_seconds_per_image: Positive


class DecoderCosts(Costs):
    """The costs of one decoder in a `results.json` with a table of layers."""

    name: str


class Layer(TypedDict):
    """The result for a layer of a decoder. `agrees` is True if the layer equals the layer that the paper prints."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    agrees: bool


class LayerResults(TypedDict):
    """The content of a `results.json` whose table lists layers of decoders. For such a table, no items are measured."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    schema_version: int
    experiment: str
    profile: str
    custom: list[str]
    rows: Annotated[list[Layer], Field(min_length=1)]
    decoders: Annotated[list[DecoderCosts], Field(min_length=1)]
    claims: NotRequired[list[Claim]]


# --- run.json


class RowConfig(TypedDict):
    """The configuration of one row."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    method: NotRequired[dict[str, Any] | None]
    control: NotRequired[str | None]


class TableConfig(TypedDict):
    """The configuration of a table."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    columns: list[str]


class RunConfig(TypedDict):
    """The part of a run's configuration that describes its table and its generator."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    rows: dict[str, RowConfig]
    controls: list[str]
    table: TableConfig
    generator: dict[str, Any] | None


class TableRun(TypedDict):
    """The content of the `run.json` of a run with one table."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    experiment: str
    status: str
    profile: str
    started: NotRequired[Moment]
    """Time at which the run began. Runs of older versions do not have it."""
    seed: int
    manifest: str | None
    """SHA-256 of the manifest; None for a table of layers, which has no items."""
    custom: list[str]
    weights: dict[str, str]
    config: RunConfig
    costs: NotRequired[dict[str, Costs]]
    seconds: NotRequired[dict[str, NotNegative]]
    files: NotRequired[dict[str, Sha256]]
    sha256: NotRequired[Sha256]


class CollectionRun(TypedDict):
    """The content of the `run.json` of a run with several experiments."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    status: str
    started: NotRequired[Moment]
    experiments: dict[str, int]
    """Exit status of each experiment, by the experiment's name; 0 means success."""


# --- baseline.json


class BaselineNumber(TypedDict):
    """A number of a baseline, with which the numbers of later runs are compared."""

    value: float | None
    stderr: NotNegative | None
    n: Count
    higher_is_better: bool
    reason: NotRequired[str]


class BaselineTable(TypedDict):
    """A table of a baseline, with which the tables of later runs are compared."""

    profile: str
    manifest: str
    custom: list[str]
    protocols: dict[str, Sha256]
    pictures: NotRequired[dict[str, int | str | None]]
    """Fields of the run's protocol that describe its pictures; see `bench.results.stamps.Stamps.pictures`."""
    sampling: Sha256 | None
    """Hash of all settings that determine the latents; None for a table of layers."""
    rows: Annotated[dict[str, dict[str, BaselineNumber]], Field(min_length=1)]
    costs: dict[str, dict[str, NotNegative]]
    sha256: Sha256


class BaselineFile(TypedDict):
    """The content of a `baseline.json`: all tables with which later runs are compared."""

    schema_version: int
    experiments: dict[str, BaselineTable]
    protocols: dict[Sha256, dict[str, Any]]


# --- job.json


class JobFile(TypedDict):
    """The content of a `job.json`, which records how one job of a sweep ended."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    name: str
    chosen: dict[str, str]
    overrides: NotRequired[list[str]]
    status: int
    message: str


# --- seals


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with a seal: the key `sha256`, whose value is the hash of all other content.

    Args:
        content: content that can be written as JSON. If it already has the key `sha256`, the value of this key is
            replaced.
    """
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != SEAL}, allow_nan=False))
    return {**plain, SEAL: content_key(plain)}


def check_seal(content: Mapping[str, Any], place: str) -> None:
    """Check that the content of a JSON file was not changed after `sealed` added the hash.

    Content without the key `sha256` was written by an older version of this program. It is accepted.

    Args:
        content: content of the file.
        place: path of the file. The message begins with this path.

    Raises:
        BadInputError: the content was changed.
    """
    found = content.get(SEAL)
    if found is not None and found != sealed(content)[SEAL]:
        raise BadInputError(
            f"{place}: expected content that matches the hash under its key {SEAL}, found changed content"
        )


def file_seals(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each of the `SEALED_FILES` in a folder, by the file's name. Missing files are left out."""
    return {name: file_sha256(folder / name) for name in SEALED_FILES if (folder / name).is_file()}


def check_files(folder: Path, seals: Mapping[str, str]) -> None:
    """Check that the files of a run were not changed after the run. They are compared with the hashes in `run.json`.

    Only files that `SEALED_FILES` lists and that still exist are checked. A file without a hash is accepted.

    Args:
        folder: folder of the run.
        seals: SHA-256 of each file, by the name of the file, as `file_seals` returned them.

    Raises:
        BadInputError: a file was changed after the run.
    """
    for name in SEALED_FILES:
        if (folder / name).is_file():
            check_file(folder / name, seals)


def check_file(path: Path, seals: Mapping[str, str]) -> None:
    """Check that one file of a run still exists and was not changed after the run.

    The file is compared with its hash in `run.json`. If the file has no hash there, it is not checked.

    Args:
        path: path of the file.
        seals: SHA-256 of each file, by the name of the file, as `file_seals` returned them.

    Raises:
        BadInputError: the file is missing, or it was changed after the run.
    """
    expected = seals.get(path.name)
    if expected is None:
        return
    if not path.is_file():
        raise BadInputError(f"{path}: expected this file, which run.json lists, found no such file")
    if file_sha256(path) != expected:
        raise BadInputError(f"{path}: expected the content whose SHA-256 is in run.json, found changed content")


# --- readers


def read_results(path: Path) -> TableResults | LayerResults:
    """Read and check a `results.json`.

    A file with the key `decoders` contains a table of layers. Any other file contains a table of numbers.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: the file is damaged, its version is not `SCHEMA_VERSION`, a number is outside its metric's range,
            or a row or a column occurs twice.
    """
    content = read_json(path)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BadInputError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {version}")
    if "decoders" in content:
        return checked(content, LayerResults, str(path))
    results = checked(content, TableResults, str(path))
    for row in results["rows"]:
        for metric, entry in row.get("metrics", {}).items():
            _check_number(f"{path}: {metric} of {row['method']}", metric, entry)
    refuse_twice([f"{row['method']}/{row.get('choice') or ''}" for row in results["rows"]], f"{path}: row")
    refuse_twice([column["metric"] for column in results.get("columns", [])], f"{path}: column")
    return results


def is_layers(results: TableResults | LayerResults) -> TypeIs[LayerResults]:
    """Return True if the content of a `results.json` is a table of layers; False if it is a table of numbers."""
    return "decoders" in results


def _check_number(place: str, metric: str, entry: Entry | BaselineNumber) -> None:
    value = entry["value"]
    if value is None:
        return
    if entry["n"] < 1:
        raise BadInputError(f"{place}: expected a value computed from 1 item or more, found n = {entry['n']}")
    wrong = out_of_range(metric, value)
    if wrong is not None:
        raise BadInputError(f"{place}: {wrong}")


def check_baseline_numbers(table: BaselineTable, place: str) -> None:
    """Check that every number in a table of a baseline is possible for its metric.

    Args:
        table: table of the baseline.
        place: description of the table. The message begins with this text.

    Raises:
        BadInputError: a number is outside its metric's range, or it was computed from no items.
    """
    for row, metrics in table["rows"].items():
        for metric, number in metrics.items():
            _check_number(f"{place}: {metric} of {row}", metric, number)


def refuse_twice(names: list[str], place: str) -> None:
    """Check that no name occurs twice in a list.

    Args:
        names: names to check.
        place: description of the list. The message begins with this text.

    Raises:
        BadInputError: a name occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInputError(f"{place} {name}: expected one entry with this name, found two")
        seen.add(name)
