"""Tests of sweeps on a Ray cluster of two nodes, which `ray start` makes on this machine. They need root."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from tests.helpers.ray_cluster import RayCluster, ray_cluster
from tests.helpers.sweeps import environment, latents_of, shards, started, starts, sweep, table, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

SECONDS = 900


ENVIRONMENT = environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
"""Environment of the nodes and of the command. If only some of them ask for a token, they cannot reach each other."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster(ENVIRONMENT) as running:
        yield running


def command(folder: Path, cluster: RayCluster) -> list[str]:
    return sweep(folder, "hydra/launcher=ray", f"hydra.launcher.ray.init.address={cluster.address}")


def starts_of(folder: Path) -> list[int]:
    """Return how often each job has started to run."""
    logs = [folder / "out" / ".logs" / f"{job}.log" for job in range(3)]
    return [starts(path.read_text()) if path.exists() else 0 for path in logs]


def is_in_the_middle(folder: Path) -> bool:
    """Return True if all jobs have started, a block is in the store, and a job on the second node works on another."""
    return bool(shards(folder)) and min(starts_of(folder)) == 1 and on_second_node(folder)


def on_second_node(folder: Path) -> bool:
    """Return True if a job on the second node holds a block of the store."""
    for path in (folder / "store").rglob("*.lease"):
        try:
            if "host=n2\n" in path.read_text():
                return True
        except FileNotFoundError:
            continue
    return False


def test_a_stopped_command_ends_its_jobs_and_the_next_one_continues(
    cluster: RayCluster, without_launcher: Path
) -> None:
    folder = without_launcher.parent / "ray_stopped"
    with started(command(folder, cluster), ENVIRONMENT) as process:
        wait_for(lambda: is_in_the_middle(folder), process)
        assert len(cluster.jobs()) == 3
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "bench: asked to end (SIGTERM); run the same command again to continue from here"
    wait_for(lambda: not cluster.jobs())
    assert not list((folder / "out").glob("*/job.json"))
    before = shards(folder)
    done = subprocess.run(command(folder, cluster), capture_output=True, text=True, env=ENVIRONMENT, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert before.items() <= shards(folder).items()  # nothing that was there was made again
    assert starts_of(folder) == [2, 2, 2]
    pandas.testing.assert_frame_equal(table(folder), table(without_launcher), check_exact=True)


def test_the_job_of_a_killed_node_continues_on_the_other_one(cluster: RayCluster, without_launcher: Path) -> None:
    folder = without_launcher.parent / "ray_killed"
    with started(command(folder, cluster), ENVIRONMENT) as process:
        wait_for(lambda: is_in_the_middle(folder), process)
        before = shards(folder)
        cluster.kill("n2")
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert before.items() <= shards(folder).items()
    assert sorted(starts_of(folder)) == [1, 1, 2]
    assert latents_of(folder, starts_of(folder).index(2))["stored"] > 0
    pandas.testing.assert_frame_equal(table(folder), table(without_launcher), check_exact=True)
