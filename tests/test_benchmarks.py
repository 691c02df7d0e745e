"""What the benchmarks reckon with, apart from their timing."""

import time

import pytest

from benchmarks.overhead import Clock, busy


def test_spans_that_overlap_count_once() -> None:
    assert busy([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 1.6), (3.0, 4.0)]) == pytest.approx(5.0)
    assert busy([]) == 0.0


def test_of_calls_within_calls_the_outer_one_counts() -> None:
    clock = Clock()
    inner = clock.around(lambda: time.sleep(0.02))
    outer = clock.around(lambda: inner() or inner())
    started = time.perf_counter()
    outer()
    assert 0.04 <= clock.seconds <= time.perf_counter() - started
