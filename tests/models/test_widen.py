"""Tests of widening, which changes the number of weights but not the image."""

import pytest
import torch

from bench.models import build_decoder
from bench.models.widen import widen

SMALL = {"channels": (16, 32, 64), "groups": 4}
LARGE = {"channels": (24, 48, 96), "groups": 6, "layers": 3}


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 16:40, 8:50] = 1
    return torch.randn(2, 4, 16, 16, generator=generator), torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1, mask


@pytest.mark.property
@pytest.mark.parametrize("overrides", [SMALL, {**SMALL, "layers": 3}, LARGE])
def test_the_larger_decoder_gives_the_same_image(overrides: dict[str, object]) -> None:
    torch.manual_seed(0)
    small = build_decoder("base", **SMALL).eval()
    large = build_decoder("base", **overrides).eval()
    z, image, mask = inputs()
    with torch.no_grad():
        for parameter in small.parameters():  # away from the initial ones and zeros
            parameter += 0.05 * torch.randn_like(parameter)
        widen(small, large)
        for condition in ((), (image, mask)):
            expected = small(z, *condition)
            assert (large(z, *condition) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.property
@pytest.mark.parametrize("branch", ["plain", "partial"])
def test_a_concatenating_decoder_can_be_widened(branch: str) -> None:
    torch.manual_seed(0)
    joined = {"blending": "concat", "branch": branch}
    vanilla = build_decoder("vanilla", **SMALL).eval()
    small = build_decoder("base", **SMALL, **joined).eval()
    large = build_decoder("base", **LARGE, **joined).eval()
    z, image, mask = inputs()
    with torch.no_grad():
        widen(vanilla, small)
        expected = vanilla(z)
        assert torch.allclose(small(z), expected, atol=1e-4)
        assert torch.allclose(small(z, image, mask), expected, atol=1e-4)
        for parameter in small.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        widen(small, large)
        for condition in ((), (image, mask)):
            expected = small(z, *condition)
            assert (large(z, *condition) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.blackbox
def test_an_added_branch_does_not_change_plain_decoding() -> None:
    torch.manual_seed(0)
    small = build_decoder("vanilla", **SMALL).eval()
    large = build_decoder("base", **LARGE).eval()
    z, image, mask = inputs()
    widen(small, large)
    with torch.no_grad():
        assert torch.allclose(large(z), small(z), atol=1e-4)
        assert not torch.allclose(large(z, image, mask), small(z), atol=1e-4)


@pytest.mark.blackbox
def test_every_new_weight_can_learn() -> None:
    torch.manual_seed(0)
    small, large = build_decoder("base", **SMALL), build_decoder("base", **LARGE)
    widen(small, large)
    z, image, mask = inputs()
    optimiser = torch.optim.SGD(large.parameters(), lr=0.05)
    for _ in range(3):  # what reads the new channels must move before they get a gradient
        optimiser.zero_grad()
        (large(z, image, mask) - image).abs().mean().backward()
        optimiser.step()
    still = [name for name, weight in large.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"channels": (24, 48, 96), "groups": 4},
            "at least 16 channels in normalisation groups of 4 channels, .* found 24 channels in 4 groups",
        ),
        ({"channels": (16, 32), "groups": 4}, "expected as many levels as .* has .3., found 2"),
        ({**SMALL, "layers": 1}, "expected at least 2 layers, .* found 1 layers and a branch"),
        ({**SMALL, "conditioned": False}, "a branch if .* found 2 layers and no branch"),
    ],
)
def test_decoders_that_do_not_fit_are_refused(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        widen(build_decoder("base", **SMALL), build_decoder("base", **overrides))
