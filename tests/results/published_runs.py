"""Runs that may be published: a committed run of the mini profile, relabelled as a run with published networks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.results.hub_metrics import PINNED
from bench.results.run_files import file_seals, sealed

__all__ = ["MINI_RUN", "Change", "change_run", "null_numbers", "publishable_run"]

MINI_RUN = Path(__file__).parents[2] / "reports" / "table2_inpaint_imagenet"
PROTOCOL = {
    "name": "imagenet_3k",
    "fields": {"dataset": "ImageNet", "split": "val", "items": 3000, "resize": None},
    "declared": "imagenet_3k",
    "changed": [],
}
INCEPTION = {"_target_": "bench.metrics.inception.InceptionMeasure", "path": "weights/inception.pth"}
LPIPS = {"_target_": "bench.metrics.lpips.LPIPSMeasure", "backbone": "weights/vgg16.pth"}
Change = Callable[[dict[str, Any], dict[str, Any]], object]
"""Function that changes the content of `results.json` and the content of `run.json` in place."""


def change_run(folder: Path, change: Change, *, seal: bool = True) -> Path:
    """Change the two JSON files of a run, seal them anew unless `seal` is False, and return the folder."""
    results, run = (json.loads((folder / name).read_text()) for name in ("results.json", "run.json"))
    change(results, run)
    (folder / "results.json").write_text(json.dumps(results))
    run = sealed({**run, "files": file_seals(folder)}) if seal else run
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def publishable_run(folder: Path) -> Path:
    """Copy the mini profile's run of Table 2, and relabel it as a run with the paper's metrics and pictures."""
    shutil.copytree(MINI_RUN, folder, ignore=shutil.ignore_patterns("figures"))
    for name in ("results.json", "run.json"):
        (folder / name).write_text((MINI_RUN / name).read_text().replace("${paths.assets}/mini", "weights/mine"))
    return change_run(folder, _relabel)


def _relabel(results: dict[str, Any], run: dict[str, Any]) -> None:
    for content in (results, run):
        content["profile"] = "paper"
    config = run["config"]
    config["metrics"]["name"] = "paper"
    config["metrics"]["measures"] |= {"images": {"measure": INCEPTION}, "lpips": {"measure": LPIPS}}
    config["dataset"]["root"] = config["dataset"]["pictures"]["root"] = "data/imagenet"
    run["weights"] |= {INCEPTION["path"]: PINNED["inception_lama"], LPIPS["backbone"]: PINNED["vgg16"]}
    results["measures"] = {
        metric: "lpips" if metric.startswith("lpips") else measure for metric, measure in results["measures"].items()
    }
    results["protocol"] = PROTOCOL


def null_numbers(row: dict[str, Any]) -> None:
    """Replace each number of a row in `results.json` by null."""
    for entry in row["metrics"].values():
        entry |= {"value": None, "stderr": None, "ci95": None, "protocol": None, "reason": "too few items"}
