"""The start of the last layers: linear, whatever the picture, and copied through by the branch."""

from pathlib import Path

import pytest
import torch

from bench.data.imagenet_train import ImageNetTrain
from bench.models import Decoder, build_decoder
from bench.training.starting import begun_training, start_branch, start_readout
from tests.training import small

CONSTANT = 100.0


def fresh(**overrides: object) -> Decoder:
    torch.manual_seed(0)
    return build_decoder("base", **{"channels": (16, 32, 64), "groups": 2, **overrides}).eval()


def paired(colours: torch.Tensor) -> torch.Tensor:
    """Finest features B×16×H×W that stand for colours B×3×H×W."""
    signed = torch.stack([colours, -colours], 2).flatten(1, 2)
    constants = torch.stack([torch.full_like(colours[:, 0], sign * CONSTANT) for sign in (1, -1)], 1)
    return torch.cat([signed, constants] * 2, 1)


def test_paired_features_are_read_as_their_colours() -> None:
    decoder = fresh()
    start_readout(decoder, constant=CONSTANT)
    colours = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        found = decoder.conv_out(torch.nn.functional.silu(decoder.conv_norm_out(paired(colours))))
    assert (found - colours).abs().max() < 1e-3


def test_the_branch_starts_as_a_copy_and_flat_colours_stay() -> None:
    decoder = fresh()
    start_readout(decoder, constant=CONSTANT)
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(16, 3, 32, 32, generator=generator) * 2 - 1
    mask = torch.zeros(16, 1, 32, 32)
    mask[..., 8:20, 4:25] = 1
    z = torch.randn(16, 4, 8, 8, generator=generator)

    def known_error() -> float:
        with torch.no_grad():
            squared = (decoder(z, pictures, mask) - pictures).square() * (1 - mask)
        return float(squared.sum() / (3 * (1 - mask).sum()))

    flat = torch.ones(1, 16, 32, 32) * torch.linspace(-1, 1, 16).view(1, -1, 1, 1)
    inner = (..., slice(1, -1), slice(1, -1))
    with torch.no_grad():
        decoder.conv_out.weight += 0.05 * torch.randn(decoder.conv_out.weight.shape, generator=generator)
        before, colours = known_error(), decoder.conv_out(flat)[inner]
    start_branch(decoder, [(z, pictures, mask)])
    assert known_error() < 1e-3 < 1e-2 * before
    with torch.no_grad():
        assert torch.allclose(decoder.conv_out(flat)[inner], colours, atol=1e-5)


def test_without_examples_nothing_is_changed() -> None:
    decoder, same = fresh(), fresh()
    start_branch(decoder, [])
    assert all(torch.equal(a, b) for a, b in zip(decoder.parameters(), same.parameters(), strict=True))


@pytest.mark.parametrize("fresh", [False, True])
def test_a_fresh_recipe_takes_nothing_of_the_start(fresh: bool, tmp_path: Path) -> None:
    start, recipe = small.decoder(conditioned=False), small.recipe(fresh=fresh)
    training = begun_training(
        small.decoder().config,
        start,
        small.first_stage(),
        ImageNetTrain(small.write_pictures(tmp_path), **recipe.drawing()),
        small.PixelDistance(),
        recipe,
        seed=0,
        device=torch.device("cpu"),
        folder=tmp_path / "checkpoints",
        settings="same",
        predict_branch=False,
    )
    assert training.pretrained == (frozenset() if fresh else frozenset(start.state_dict()))
    assert torch.equal(training.decoder.conv_in.weight, start.conv_in.weight) != fresh


def test_small_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 8 channels or more, found 4"):
        start_readout(fresh(groups=4), constant=CONSTANT)
