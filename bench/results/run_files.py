"""Types of the JSON files that runs, jobs and baselines write, and the readers of results.

A type names only the keys that are read later; other keys are allowed and not checked. Every number is finite, and
neither `true` nor a text is accepted as a number (`bench.runtime.strict_json`).
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
"""Key of the hash of all other content of a file."""
SEALED_FILES = ("results.json", MANIFEST, "records.parquet", "influences.parquet")
"""Files whose hashes are saved in `run.json`."""
OPEN = ConfigDict(extra="allow")

Count = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _rising(found: list[float]) -> list[float]:
    if found[0] > found[1]:
        raise ValueError("a lower end before the upper one")
    return found


Interval = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]


# --- results.json


class Entry(TypedDict):
    """A number of a row, or the reason why there is none."""

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
    """A row of a table; in a sensitivity table, a row measured with one choice."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    method: str
    label: str
    origin: NotRequired[str | None]
    choice: NotRequired[str | None]
    how: NotRequired[str]
    against: NotRequired[str | None]
    metrics: NotRequired[dict[str, Entry]]


class ResultColumn(TypedDict):
    """A headline column."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    metric: str
    title: NotRequired[str]


class Beside(TypedDict):
    """A metric that is shown in a separate table."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    metric: str
    title: str
    unit: str


class Claim(TypedDict):
    """The verdict on one claim of the paper."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    verdict: str
    by: NotRequired[str]


class TableResults(TypedDict):
    """A table of numbers."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    schema_version: int
    experiment: str
    profile: NotRequired[str]
    table: NotRequired[int]
    custom: NotRequired[list[str]]
    manifest: NotRequired[str]
    subset: NotRequired[str | None]
    protocols: NotRequired[dict[str, dict[str, Any]]]
    measures: NotRequired[dict[str, str]]
    columns: NotRequired[list[ResultColumn]]
    readings: NotRequired[list[ResultColumn]]
    beside: NotRequired[list[Beside]]
    reference: NotRequired[str | None]
    rows: list[ResultRow]
    claims: NotRequired[list[Claim]]


class Costs(TypedDict, total=False):
    """The known costs of a row."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    parameters: Count
    tera_flop: NotNegative
    peak_activation_bytes: Count
    peak_memory_bytes: Count
    seconds_per_image: Positive
    least_seconds_per_image: Positive
    most_seconds_per_image: Positive


class DecoderCosts(Costs):
    """The costs of a decoder in a table of layers."""

    name: str


class Layer(TypedDict):
    """A layer compared with the paper's layer."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    agrees: bool


class LayerResults(TypedDict):
    """A table of a decoder's layers, in which nothing is measured on items."""

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
    """The part of a run's configuration that describes a table and its latents."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    rows: dict[str, RowConfig]
    controls: list[str]
    table: TableConfig
    generator: dict[str, Any] | None


class TableRun(TypedDict):
    """The facts about the run of one table."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    experiment: str
    status: str
    profile: str
    seed: int
    manifest: str | None
    """SHA-256 of the items' manifest; None for a table of layers."""
    custom: list[str]
    weights: dict[str, str]
    config: RunConfig
    costs: NotRequired[dict[str, Costs]]
    seconds: NotRequired[dict[str, NotNegative]]
    files: NotRequired[dict[str, Sha256]]
    sha256: NotRequired[Sha256]


class CollectionRun(TypedDict):
    """The outcome of several experiments."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    status: str
    experiments: dict[str, int]
    """Exit status of each experiment."""


# --- baseline.json


class BaselineNumber(TypedDict):
    """A number with which later runs are compared."""

    value: float | None
    stderr: NotNegative | None
    n: Count
    higher_is_better: bool
    reason: NotRequired[str]


class BaselineTable(TypedDict):
    """A table with which later runs are compared."""

    profile: str
    manifest: str
    custom: list[str]
    protocols: dict[str, Sha256]
    sampling: Sha256 | None
    """Hash of the settings with which the latents were sampled; None for a table of layers."""
    rows: Annotated[dict[str, dict[str, BaselineNumber]], Field(min_length=1)]
    costs: dict[str, dict[str, NotNegative]]
    sha256: Sha256


class BaselineFile(TypedDict):
    """All tables with which later runs are compared."""

    schema_version: int
    experiments: dict[str, BaselineTable]
    protocols: dict[Sha256, dict[str, Any]]


# --- job.json


class JobFile(TypedDict):
    """The outcome of one job of a sweep."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    name: str
    chosen: dict[str, str]
    status: int
    message: str


# --- seals


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON content with `sha256`, the hash of all its other content.

    Args:
        content: content that can be written as JSON; an existing `sha256` is replaced.
    """
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != SEAL}, allow_nan=False))
    return {**plain, SEAL: content_key(plain)}


def check_seal(content: Mapping[str, Any], place: str) -> None:
    """Check that content is unchanged since `sealed`; content without a seal has an older version and passes.

    Raises:
        BadInputError: the content was changed.
    """
    found = content.get(SEAL)
    if found is not None and found != sealed(content)[SEAL]:
        raise BadInputError(f"{place}: expected content with the {SEAL} that it names, found changed content")


def file_seals(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a run from which later commands read numbers, by file name."""
    return {name: file_sha256(folder / name) for name in SEALED_FILES if (folder / name).is_file()}


def check_files(folder: Path, seals: Mapping[str, str]) -> None:
    """Check that the existing files of a run have the hashes in its `run.json`.

    Args:
        folder: folder of the run.
        seals: hashes of the files, as `file_seals` returned them.

    Raises:
        BadInputError: a file was changed after the run.
    """
    for name in SEALED_FILES:
        if (folder / name).is_file():
            check_file(folder / name, seals)


def check_file(path: Path, seals: Mapping[str, str]) -> None:
    """Check that a file of a run has the hash in its `run.json`.

    Args:
        path: path of the file.
        seals: hashes of the files, as `file_seals` returned them; a file without a hash passes.

    Raises:
        BadInputError: the file is missing, or it was changed after the run.
    """
    expected = seals.get(path.name)
    if expected is None:
        return
    if not path.is_file():
        raise BadInputError(f"{path}: expected the file that run.json names, found none")
    if file_sha256(path) != expected:
        raise BadInputError(f"{path}: expected the file that run.json names, found one that was changed since")


# --- readers


def read_results(path: Path) -> TableResults | LayerResults:
    """Read a `results.json` of any kind; if it has the key `decoders`, it is a table of layers.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: the file is damaged or has another version, or a number is outside its metric's range.
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
    """Return whether results belong to a table of layers."""
    return "decoders" in results


def _check_number(place: str, metric: str, entry: Entry | BaselineNumber) -> None:
    value = entry["value"]
    if value is None:
        return
    if entry["n"] < 1:
        raise BadInputError(f"{place}: expected a value of 1 item or more, found n = {entry['n']}")
    wrong = out_of_range(metric, value)
    if wrong is not None:
        raise BadInputError(f"{place}: {wrong}")


def check_baseline_numbers(table: BaselineTable, place: str) -> None:
    """Check that every number of a baseline's table is in its metric's range.

    Raises:
        BadInputError: a number is outside the range.
    """
    for row, metrics in table["rows"].items():
        for metric, number in metrics.items():
            _check_number(f"{place}: {metric} of {row}", metric, number)


def refuse_twice(names: list[str], place: str) -> None:
    """Check that no name occurs twice in a list.

    Raises:
        BadInputError: a name occurs twice; the message begins with `place`.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInputError(f"{place} {name}: expected it once, found it twice")
        seen.add(name)
