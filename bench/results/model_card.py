"""The files that publish one row of a run: a model card with a model-index, and a YAML file of evaluation results.

huggingface_hub defines both formats, writes their YAML and reads it again. The model-index is specified at
https://github.com/huggingface/hub-docs/blob/main/modelcard.md, and the evaluation results at
https://huggingface.co/docs/hub/eval-results. This module imports huggingface_hub only in the functions that use it,
because huggingface_hub is installed only with an extra of this project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.errors import BadInputError
from bench.results.hub_metrics import PublishedName
from bench.results.run_files import Entry
from bench.runtime.text import as_line, one_line
from bench.tables.grid import Grid, markdown

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, EvalResultEntry

__all__ = ["CARD", "EVALUATION", "HubDataset", "PublishedNumber", "PublishedRow", "RunFacts", "files_of"]

CARD, EVALUATION = "README.md", "evaluation.yaml"
"""Names of the two files of a row."""
TASKS: Mapping[str | None, tuple[str, str]] = {
    "reconstruction": ("image-to-image", "Image reconstruction"),
    "inpainting": ("image-to-image", "Image inpainting"),
    "editing": ("image-to-image", "Exemplar-based image editing"),
    "generation": ("text-to-image", "Text to image"),
}
"""Identifier and name of the hub's task, by the task of the table."""


@dataclass(frozen=True)
class HubDataset:
    """The identifier, name, split and commit with which the data set of a run is published."""

    type: str
    """Identifier on the hub, such as `ILSVRC/imagenet-1k`; or the data set's name in lower case with hyphens."""
    name: str
    """Name that pages show."""
    split: str | None = None
    revision: str | None = None
    """Commit of the data set on the hub; None if it is not known."""


