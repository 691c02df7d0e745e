"""Tests of the effect of SIGTERM and SIGINT within a command."""

import ctypes
import os
import signal

import pytest

from bench.errors import TerminatedError
from bench.runtime.signals import ending, handlers_kept, uninterrupted

pytestmark = pytest.mark.blackbox


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
def test_only_the_first_signal_interrupts_the_command(first: signal.Signals) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before, unwound = [signal.getsignal(number) for number in numbers], []

    def work() -> None:
        try:
            os.kill(os.getpid(), first)
        finally:
            for number in numbers:
                os.kill(os.getpid(), number)
            unwound.append(True)

    with pytest.raises(TerminatedError, match=first.name), ending():
        work()
    assert unwound == [True]
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_command_under_nohup_goes_on_without_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


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
