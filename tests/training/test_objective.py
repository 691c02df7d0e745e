"""Tests of the objective against the released step, and of each term against its formula."""

import contextlib
import math

import pytest
import torch
from torch import Tensor, nn

from bench.models import Decoder, build_decoder
from bench.models.discriminator import GlobalBatchNorm2d, PatchDiscriminator
from bench.training.objective import (
    DecoderStep,
    Objective,
    adversarial_loss,
    discriminator_loss,
    reconstruction_loss,
)
from benchmarks.released_step import Networks, released_step
from tests.training.small import PixelDistance


def networks() -> tuple[Decoder, PatchDiscriminator]:
    torch.manual_seed(0)
    return build_decoder("base", channels=(16, 32, 64), groups=8, layers=1), PatchDiscriminator(channels=8)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 10:40, 20:50] = 1
    return torch.randn(2, 4, 16, 16), torch.rand(2, 3, 64, 64) * 2 - 1, mask


def gradients(module: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    """Check gradients to 1e-4 of their scale, and those that are zero up to rounding to 1e-6 of the largest."""
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for first, second in zip(found, expected, strict=True):
        assert (first - second).abs().max() <= 1e-4 * second.abs().max() + 1e-6 * largest


def step_of(decoder: Decoder, discriminator: PatchDiscriminator | None, objective: Objective) -> DecoderStep:
    return DecoderStep(decoder, decoder.conv_out, discriminator, PixelDistance(), objective, contextlib.nullcontext)


@pytest.mark.reference
@pytest.mark.parametrize("active", [False, True])
def test_losses_and_gradients_equal_those_of_the_released_step(active: bool) -> None:
    decoder, discriminator = networks()
    z, image, mask = batch()
    parts = Networks(lambda: z, decoder, discriminator, PixelDistance())
    expected = released_step(parts, image, mask, active=active, autocast=contextlib.nullcontext)
    wanted, against = gradients(decoder), gradients(discriminator)
    decoder.zero_grad()
    discriminator.zero_grad()
    objective = Objective(adversary_from=1)
    found = step_of(decoder, discriminator, objective)(z, image, mask, step=1 if active else 0)
    assert float(found["l1"] + found["perceptual"]) == pytest.approx(float(expected["reconstruction"]), rel=1e-5)
    assert_close(gradients(decoder), wanted)
    if not active:
        assert gradients(discriminator) == []
        assert "discriminator" not in found
        return
    for name in ("adversarial", "adaptive_weight", "discriminator"):
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-5)
    assert_close(gradients(discriminator), against)


@pytest.mark.reference
def test_the_papers_numerator_equals_the_gradient_of_the_pixel_loss() -> None:
    weights = {}
    for numerator in ("rec", "pixel"):
        decoder, discriminator = networks()
        objective = Objective(adversary_from=0, adaptive_numerator=numerator, perceptual_weight=5.0)
        weights[numerator] = float(step_of(decoder, discriminator, objective)(*batch(), step=0)["adaptive_weight"])
    decoder, discriminator = networks()
    z, image, mask = batch()
    output = decoder(z, image, mask)
    last = decoder.conv_out.weight
    pixel = torch.autograd.grad((output - image).abs().sum() / 2, last, retain_graph=True)[0].norm()
    adversarial = torch.autograd.grad(-discriminator(output).mean(), last)[0].norm()
    assert weights["pixel"] == pytest.approx(0.8 * float(pixel / (adversarial + 1e-4)), rel=1e-4)
    assert weights["rec"] != pytest.approx(weights["pixel"], rel=1e-3)


@pytest.mark.blackbox
def test_the_adaptive_weight_is_limited() -> None:
    decoder, discriminator = networks()
    objective = Objective(adversary_from=0, adaptive_limit=1e-3)
    assert float(step_of(decoder, discriminator, objective)(*batch(), step=0)["adaptive_weight"]) == pytest.approx(8e-4)


@pytest.mark.reference
def test_a_sum_equals_the_mean_times_the_values_of_an_image() -> None:
    _, image, _ = batch()
    other = image.flip(0)
    means = reconstruction_loss(image, other, PixelDistance(), weight=0.3)
    sums = reconstruction_loss(image, other, PixelDistance(), weight=0.3, reduction="sum")
    assert float(means["l1"]) == pytest.approx(float((image - other).abs().mean()))
    for name in means:
        assert float(sums[name]) == pytest.approx(3 * 64 * 64 * float(means[name]), rel=1e-5)


@pytest.mark.reference
def test_both_adversarial_losses_equal_their_formulas() -> None:
    real, fake = torch.tensor([0.3, 2.0]), torch.tensor([-0.5, 1.5])
    chance = [1 / (1 + math.exp(-value)) for value in (0.3, 2.0, -0.5, 1.5)]
    assert float(adversarial_loss(fake, "hinge")) == pytest.approx(-0.5)
    assert float(discriminator_loss(real, fake, "hinge")) == pytest.approx(0.5 * (0.7 / 2 + (0.5 + 2.5) / 2))
    logs = [math.log(1 - chance[2]), math.log(1 - chance[3])]
    assert float(adversarial_loss(fake, "log")) == pytest.approx(sum(logs) / 2)
    expected = -(math.log(chance[0]) + math.log(chance[1]) + sum(logs)) / 4
    assert float(discriminator_loss(real, fake, "log")) == pytest.approx(expected)


@pytest.mark.blackbox
def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="adversary: expected one of hinge, log, none, found 'wasserstein'"):
        Objective(adversary="wasserstein")
    with pytest.raises(ValueError, match="reduction: expected one of sum, mean"):
        Objective(reduction="median")


@pytest.mark.reference
def test_the_discriminator_equals_the_released_one() -> None:
    discriminator = PatchDiscriminator()
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 2_765_633
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.stride[0] for layer in convolutions] == [2, 2, 2, 1, 1]
    assert float(convolutions[2].weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert discriminator(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.reference
def test_normalisation_in_one_process_equals_torchs() -> None:
    ours, theirs = GlobalBatchNorm2d(3), nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
