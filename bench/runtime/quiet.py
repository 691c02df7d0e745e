"""Suppression of everything that a run prints, except errors."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from bench.runtime.progress import Progress

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Print nothing on stdout during the `with` block, and only errors on stderr: no progress, warnings or notes."""
    disabled, shown = logging.root.manager.disable, Progress.is_shown
    logging.disable(logging.WARNING)
    Progress.is_shown = False
    try:
        with open(os.devnull, "w", encoding="utf-8") as null, redirect_stdout(null), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        Progress.is_shown = shown
