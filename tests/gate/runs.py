"""Make synthetic runs from item values with the files of a table's experiment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from bench.metrics.protocol import Protocol
from bench.metrics.uncertainty import mean_estimate, standard_error
from bench.results.run_files import file_seals, sealed

ITEMS = 40
EXPERIMENT = "table2_inpaint_imagenet"
PROTOCOL = {
    "dataset": "COCO 2017",
    "split": "val",
    "items": 5000,
    "resolution": 256,
    "resize": "shorter side, bicubic",
    "crop": "center",
    "reference": "the same crops",
    "features": "Inception",
    "rounding": "uint8 RGB, truncated",
}
"""Fields of a run's protocol."""
Values = Mapping[str, Mapping[str, Any]]
"""Values of each item by row and metric; None if nothing was measured."""


def values(seed: int = 0) -> dict[str, dict[str, Any]]:
    """Return values of two rows and two metrics."""
    generator = np.random.default_rng(seed)
    return {
        row: {"lpips": 1 + 0.1 * generator.random(ITEMS), "inception_score": 5 + generator.random(ITEMS)}
        for row in ("stablediffusion", "mine")
    }


@dataclass
class RunFiles:
    """The files `results.json`, `influences.parquet` and `run.json` of a run."""

    measured: Values
    """Values of the items, by row and metric."""
    experiment: str = EXPERIMENT
    """Name of the experiment."""
    manifest: str = "a" * 64
    """Hash of the items."""
    splits: int = 10
    """A setting of every protocol."""
    costs: Mapping[str, Mapping[str, float]] | None = None
    """Costs of each row."""
    influences: bool = True
    """Whether the influences are written."""
    changes: Mapping[str, Any] | None = None
    """Keys of `run.json` that differ from the usual ones."""
    protocol: Mapping[str, Any] | None = None
    """Fields of the run's protocol; None if the run has none, like runs of older versions."""
    seals: bool = False
    """Whether `run.json` has hashes of the files, as runs leave it; without them tests can change the files."""

    def write(self, folder: Path) -> Path:
        """Write the files into a new folder, and return it."""
        folder.mkdir(parents=True)
        metrics = list(next(iter(self.measured.values())))
        protocols = {metric: Protocol.of({"metric": metric, "measure": {"splits": self.splits}}) for metric in metrics}
        rows, frames = [], []
        for row, found in self.measured.items():
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
            "schema_version": 1,
            "experiment": self.experiment,
            "profile": "mini",
            "custom": [],
            "manifest": self.manifest,
            "protocols": {protocol.hash: protocol.settings for protocol in protocols.values()},
            "rows": rows,
            "columns": [{"metric": metric} for metric in metrics],
        }
        if self.protocol is not None:
            entry = {"name": None, "fields": dict(self.protocol), "declared": None, "changed": []}
            results["protocol"] = entry
        run = {
            "experiment": self.experiment,
            "manifest": self.manifest,
            "costs": self.costs or {},
            "status": "complete",
            "profile": "mini",
            "seed": 0,
            "custom": [],
            "weights": {"unet/weights": "d" * 64},
            "config": {
                "rows": {row: {"method": {}} for row in self.measured},
                "controls": [],
                "table": {"columns": metrics},
                "generator": {"pipeline": "unet", "steps": 20},
            },
            **(self.changes or {}),
        }
        (folder / "results.json").write_text(json.dumps(results))
        if self.influences:
            pandas.concat(frames).to_parquet(folder / "influences.parquet", index=False)
        if self.seals:
            run = sealed({**run, "files": file_seals(folder)})
        (folder / "run.json").write_text(json.dumps(run))
        return folder


def write_run(folder: Path, measured: Values, **options: Any) -> Path:
    """Write the files of a run; the options are fields of `RunFiles`."""
    return RunFiles(measured, **options).write(folder)


def change_json(path: Path, **changes: Any) -> None:
    """Write some keys of a JSON file anew."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
