"""What the larger decoder costs beside sampling."""

import pytest

from bench.costs import decoding_share


def costs(vanilla: float, large: float) -> dict[str, dict[str, float]]:
    return {"stablediffusion": {"seconds_per_image": vanilla}, "large_mask": {"seconds_per_image": large}}


def test_the_share_is_of_the_whole_at_as_many_steps() -> None:
    holds, shown = decoding_share(costs(0.1, 0.2), sampling=1.9, steps=50)  # type: ignore[misc]
    assert holds
    assert "5.0% of the whole at 50 steps" in shown
    assert f"{0.1 / (1.9 * 4 / 50 + 0.1):.1%} of the whole at 4 steps" in shown


@pytest.mark.parametrize(("large", "holds"), [(0.29, True), (0.31, False)])
def test_a_tenth_is_the_most(large: float, holds: bool) -> None:
    assert decoding_share(costs(0.1, large), sampling=1.9, steps=50)[0] == holds


def test_without_both_rows_nobody_knows() -> None:
    assert decoding_share({"large_mask": {"seconds_per_image": 1.0}}, sampling=1.0, steps=50) == (
        "not timed: stablediffusion"
    )
