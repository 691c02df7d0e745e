"""Tests that every writer names the file that a full disk or a limit stops, and leaves no partial file."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.cli import main
from bench.config.instantiate import make
from bench.data.encoding import write_picture
from bench.data.mini.cocoee import write_cocoee
from bench.data.mini.imagenet import write_imagenet
from bench.data.mini.karpathy import write_karpathy
from bench.data.mini.places import write_places
from bench.errors import BadInputError, outcome
from bench.gate.command import main as compare
from bench.models.checkpoints import save_network
from bench.reporting.figures import draw_lines
from bench.results.run_folder import Results
from bench.runtime.atomic import whole_folder
from bench.store import Fact, Store, content_key
from bench.sweeps.expand import run_sweep
from bench.sweeps.gather import gather
from bench.training.checkpoint import save_checkpoint
from bench.training.curve import Curve
from tests.gate.runs import values, write_run
from tests.helpers.disks import largest_file, left_behind

pytestmark = pytest.mark.blackbox

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
SMALL = 1000
"""Limit in bytes that is below the size of every file in these tests."""


def write_network(folder: Path) -> None:
    with whole_folder(folder / "network") as partial:
        save_network(nn.Linear(64, 64), partial, {"sides": [64, 64]})


def write_curve(folder: Path) -> None:
    with Curve(folder, 0) as curve:
        for step in range(1, 100):
            curve.updated(step, {"loss": 1 / step})


WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "PNG": (lambda folder: write_picture(folder / "a.png", NOISE), "a.png"),
    "JPEG": (lambda folder: write_picture(folder / "a.JPEG", NOISE, quality=95), "a.JPEG"),
    "figure": (lambda folder: draw_lines(folder / "a.png", [("a", [NOISE])], title="a"), "a.png"),
    "drawn ImageNet": (lambda folder: write_imagenet(folder, "val", per_class=1), ".JPEG"),
    "drawn Places": (lambda folder: write_places(folder, "val", pictures=1, seed=0), ".jpg"),
    "drawn COCO": (lambda folder: write_karpathy(folder, "val", images=1), ".jpg"),
    "drawn COCOEE": (lambda folder: write_cocoee(folder, "val", pairs=1), ".png"),
    "checkpoint": (
        lambda folder: save_checkpoint(folder / "a" / "b.pt", {"x": torch.zeros(4096)}, settings=""), "a/b.pt"
    ),
    "network": (write_network, "network"),
    "arrays": (
        lambda folder: Store(folder).put("scores", content_key({}), {"x": np.zeros(4096)}), "scores"
    ),
    "fact": (lambda folder: Fact(folder, {"what": "size"}).remember({"size": "x" * 2000}), ".json"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_names_the_file_that_exceeds_the_size_limit(name: str, tmp_path: Path) -> None:
    write, said = WRITERS[name]
    with largest_file(SMALL), pytest.raises(OSError, match="too large") as failure:
        write(tmp_path)
    found = outcome(failure.value)
    assert found is not None
    assert found[0] == 2
    place, _, words = found[1].partition(": expected permission to write a file of this size")
    assert words
    assert place.startswith(str(tmp_path))
    assert place.endswith(said)
    assert not [path for path in left_behind(tmp_path) if path.is_file()]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size >= SMALL]
    write(tmp_path)


def test_a_curve_resumes_after_half_a_line(tmp_path: Path) -> None:
    with largest_file(SMALL), pytest.raises(OSError, match="too large"):
        write_curve(tmp_path)
    whole = Curve(tmp_path, 10).losses()
    assert whole["step"].tolist() == list(range(1, 11))


def full(folder: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", folder)


def test_a_full_disk_is_reported_while_a_configured_object_is_made(tmp_path: Path) -> None:
    """Hydra wraps what a target raises, at every level of the configuration."""
    node = {"_target_": f"{__name__}.full", "folder": str(tmp_path)}
    for whole in (node, {"_target_": "builtins.dict", "root": node}):
        with pytest.raises(OSError, match="No space left") as failure:
            make(whole, "dataset")
        assert outcome(failure.value) == (
            1, f"{tmp_path}: no space left on the disk; make room, and run the same command again to continue"
        )  # fmt: skip


def test_a_baseline_above_the_size_limit_is_left_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, baseline = write_run(tmp_path / "run", values()), tmp_path / "baseline.json"
    assert compare([str(run), str(baseline), "--update"]) == 0
    before = baseline.read_bytes()
    with largest_file(SMALL):
        assert compare([str(run), str(baseline), "--update"]) == 2
    assert f"bench.compare: {baseline}: expected a file that can be written" in capsys.readouterr().err
    assert baseline.read_bytes() == before
    assert not left_behind(tmp_path)


def test_a_table_of_jobs_above_the_size_limit_is_named(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    job = {"name": "0", "chosen": {"seed": "0"}, "overrides": [], "status": 1, "message": "x" * SMALL}
    (tmp_path / "0" / "job.json").write_text(json.dumps(job))
    with largest_file(SMALL), pytest.raises(OSError, match="too large") as failure:
        gather(tmp_path)
    assert failure.value.filename == str(tmp_path / "sweep.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_a_missing_folder_for_temporary_files_is_reported_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert main(["experiment=table7_architecture_base"]) == 2
    assert "TMPDIR: expected a folder in which temporary files can be written" in capsys.readouterr().err


# --- the folder of a run


def removed(out: Path) -> None:
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    out.rmdir()


def replaced(out: Path) -> None:
    removed(out)
    out.write_text("a file")


def emptied(out: Path) -> None:
    removed(out)
    out.mkdir()


LOSSES = {"removed": removed, "replaced by a file": replaced, "emptied": emptied}


def lost(
    words: list[str], out: Path, at: str, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """See that a run whose folder is lost before it calls `at` has one message, and that it finishes afterwards."""
    module, _, name = at.rpartition(".")
    before: Any = getattr(__import__(module, fromlist=[name]), name)

    def losing(*arguments: Any, **named: Any) -> Any:
        LOSSES[how](out)
        return before(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(at, losing)
        assert main([*words, f"out={out}"]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    (said,) = [line for line in errors.splitlines() if line.startswith("bench: ")]
    assert said.startswith(f"bench: out: expected the folder {out} in which this run started, found that")
    assert not (out / "run.json").exists()
    if out.is_file():
        out.unlink()
    assert main([*words, f"out={out}"]) == 0
    assert (out / "run.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "at"), [("removed", "write_table"), ("replaced by a file", "write_table"), ("emptied", "compare")]
)
def test_a_run_whose_folder_is_lost_ends_with_one_message(
    how: str, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["experiment=table7_architecture_base", "stage=tabulate"]
    lost(words, tmp_path / "out", f"bench.experiments.architecture.{at}", how, monkeypatch, capsys)


@pytest.mark.slow
def test_a_collection_whose_folder_is_lost_ends_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["experiment=all_tables", "experiments=[table7_architecture_base]", "stage=tabulate"]
    lost(words, tmp_path / "out", "bench.experiments.collection.judge_across", "removed", monkeypatch, capsys)


def test_jobs_whose_folder_is_lost_stop_at_once(tmp_path: Path) -> None:
    ran = []

    def run(overrides: list[str]) -> Results:
        ran.append(overrides)
        removed(tmp_path / "out")
        return Results(tmp_path, 0)

    with pytest.raises(BadInputError, match=r"^out: expected the folder .* in which this run started"):
        run_sweep(["a=1,4,9", f"out={tmp_path / 'out'}"], run)
    assert len(ran) == 1
    assert not (tmp_path / "out").exists()
