"""Tests of the start of the last layers, which are linear for any picture and copied by the branch."""

import pytest
import torch

from bench.models import Decoder, build_decoder
from bench.training.initialization import start_branch, start_readout, started_decoder
from tests.training import small

pytestmark = pytest.mark.blackbox

CONSTANT = 100.0


def fresh(**overrides: object) -> Decoder:
    torch.manual_seed(0)
    return build_decoder("base", **{"channels": (16, 32, 64), "groups": 2, **overrides}).eval()


def paired(colours: torch.Tensor) -> torch.Tensor:
    """Return finest features B×16×H×W that encode colours B×3×H×W."""
    signed = torch.stack([colours, -colours], 2).flatten(1, 2)
    constants = torch.stack([torch.full_like(colours[:, 0], sign * CONSTANT) for sign in (1, -1)], 1)
    return torch.cat([signed, constants] * 2, 1)


def test_paired_features_are_decoded_to_their_colours() -> None:
    decoder = fresh()
    start_readout(decoder, constant=CONSTANT)
    colours = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        found = decoder.conv_out(torch.nn.functional.silu(decoder.conv_norm_out(paired(colours))))
    assert (found - colours).abs().max() < 1e-3


@pytest.mark.slow
def test_the_branch_starts_as_a_copy_that_keeps_flat_colours() -> None:
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


def test_weights_are_unchanged_without_examples() -> None:
    decoder, same = fresh(), fresh()
    start_branch(decoder, [])
    assert all(torch.equal(a, b) for a, b in zip(decoder.parameters(), same.parameters(), strict=True))


def test_a_decoder_takes_all_parameters_of_its_start() -> None:
    start = small.decoder(conditioned=False)
    sizes, device = small.decoder().config, torch.device("cpu")
    started = started_decoder(sizes, start, seed=0, device=device)
    assert started.pretrained == frozenset(start.state_dict())
    assert torch.equal(started.decoder.conv_in.weight, start.conv_in.weight)
    fresh = started_decoder(sizes, None, seed=0, device=device)
    assert fresh.pretrained == frozenset()
    assert not torch.equal(fresh.decoder.conv_in.weight, start.conv_in.weight)


def test_small_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 8 channels or more, found 4"):
        start_readout(fresh(groups=4), constant=CONSTANT)
