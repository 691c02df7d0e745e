"""Tests of margins as a share of the old value, in the unit of the number, or unlimited."""

import math

import pytest

from bench.errors import BadInputError
from bench.gate.margins import COSTS, QUALITY, Margin, margin_of, margins_of

pytestmark = pytest.mark.blackbox


def test_margins_are_parsed_from_words() -> None:
    found = margins_of(["fid=0.5", "lpips=1.5%", "fid_40_50=any", "time_ratio=2"])
    assert found == {
        "fid": Margin(0.5, relative=False),
        "lpips": Margin(0.015),
        "fid_40_50": Margin(math.inf, relative=False),
        "time_ratio": Margin(2.0, relative=False),
    }
    assert [found[name].at(-4.0) for name in ("fid", "lpips", "fid_40_50")] == [0.5, pytest.approx(0.06), math.inf]
    assert [str(margin) for margin in found.values()] == ["0.5", "1.5 %", "any", "2"]
    assert Margin(math.inf, relative=True).at(0.0) == math.inf


def test_a_given_margin_applies_only_to_its_own_metric() -> None:
    given = margins_of(["fid=0.5", "clip_score=1"])
    assert margin_of("fid", given) == Margin(0.5, relative=False)
    assert margin_of("fid_40_50", given) == QUALITY
    assert margin_of("clip_score", given) == Margin(1.0, relative=False)
    assert margin_of("clip_score", {}) != QUALITY
    assert margin_of("clip_score_hole_only", {}) == margin_of("clip_score", {})
    assert margin_of("parameters", {}) == COSTS["parameters"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("fid", "found no value"),
        ("fid=", "found no value"),
        ("fid=much", "found much"),
        ("fid=-1", "found -1"),
        ("fid=nan", "found nan"),
        ("fid=inf", "found inf"),
        ("fid=1%%", "found 1%%"),
        ("=1", "found no name"),
    ],
)
def test_an_invalid_margin_is_refused(word: str, found: str) -> None:
    with pytest.raises(BadInputError, match=rf"^--margin {word}: expected .*{found}"):
        margins_of([word])


def test_two_margins_for_one_metric_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"^gate.margins fid=2: expected only one margin of fid"):
        margins_of(["fid=1", "fid=2"], "gate.margins")
