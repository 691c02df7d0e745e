"""Make one machine look like several hosts to the programs of a test cluster. That takes root."""

import os
import socket
from pathlib import Path

__all__ = ["NODES", "on_node", "require_root", "write_hosts"]

NODES = ("n1", "n2")
SCRIPT = """
mount --bind "$0" /etc/hosts && hostname "$1" || exit 99
shift
exec "$@"
"""
"""Script with the words file of hosts, name of the host, and command, which it becomes."""


def require_root() -> None:
    """Require that this process may make namespaces and mount in them.

    Raises:
        AssertionError: it may not.
    """
    assert os.geteuid() == 0, "expected root, because each node of the cluster gets namespaces of its own"


def write_hosts(folder: Path) -> Path:
    """Write a file for /etc/hosts with which the names of all nodes and of this machine mean this machine."""
    path = folder / "hosts"
    path.write_text(f"127.0.0.1 localhost {socket.gethostname()} {' '.join(NODES)}\n")
    return path


def on_node(hosts: Path, name: str) -> list[str]:
    """Return the words before a command that give it the host name `name`, in namespaces that end with it.

    The process id of the command is that of the process that these words start.
    """
    return ["unshare", "--mount", "--uts", "sh", "-c", SCRIPT, str(hosts), name]
