"""Tests that a table does not depend on the number of processes or the batch size, except for rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from tests.helpers import torchrun

ROOT = Path(__file__).parents[2]
ITEMS = 130
"""Three blocks, so that each of three processes has something to do."""
TWO_BLOCKS = 66


def overrides(folder: Path, *more: str, items: int = ITEMS) -> list[str]:
    """Return the overrides of Table 2 on some items."""
    words = ["experiment=table2_inpaint_imagenet", f"limit={items}", "generator.steps=2", "device=cpu"]
    words += ["row=[stablediffusion,base_mask]", "profile.fid_minimum=64", "stage=tabulate"]
    words += [f"paths.store={folder / 'store'}", f"paths.data={folder.parent / 'data'}", f"out={folder / 'out'}"]
    return [*words, *more]


def command(folder: Path, *more: str, processes: int = 1, items: int = ITEMS) -> list[str]:
    """Return the command of Table 2 on some items."""
    return [*torchrun.launcher(processes), "-m", "bench", *overrides(folder, *more, items=items)]


def table(folder: Path, *, processes: int = 1, batch_size: int = 16, items: int = ITEMS) -> dict[str, Any]:
    """Run Table 2, in this process if it needs only one, and return `run.json` and the numbers by row and metric."""
    if processes == 1:
        assert main(overrides(folder, f"batch_size={batch_size}", items=items)) == 0
    else:
        torchrun.run(command(folder, f"batch_size={batch_size}", processes=processes, items=items))
    return written(folder)


def written(folder: Path) -> dict[str, Any]:
    """Return `run.json` of a run, and its numbers by row and metric."""
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


@pytest.mark.property
@pytest.mark.slow
@pytest.mark.parametrize(("processes", "items"), [(2, TWO_BLOCKS), (3, ITEMS)])
def test_several_processes_share_the_items_and_give_one_table(tmp_path: Path, processes: int, items: int) -> None:
    expected = table(tmp_path / "alone", items=items)
    found = table(tmp_path / "together", processes=processes, items=items)
    assert found["run"]["latents"] == {"sampled": items, "stored": 0}
    same(expected, found)


@pytest.mark.property
@pytest.mark.slow
def test_a_fresh_run_of_two_processes_makes_everything_again(alone: tuple[Path, dict[str, Any]]) -> None:
    folder, expected = alone
    torchrun.run(command(folder / "fresh", "stage=sample", processes=2))
    torchrun.run(command(folder / "fresh", "batch_size=16", "fresh=true", processes=2))
    found = written(folder / "fresh")
    assert found["run"]["latents"] == {"sampled": ITEMS, "stored": 0}
    same(expected, found)


@pytest.mark.property
@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_batch_size_changes_no_number(alone: tuple[Path, dict[str, Any]], batch_size: int) -> None:
    folder, expected = alone
    same(expected, table(folder / f"batch_{batch_size}", batch_size=batch_size))


DYING = """
import os, signal
from bench.generation.decoding import Decoded

class Dying(Decoded):
    \"\"\"A decoder of several items that ends the second process.\"\"\"

    def __call__(self, batch):
        if os.environ.get("RANK") == "1" and len(batch.ids) > 1:  # the check on one item passes
            if os.environ["HOW"] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("this process broke")
        return super().__call__(batch)
"""


@pytest.mark.blackbox
@pytest.mark.slow
@pytest.mark.parametrize("how", ["broken", "killed"])
def test_a_dead_process_ends_the_run_and_any_number_resumes_it(
    alone: tuple[Path, dict[str, Any]], tmp_path: Path, how: str
) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    folder = alone[0] / how
    row = ["rows.base_mask.method._target_=dying.Dying"]
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    line = command(folder, *row, processes=2)
    env = torchrun.environment(PYTHONPATH=path, HOW=how)
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    if how == "broken":
        first = done.stderr.index("Traceback")
        assert "RuntimeError: this process broke" in done.stderr[first:].split("Traceback")[1]
    else:
        assert "Signal 9 (SIGKILL)" in done.stderr
    left = [text for text in ("another process ended", "asked to end") if text in done.stderr]
    assert left, "the other process has said nothing"
    assert not (folder / "out" / "run.json").exists()
    found = table(folder, processes=3 if how == "broken" else 1)
    assert found["run"]["latents"] == {"sampled": 0, "stored": ITEMS}
    same(alone[1], found)


SLOW = """
import functools, os, time
from datetime import timedelta
from torch import distributed
from bench.generation.decoding import Decoded

distributed.init_process_group = functools.partial(distributed.init_process_group, timeout=timedelta(seconds=10))

class Slow(Decoded):
    \"\"\"A decoder that needs longer in one process, once, than the processes would wait for each other.\"\"\"

    waited = False

    def __call__(self, batch):
        if os.environ.get("RANK") == "1" and len(batch.ids) > 1 and not Slow.waited:  # the check on one item is quick
            Slow.waited = True
            time.sleep(25)
        return super().__call__(batch)
"""


@pytest.mark.property
@pytest.mark.slow
def test_a_slow_process_holds_up_no_other_longer_than_its_block(
    alone: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    folder = alone[0] / "slow"
    line = command(folder, "rows.base_mask.method._target_=slow.Slow", processes=2)
    torchrun.run(line, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")
    same(alone[1], written(folder))


LEAVING = """
import torch
from bench.runtime.distributed import World

world = World.join(torch.device("cpu"))
assert world.all_reduce_sum(1, torch.device("cpu")) == 2
"""


@pytest.mark.property
@pytest.mark.slow
def test_processes_that_have_joined_end_without_an_abort() -> None:
    """Before processes left each other at their end, about one of thirteen was aborted."""
    for _ in range(25):
        with socket.socket() as tried:
            tried.bind(("127.0.0.1", 0))
            port = str(tried.getsockname()[1])
        places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        pair = [
            subprocess.Popen([sys.executable, "-c", LEAVING], env=torchrun.environment(**places, RANK=str(rank)))
            for rank in (0, 1)
        ]
        assert [process.wait(timeout=300) for process in pair] == [0, 0]
