"""Functions that write files into a run's folder: the table, the manifest, the records, the results and `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas
import torch

from bench.config.experiment_configs import RunConfig
from bench.data.prepared import Items
from bench.metrics.protocol import Protocol
from bench.metrics.scores import Scored
from bench.metrics.summary import Measurement
from bench.results.environment import environment
from bench.results.out_folder import check_claimed
from bench.results.run_files import file_seals, sealed
from bench.results.run_folder import SCHEMA_VERSION, portable
from bench.runtime.files import write_atomically, write_json
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Table, style_of
from bench.tables.effects import Effect
from bench.tables.render import number_as_json

__all__ = [
    "Measured",
    "records_of",
    "run_facts",
    "write_manifest",
    "write_records",
    "write_results",
    "write_run",
    "write_table",
]


def write_table(out: Path, texts: Mapping[str, str], *, name: str = "table") -> None:
    """Write the table of a run as one file for each format, such as `table.md`.

    Args:
        out: folder of the run.
        texts: content of each file, by the file's suffix without a dot.
        name: name of the files without the suffix.
    """
    for suffix, text in texts.items():
        write_atomically(out / f"{name}.{suffix}", text)


def write_manifest(out: Path, items: Items) -> None:
    """Write `manifest.json`, the ordered list of the run's items, into the folder `out`."""
    write_json(out / "manifest.json", items.manifest)


def records_of(ids: Sequence[str], scored: Scored) -> pandas.DataFrame:
    """Return the records, as a table with one line for each pair of an item and a row.

    The table has a column for each metric that is measured on single items, such as `pre_error`, but not for metrics of
    a whole set, such as `fid`. Four more columns identify and describe the line: `item`, `row`, `source` and
    `mask_area`.

    Args:
        ids: identifier of each item.
        scored: arrays of all items, in the order of `ids`.
    """
    shared = {"source": list(scored.sources), "mask_area": scored.mask_area}
    frames = [
        pandas.DataFrame(
            {
                "item": list(ids),
                "row": row,
                **shared,
                **{name: values for name, values in arrays.items() if values.ndim == 1},
            }
        )
        for row, arrays in scored.rows.items()
    ]
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame(columns=["item", "row", *shared])


def write_records(out: Path, records: pandas.DataFrame) -> None:
    """Write the records, as `records_of` returns them, into the file `records.parquet` of the folder `out`."""
    write_atomically(out / "records.parquet", records.to_parquet(index=False, write_page_checksum=True))


@dataclass(frozen=True)
class Measured:
    """The experiment, the items and the rows to which measured numbers belong."""

    experiment: str
    """Name of the experiment."""
    profile: str
    manifest: str
    """SHA-256 of the list of items."""
    subset: str
    """Relation of the items to the paper's; see `bench.data.items.Pictures.subset`."""
    methods: Mapping[str, Mapping[str, Any]]
    """Settings of the method of each row as plain data, by the key of the row. They contain no path of this machine."""
    protocol: Mapping[str, Any] | None = None
    """Protocol of the run; see `bench.evaluation.protocols.RunProtocol.as_json`. None if finished pictures are scored,
    because it is not known how they were made square."""


def write_results(
    out: Path,
    measured: Measured,
    table: Table,
    *,
    protocols: Mapping[str, Protocol],
    measures: Mapping[str, str],
) -> None:
    """Write `results.json`, which contains the table's numbers, their uncertainty and protocols, and the verdicts.

    Args:
        out: folder of the run.
        measured: experiment, items and rows to which the numbers belong.
        table: table with its rows and claims.
        protocols: protocol of each metric, by the metric's full name.
        measures: key of each metric's measure in the setting `metrics.measures`, by the metric's name.
    """
    rows = []
    for row in table.rows:
        method = measured.methods.get(row.key, {})
        rows.append(
            {
                "label": row.label,
                "method": row.key,
                "decoder": method.get("decoder"),
                "conditioned": method.get("conditioned"),
                "cited": row.cited,
                "origin": row.origin,
                "beside": row.beside,
                "metrics": {
                    metric: _as_json(metric, row.measured.get(metric), protocols.get(metric), row.published, table)
                    | ({"best": True} if table.best.get(metric) == row.key else {})
                    for metric in dict.fromkeys([*row.measured, *row.published])
                },
            }
        )
    write_json(
        out / "results.json",
        {
            "schema_version": SCHEMA_VERSION,
            "experiment": measured.experiment,
            "table": table.number,
            "profile": measured.profile,
            "custom": list(table.custom),
            "manifest": measured.manifest,
            "subset": measured.subset,
            **({} if measured.protocol is None else {"protocol": dict(measured.protocol)}),
            "protocols": {protocol.hash: protocol.settings for protocol in protocols.values()},
            "measures": dict(measures),
            "notes": list(table.notes),
            "columns": [
                {"metric": column.metric, "title": column.title, "published_title": column.published_title or None}
                for column in table.columns
            ],
            "readings": [
                {"metric": column.metric, "title": column.title, "published_title": column.published_title or None}
                for column in table.readings
            ],
            "beside": [
                {"metric": metric, "title": style.title, "unit": style.unit, "scale": style.scale}
                for metric in table.beside
                if (style := style_of(metric, table.styles)) is not None
            ],
            "reference": table.reference or None,
            "rows": rows,
            "effects": {metric: [_effect(effect) for effect in effects] for metric, effects in table.effects.items()},
            "claims": [asdict(verdict) for verdict in table.claims],
        },
    )


