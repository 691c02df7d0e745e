"""Tests of the calculations of the benchmarks, without timing."""

import time

import pytest

from benchmarks.overhead import Clock, busy


@pytest.mark.reference
def test_overlapping_spans_are_counted_once() -> None:
    assert busy([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 1.6), (3.0, 4.0)]) == pytest.approx(5.0)
    assert busy([]) == 0.0


@pytest.mark.blackbox
def test_only_the_outer_of_nested_calls_is_counted() -> None:
    clock = Clock()
    inner = clock.around(lambda: time.sleep(0.02))
    outer = clock.around(lambda: inner() or inner())
    started = time.perf_counter()
    outer()
    assert 0.04 <= clock.seconds <= time.perf_counter() - started
