"""Tests of processes that run one step each."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.rehearsal.attempts import in_process, in_subprocess

pytestmark = pytest.mark.blackbox


def printed() -> int:
    print("from the child")
    os.write(2, b"to its stderr\n")
    return 3


def test_the_status_and_the_text_of_a_process_are_returned(tmp_path: Path) -> None:
    ended = in_process(printed, tmp_path / "new" / "log.txt")
    assert (ended.status, sorted(ended.text.splitlines())) == (3, ["from the child", "to its stderr"])
    assert ended.memory > 0


def failing() -> int:
    raise ValueError("out of cheese")


def test_an_error_is_a_traceback_and_status_1(tmp_path: Path) -> None:
    ended = in_process(failing, tmp_path / "log.txt")
    assert ended.status == 1
    assert ended.text.endswith("ValueError: out of cheese\n")


def endless() -> int:
    time.sleep(600)
    return 0


def test_a_process_is_killed_when_it_is_time(tmp_path: Path) -> None:
    looks = iter([False, False, True])
    ended = in_process(endless, tmp_path / "log.txt", kill_when=lambda: next(looks))
    assert ended.status == -signal.SIGKILL


def test_memory_is_that_of_the_process(tmp_path: Path) -> None:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    code = f"import sys; x = bytearray({own + 100_000_000}); sys.exit(5)"
    ended = in_subprocess([sys.executable, "-c", code], tmp_path / "log.txt")
    assert ended.status == 5
    assert own + 100e6 < ended.memory < own + 300e6
