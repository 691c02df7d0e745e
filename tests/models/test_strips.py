"""Tests of decoding in strips against whole images: equal images with a fraction of the memory."""

import copy

import pytest
import torch

from bench.models import Decoder, build_decoder
from bench.models.architecture import peak_activation_bytes
from bench.models.strips import decode_in_strips

TINY = {"channels": (16, 32, 64, 64), "groups": 8}
LARGE = {"channels": (24, 48, 96, 96)}
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "vanilla": ("vanilla", {}),
    "base": ("base", {}),
    "large": ("large", LARGE),
    "concat": ("base", {"blending": "concat"}),
    "partial": ("base", {"branch": "partial"}),
    "concat partial": ("large", {**LARGE, "blending": "concat", "branch": "partial"}),
    "one level": ("base", {"channels": (16,)}),
}


def tiny(kind: str) -> Decoder:
    name, overrides = KINDS[kind]
    torch.manual_seed(0)
    return build_decoder(name, **{**TINY, **overrides}).eval()


def inputs(decoder: Decoder, height: int, width: int, *, batch: int) -> tuple[torch.Tensor, ...]:
    """Return latents, and for a branch an image and a mask with soft edges."""
    generator = torch.Generator().manual_seed(0)
    side = 2 ** (len(decoder.config.channels) - 1)
    z = torch.randn(batch, 4, height, width, generator=generator)
    if decoder.condition_encoder is None:
        return (z,)
    image = torch.rand(batch, 3, side * height, side * width, generator=generator) * 2 - 1
    mask = (torch.rand(batch, 1, side * height, side * width, generator=generator) * 3 - 1).clamp(0, 1)
    return z, image, mask


QUICK = [(5, 7), (8, 16)]
"""Heights of latents and rows of strips that are always tried: some divide the image's rows, some do not."""


@pytest.mark.property
@pytest.mark.parametrize(
    ("height", "rows"),
    [
        pytest.param(height, rows, marks=() if (height, rows) in QUICK else pytest.mark.slow)
        for height in (5, 8)
        for rows in (1, 7, 16, 1000)
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_decoding_in_strips_gives_the_whole_image(kind: str, height: int, rows: int) -> None:
    decoder = tiny(kind)
    exact = copy.deepcopy(decoder).double()
    given = inputs(decoder, height, 6, batch=2)
    with torch.no_grad():
        for arguments in (given[:1], given):
            doubles = [values.double() for values in arguments]
            whole = exact(*doubles)
            assert (decode_in_strips(exact, *doubles, rows=rows) - whole).abs().max() <= 1e-12
            # How much single precision rounds depends on the processor, so the whole image's rounding is the measure.
            rounding = (decoder(*arguments) - whole).abs().max()
            assert (decode_in_strips(decoder, *arguments, rows=rows) - whole).abs().max() <= 3 * rounding


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_rounds_no_more_in_strips(kind: str) -> None:
    decoder = tiny(kind)
    given = inputs(decoder, 5, 4, batch=1)
    with torch.no_grad():
        whole = copy.deepcopy(decoder).double()(*(values.double() for values in given))
        decoder.to(memory_format=torch.channels_last)
        # PyTorch's own normalisation rounds more with channels last than the strips do.
        rounding = (decoder(*given) - whole).abs().max()
        assert (decode_in_strips(decoder, *given, rows=3) - whole).abs().max() <= 3 * rounding


@pytest.mark.blackbox
def test_a_large_mean_costs_no_precision() -> None:
    decoder = tiny("base")
    given = inputs(decoder, 4, 4, batch=1)
    with torch.no_grad():
        decoder.conv_in.bias += 1000
        assert (decode_in_strips(decoder, *given, rows=5) - decoder(*given)).abs().max() <= 1e-3


@pytest.mark.blackbox
def test_half_precision_stays_close_to_single_precision() -> None:
    decoder = tiny("base")
    given = inputs(decoder, 4, 4, batch=1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, whole = decode_in_strips(decoder, *given, rows=8).float(), decoder(*given).float()
    assert (found - whole).abs().max() <= 0.05 * whole.abs().max()


@pytest.mark.blackbox
def test_decoding_in_strips_does_not_modify_its_arguments() -> None:
    decoder = tiny("base")
    given = inputs(decoder, 4, 4, batch=2)
    before = [values.clone() for values in (*given, *decoder.parameters())]
    assert not decode_in_strips(decoder, *given, rows=4).requires_grad
    assert all(torch.equal(old, new) for old, new in zip(before, (*given, *decoder.parameters()), strict=True))


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["vanilla", "base", "large"])
def test_decoding_in_strips_takes_a_fraction_of_the_memory(name: str) -> None:
    with torch.device("meta"):
        decoder = build_decoder(name).eval()
        given = (torch.empty(1, 4, 64, 64), torch.empty(1, 3, 512, 512), torch.empty(1, 1, 512, 512))
        given = given[:1] if name == "vanilla" else given
    with torch.no_grad():
        whole = peak_activation_bytes(lambda: decoder(*given))
        strips = peak_activation_bytes(lambda: decode_in_strips(decoder, *given, rows=64))
    # The rest is the finest level's input of twice the width, its first block's result of the width, and some strips.
    width = decoder.config.channels[0]
    assert 3 * width * 512 * 512 * 4 <= strips <= 4 * width * 512 * 512 * 4
    assert strips < (0.7 if name == "vanilla" else 0.4) * whole


@pytest.mark.blackbox
def test_wrong_calls_are_named() -> None:
    decoder = tiny("base")
    z, image, mask = inputs(decoder, 4, 4, batch=1)
    with pytest.raises(ValueError, match="only one"):
        decode_in_strips(decoder, z, image, rows=8)
    with pytest.raises(ValueError, match="because this decoder has no branch"):
        decode_in_strips(tiny("vanilla"), z, image, mask, rows=8)
    for call in (decoder, lambda *given: decode_in_strips(decoder, *given, rows=8)):
        with pytest.raises(ValueError, match=r"image: expected 32×32 pixels .* for these latents, found 40×32"):
            call(z, torch.zeros(1, 3, 40, 32), mask)
        with pytest.raises(ValueError, match=r"mask: expected 32×32 pixels .* for these latents, found 16×16"):
            call(z, image, mask[..., :16, :16])
