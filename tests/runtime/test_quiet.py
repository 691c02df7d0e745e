"""Tests of the suppression of everything that a run prints except errors."""

import logging
import sys
import warnings

import pytest

from bench.runtime.progress import Progress
from bench.runtime.quiet import quiet

pytestmark = pytest.mark.blackbox


def test_only_errors_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("bench.quiet_test")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.propagate = False  # another test may have given the root logger a handler
    try:
        with quiet():
            print("a result")
            warnings.warn("a warning", stacklevel=1)
            log.warning("a note")
            log.error("an error")
            with Progress("work", 1) as progress:
                progress.advance(1)
    finally:
        log.removeHandler(handler)
    assert capsys.readouterr() == ("", "an error\n")


def test_everything_is_printed_again_after_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"^failed$"), quiet():
        raise ValueError("failed")
    print("a result")
    with Progress("work", 1) as progress:
        progress.advance(1)
    out, err = capsys.readouterr()
    assert out == "a result\n"
    assert "work 1/1" in err
    assert logging.root.manager.disable == logging.NOTSET