@dataclass(frozen=True)
class PublishedNumber:
    """One measured number, with the name under which it is published."""

    name: PublishedName
    entry: Entry
    """Entry of the number in `results.json`, which has a value and a protocol."""
    unit: str = ""

    @property
    def args(self) -> dict[str, Any]:
        """The uncertainty, the number of items and the protocol as plain data, without unknown values."""
        found = {
            "protocol_sha256": self.entry["protocol"],
            "items": self.entry["n"],
            "sources": self.entry.get("sources"),
            "standard_error": self.entry["stderr"],
            "interval_95": self.entry.get("ci95"),
            "higher_is_better": self.entry["higher_is_better"],
            "unit": self.unit or None,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class RunFacts:
    """Those facts about a run that the cards of all its rows contain."""

    experiment: str
    profile: str
    task: str | None
    dataset: HubDataset
    resolution: int
    """Side of the pictures in pixels."""
    subset: str
    """Relation of the items to the paper's items; see `bench.data.items.Pictures.subset`."""
    manifest: str
    """SHA-256 of the list of items."""
    protocol: Mapping[str, Any] | None
    """Entry `protocol` of `results.json`; None if the run has none."""
    protocols: Mapping[str, Mapping[str, Any]]
    """Settings of each metric's protocol, by the hash of the protocol."""
    custom: Sequence[str]
    """Overrides that change the table of the experiment."""
    versions: Mapping[str, str | None]
    """Version of each package; None for a package that was not installed."""
    source: str
    """Commit of this project's source, and whether files differed from it."""
    command: str
    """Command line that made the run."""


@dataclass(frozen=True)
class PublishedRow:
    """One row of a run, ready to be published."""

    key: str
    label: str
    model: str
    """Name of the model in the model-index."""
    numbers: Sequence[PublishedNumber]
    missing: Mapping[str, str]
    """Reason why a metric of the table has no value, by the name of the metric; empty if the reason is unknown."""
    weights: Mapping[str, str]
    """SHA-256 of the row's weight files, by path."""
    run: RunFacts

    @cached_property
    def eval_results(self) -> list[EvalResult]:
        """The numbers as huggingface_hub represents them in a model-index."""
        from huggingface_hub import EvalResult

        task, task_name = TASKS.get(self.run.task, ("image-to-image", "Image to image"))
        dataset = self.run.dataset
        return [
            EvalResult(
                task_type=task,
                task_name=task_name,
                dataset_type=dataset.type,
                dataset_name=dataset.name,
                dataset_split=dataset.split,
                dataset_revision=dataset.revision,
                dataset_args={
                    "manifest_sha256": self.run.manifest,
                    "resolution": self.run.resolution,
                    "subset": self.run.subset,
                },
                metric_type=number.name.type,
                metric_name=number.name.title,
                metric_value=number.entry["value"],
                metric_args=number.args,
            )
            for number in self.numbers
        ]

    @cached_property
    def entries(self) -> list[EvalResultEntry]:
        """The numbers as huggingface_hub represents them in a file of evaluation results."""
        from huggingface_hub import EvalResultEntry

        return [
            EvalResultEntry(
                dataset_id=self.run.dataset.type,
                task_id=number.name.type,
                value=number.entry["value"],
                dataset_revision=self.run.dataset.revision,
                notes=_notes(number, self.run),
            )
            for number in self.numbers
        ]


def files_of(row: PublishedRow) -> dict[str, str]:
    """Return the content of a row's files, by the name of the file.

    The function reads both files again with huggingface_hub, and checks that they contain exactly the row's values.

    Raises:
        BadInputError: huggingface_hub does not read the same values again.
    """
    import yaml
    from huggingface_hub import ModelCardData, eval_result_entries_to_yaml

    data = ModelCardData(model_name=row.model, eval_results=row.eval_results)
    card = f"---\n{data.to_yaml()}\n---\n\n{_body(row)}"
    evaluation = yaml.safe_dump(eval_result_entries_to_yaml(row.entries), sort_keys=False, allow_unicode=True)
    _check(row, card, evaluation)
    return {CARD: card, EVALUATION: evaluation}


def _check(row: PublishedRow, card: str, evaluation: str) -> None:
    """Read both files with huggingface_hub, and raise a `BadInputError` if any value differs from the row's value."""
    import yaml
    from huggingface_hub import ModelCard, parse_eval_result_entries

    data = ModelCard(card).data
    read = {
        CARD: (data.get("model_name"), data.get("eval_results")) == (row.model, row.eval_results),
        EVALUATION: parse_eval_result_entries(yaml.safe_load(evaluation)) == row.entries,
    }
    for name, same in read.items():
        if not same:
            raise BadInputError(
                f"{row.key}/{name}: expected that huggingface_hub reads the values of results.json again, found others"
            )


def _notes(number: PublishedNumber, run: RunFacts) -> str:
    error = number.entry["stderr"]
    known = "" if error is None else f", standard error {error:.6g}"
    return f"{number.name.title}, {number.entry['n']} items{known}, protocol {number.entry['protocol']}, {_at(run)}"


def _at(run: RunFacts) -> str:
    return f"{run.resolution}×{run.resolution} pixels, profile {run.profile}"


def _body(row: PublishedRow) -> str:
    """Return the text that follows the YAML block of the card, in GitHub's Markdown."""
    run = row.run
    task = TASKS[run.task][1].lower() if run.task in TASKS else "images"
    parts = [
        f"# {_text(row.label)}",
        f"asymbench measured the row {_code(row.key)} of the experiment {_code(run.experiment)}: {task} on "
        f"{_text(run.dataset.name)}, {_at(run)}. The numbers come from a finished run whose files match their hashes. "
        "The hub has not verified them.",
        markdown("Results", [_numbers(row)], list(_remarks(row))),
        *_protocol(run.protocol),
        markdown(
            "Items",
            [],
            [f"SHA-256 of the manifest: {run.manifest}", f"Kind of the subset of the data set: {run.subset}"],
        ),
        markdown("Protocols of the metrics", [_protocols(row)], []),
        *_settings(row),
        markdown("Weights", [Grid(["file", "SHA-256"], [[*item] for item in row.weights.items()], left=2)], []),
        markdown("Software", [_versions(run.versions)], [f"Source of asymbench: {run.source}"]),
        "## Command",
        f"    {as_line(run.command)}",
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _numbers(row: PublishedRow) -> Grid:
    lines = []
    for number in row.numbers:
        entry = number.entry
        low, high = entry.get("ci95") or (None, None)
        short = " (too short)" if entry.get("interval_too_short") else ""
        lines.append(
            [
                number.name.title,
                f"`{number.name.type}`",
                {True: "a higher one", False: "a lower one", None: "neither a higher nor a lower one"}[
                    entry["higher_is_better"]
                ],
                f"{_shown(entry['value'])} {number.unit}".strip(),
                _shown(entry["stderr"]),
                "–" if low is None else f"{_shown(low)} to {_shown(high)}{short}",
                str(entry["n"]),
            ]
        )
    heads = ["metric", "identifier", "better value", "value", "standard error", "95 % interval", "items"]
    return Grid(heads, lines, left=3)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _remarks(row: PublishedRow) -> Iterator[str]:
    yield "The YAML block above contains the same values with all digits."
    if row.run.custom:
        yield f"These overrides change the table of the experiment: {', '.join(row.run.custom)}."
    for metric, reason in row.missing.items():
        yield f"{metric} has no value: {reason or 'no reason is given'}."


def _protocol(protocol: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a section with the name and the fields of the run's protocol; nothing if the run has none."""
    if protocol is not None:
        fields = [
            [str(name), "not stated" if value is None else str(value)] for name, value in protocol["fields"].items()
        ]
        name = protocol.get("name") or "without a name"
        yield markdown(f"Protocol {name}", [Grid(["field", "value"], fields, left=2)], [])


def _protocols(row: PublishedRow) -> Grid:
    lines = [[number.name.title, str(number.entry["protocol"])] for number in row.numbers]
    return Grid(["metric", "SHA-256 of the protocol"], lines, left=2)


def _settings(row: PublishedRow) -> Iterator[str]:
    """Yield the settings of each protocol as an indented block of JSON, below the hash of the protocol."""
    for key in dict.fromkeys(str(number.entry["protocol"]) for number in row.numbers):
        text = json.dumps(row.run.protocols[key], indent=1, ensure_ascii=False)
        yield f"{_code(key)} has these settings:"
        yield "\n".join(f"    {as_line(line)}" for line in text.splitlines())


def _versions(versions: Mapping[str, str | None]) -> Grid:
    return Grid(["package", "version"], [[name, found or "not installed"] for name, found in versions.items()], left=2)


def _text(text: str) -> str:
    """Return a text as one line in which Markdown finds no markup."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    return f"`{one_line(text).replace('`', '')}`"
