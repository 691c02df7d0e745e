"""Shortens the fit of a new branch, for tests that do not ask how well a training starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def quickly_started_branches() -> Iterator[None]:
    """Fit the start of a new branch to 8 pictures in 10 steps, instead of to 512 pictures in 1000 steps."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("COPY_STEPS", 10), ("EXAMPLES", 8), ("EXAMPLES_AT_ONCE", 8)):
            patch.setattr(f"bench.training.initialization.{name}", value)
        yield
