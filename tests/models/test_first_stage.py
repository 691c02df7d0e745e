"""Tests of first stages of every class, and of decoders that are loaded with the encoder of their first stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.models import build_decoder, load_autoencoder, load_decoder, save_decoder
from bench.models.autoencoders.trained_space import space_facts
from bench.models.first_stage import AdaptedFirstStage, load_first_stage
from tests.models.tiny_autoencoders import SETTINGS, spatial, tiny_autoencoder

SIDE = 32
SPACES = {"tiny": "sd3"}
NO_POSTERIOR = ("dc", "rae", "tiny", "vq")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("first_stages")
    for name in SETTINGS:
        tiny_autoencoder(name).save_pretrained(root / name)
    return {name: root / name for name in SETTINGS}


def pictures(side: int = SIDE) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def loaded(folders: dict[str, Path], name: str) -> AdaptedFirstStage:
    return load_first_stage(folders[name], space=SPACES.get(name, ""))


def noise_for(first_stage: AdaptedFirstStage, image: Tensor) -> Tensor | None:
    shape = first_stage.noise_shape(image)
    return torch.randn(len(image), *shape, generator=torch.Generator().manual_seed(1)) if shape else None


@torch.no_grad()
def own_calls(network: Any, name: str, image: Tensor, noise: Tensor | None) -> Tensor:
    """Return a decoder's input by diffusers' own calls, in the order in which diffusers' own `decode` makes them."""
    if name == "dc":
        latents: Tensor = network.encode(image).latent
        return latents
    if name == "rae":
        latents = network.encode((image + 1) / 2).latent
        return latents
    if name == "tiny":
        scaled = (network.encode(image).latents - network.config.shift_factor) * network.config.scaling_factor
        latents = scaled / 1.5305 + 0.0609
        return latents
    if name == "vq":
        latents = network.post_quant_conv(network.quantize(network.encode(image).latents)[0])
        return latents
    video = name in ("wan", "qwen")
    posterior = network.encode(image.unsqueeze(2) if video else image).latent_dist
    drawn = noise.unsqueeze(2) if video and noise is not None else noise
    z = posterior.mean if drawn is None else posterior.mean + posterior.std * drawn
    layer = getattr(network, "post_quant_conv", None)
    latents = z if layer is None else layer(z)
    return latents.squeeze(2) if video else latents


@pytest.mark.reference
@pytest.mark.parametrize("name", SETTINGS)
def test_the_latents_are_those_that_diffusers_own_decoder_reads(folders: dict[str, Path], name: str) -> None:
    first_stage, image = loaded(folders, name), pictures()
    network = getattr(diffusers, SETTINGS[name][0]).from_pretrained(folders[name]).eval()
    noise = noise_for(first_stage, image)
    assert (noise is None) == (name in NO_POSTERIOR)
    found = first_stage.latents(image, noise)
    space = first_stage.space
    assert found.shape == (2, space.channels, SIDE // space.factor, SIDE // space.factor)
    expected = own_calls(network, name, image, noise)
    if name == "tiny":
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # it divides in another order
    else:
        assert torch.equal(found, expected)
        assert torch.equal(first_stage.latents(image), own_calls(network, name, image, None))
    if noise is not None:
        assert not torch.equal(found, first_stage.latents(image))


@pytest.mark.property
@pytest.mark.parametrize("name", ["kl4", "vq"])
def test_loading_a_first_stage_draws_no_random_numbers(folders: dict[str, Path], name: str) -> None:
    before = torch.random.get_rng_state()
    loaded(folders, name)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.property
@pytest.mark.parametrize("name", ["kl16", "dc", "wan", "vq", "flux2"])
def test_latents_under_autocast_stay_close_to_those_in_float32(folders: dict[str, Path], name: str) -> None:
    first_stage, image = loaded(folders, name), pictures()
    noise = noise_for(first_stage, image)
    with torch.autocast("cpu", torch.bfloat16):
        half = first_stage.latents(image, noise).float()
    exact = first_stage.latents(image, noise)
    differences = (half - exact).abs()
    if name == "vq":  # rounding moves a vector to another entry of the codebook at some positions
        assert float((differences.amax(1) < 0.05 * exact.abs().max()).float().mean()) > 0.8
    else:
        assert float(differences.max()) < 0.05 * float(exact.abs().max())  # bfloat16 has 8 bits


@pytest.mark.blackbox
def test_first_stages_that_cannot_encode_the_pictures_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="pictures: expected 32×32 pixels, found 64×64"):
        loaded(folders, "rae").latents(pictures(64))
    with pytest.raises(BadInputError, match=r"space: expected one of sd1, .* .AutoencoderTiny. does not say"):
        load_first_stage(folders["tiny"])
    save_decoder(build_decoder("base", channels=(8, 8), groups=4), tmp_path)
    with pytest.raises(BadInputError, match="contains only a decoder, found no such argument"):
        load_first_stage(tmp_path)