def _effect(effect: Effect) -> dict[str, Any]:
    measured, designs = effect.measured, effect.designs
    if isinstance(measured, NotAvailable):
        return {"name": effect.name, "value": None, "reason": measured.reason}
    found = {
        "name": effect.name,
        "value": measured.value,
        "stderr": measured.stderr,
        "ci95": measured.ci95,
        "effective_sources": measured.effective_sources,
    }
    return found | {"designs": {"reason": designs.reason} if isinstance(designs, NotAvailable) else asdict(designs)}


def _as_json(
    metric: str, found: Measurement | None, protocol: Protocol | None, printed: Mapping[str, float], table: Table
) -> dict[str, Any]:
    published = printed.get(metric)
    if found is None:
        found = Measurement(None, reason="published by others, not measured here")
    entry = {**number_as_json(metric, found, protocol, table.styles), "published": published}
    if published is not None and metric in table.published_units:
        entry["published_unit"] = table.published_units[metric]
    if found.reason:
        entry["reason"] = found.reason
    if found.stderr_reason:
        entry["stderr_reason"] = found.stderr_reason
    if isinstance(found.ratio, Measurement):
        entry["reference_over_value"] = found.ratio.value
        entry["reference_over_value_ci95"] = found.ratio.ci95
        entry["reference_over_value_effective_sources"] = found.ratio.effective_sources
        if found.ratio.stderr_reason:
            entry["reference_over_value_reason"] = found.ratio.stderr_reason
    elif found.ratio is not None:
        entry["reference_over_value"] = found.ratio.reason
    if found.difference is not None:
        entry["difference_to_reference"] = {
            "value": found.difference.value,
            "ci95": found.difference.ci95,
            "effective_sources": found.difference.effective_sources,
            "p_holm": found.p_holm,
        }
    return entry


def run_facts(
    config: RunConfig,
    resolved: Mapping[str, Any],
    overrides: Sequence[str],
    *,
    device: str,
    weights: Mapping[str, str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return plain data that describe a run, for `run.json` and for the report.

    The data also contain the result of `environment`. They contain no path of the assets folder.

    Args:
        config: configuration of the run.
        resolved: the same configuration as plain data.
        overrides: overrides of the configuration, as they were typed on the command line.
        device: description of the run's device.
        weights: SHA-256 of every weight file, by path.
        facts: further data that not every experiment has, such as `lineage`, by name.
    """
    content = {
        "experiment": config.name,
        "profile": config.profile.name,
        "started": config.started,
        "overrides": list(overrides),
        "config": resolved,
        "device": device,
        "threads": torch.get_num_threads(),
        "seed": config.seed,
        "weights": weights,
        **facts,
    }
    return {**portable(content, config.paths.assets), **environment()}


def write_run(out: Path, facts: Mapping[str, Any]) -> None:
    """Write `run.json`, the last file of a run.

    The file contains `facts`, the `status` "complete", a hash of its own content, and the hashes of the files that
    `SEALED_FILES` lists. With the hashes, later commands can find out whether a file was changed.

    Args:
        out: folder of the run.
        facts: result of `run_facts`, possibly with further data.

    Raises:
        BadInputError: the folder was removed or replaced during the run, so other files may be missing.
    """
    check_claimed(out)
    write_json(out / "run.json", sealed({**facts, "files": file_seals(out), "status": "complete"}))
