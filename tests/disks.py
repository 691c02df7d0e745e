"""Disks that are full or read-only, and what a command says of them.

They are made in a mount namespace of the command's own; that takes root, or a kernel that lets users make namespaces.
"""

import os
import subprocess

__all__ = ["FULL", "PAGE", "READ_ONLY", "messages", "mounted"]

NO_MOUNT = 99
PAGE = 4096
FULL = f"""
mount -t tmpfs -o size="$1" tmpfs "$0" || exit {NO_MOUNT}
store="$0"; shift
"$@" >&2; echo "$?"
find "$store" -mindepth 1 -name '.*' -o -name '*.partial' -o -name '*.lease'
mount -o remount,size=200m "$store"
"$@" > /dev/null 2>&1; echo "$?"
"""
"""Words: the disk's folder, its bytes, a command. Prints the command's status, what it left half-written, and its
status with room."""
READ_ONLY = f"""
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit {NO_MOUNT}
"$@"
"""
"""Words: the folder that may only be read, a command."""


def mounted(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A shell script in a mount namespace of its own; `$0`, `$1`, … are the words."""
    own = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    done = subprocess.run([*own, "sh", "-c", script, *words], capture_output=True, text=True, timeout=900)
    assert done.returncode != NO_MOUNT, f"expected that a namespace may mount, found: {done.stderr}"
    return done


def messages(errors: str) -> list[str]:
    assert "Traceback" not in errors
    return [line for line in errors.splitlines() if line.startswith("bench: ")]
