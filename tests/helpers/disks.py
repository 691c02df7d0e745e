"""Provide disks that are full or read-only, limits on the size of files, and readers of messages.

Disks are made in a mount namespace of the command's own; that takes root, or a kernel that lets users make namespaces.
"""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FULL", "PAGE", "READ_ONLY", "largest_file", "left_behind", "messages", "mounted"]

NO_MOUNT = 99
PAGE = 4096
FULL = f"""
mount -t tmpfs -o size="$1" tmpfs "$0" || exit {NO_MOUNT}
store="$0"; shift
"$@" >&2; echo "$?"
find "$store" -mindepth 1 -name '.*' ! -name .started.json -o -name '*.partial' -o -name '*.lease'
mount -o remount,size=200m "$store"
"$@" > /dev/null 2>&1; echo "$?"
"""
"""Script with the words disk folder, bytes and command, which prints the command's status on a full disk, the partial
files that it left, and its status with room."""
READ_ONLY = f"""
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit {NO_MOUNT}
"$@"
"""
"""Script with the words read-only folder and command."""


def mounted(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in its own mount namespace; `$0`, `$1`, … are the words."""
    own = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    done = subprocess.run([*own, "sh", "-c", script, *words], capture_output=True, text=True, timeout=900)
    assert done.returncode != NO_MOUNT, f"expected that a namespace may mount, found: {done.stderr}"
    return done


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limit the size of files that this process may write inside the block, like `ulimit -f`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def left_behind(folder: Path) -> list[Path]:
    """Return temporary files, temporary folders and leases, which a command should have removed."""
    hidden = (path for path in folder.rglob(".*") if path.name != ".started.json")
    return [*hidden, *folder.rglob("*.partial"), *folder.rglob("*.lease")]


def messages(errors: str) -> list[str]:
    assert "Traceback" not in errors
    return [line for line in errors.splitlines() if line.startswith("bench: ")]
