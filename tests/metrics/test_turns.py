"""Tests of the names of metrics by turn, and of the container for the scores of all turns."""

import numpy as np
import pytest

from bench.metrics.names import MetricName
from bench.metrics.ranges import never_negative
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.metrics.turns import at_turn, of_all_turns


@pytest.mark.reference
@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("pre_error", "pre_error_turn_3"),
        ("fid", "fid_turn_3"),
        ("fid_40_50", "fid_turn_3_40_50"),
        ("lpips_saved_round", "lpips_turn_3_saved_round"),
    ],
)
def test_the_name_of_a_later_turn_keeps_statistic_variant_and_bin(metric: str, expected: str) -> None:
    assert at_turn(metric, 3) == expected
    assert at_turn(metric, 1) == metric
    before, after = MetricName.parse(metric), MetricName.parse(expected)
    assert (after.statistic, after.variant, after.bin) == (before.statistic, before.variant, before.bin)
    assert never_negative(expected) == never_negative(metric)


@pytest.mark.property
def test_every_turn_has_the_numbers_that_it_has_alone() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(6, 3))

    def turn() -> Scored:
        rows = {row: {"lpips": draw.random(6), "images.features": draw.normal(size=(6, 3))} for row in ("one", "other")}
        return Scored(
            rows, {"images.features": truth}, {"kid": "images.features"}, list("aabcde"), list(range(6)),
            np.full(6, 0.2), {"lpips": "images"},
        )  # fmt: skip

    turns = [turn() for _ in range(3)]
    whole = Summary(of_all_turns(turns), 2)
    for number, scored in enumerate(turns, 1):
        alone = Summary(scored, 2)
        for metric in ("lpips", "kid"):
            name = at_turn(metric, number)
            assert whole.measurement("one", name) == alone.measurement("one", metric)
            assert whole.difference("one", "other", name) == alone.difference("one", "other", metric)
            assert whole.measure(name) == "images"
            assert whole.statistic(name) == alone.statistic(metric)
