"""Start processes that work together, like `torchrun`, and show their output if they fail."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["environment", "launcher", "run"]

ROOT = Path(__file__).parents[2]


def launcher(processes: int) -> list[str]:
    """Return the words of a command line before a script, or before `-m` and a module."""
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]


def environment(**more: str) -> dict[str, str]:
    """Return an environment with this checkout, one thread per process and the loopback interface."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **more}


def run(line: Sequence[str], *, seconds: float = 1500, **more: str) -> None:
    """Run a command for at most `seconds`; a busy machine may be ten times slower than an idle one.

    Raises:
        AssertionError: it failed; the message ends with what it printed.
    """
    done = subprocess.run(line, env=environment(**more), capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"status {done.returncode} of {' '.join(line)}\n{done.stdout}\n{done.stderr}"
