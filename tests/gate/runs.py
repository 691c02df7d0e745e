"""Runs as a table's experiment leaves them, made up from values of items."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from bench.metrics.protocol import Protocol
from bench.metrics.uncertainty import mean_estimate, standard_error

ITEMS = 40
EXPERIMENT = "table2_inpaint_imagenet"
Values = Mapping[str, Mapping[str, Any]]
"""By row and metric, a value of each item; None for none measured."""


def values(seed: int = 0) -> dict[str, dict[str, Any]]:
    """Two rows of two metrics."""
    generator = np.random.default_rng(seed)
    return {
        row: {"lpips": 1 + 0.1 * generator.random(ITEMS), "inception_score": 5 + generator.random(ITEMS)}
        for row in ("stablediffusion", "mine")
    }


def write_run(
    folder: Path,
    measured: Values,
    *,
    experiment: str = EXPERIMENT,
    manifest: str = "a" * 64,
    splits: int = 10,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    influences: bool = True,
) -> Path:
    """Write `results.json`, `influences.parquet` and `run.json`."""
    folder.mkdir(parents=True)
    metrics = list(next(iter(measured.values())))
    protocols = {metric: Protocol.of({"metric": metric, "measure": {"splits": splits}}) for metric in metrics}
    rows, frames = [], []
    for row, found in measured.items():
        entries, columns = {}, {}
        for metric, items in found.items():
            entry: dict[str, Any] = {"higher_is_better": metric == "inception_score", "stderr": None, "n": 0}
            if items is None:
                entry |= {"value": None, "protocol": None, "reason": "too few items"}
            else:
                estimate = mean_estimate(items)
                columns[f"influence.{metric}"] = estimate.influence.astype(np.float32)
                entry |= {"value": estimate.value, "protocol": protocols[metric].hash, "n": len(items)}
                entry["stderr"] = standard_error(estimate.influence)
            entries[metric] = entry
        names = [str(number) for number in range(ITEMS)]
        frames.append(pandas.DataFrame({"item": names, "row": row, "source": names, **columns}))
        rows.append({"method": row, "label": row, "origin": "native", "metrics": entries})
    rows.append({"method": "cited", "label": "Cited", "origin": "published", "metrics": {}})
    results = {
        "schema_version": 1, "experiment": experiment, "profile": "mini", "custom": [], "manifest": manifest,
        "protocols": {protocol.hash: protocol.settings for protocol in protocols.values()}, "rows": rows,
        "columns": [{"metric": metric} for metric in metrics],
    }  # fmt: skip
    run = {
        "experiment": experiment, "manifest": manifest, "config": {"table": {"columns": metrics}},
        "costs": costs or {}, "status": "complete",
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    if influences:
        pandas.concat(frames).to_parquet(folder / "influences.parquet", index=False)
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def change_json(path: Path, **changes: Any) -> None:
    """Write some keys of a JSON file anew."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
