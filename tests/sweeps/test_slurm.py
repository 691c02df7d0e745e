"""Tests of sweeps and of the documented script on a real Slurm cluster of two nodes, which runs on this machine.

Needs Slurm and MUNGE, as Debian's packages install them, and root; without them the tests fail.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from tests.helpers.slurm_cluster import SlurmCluster, slurm_cluster
from tests.helpers.sweeps import ITEMS, ROOT, environment, latents_of, shards, started, starts, sweep, table, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

LAUNCHER = ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu")
"""The launcher with the resources of its own file: a GPU, eight processors and 48 GB for each job."""
OUT_OF_TIME = ("hydra.launcher.timeout_min=10",)
"""A time so short that submitit takes every warning of Slurm for the end of the time, and not for a preemption."""
SECONDS = 900


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as running:
        yield running


def array_of(errors: str) -> str:
    """Return the id of the array, from the first line of what the command printed on stderr."""
    found = re.match(r"3 jobs were submitted \((\d+)_0, \1_1, \1_2\); their logs are in (.*)\n", errors)
    assert found, errors
    return found[1]


def log_of(folder: Path, array: str, job: int) -> str:
    return (folder / "out" / ".logs" / f"{array}_{job}" / f"{array}_{job}_0_log.err").read_text()


def assert_same_rows(found: pandas.DataFrame, expected: pandas.DataFrame, jobs: set[int]) -> None:
    """Assert that the rows of some jobs are equal to the last digit."""
    shared = [name for name in expected if name in found]
    assert set(expected) - set(found) <= {"failed"}
    one, other = (frame[frame["job"].isin(jobs)][shared].reset_index(drop=True) for frame in (found, expected))
    assert set(one["job"]) == jobs
    pandas.testing.assert_frame_equal(one, other, check_exact=True, check_dtype=False)


def is_in_the_middle(folder: Path) -> bool:
    """Return True if all jobs have started to run, and a block is in the store."""
    logs = (folder / "out" / ".logs").rglob("*_log.err")
    return bool(shards(folder)) and sum(starts(path.read_text()) for path in logs) == 3


def newest_array(cluster: SlurmCluster) -> str:
    """Return the id of the array that was submitted last."""
    return max((name.partition("_")[0] for name in cluster.states()), key=int)


def cancel(cluster: SlurmCluster, job: str) -> None:
    """Cancel a running job, which must not finish first."""
    cluster.process_of(job).suspend()  # until Slurm ends it
    cluster.call("scancel", job)


def let_time_run_out(cluster: SlurmCluster, job: str) -> None:
    """Shorten the time of a running job, so that Slurm warns it within half a minute that its time ends."""
    cluster.process_of(job).suspend()  # until Slurm warns it, which also lets it continue
    cluster.call("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes_of(cluster, job) + 2}")


def minutes_of(cluster: SlurmCluster, job: str) -> int:
    """Return how long a job has run, in whole minutes of its first hour."""
    minutes, _, _ = cluster.call("squeue", "--noheader", f"--jobs={job}", "--format=%M").strip().partition(":")
    return int(minutes)


def test_a_sweep_gives_the_table_of_one_without_a_launcher(cluster: SlurmCluster, without_launcher: Path) -> None:
    folder = without_launcher.parent / "slurm_undisturbed"
    line = sweep(folder, *LAUNCHER)
    done = subprocess.run(line, capture_output=True, text=True, env=cluster.environment(environment()), timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    array = array_of(done.stderr)
    assert len(done.stderr.splitlines()) == 1, "it said more than what runs"
    assert "submitit" not in done.stdout
    pandas.testing.assert_frame_equal(table(folder), table(without_launcher), check_exact=True)
    assert sum(latents_of(folder, job)["sampled"] for job in range(3)) == ITEMS
    assert [f"score {ITEMS}/{ITEMS}" in log_of(folder, array, job) for job in range(3)] == [True] * 3
    hosts = {re.search(r"hostname=(\w+)", path.read_text()) for path in (folder / "out" / ".logs").rglob("*_log.out")}
    assert {found and found[1] for found in hosts} == {"n1", "n2"}


def test_a_requeued_job_continues_and_lost_jobs_are_named(cluster: SlurmCluster, without_launcher: Path) -> None:
    """Job 0 is requeued, job 1 is cancelled, and job 2 runs out of time and may not start again."""
    folder = without_launcher.parent / "slurm_lost"
    line = sweep(folder, *LAUNCHER, *OUT_OF_TIME, "hydra.launcher.max_num_timeout=0")
    with started(line, cluster.environment(environment())) as process:
        wait_for(lambda: is_in_the_middle(folder), process)
        before, array = shards(folder), newest_array(cluster)
        cluster.call("scontrol", "requeue", f"{array}_0")
        cancel(cluster, f"{array}_1")
        let_time_run_out(cluster, f"{array}_2")
        output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, errors
    assert array_of(errors) == array
    assert before.items() <= shards(folder).items()  # nothing that was there was made again
    assert latents_of(folder, 0)["stored"] > 0
    assert "DUE TO JOB REQUEUE" in log_of(folder, array, 0)
    assert [starts(log_of(folder, array, job)) for job in range(3)] == [2, 1, 1]
    found = table(folder)
    assert_same_rows(found, table(without_launcher), {0})
    reasons = dict(zip(found["job"], found["failed"], strict=True))
    log = folder / "out" / ".logs" / f"{array}_1" / f"{array}_1_0_log.err"
    assert reasons[1] == f"the job was cancelled (Slurm: CANCELLED); its log is {log}"
    assert reasons[2].startswith("the job ran out of time (hydra.launcher.timeout_min) and was not queued again")
    assert errors.splitlines()[1:] == [f"job 1: {reasons[1]}"]
    assert "submitit" not in output


def test_a_job_out_of_time_starts_again_and_continues(cluster: SlurmCluster, without_launcher: Path) -> None:
    folder = without_launcher.parent / "slurm_out_of_time"
    with started(sweep(folder, *LAUNCHER, *OUT_OF_TIME), cluster.environment(environment())) as process:
        wait_for(lambda: is_in_the_middle(folder), process)
        job = f"{newest_array(cluster)}_0"
        let_time_run_out(cluster, job)
        wait_for(lambda: cluster.states()[job] == "PENDING", process)
        cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=10")
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert len(errors.splitlines()) == 1
    log = log_of(folder, array_of(errors), 0)
    assert "this job is timed-out" in log
    assert "Traceback" not in log
    assert starts(log) == 2
    assert latents_of(folder, 0)["stored"] > 0
    pandas.testing.assert_frame_equal(table(folder), table(without_launcher), check_exact=True)


def test_jobs_of_a_stopped_command_continue_and_are_gathered_later(
    cluster: SlurmCluster, without_launcher: Path
) -> None:
    """Job 1 is cancelled while no command waits for it."""
    folder = without_launcher.parent / "slurm_stopped"
    with started(sweep(folder, *LAUNCHER), cluster.environment(environment())) as process:
        wait_for(lambda: is_in_the_middle(folder), process)
        array = newest_array(cluster)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert array_of(errors) == array
    assert errors.splitlines()[1:] == [
        f"the jobs continue to run; `scancel {array}` ends them",
        f"when all jobs have ended, `python -m bench.gather {folder / 'out'}` makes their table",
        "bench: asked to end (SIGTERM); run the same command again to continue from here",
    ]
    assert not (folder / "out" / "sweep.csv").exists()
    cancel(cluster, f"{array}_1")
    wait_for(lambda: {cluster.states()[f"{array}_{job}"] for job in range(3)} <= {"COMPLETED", "CANCELLED"})
    line = [sweep(folder)[0], "-m", "bench.gather", str(folder / "out")]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=SECONDS)
    assert done.returncode == 2
    assert done.stderr.startswith("bench.gather: job 1: ")
    assert_same_rows(table(folder), table(without_launcher), {0, 2})


SMALL = "limit=130 generator.steps=2 row=[stablediffusion,base_mask] profile.fid_minimum=64 stage=tabulate device=cpu"
REPLACED = {"--nproc-per-node=4": "--nproc-per-node=1", "profile=paper": SMALL}
"""What differs from the script of docs/cluster.md, besides the folder /shared."""


def test_the_documented_script_runs_torchrun_on_two_nodes(cluster: SlurmCluster, without_launcher: Path) -> None:
    shared = without_launcher.parent / "shared"
    shared.mkdir()
    page = (ROOT / "docs" / "cluster.md").read_text()
    (script,) = (text for text in re.findall(r"```bash\n(.*?)```", page, re.S) if text.startswith("#!"))
    for documented, ours in {**REPLACED, "/shared": str(shared)}.items():
        assert documented in script, f"docs/cluster.md no longer has {documented}"
        script = script.replace(documented, ours)
    (shared / "script.sh").write_text(script)
    env = {**cluster.environment(environment()), "BENCH_DATA": str(without_launcher.parent / "data")}
    env["PATH"] = f"{Path(sweep(shared)[0]).parent}:{env['PATH']}"
    line = ["sbatch", "--wait", f"--output={shared}/log", str(shared / "script.sh")]
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=SECONDS)
    log = (shared / "log").read_text()
    assert done.returncode == 0, log
    assert "Traceback" not in log
    run = json.loads((shared / "table1" / "run.json").read_text())
    assert run["latents"] == {"sampled": 130, "stored": 0}
    words = ["experiment=table1_inpaint_places", *SMALL.split(), f"out={without_launcher.parent / 'table1'}"]
    store = f"paths.store={without_launcher.parent / 'store1'}"
    single = [sweep(shared)[0], "-m", "bench", *words, store, f"paths.data={without_launcher.parent / 'data'}"]
    subprocess.run(single, check=True, capture_output=True, env=environment())
    both = [pandas.read_csv(path / "table1" / "table.csv") for path in (shared, without_launcher.parent)]
    pandas.testing.assert_frame_equal(*both, check_exact=True)
