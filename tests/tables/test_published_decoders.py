"""Tests of the verdicts on published values of decoders."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.config.schema import PROTOCOL_FIELDS
from bench.tables.published_decoders import (
    ANOTHER_PROTOCOL,
    DIFFERS,
    REPRODUCED,
    MeasuredValue,
    PublishedValue,
    judge_published,
    published_grid,
    published_values,
)

PROTOCOL = {name: f"the {name}" for name in PROTOCOL_FIELDS}
PUBLISHED = PublishedValue("mine", "fid", "24.7", "a card", PROTOCOL)


def verdict(published: PublishedValue, measured: MeasuredValue, protocol: dict[str, object] | None = None) -> str:
    found = list(judge_published([published], {"mine": {"fid": measured}}, protocol or PROTOCOL))
    assert len(found) == 1
    return found[0].verdict


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (24.6, 24.9, REPRODUCED),
        (24.74, 24.9, REPRODUCED),  # 24.74 rounds to 24.7
        (24.76, 24.9, DIFFERS),
        (24.5, 24.64, DIFFERS),
        (24.5, 24.66, REPRODUCED),
    ],
)
def test_a_value_is_reproduced_if_the_interval_reaches_its_rounding(low: float, high: float, expected: str) -> None:
    assert verdict(PUBLISHED, MeasuredValue((low + high) / 2, (low, high))) == expected


@pytest.mark.blackbox
def test_a_value_without_an_interval_must_round_to_the_printed_one() -> None:
    assert verdict(PUBLISHED, MeasuredValue(24.72, None)) == REPRODUCED
    assert verdict(PUBLISHED, MeasuredValue(24.76, None)) == DIFFERS


@pytest.mark.blackbox
@pytest.mark.parametrize("name", PROTOCOL_FIELDS)
def test_another_protocol_is_named_and_not_judged(name: str) -> None:
    equal = MeasuredValue(24.7, (24.6, 24.8))
    other = {**PROTOCOL, name: "another"}
    (found,) = judge_published([PUBLISHED], {"mine": {"fid": equal}}, other)
    assert (found.verdict, found.reason) == (ANOTHER_PROTOCOL, f"{name} is the {name}, here another")
    unstated = replace(PUBLISHED, protocol={key: value for key, value in PROTOCOL.items() if key != name})
    (found,) = judge_published([unstated], {"mine": {"fid": equal}}, PROTOCOL)
    assert (found.verdict, found.reason) == (ANOTHER_PROTOCOL, f"{name} is not stated")


@pytest.mark.blackbox
def test_the_reference_set_and_the_feature_network_do_not_matter_for_psnr() -> None:
    psnr = replace(PUBLISHED, metric="psnr")
    assert psnr.differences({**PROTOCOL, "reference": "another", "features": "another"}) == []
    assert psnr.differences({**PROTOCOL, "crop": "another"}) == ["crop is the crop, here another"]


@pytest.mark.blackbox
def test_decoders_and_metrics_without_a_published_value_get_no_verdict() -> None:
    measured = {"mine": {"ssim": MeasuredValue(0.7, None)}, "another": {"fid": MeasuredValue(24.7, None)}}
    assert list(judge_published([PUBLISHED], measured, PROTOCOL)) == []


@pytest.mark.golden
def test_every_published_value_is_a_number_with_a_source_and_known_fields() -> None:
    values = published_values()
    assert len(values) == 41
    assert all(one.value > 0 and one.rounding > 0 and one.source for one in values)
    assert {name for one in values for name in one.protocol} <= set(PROTOCOL_FIELDS)
    printed = {(one.decoder, one.metric, one.printed) for one in values}
    assert {("sdxl", "fid", "4.42"), ("sd15", "fid", "0.313"), ("sd3", "lpips", "0.013")} <= printed


@pytest.mark.golden
def test_every_published_decoder_is_described() -> None:
    folder = Path(__file__).parents[2] / "conf" / "vae"
    described = {file.stem for file in folder.glob("*.yaml")}
    assert {one.decoder for one in published_values()} <= described


@pytest.mark.golden
def test_a_printed_number_keeps_its_digits() -> None:
    assert PublishedValue("mine", "fid", "4.70", "a card", {}).rounding == pytest.approx(0.005)
    assert PublishedValue("mine", "fid", "12", "a card", {}).rounding == pytest.approx(0.5)


@pytest.mark.blackbox
def test_the_grid_shows_both_numbers_and_the_reason() -> None:
    found = list(judge_published([PUBLISHED], {"mine": {"fid": MeasuredValue(25.0, (24.9, 25.1))}}, PROTOCOL))
    grid = published_grid(found)
    assert grid.lines == [
        ["mine", "FID", DIFFERS, "the printed number lies outside 24.9 to 25.1", "a card", "24.7", "25.00"]
    ]
