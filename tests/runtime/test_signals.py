"""Tests of the effect of SIGTERM and SIGINT within a command."""

import ctypes
import os
import signal

import pytest

from bench.errors import TerminatedError
from bench.runtime.signals import ending, handlers_kept, uninterrupted

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


def test_a_handler_that_a_library_replaces_below_python_is_restored() -> None:
    ignored = ctypes.c_void_p(int(signal.SIG_IGN))

    def work() -> None:
        with handlers_kept():
            ctypes.CDLL(None).signal(int(signal.SIGTERM), ignored)
            os.kill(os.getpid(), signal.SIGTERM)  # has no effect
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TerminatedError), ending():
        work()
