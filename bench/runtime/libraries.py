"""Suppression of the progress bars and warnings that diffusers and transformers print."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Let diffusers and transformers report only errors during the `with` block.

    Warnings of the type `FutureWarning` are ignored, whichever library raises them. The ignored warnings do not help a
    user of this project. They are about deprecated pipelines, or about things that this project does on purpose: it
    cuts off captions and replaces a scheduler. The progress bars of the two libraries stay disabled after the block.
    """
    from diffusers.utils import logging as diffusers_logging  # imported here, because it takes seconds
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
        library.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
