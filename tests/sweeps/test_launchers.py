"""Tests of sweeps by launchers: four jobs share one store, and a dead one does not stop the others."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas
import pytest
from filelock import SoftFileLease

import bench
from bench.errors import BadInputError
from bench.sweeps.jobs import Job
from bench.sweeps.launchers import launcher_of

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]  # they need the extra `cluster`

ROOT = Path(bench.__file__).parents[1]
JOB = Job("0", {}, ["experiment=table2_inpaint_imagenet"])
ITEMS, BLOCK = 256, 64
DECODERS = ("base", "large", "large_x2", "vanilla_finetuned")
LAUNCHERS = {"submitit_local": [], "ray": ["hydra.launcher.ray.init.num_cpus=4"]}


def test_a_launcher_keeps_its_types_with_our_values() -> None:
    slurm = launcher_of(["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"], JOB)
    assert slurm is not None
    assert (slurm.partition, slurm.gpus_per_node, slurm.additional_parameters) == ("gpu", 1, {"requeue": True})
    assert launcher_of(["hydra/launcher=basic"], JOB) is None
    assert launcher_of([], JOB) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hydra/launcher=nowhere"], "expected one of ray, submitit_local, submitit_slurm"),
        (["hydra/launcher=submitit_local", "hydra.launcher.gpus=1"], r"hydra\.launcher\.gpus: no such key"),
        (
            ["hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=much"],
            r"hydra\.launcher\.mem_gb: expected a whole number, found much",
        ),
    ],
)
def test_an_invalid_launcher_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        launcher_of(words, JOB)


def sweep(folder: Path, *words: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "-m", *words, "experiment=sweep_decoder_size", f"decoder={','.join(DECODERS)}",
        "row=[stablediffusion,decoder_nomask]", f"limit={ITEMS}", "generator.steps=2",
        "profile.fid_minimum=64", "costs=false", "device=cpu",
        f"paths.store={folder / 'store'}", f"paths.data={folder.parent / 'data'}", f"out={folder / 'out'}",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


SBATCH = """#!/bin/sh
cp "$1" {folder}/submitted.sh
echo Submitted batch job 12
"""
SQUEUE = """#!/bin/sh
for task in 0 1 2 3; do echo "12_$task OUT_OF_MEMORY"; done
"""


def test_slurm_receives_the_resources_and_dead_jobs_are_named(tmp_path: Path) -> None:
    """Programs with Slurm's names accept all arguments and run nothing."""
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("srun", "#!/bin/sh\n"), ("scancel", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    line = sweep(tmp_path, "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(line, capture_output=True, text=True, env={**environment(), "PATH": path}, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    asked = (tmp_path / "submitted.sh").read_text()
    for flag in (
        "array=0-3%4", "gpus-per-node=1", "cpus-per-task=8", "mem=48GB", "time=1440", "requeue", "partition=gpu",
        "signal=USR2@120",
    ):  # fmt: skip
        assert f"#SBATCH --{flag}\n" in asked
    table = pandas.read_csv(tmp_path / "out" / "sweep.csv")
    assert table["decoder"].tolist() == list(DECODERS)
    assert table["failed"].str.startswith("the job's process was killed for lack of memory").all()


def latents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return times and inode numbers of all shards; a rewritten shard has others."""
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in (folder / "store" / "latents").rglob("*.safetensors")
    }


def counts(folder: Path) -> list[dict[str, int]]:
    return [json.loads(path.read_text())["latents"] for path in sorted((folder / "out").glob("*/run.json"))]


def table(folder: Path) -> pandas.DataFrame:
    """Return the table without measured times."""
    return pandas.read_csv(folder / "out" / "sweep.csv").drop(columns="seconds_per_image")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of equal jobs that run one after the other."""
    folder = tmp_path_factory.mktemp("sweeps") / "alone"
    subprocess.run(sweep(folder), check=True, capture_output=True, env=environment())
    return folder


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_four_simultaneous_jobs_sample_each_item_once(alone: Path, launcher: str) -> None:
    folder = alone.parent / launcher
    line = sweep(folder, f"hydra/launcher={launcher}", *LAUNCHERS[launcher])
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=900)
    assert done.returncode == 0, done.stderr
    assert sum(found["sampled"] for found in counts(folder)) == ITEMS
    assert [sum(found.values()) for found in counts(folder)] == [ITEMS] * len(DECODERS)
    pandas.testing.assert_frame_equal(table(folder), table(alone), check_exact=True)


@pytest.mark.parametrize(
    ("launcher", "number"),
    [("submitit_local", signal.SIGKILL), ("submitit_local", signal.SIGUSR2), ("ray", signal.SIGKILL)],
    ids=["submitit_local", "submitit_local, preempted", "ray"],
)
def test_a_killed_or_preempted_job_loses_at_most_one_block(alone: Path, launcher: str, number: signal.Signals) -> None:
    folder = alone.parent / f"{launcher}_{number.name}"
    line = sweep(folder, f"hydra/launcher={launcher}", *LAUNCHERS[launcher])
    process: subprocess.Popen[Any] = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        before = stopped_while_it_samples(folder, process, number)
        _, errors = process.communicate(timeout=900)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in errors
    after = latents(folder)
    assert len(after) == ITEMS // BLOCK
    assert before.items() <= after.items()  # nothing that was there was made again
    assert ITEMS - BLOCK * len(before) <= sum(found["sampled"] for found in counts(folder)) <= ITEMS
    found, expected = table(folder), table(alone)
    if launcher == "ray" or number == signal.SIGUSR2:  # the job is tried again
        assert process.returncode == 0
        pandas.testing.assert_frame_equal(found, expected, check_exact=True)
        return
    assert process.returncode == 1
    (dead,) = found.index[found["failed"].notna()]
    assert found["failed"][dead].startswith("the job's process was killed")
    lost = found["decoder"][dead]
    shared = [name for name in expected if name in found]
    assert set(expected) - set(found) <= {"failed"}
    pandas.testing.assert_frame_equal(
        found[shared].drop(index=dead).reset_index(drop=True),
        expected[expected["decoder"] != lost][shared].reset_index(drop=True),
        check_exact=True,
        check_dtype=False,
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_ends_its_jobs_and_can_be_resumed(
    alone: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Ctrl-C goes to all processes of a terminal, SIGTERM to the command alone."""
    line = sweep(tmp_path, "hydra/launcher=submitit_local", f"paths.data={alone.parent / 'data'}")
    process = subprocess.Popen(
        line,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 600
        while not latents(tmp_path):
            assert process.poll() is None, "it ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, errors = process.communicate(timeout=120)  # which ends only when no job holds the pipe any more
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    assert "run the same command again to continue from here" in errors
    assert not [path for kind in ("lease", "partial") for path in (tmp_path / "store").rglob(f"*.{kind}")]
    assert not list((tmp_path / "out").glob("*/run.json"))
    there = latents(tmp_path)
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=900)
    assert done.returncode == 0, done.stderr
    assert there.items() <= latents(tmp_path).items()  # nothing that was there was made again
    pandas.testing.assert_frame_equal(table(tmp_path), table(alone), check_exact=True)


def stopped_while_it_samples(
    folder: Path, process: subprocess.Popen[Any], number: signal.Signals
) -> dict[Path, tuple[int, int]]:
    """Signal the first job that holds a block when a shard exists, and return the shards of that time."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before one could be stopped"
        there = latents(folder)
        for path in (folder / "store" / "latents").rglob("*.lease") if there else ():
            holder = SoftFileLease(path).pid
            if holder is not None:
                os.kill(holder, number)
                return latents(folder)
        time.sleep(0.02)
    raise AssertionError("no block was worked on")
