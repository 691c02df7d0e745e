"""Tests of the states of Slurm jobs, with a program in the place of `squeue`."""

import logging
import os
from pathlib import Path

import pytest

from bench.sweeps.slurm_queue import SlurmQueue, reason

pytestmark = pytest.mark.blackbox


def install(folder: Path, text: str) -> None:
    """Write the program; its answer is `text`, or it fails if there is none."""
    (folder / "answer").write_text(text)
    script = (
        f'#!/bin/sh\nenv | grep -q ^SQUEUE_ && exit 3\n[ -s "{folder}/answer" ] || {{ echo no contact >&2; exit 1; }}\n'
    )
    (folder / "squeue").write_text(f'{script}cat "{folder}/answer"\n')
    (folder / "squeue").chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SQUEUE_PARTITION", "another")
    return tmp_path


@pytest.mark.parametrize(
    ("state", "done"),
    [
        ("PENDING", False),
        ("RUNNING", False),
        ("COMPLETING", False),
        ("REQUEUED", False),
        ("SUSPENDED", False),
        ("COMPLETED", True),
        ("CANCELLED", True),
        ("TIMEOUT", True),
        ("NODE_FAIL", True),
        ("OUT_OF_MEMORY", True),
    ],
)
def test_a_job_is_done_in_a_state_that_is_final(folder: Path, state: str, done: bool) -> None:
    install(folder, f"7_0 {state}\n7_1 RUNNING\n70 FAILED\n")
    queue = SlurmQueue(["7_0", "7_1"])
    assert queue.is_done("7_0") is done
    assert not queue.is_done("7_1")
    assert queue.get_state("7_0") == state


def test_a_job_that_the_controller_has_forgotten_is_done(folder: Path) -> None:
    install(folder, "7_1 RUNNING\n")
    queue = SlurmQueue(["7_0", "7_1"])
    assert queue.is_done("7_0")
    assert (
        reason(queue.get_state("7_0")) == "the job's process was killed, possibly for lack of memory (Slurm: UNKNOWN)"
    )


def test_without_an_answer_no_job_is_done_and_one_warning_is_given(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(folder, "")
    queue = SlurmQueue(["7_0"])
    with caplog.at_level(logging.WARNING):
        assert [queue.is_done("7_0", "force") for _ in range(3)] == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "squeue: no contact; the jobs are not affected, and this command asks again"
    ]
    install(folder, "7_0 RUNNING\n")
    assert not queue.is_done("7_0", "force")
    install(folder, "")
    with caplog.at_level(logging.WARNING):
        assert queue.get_state("7_0", "force") == "RUNNING"
    assert len(caplog.records) == 2  # a new failure is a new warning


def test_slurm_is_not_asked_again_at_once(folder: Path) -> None:
    install(folder, "7_0 RUNNING\n")
    queue = SlurmQueue(["7_0"])
    assert queue.get_state("7_0", "cache") == "UNKNOWN"
    assert queue.get_state("7_0") == "RUNNING"
    install(folder, "7_0 CANCELLED\n")
    assert queue.get_state("7_0") == "RUNNING"
    assert queue.get_state("7_0", "force") == "CANCELLED"
