"""Tests of commands with closed, full or limited streams, which keep result and status."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from bench.runtime.streams import log_to_stderr

pytestmark = pytest.mark.blackbox

SPEAKING = """
import sys, types
bench = types.ModuleType("bench")  # without what the package imports, which takes a second
bench.__path__ = [ROOT]
sys.modules["bench"] = bench
from bench.runtime.streams import run_command
def main(words):
    for number in range(int(words[0])):
        print("line", number, "\\u03b1 \\ud800")
    print("to stderr \\u03b1", file=sys.stderr)
    open(words[1], "w").write("whole")
    return 7
run_command(main)
"""
AWAY = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", "| head -1", "| true",
        "2>&1 | head -1", "2>&1 >/dev/null | true", "<&- | head -1", ">&- 2>/dev/full",
        "</dev/null", "1</dev/null")  # fmt: skip


def spoken(tmp_path: Path, streams: str, *, lines: int = 20000, **variables: str) -> subprocess.CompletedProcess[str]:
    script, file = tmp_path / "speak.py", tmp_path / "written"
    script.write_text(SPEAKING.replace("ROOT", repr(str(Path(__file__).parents[2] / "bench"))))
    command = f"'{sys.executable}' '{script}' {lines} '{file}' {streams}; echo ${{PIPESTATUS[0]}} > '{tmp_path}/status'"
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=variables, timeout=60)
    assert file.read_text() == "whole"
    assert (tmp_path / "status").read_text().strip() == "7"
    return done


@pytest.mark.parametrize("streams", AWAY)
def test_a_lost_stream_does_not_change_the_result(tmp_path: Path, streams: str) -> None:
    done = spoken(tmp_path, streams)
    for words in ("Traceback", "Exception ignored", "BrokenPipe", "Error"):
        assert words not in done.stdout + done.stderr


def test_a_full_disk_is_named_once(tmp_path: Path) -> None:
    done = spoken(tmp_path, ">/dev/full")
    assert [line for line in done.stderr.splitlines() if line.startswith("stdout: ")] == [
        "stdout: No space left on device; the printed text is incomplete, but all files are complete"
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "ascii:strict", "cp1252"])
def test_characters_that_an_encoding_lacks_are_escaped(tmp_path: Path, encoding: str) -> None:
    done = spoken(tmp_path, "", lines=1, PYTHONIOENCODING=encoding)
    assert "Error" not in done.stderr
    assert "\\ud800" in done.stdout
    if encoding.startswith("ascii"):
        assert "\\u03b1" in done.stdout
        assert "\\u03b1" in done.stderr


def test_libraries_log_nothing_at_level_info(capsys: pytest.CaptureFixture[str]) -> None:
    root, before = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    try:
        log_to_stderr()
        log_to_stderr()
        for name in ("fontTools.subset", "httpx", "datasets", "anything"):
            logging.getLogger(name).info("chatter")
        logging.getLogger("bench.data").info("left out a\n::error::b")
        logging.getLogger("fontTools").warning("a real warning")
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
    assert capsys.readouterr().err.splitlines() == ["left out a \\x3a:error\\x3a:b", "a real warning"]


@pytest.mark.parametrize(
    "module",
    ["manifest", *(pytest.param(name, marks=pytest.mark.slow) for name in ("explain", "store", "compare", "gather"))],
)
def test_small_commands_tolerate_a_closed_pipe(module: str) -> None:
    words = f"'{sys.executable}' -m bench.{module} --help"
    done = subprocess.run(["bash", "-c", f"{words} <&- | true"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_a_run_is_complete_if_its_output_pipe_is_closed(small_run: Path, tmp_path: Path) -> None:
    """The stdout of the run is a pipe that is closed at once; every file is written, with run.json last."""
    facts = json.loads((small_run / "run.json").read_text())
    words = " ".join(f"'{word}'" for word in facts["overrides"] if not word.startswith("out="))
    command = f"'{sys.executable}' -m bench {words} 'out={tmp_path / 'run'}' | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.stdout == "0\n"
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.lstrip().startswith(
        ("load", "check", "prepare", "sample", "score", "tabulate", "report", "save images"))]  # fmt: skip
    assert len(lines) <= 5
    written = {path.relative_to(small_run) for path in small_run.rglob("*") if path.is_file()}
    assert written == {path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*") if path.is_file()}
