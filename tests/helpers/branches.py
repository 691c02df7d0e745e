"""Shortens the fit of a new branch, for tests that do not ask how well a training starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def quickly_started_branches() -> Iterator[None]:
    """Fit the start of a new branch in 10 steps instead of 1000."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.training.initialization.COPY_STEPS", 10)
        yield
