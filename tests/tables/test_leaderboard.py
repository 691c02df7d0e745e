"""Tests of the table across latent spaces."""

import pytest

from bench.tables.leaderboard import LatentSizes, LeaderboardRow, leaderboard_frame, leaderboard_grids

KL4, KL16 = LatentSizes("kl4", 4, 4), LatentSizes("kl16", 16, 8)
ROWS = [
    LeaderboardRow("a", "A", KL16, "float32", {"psnr": 24.0, "psnr_stderr": 0.25}, {"parameters": 2e6}),
    LeaderboardRow("b", "B", KL4, "float32", {"psnr": 25.0}, {"parameters": 1e6, "seconds_per_image": 0.002}),
    LeaderboardRow("c", "C", KL4, "float16", reason="2 of 8 images contain NaN or infinite values"),
]


@pytest.mark.blackbox
def test_rows_are_grouped_by_factor_and_keep_their_order() -> None:
    small, large = leaderboard_grids(ROWS, ["psnr"], "mini")
    assert [line[:5] for line in small.lines] == [
        ["B", "kl4", "float32", "4", "0.25"],
        ["C", "kl4", "float16", "4", "0.25"],
    ]
    assert [line[:5] for line in large.lines] == [["A", "kl16", "float32", "16", "0.25"]]
    assert (small.heads[0], large.heads[0]) == ("Factor 4", "Factor 8")


@pytest.mark.blackbox
def test_values_have_their_errors_and_missing_ones_a_dash() -> None:
    small, large = leaderboard_grids(ROWS, ["psnr"], "mini")
    assert small.heads[5:] == ["PSNR [dB]", "decoder [M parameters]", "ms an image"]
    assert large.lines[0][5:] == ["24.00 ± 0.25", "2", "–"]
    assert [line[5:] for line in small.lines] == [["25.00", "1", "2"], ["–", "–", "–"]]


@pytest.mark.blackbox
def test_the_data_frame_has_the_reason_of_a_row_without_numbers() -> None:
    frame = leaderboard_frame(ROWS)
    assert list(frame["row"]) == ["a", "b", "c"]
    assert frame["reason"].isna().tolist() == [True, True, False]
    assert frame["psnr"].isna().tolist() == [False, False, True]
    assert frame.loc[0, "values_per_pixel"] == pytest.approx(16 / 64)
