"""Tests that no experiment uses the network: in every process, each call is refused and recorded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.config.compose import experiments

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
REFUSING = """
import os, sys

CALLS = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo",
    "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect", "ftplib.connect",
}


def refuse(event, arguments):
    if event in CALLS:
        handle = os.open(os.environ["CALLS_NOTED_IN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{sys.argv[:1]} {event} {arguments[1:]!r}\\n".encode())
        os.close(handle)
        raise OSError(f"refused: {event}")


sys.addaudithook(refuse)
"""
"""Python runs a `sitecustomize` as it starts, in children as well."""
RUNNING = """
import sys
from bench.cli import main

for words, expected in RUNS:
    status = main(words)
    assert status == expected, (words, status)
"""
CLOSED = "http://127.0.0.1:9"
"""Address at which nothing answers, set as the proxy of programs that are not Python."""
SMALL = ["limit=2", "generator.steps=1", "device=cpu"]
TABLE2 = "experiments=[table2_inpaint_imagenet]"
WORDS: dict[str, list[str]] = {
    "all_tables": [TABLE2, "stage=tabulate", "limit=2", "device=cpu", "+each.all=['generator.steps=1']"],
    "regression": [TABLE2, "stage=tabulate", "gate.against=null", "limit=2", "device=cpu"],
    "leaderboard": ["limit=2", "device=cpu"],
    "turns": ["turns=2", "limit=2", "generator.steps=1", "device=cpu"],
    "rehearsal": ["rehearsal.tables=[2]", "rehearsal.parts=[tables]", "limit=2", "device=cpu"],
    "seeds": ["stage=check", "seeds_from=."],
    "sweep_decoder_size": ["stage=check"],
    "train_decoder": [
        "training.steps=2", "training.validation_items=8", "training.batch_size=4", "training.at_once=4", "device=cpu",
        "profile.datasets.imagenet_train.per_class=1", "profile.datasets.imagenet_dev.per_class=1",
    ],
    "train_mini": ["stage=check"],
    "table7_architecture_base": ["stage=report"],
    "table8_architecture_large": ["stage=report"],
}  # fmt: skip
"""Words of the experiments that are not small by `SMALL`: training for minutes and measuring it are checked alone."""
BAD_INPUT = 2


def places(experiment: str, folder: Path) -> list[str]:
    """Return the overrides for the places that an experiment uses; any others would be refused."""
    if "architecture" in experiment:
        return []
    if experiment == "experiment=rehearsal":  # its store and its data are in the folder `out`
        return [f"out={folder / 'out'}"]
    store = [] if experiment == "experiment=train_mini" else [f"paths.store={folder / 'store'}"]
    return [*store, f"paths.data={folder / 'data'}"]


def called(folder: Path, runs: list[tuple[list[str], int]]) -> str:
    """Run commands with their expected exit statuses, and return the network calls that they made."""
    hook, noted = folder / "hook", folder / "calls.txt"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(REFUSING)
    words = [([*run, *places(run[0], folder)], status) for run, status in runs]
    proxies = {f"{scheme}_proxy": CLOSED for scheme in ("http", "https", "all", "ftp")}
    proxies |= {name.upper(): CLOSED for name in proxies}
    done = subprocess.run(
        [sys.executable, "-c", RUNNING.replace("RUNS", repr(words))],
        capture_output=True, text=True, cwd=folder, timeout=1800,
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}",
            "CALLS_NOTED_IN": str(noted), **proxies,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return noted.read_text() if noted.exists() else ""


def test_network_calls_of_child_processes_are_noted(tmp_path: Path) -> None:
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(REFUSING)
    calling = "import socket; socket.getaddrinfo('example.com', 80)"
    child = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {calling!r}]).returncode)"
    env = {"PYTHONPATH": str(tmp_path), "CALLS_NOTED_IN": str(tmp_path / "calls.txt")}
    done = subprocess.run([sys.executable, "-c", child], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError: refused: socket.getaddrinfo" in done.stderr
    assert "socket.getaddrinfo" in (tmp_path / "calls.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", experiments())
def test_experiments_make_no_network_call(name: str, tmp_path: Path) -> None:
    """Experiments run on the mini profile; on the paper profile, whose files are missing, the check reports them."""
    expected = BAD_INPUT if name == "seeds" else 0  # the decoders of further seeds do not exist here
    runs = [([f"experiment={name}", *WORDS.get(name, SMALL)], expected)]
    if name not in WORDS:
        runs.append(([f"experiment={name}", "profile=paper", "stage=check", "device=cpu"], BAD_INPUT))
    assert called(tmp_path, runs) == ""
