"""Tests of the generator that only encodes and of the method that only decodes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.items import Item
from bench.generation.autoencoding import DecodedByAutoencoder, EncodingGenerator
from bench.generation.method import Batch
from bench.models import load_autoencoder
from tests.models.tiny_autoencoders import tiny_autoencoder

CPU = torch.device("cpu")


def folder_of(name: str, root: Path) -> Path:
    tiny_autoencoder(name).save_pretrained(root / name)
    return root / name


def items(side: int, count: int = 2) -> list[Item]:
    generator = np.random.default_rng(0)
    mask = np.zeros((side, side), np.uint8)
    mask[: side // 2] = 1
    return [
        Item(f"item {place}", f"item {place}", generator.integers(0, 256, (side, side, 3), dtype=np.uint8), mask)
        for place in range(count)
    ]


def batch_of(generator: EncodingGenerator, found: list[Item]) -> Batch:
    image = torch.from_numpy(np.stack([item.image for item in found])).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    mask = torch.from_numpy(np.stack([item.mask for item in found])).unsqueeze(1).float()
    return Batch(tuple(item.id for item in found), generator.decodable(generator.sample(found, 0)), image, mask)


@pytest.mark.reference
def test_encoding_and_decoding_equal_the_autoencoders_own(tmp_path: Path) -> None:
    path = folder_of("kl16", tmp_path)
    generator = EncodingGenerator(load_autoencoder(path), device=CPU)
    batch = batch_of(generator, items(16))
    assert generator.latent_shape(items(16)) == tuple(batch.z.shape[1:])
    vae = load_autoencoder(path)
    expected = vae.decode(vae.encode(batch.image))
    found = DecodedByAutoencoder(load_autoencoder(path))(batch)
    # The two pictures have different memory layouts, and convolutions then add in another order.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.blackbox
def test_sides_that_do_not_fit_are_extended_and_cut_back(tmp_path: Path) -> None:
    path = folder_of("flux2", tmp_path)
    generator = EncodingGenerator(load_autoencoder(path), device=CPU)
    found = items(18)
    batch = batch_of(generator, found)
    assert tuple(batch.z.shape[1:]) == generator.latent_shape(found)
    assert DecodedByAutoencoder(load_autoencoder(path))(batch).shape == (2, 3, 18, 18)


@pytest.mark.blackbox
def test_the_mask_reaches_a_conditioned_decoder(tmp_path: Path) -> None:
    path = folder_of("asymmetric", tmp_path)
    batch = batch_of(EncodingGenerator(load_autoencoder(path), device=CPU), items(16))
    with_mask = DecodedByAutoencoder(load_autoencoder(path), masked=True)(batch)
    without = DecodedByAutoencoder(load_autoencoder(path))(batch)
    assert not torch.allclose(with_mask, without)


@pytest.mark.blackbox
def test_half_precision_gives_float32_images_close_to_the_exact_ones(tmp_path: Path) -> None:
    path = folder_of("kl4", tmp_path)
    batch = batch_of(EncodingGenerator(load_autoencoder(path), device=CPU), items(16))
    exact = DecodedByAutoencoder(load_autoencoder(path))(batch)
    half = DecodedByAutoencoder(load_autoencoder(path), precision="bfloat16")(batch)
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.1


@pytest.mark.blackbox
def test_the_noise_of_an_item_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    path = folder_of("consistency", tmp_path)
    generator = EncodingGenerator(load_autoencoder(path), device=CPU)
    found = items(16)
    together = DecodedByAutoencoder(load_autoencoder(path), seed=3)(batch_of(generator, found))
    alone = DecodedByAutoencoder(load_autoencoder(path), seed=3)(batch_of(generator, found[1:]))
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.blackbox
def test_only_the_decoder_is_counted(tmp_path: Path) -> None:
    path = folder_of("kl4", tmp_path)
    whole = load_autoencoder(path)
    expected = sum(
        parameter.numel()
        for name, parameter in whole.network.named_parameters()
        if name.split(".")[0] in ("decoder", "post_quant_conv")
    )
    method = DecodedByAutoencoder(load_autoencoder(path))
    assert sum(parameter.numel() for parameter in method.counted_network.parameters()) == expected


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"precision": "int8"}, "precision: expected one of float32, bfloat16, float16, found int8"),
        ({"masked": True}, "masked=true: expected a decoder that takes a mask"),
        ({"space": "sdxl"}, "space: expected sd1x, the latent space of the decoder, found sdxl"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, object], said: str) -> None:
    path = folder_of("kl4", tmp_path)
    with pytest.raises(ValueError, match=said):
        DecodedByAutoencoder(load_autoencoder(path, space="sd1x"), **arguments)  # type: ignore[arg-type]
