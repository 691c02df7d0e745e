"""Tests of the effect of SIGTERM and SIGINT within a command."""

import os
import signal

import pytest

from bench.errors import TerminatedError
from bench.runtime.signals import ending, uninterrupted

pytestmark = pytest.mark.blackbox


def test_only_the_first_sigterm_interrupts_the_command() -> None:
    before, unwound = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            unwound.append(True)

    with pytest.raises(TerminatedError), ending():
        work()
    assert unwound == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigint_is_deferred_while_jobs_are_started() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
