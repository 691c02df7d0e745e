"""The start of the last layers: linear, whatever the picture, and copied through by the branch."""

import pytest
import torch

from bench.models import Decoder, build_decoder
from bench.training.starting import start_branch, start_readout

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


def test_the_branch_predicts_the_decoders_own_features() -> None:
    decoder = fresh()
    pictures = torch.rand(4, 3, 32, 32) * 2 - 1
    features: list[torch.Tensor] = []
    decoder.conv_norm_out.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    with torch.no_grad():
        for parameter in decoder.up_blocks[-1].resnets[-1].parameters():
            parameter.zero_()  # its features are then the picture's, through the shortcut below
        wanted = torch.nn.Conv2d(3, 16, 3, padding=1)
        block = decoder.up_blocks[-1].resnets[-1]
        block.register_forward_hook(lambda *_: wanted(pictures))
        start_branch(decoder, [(torch.zeros(4, 4, 8, 8), pictures)])
        layer = decoder.condition_encoder.layers[0]  # type: ignore[union-attr]
        assert (layer.weight - wanted.weight).abs().max() < 1e-4
        assert (layer.bias - wanted.bias).abs().max() < 1e-4


def test_small_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 8 channels or more, found 4"):
        start_readout(fresh(groups=4), constant=CONSTANT)
