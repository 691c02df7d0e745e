"""Tests of the errors that end a command with one message."""

import errno

import pytest
import torch

from bench.errors import BadInputError, RunFailedError, outcome
from bench.training.trainer import named_workers

pytestmark = pytest.mark.blackbox

CPU = "[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.ENOSPC, "full", "/a"), 1, "/a: no space left on the disk"),
        (OSError(errno.EROFS, "read-only", "/a"), 2, "/a: expected a file system that can be written"),
        (OSError(errno.EFBIG, "too large", "/a"), 2, "/a: expected permission to write a file of this size"),
        (MemoryError(), 1, "out of memory (MemoryError)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1, "out of memory"),
        (RuntimeError(CPU), 1, "batch_size=N"),
        (RuntimeError("could not create a primitive"), 1, "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "CUDA out of memory"),
    ],
)
def test_a_machine_error_gives_a_status_and_a_message(error: Exception, status: int, said: str) -> None:
    found = outcome(error)
    assert found is not None
    assert found[0] == status
    assert said in found[1]


@pytest.mark.parametrize("error", [ValueError("memory"), RuntimeError("a bug"), OSError(errno.ENOENT, "none", "/a")])
def test_any_other_error_keeps_its_traceback(error: Exception) -> None:
    assert outcome(error) is None


def test_an_error_in_a_loading_process_gives_one_message() -> None:
    with pytest.raises(RunFailedError, match=r"ended, .*killed by signal: Killed.*workers=N"), named_workers():
        raise RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. ")
    with pytest.raises(RuntimeError, match="a bug"), named_workers():
        raise RuntimeError("a bug")
    wrapped = "Caught BadInputError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
    with pytest.raises(BadInputError, match=r"^a\.png: broken$"), named_workers():
        raise BadInputError(f"{wrapped}bench.errors.BadInputError: a.png: broken\n")