@pytest.mark.blackbox
def test_a_decoder_for_a_first_stage_with_a_codebook_reads_quantised_latents(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    decoder = build_decoder("vanilla", channels=(8, 8), layers=1, groups=4).eval()
    save_decoder(decoder, tmp_path)
    autoencoder, image = load_autoencoder(tmp_path, encoder=folders["vq"]), pictures()
    with torch.no_grad():
        expected = decoder(loaded(folders, "vq").latents(image))
    assert torch.equal(autoencoder.decode(autoencoder.encode(image)), expected)


@pytest.mark.property
@pytest.mark.parametrize(
    ("name", "channels", "factor"), [("kl", 16, 8), ("kl", 32, 16), ("kl", 32, 32), ("dc", 32, 32)]
)
def test_a_decoder_decodes_with_the_encoder_of_its_first_stage(
    name: str, channels: int, factor: int, tmp_path: Path
) -> None:
    spatial(name, channels, factor).save_pretrained(tmp_path / "stage")
    first_stage, image = load_first_stage(tmp_path / "stage"), pictures(64)
    widths = (8,) * factor.bit_length()
    decoder = build_decoder("base", channels=widths, layers=1, groups=4, latent_channels=channels).eval()
    decoder.lineage = {"space": space_facts(first_stage.autoencoder)}
    save_decoder(decoder, tmp_path / "decoder")
    assert load_decoder(tmp_path / "decoder").lineage == decoder.lineage
    autoencoder = load_autoencoder(tmp_path / "decoder", encoder=tmp_path / "stage")
    assert (autoencoder.space.channels, autoencoder.space.factor) == (channels, factor)
    mask = torch.ones(2, 1, 64, 64)
    mask[..., 8:40, 4:24] = 0
    with torch.no_grad():
        expected = decoder(first_stage.latents(image), image, mask)
    z = autoencoder.encode(image)
    found = autoencoder.decode(z, image, mask)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)  # two copies of a network may round differently
    assert not torch.allclose(autoencoder.decode(z), expected, rtol=0, atol=1e-3)


def decoder_of(folder: Path, lineage: dict[str, Any]) -> Path:
    """Write a decoder of 4 channels and factor 2 with a lineage."""
    decoder = build_decoder("vanilla", channels=(8, 8), layers=1, groups=4)
    decoder.lineage = lineage
    save_decoder(decoder, folder)
    return folder


@pytest.mark.blackbox
def test_a_decoder_of_another_space_is_refused_by_name(folders: dict[str, Path], tmp_path: Path) -> None:
    facts = space_facts(loaded(folders, "kl4").autoencoder)
    folder = decoder_of(tmp_path / "own", {"space": facts})
    assert load_autoencoder(folder, encoder=folders["kl4"]).space.name == facts["name"]
    other = tmp_path / "other"
    tiny_autoencoder("kl4", seed=1).save_pretrained(other)
    said = rf"own: encoder: expected an encoder of the space {facts['name']}, .* found one of the space space-.*other"
    with pytest.raises(BadInputError, match=said):
        load_autoencoder(folder, encoder=other)
    unknown = decoder_of(tmp_path / "unknown", {"part": "base"})  # no lineage of a space, so every encoder is accepted
    assert load_autoencoder(unknown, encoder=other).space.name.startswith("space-")


@pytest.mark.blackbox
def test_an_encoder_that_prepares_latents_in_another_way_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    facts = {**space_facts(loaded(folders, "kl4").autoencoder), "input_layers": []}
    said = "applies no layer before its decoder, as in the training, found one that applies post_quant_conv"
    with pytest.raises(BadInputError, match=said):
        load_autoencoder(decoder_of(tmp_path, {"space": facts}), encoder=folders["kl4"])


@pytest.mark.reference
def test_a_tiny_autoencoder_gets_the_space_of_the_autoencoder_that_it_imitates(tmp_path: Path) -> None:
    spatial("kl", 16, 8, scaling_factor=0.7, shift_factor=0.3).save_pretrained(tmp_path / "stage")
    network: Any = tiny_autoencoder("tiny")
    network.save_pretrained(tmp_path / "tiny")
    tiny = load_autoencoder(tmp_path / "tiny", encoder=tmp_path / "stage")
    imitated = load_autoencoder(tmp_path / "stage")
    assert tiny.space == imitated.space
    image = pictures()
    scaled = (network.encode(image).latents - network.config.shift_factor) * network.config.scaling_factor
    torch.testing.assert_close(tiny.encode(image).values, (scaled / 0.7 + 0.3).detach(), rtol=0, atol=1e-5)
    assert imitated.decode(tiny.encode(image)).shape == image.shape
    named = load_autoencoder(tmp_path / "tiny", encoder=tmp_path / "stage", space="mine")
    assert named.space.name == "mine"


@pytest.mark.blackbox
def test_a_tiny_autoencoder_of_other_sizes_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(
        BadInputError,
        match=r"tiny: expected latents with 4 channels and the factor 2, .*, found 16 channels and",
    ):
        load_autoencoder(folders["tiny"], encoder=folders["kl4"])


@pytest.mark.blackbox
def test_the_decoder_of_flux_2_is_read_like_that_of_other_autoencoders(tmp_path: Path) -> None:
    kind, settings = SETTINGS["flux2"]
    network = getattr(diffusers, kind)(**settings, decoder_block_out_channels=(8, 8)).eval()
    network.save_pretrained(tmp_path)
    decoder, z = load_decoder(tmp_path), torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    assert decoder.config.channels == (8, 8)
    with torch.no_grad():
        torch.testing.assert_close(decoder(z), network.decoder(z), rtol=0, atol=1e-5)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "decoder_block_out_channels": [16, 8]}))
    with pytest.raises(BadInputError, match=r"found weights with channels=\(8, 8\) instead of \(16, 8\)"):
        load_decoder(tmp_path)
