"""Functions that write files of a run's folder: the table, the manifest, the records, the results and `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas
import torch

from bench.config.experiment_configs import MeasuringConfig, RunConfig
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

__all__ = ["run_facts", "write_manifest", "write_records", "write_results", "write_run", "write_table"]


def write_table(out: Path, texts: Mapping[str, str]) -> None:
    """Write the table of a run as one file for each format, such as `table.md`.

    Args:
        out: folder of the run.
        texts: content of each file, by the file's suffix without a dot.
    """
    for suffix, text in texts.items():
        write_atomically(out / f"table.{suffix}", text)


def write_manifest(out: Path, items: Items) -> None:
    """Write `manifest.json`, the ordered list of the run's items, into the folder `out`."""
    write_json(out / "manifest.json", items.manifest)


def write_records(out: Path, items: Items, scored: Scored) -> pandas.DataFrame:
    """Write `records.parquet`, and return its content.

    It has one line for each item and row, and a column for each metric that has a value for every item.

    Args:
        out: folder of the run.
        items: items of the run.
        scored: arrays of all items.
    """
    lines = items.lines()
    shared = {name: [line[name] for line in lines] for name in ("source", "mask_area")}
    identifiers = [line["id"] for line in lines]
    frames = [
        pandas.DataFrame(
            {
                "item": identifiers,
                "row": row,
                **shared,
                **{name: values for name, values in arrays.items() if values.ndim == 1},
            }
        )
        for row, arrays in scored.rows.items()
    ]
    records = pandas.concat(frames, ignore_index=True)
    write_atomically(out / "records.parquet", records.to_parquet(index=False, write_page_checksum=True))
    return records


def write_results(
    out: Path,
    config: MeasuringConfig,
    resolved: Mapping[str, Any],
    table: Table,
    *,
    items: Items,
    protocols: Mapping[str, Protocol],
    measures: Mapping[str, str],
) -> None:
    """Write `results.json`, which contains the table's numbers, their uncertainty and protocols, and the verdicts.

    Args:
        out: folder of the run.
        config: configuration of the run.
        resolved: the same configuration as plain data.
        table: table with its rows and claims.
        items: items of the run.
        protocols: protocol of each metric, by the metric's full name.
        measures: name of the measure of each metric in the configuration's `metrics.measures`, by the metric.
    """
    rows = []
    for row in table.rows:
        method = resolved["rows"][row.key]["method"] or {}
        rows.append(
            {
                "label": row.label,
                "method": row.key,
                "decoder": portable(method.get("decoder"), config.paths.assets),
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
            "experiment": config.name,
            "table": table.number,
            "profile": config.profile.name,
            "custom": list(table.custom),
            "manifest": items.hash,
            "subset": items.manifest["subset"],
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
    """Return the facts about a run, as plain data, for `run.json` and for the report.

    Args:
        config: configuration of the run.
        resolved: the same configuration as plain data.
        overrides: overrides of the configuration, as they were typed on the command line.
        device: description of the run's device.
        weights: SHA-256 of every weight file, by path.
        facts: further facts by name, which only this kind of run has.
    """
    content = {
        "experiment": config.name,
        "profile": config.profile.name,
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

    It contains the facts, the `status` "complete", and hashes of itself and of other files. The hashes show later
    whether a file was changed.

    Args:
        out: folder of the run.
        facts: result of `run_facts`, possibly with further facts.

    Raises:
        BadInputError: the folder was removed or replaced during the run, so other files may be missing.
    """
    check_claimed(out)
    write_json(out / "run.json", sealed({**facts, "files": file_seals(out), "status": "complete"}))
