"""Call the command line in the tests' own process, and check its status and its output."""

import pytest

from bench.cli import main

__all__ = ["ends_with", "refused"]


def ends_with(status: int, arguments: list[str], capture: pytest.CaptureFixture[str], *, trace: bool = False) -> str:
    """Run the command, check its status and whether it prints a traceback, and return its standard error."""
    assert main(arguments) == status
    captured = capture.readouterr()
    assert ("Traceback" in captured.err) == trace
    return captured.err


def refused(arguments: list[str], capture: pytest.CaptureFixture[str]) -> str:
    """Run the command, check that it ends with status 2 and prints nothing but a message, and return the message."""
    assert main(arguments) == 2
    said, message = capture.readouterr()
    assert said == ""
    assert "Traceback" not in message
    return message
