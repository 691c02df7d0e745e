"""Leave the figures of a table's run out, for tests that read other files of its stage report."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.experiments.report import RunReport

__all__ = ["without_figures"]


@contextmanager
def without_figures() -> Iterator[None]:
    """Let the stage report save images and write its page, but draw no figures, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunReport, "draw", lambda self, table: self.save_images())
        yield
