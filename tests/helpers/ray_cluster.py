"""Start and end a Ray cluster of two nodes on this machine, as `ray start` makes it, and kill one of its nodes."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.helpers.nodes import NODES, on_node, require_root, write_hosts

__all__ = ["RayCluster", "ray_cluster"]

PROCESSORS = {"n1": 2, "n2": 1}
"""Number of jobs that run on each node at once, so that the third of three jobs runs on the second node."""
OPTIONS = ("--block", "--node-ip-address=127.0.0.1", f"--object-store-memory={100 * 2**20}", "--disable-usage-stats")
STARTED = "Ray runtime started"
PATIENCE = 180.0
"""Seconds within which a node must start. Ray itself waits for 30 s, which is too little on a busy machine."""


@dataclass
class RayCluster:
    """A running cluster."""

    folder: Path
    """Folder of its sockets and logs."""
    address: str
    """Address of the head, for `ray.init`."""
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """For each node, the process of its `ray start --block`, which is the parent of the node's other processes."""

    def processes(self, name: str) -> list[psutil.Process]:
        """Return all processes of a node that run."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.nodes[name].pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def jobs(self) -> list[psutil.Process]:
        """Return the processes of both nodes that run a task."""
        found = []
        for process in [process for name in self.nodes for process in self.processes(name)]:
            with suppress(psutil.NoSuchProcess):
                if process.cmdline()[:1] == ["ray::_logged"]:
                    found.append(process)
        return found

    def kill(self, name: str) -> None:
        """Kill all processes of a node, as if its machine had lost power."""
        for process in self.processes(name):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.nodes.pop(name).wait()


@contextmanager
def ray_cluster(environment: dict[str, str]) -> Iterator[RayCluster]:
    """Run a cluster of a head n1 and a node n2 that joins it by its address.

    Args:
        environment: environment of the jobs.

    Raises:
        AssertionError: the user is not root, or a node does not start.
    """
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # a short path, because that of a socket is limited
    port = _free_port()
    cluster = RayCluster(folder, f"127.0.0.1:{port}")
    try:
        hosts = write_hosts(folder)
        head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
        for name, words in zip(NODES, (head, [f"--address={cluster.address}"]), strict=True):
            ray = [
                str(Path(sys.executable).parent / "ray"),
                "start",
                *words,
                *OPTIONS,
                f"--num-cpus={PROCESSORS[name]}",
            ]
            with (folder / f"{name}.log").open("wb") as file:
                cluster.nodes[name] = subprocess.Popen(
                    [*on_node(hosts, name), *ray],
                    env={**environment, "RAY_raylet_start_wait_time_s": f"{PATIENCE:.0f}"},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,  # so that Ctrl-C in the terminal of the tests does not reach it
                )
            _wait_for(folder / f"{name}.log", cluster.nodes[name])
        yield cluster
    finally:
        for name in reversed(list(cluster.nodes)):
            _end(cluster, name)
        shutil.rmtree(folder, ignore_errors=True)  # a process that is just ending may still write a log


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _wait_for(log: Path, node: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while STARTED not in log.read_text(errors="replace"):
        assert node.poll() is None, f"a node ended at its start:\n{log.read_text(errors='replace')}"
        assert time.monotonic() < deadline, f"a node was not ready in {PATIENCE:.0f} s\n{log.read_text()}"
        time.sleep(0.2)


def _end(cluster: RayCluster, name: str) -> None:
    """End the processes of a node by their ids."""
    processes = cluster.processes(name)
    cluster.nodes[name].send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=30)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    cluster.nodes[name].wait()
