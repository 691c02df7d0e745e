"""Call the gate's command in the tests' own process."""

import pytest

from bench.gate.command import main

__all__ = ["command", "ends", "said"]


def command(*words: object) -> int:
    """Run the command with arguments of any type, and return its status."""
    return main([str(word) for word in words])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed since the last reading, as one line."""
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def ends(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run the command, and return its status and what it printed as one line."""
    return command(*words), said(capsys)
