"""Provide the terminal of the gate's tests."""

import pytest


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal so wide that no long path is broken in two."""
    monkeypatch.setenv("COLUMNS", "500")
