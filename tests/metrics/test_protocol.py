"""Tests of protocols, which are equal if every setting is, and otherwise name the differing setting."""

import pytest

from bench.metrics.protocol import Protocol

pytestmark = pytest.mark.blackbox

SETTINGS = {"network": "Inception", "resize": {"side": 299, "antialias": False}, "splits": 10}


def test_the_order_of_settings_does_not_matter() -> None:
    other = Protocol.of(dict(reversed(SETTINGS.items())))
    assert other == Protocol.of(SETTINGS)
    assert other.hash == Protocol.of(SETTINGS).hash
    assert len({other, Protocol.of(SETTINGS)}) == 1
    assert other.settings == SETTINGS
    assert other.differences(Protocol.of(SETTINGS)) == []


def test_every_changed_setting_makes_protocols_differ_and_is_named() -> None:
    other = Protocol.of({**SETTINGS, "resize": {"side": 299, "antialias": True}, "rounding": "truncate"})
    assert other.hash != Protocol.of(SETTINGS).hash
    assert Protocol.of(SETTINGS).differences(other) == [
        "resize.antialias: expected False, found True",
        "rounding: expected nothing, found truncate",
    ]


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Protocol.of({"threshold": float("nan")})
