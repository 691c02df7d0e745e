"""Tests of the reading of the error that a run's tables show, by profile and device."""

import pytest
import torch

from bench.config.compose import compose_config, typed
from bench.config.schema import Profile, TableSpec
from bench.errors import BadInputError
from bench.tables.headline import RELEASED, TRUNCATED, headline_error, headline_reading, in_reading

pytestmark = pytest.mark.blackbox


def profile(error: str = "pre_error_released", precision: str = "autocast") -> Profile:
    return Profile(name="paper", error=error, precision=precision)


@pytest.mark.parametrize(
    ("of", "device", "expected"),
    [
        (profile(), "cuda", "pre_error_released"),
        (profile(), "cuda:1", "pre_error_released"),
        (profile(), "cpu", "pre_error"),
        (profile(precision="float32"), "cuda", "pre_error"),
        (profile(error="pre_error"), "cuda", "pre_error"),
    ],
)
def test_the_half_precision_error_is_used_for_half_precision_decoders(of: Profile, device: str, expected: str) -> None:
    assert headline_error(of, torch.device(device)) == expected


def test_another_error_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"profile\.error: .* pre_error_released, found psnr"):
        headline_reading(profile(error="psnr"), torch.device("cpu"))


@pytest.mark.parametrize(("name", "expected"), [("mini", "pre_error"), ("paper", "pre_error_released")])
def test_shipped_profiles_show_their_headline_error_on_a_gpu(name: str, expected: str) -> None:
    config, _ = typed(compose_config(["experiment=table2_inpaint_imagenet", f"profile={name}"]))
    assert headline_error(config.profile, torch.device("cuda")) == expected
    assert headline_error(config.profile, torch.device("cpu")) == "pre_error"


@pytest.mark.parametrize("number", [2, 3, 4, 5, 9])
def test_metrics_of_a_table_are_swapped_without_loss_or_repetition(number: int) -> None:
    names = {2: "table2_inpaint_imagenet", 3: "table3_blending_imagenet", 4: "table4_edit_cocoee"}
    names |= {5: "table5_modules_cocoee", 9: "table9_size_imagenet"}
    config, _ = typed(compose_config([f"experiment={names[number]}"]))
    assert config.table is not None
    found = in_reading(config.table, RELEASED)
    assert "pre_error_released" in found.columns
    assert "pre_error" not in found.columns
    assert found.readings == ["pre_sse01_released"]
    assert "pre_error" in found.beside
    assert "pre_error_released" not in found.beside
    assert in_reading(found, RELEASED) == in_reading(config.table, TRUNCATED) == config.table


def test_other_metrics_keep_their_places() -> None:
    spec = TableSpec(2, "t", ["fid", "pre_error", "lpips"], beside=["pre_error_ring", "pre_error_rounded"])
    found = in_reading(spec, RELEASED)
    assert found.columns == ["fid", "pre_error_released", "lpips"]
    assert found.beside == spec.beside


def test_a_reading_names_its_own_metrics() -> None:
    names = ["pre_error", "pre_sse01", "pre_floor", "fid"]
    assert [RELEASED.named(name) for name in names] == [
        "pre_error_released", "pre_sse01_released", "pre_floor_released", "fid",
    ]  # fmt: skip
    assert [TRUNCATED.named(name) for name in names] == names
