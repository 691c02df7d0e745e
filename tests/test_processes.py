"""The same table whatever the number of processes and the batch size, to the networks' own rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ITEMS = 70
"""More than one block, so that two processes have something to share."""


def table(folder: Path, *, processes: int = 1, batch_size: int = 16) -> dict[str, Any]:
    """Table 2 on some items by the command, from an empty store; returns `run.json` and, by row and metric, numbers."""
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    words = ["bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2", "device=cpu"]
    words += [f"batch_size={batch_size}", "row=[stablediffusion,base_mask]", "profile.fid_minimum=64"]
    words += [f"paths.store={folder / 'store'}", f"paths.data={folder.parent / 'data'}", f"out={folder / 'out'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launcher, *words], env=environment, check=True, capture_output=True, timeout=600)
    results = json.loads((folder / "out" / "results.json").read_text())
    numbers = {(row["method"], metric): entry for row in results["rows"] for metric, entry in row["metrics"].items()}
    return {"run": json.loads((folder / "out" / "run.json").read_text()), "numbers": numbers}


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["numbers"].keys() == other["numbers"].keys()
    measured = 0
    for key, entry in one["numbers"].items():
        row, metric = key
        # A difference of two steps is as near as the steps are.
        least = 1e-4 * one["numbers"][row, "border_step"]["value"] if metric == "border_excess" else 1e-9
        for figure in ("value", "stderr"):
            if entry[figure] is not None:
                assert other["numbers"][key][figure] == pytest.approx(entry[figure], rel=1e-4, abs=least), (key, figure)
                measured += 1
    assert measured > 20


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    return folder, table(folder / "alone")


def test_two_processes_share_the_items_and_give_one_table(alone: tuple[Path, dict[str, Any]]) -> None:
    folder, expected = alone
    found = table(folder / "two", processes=2)
    assert found["run"]["latents"] == {"sampled": ITEMS, "stored": 0}
    same(expected, found)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_the_batch_size_changes_no_number(alone: tuple[Path, dict[str, Any]], batch_size: int) -> None:
    folder, expected = alone
    same(expected, table(folder / f"batch_{batch_size}", batch_size=batch_size))
