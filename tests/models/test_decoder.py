"""Tests of the decoder against diffusers' asymmetric autoencoder, of its sizes, and of the effect of the mask."""

import pytest
import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL

from bench.models import DECODERS, Decoder, build_decoder
from bench.models.layers import PartialConv2d

PARAMETERS = {"vanilla": 49_490_179, "base": 60_276_227, "large": 160_136_835, "large_x2": 371_966_467}
TINY = {"channels": (16, 32, 64, 64), "groups": 8}


def inputs(side: int = 64, *, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(batch, 4, side // 8, side // 8, generator=generator)
    image = torch.rand(batch, 3, side, side, generator=generator) * 2 - 1
    mask = torch.zeros(batch, 1, side, side)
    mask[:, :, side // 4 : side // 2, side // 8 : -side // 8] = 1
    return z, image, mask


def tiny(name: str, **overrides: object) -> Decoder:
    torch.manual_seed(0)
    return build_decoder(name, **{**TINY, **overrides}).eval()


@pytest.mark.reference
@pytest.mark.parametrize("name", DECODERS)
def test_parameter_counts_equal_those_of_the_released_models(name: str) -> None:
    with torch.device("meta"):
        decoder = build_decoder(name)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == PARAMETERS[name]


@pytest.mark.reference
@pytest.mark.parametrize(
    ("channels", "layers"), [((16, 32, 64, 64), 2), ((24, 48, 96, 96), 3), ((32, 64, 128, 128), 5)]
)
def test_same_weights_give_the_same_image_as_diffusers(channels: tuple[int, ...], layers: int) -> None:
    torch.manual_seed(0)
    peer = AsymmetricAutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        down_block_out_channels=(16, 32, 64, 64),
        up_block_types=("UpDecoderBlock2D",) * 4,
        up_block_out_channels=channels,
        layers_per_up_block=layers,
        norm_num_groups=8,
    ).eval()
    ours = build_decoder("base", channels=channels, layers=layers, groups=8).eval()
    ours.load_state_dict(peer.decoder.state_dict(), strict=True)
    z, image, mask = inputs()
    with torch.no_grad():
        for condition in ((), (image, mask)):
            expected = peer.decoder(z, *condition)
            error = (ours(z, *condition) - expected).abs().max()
            assert error <= 1e-4 * expected.abs().max()


@pytest.mark.reference
def test_the_vanilla_decoder_equals_stable_diffusions() -> None:
    torch.manual_seed(0)
    peer = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=TINY["channels"],
        layers_per_block=2,
        norm_num_groups=8,
    ).eval()
    ours = tiny("vanilla")
    ours.load_state_dict(peer.decoder.state_dict(), strict=True)
    z, _, _ = inputs()
    with torch.no_grad():
        expected = peer.decoder(z)
        assert (ours(z) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.property
def test_a_mask_of_ones_equals_decoding_without_the_branch() -> None:
    decoder = tiny("base")
    z, image, mask = inputs()
    with torch.no_grad():
        assert torch.equal(decoder(z, image, torch.ones_like(mask)), decoder(z))


@pytest.mark.property
def test_only_pixels_outside_the_hole_affect_the_image() -> None:
    decoder = tiny("base")
    z, image, mask = inputs()
    with torch.no_grad():
        expected = decoder(z, image, mask)
        assert torch.equal(decoder(z, torch.where(mask == 1, -image, image), mask), expected)
        assert not torch.equal(decoder(z, torch.where(mask == 0, -image, image), mask), expected)


@pytest.mark.blackbox
def test_every_blending_uses_the_features_of_its_own_level() -> None:
    decoder = tiny("base")
    branch = decoder.condition_encoder
    assert branch is not None
    z, image, mask = inputs()
    with torch.no_grad():
        shapes = [tuple(feature.shape[1:]) for feature in branch(image, mask)]
        assert shapes == [(16, 64, 64), (32, 64, 64), (64, 32, 32), (64, 16, 16), (64, 8, 8)]
        expected = decoder(z, image, mask)
        for layer in branch.layers:
            bias = layer.bias.clone()
            layer.bias += 0.5
            assert not torch.equal(decoder(z, image, mask), expected)
            layer.bias.copy_(bias)


@pytest.mark.blackbox
def test_a_decoder_of_three_levels_decodes() -> None:
    decoder = tiny("base", channels=(16, 32, 64))
    z = torch.zeros(1, 4, 16, 16)
    with torch.no_grad():
        assert decoder(z, torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64)).shape == (1, 3, 64, 64)


@pytest.mark.blackbox
def test_wrong_calls_are_named() -> None:
    z, image, mask = inputs()
    with pytest.raises(ValueError, match=r"expected one of vanilla, base, .* found 'huge'"):
        build_decoder("huge")
    with pytest.raises(ValueError, match=r"channels, layers.* found also widht"):
        build_decoder("base", widht=2)
    with pytest.raises(ValueError, match=r"expected a multiple of 32, .* found 100"):
        build_decoder("base", channels=(100,))
    with pytest.raises(ValueError, match="only one"):
        tiny("base")(z, image)
    with pytest.raises(ValueError, match="because this decoder has no branch"):
        tiny("vanilla")(z, image, mask)


@pytest.mark.property
@pytest.mark.parametrize("branch", ["plain", "partial"])
@pytest.mark.parametrize("blending", ["add", "concat"])
def test_every_blending_ignores_the_hole_and_treats_a_missing_mask_as_full(blending: str, branch: str) -> None:
    decoder = tiny("base", blending=blending, branch=branch)
    z, image, mask = inputs()
    with torch.no_grad():
        expected = decoder(z, image, mask)
        assert torch.equal(decoder(z, torch.where(mask == 1, -image, image), mask), expected)
        assert not torch.equal(decoder(z, torch.where(mask == 0, -image, image), mask), expected)
        assert torch.equal(decoder(z), decoder(z, image, torch.ones_like(mask)))


@pytest.mark.reference
def test_concatenation_has_the_channels_of_the_papers_table() -> None:
    with torch.device("meta"):
        decoder = build_decoder("base", blending="concat", branch="partial")
    widths = [(blend.conv.in_channels, blend.conv.out_channels) for blend in decoder.blends]
    assert widths == [(257, 128), (513, 256), (1025, 512), (1025, 512), (1025, 512)]
    extra = sum(parameter.numel() for parameter in decoder.parameters()) - PARAMETERS["base"]
    assert extra == sum(inner * outer + outer for inner, outer in widths)


@pytest.mark.reference
def test_a_partial_convolution_equals_its_formula() -> None:
    torch.manual_seed(0)
    layer = PartialConv2d(2, 3, 4, stride=2, padding=1)
    x, known = torch.randn(1, 2, 8, 8), (torch.rand(1, 1, 8, 8) > 0.6).float()
    known[..., :4, :4] = 0
    found = layer(x, known)
    padded, mask = (torch.nn.functional.pad(values, (1, 1, 1, 1)) for values in (x * known, known))
    for row in range(4):
        for column in range(4):
            window = (slice(2 * row, 2 * row + 4), slice(2 * column, 2 * column + 4))
            count = float(mask[0, 0][window].sum())
            expected = torch.zeros(3)
            if count:
                expected = (layer.weight * padded[0][:, *window]).sum((1, 2, 3)) * 16 / count + layer.bias
            assert torch.allclose(found[0, :, row, column], expected, atol=1e-5)
    assert torch.equal(found[0, :, 0, 0], torch.zeros(3))


@pytest.mark.blackbox
def test_width_and_depth_scale_the_decoder() -> None:
    with torch.device("meta"):
        sizes = [
            sum(parameter.numel() for parameter in build_decoder("base", **factors).parameters())
            for factors in ({"width": 1.5, "depth": 1.5}, {"width": 2, "depth": 2.5})
        ]
        between = build_decoder("base", width=1.75, depth=1.2).config
    assert sizes == [PARAMETERS["large"], PARAMETERS["large_x2"]]
    assert (between.channels, between.layers) == ((224, 448, 896, 896), 2)
    with pytest.raises(ValueError, match=r"expected a multiple of 32, .* found 141"):
        build_decoder("base", width=1.1)
