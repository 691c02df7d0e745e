"""What SIGTERM and SIGINT do within a command."""

import os
import signal

import pytest

from bench.errors import TerminatedError
from bench.signals import ending, uninterrupted


def test_the_first_sigterm_ends_and_later_ones_leave_the_unwinding_alone() -> None:
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


def test_sigint_waits_while_jobs_are_started() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
