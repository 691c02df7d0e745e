"""Tests of CoModGAN: official sizes and names, its file, noise by image, masks and batches."""

from pathlib import Path

import pytest
import torch

from baselines.comodgan import CoModGAN
from baselines.comodgan_network import CoModGANGenerator
from bench.errors import BadInputError
from tests.baselines.pictures import (
    assert_honours_the_mask,
    assert_items_are_independent,
    parameters_of,
    saved,
    scene,
    stirred,
    tensors_sha256,
)


@pytest.fixture
def network() -> CoModGANGenerator:
    return stirred(CoModGANGenerator(32, latent=6, base=128, widest=8))


@pytest.fixture
def file(network: CoModGANGenerator, tmp_path: Path) -> str:
    return saved(tmp_path / "net_G_ema.pth", network.state_dict())


@pytest.mark.golden
def test_parameter_sizes_and_names_equal_the_official_ones() -> None:
    # The digest was taken from Generator of zengxianyu/co-mod-gan-pytorch at a178bfd, models/networks/co_mod_gan.py.
    with torch.device("meta"):
        network = CoModGANGenerator()
    assert parameters_of(network) == 79792231
    assert tensors_sha256(network) == (180, "10c44b2db79bf5b3f7b5df782ba81a60e8602a64de53041be466cf83836a38bc")


@pytest.mark.blackbox
@pytest.mark.parametrize("sizes", [(32, 6, 128, 8), (16, 5, 512, 8), (8, 4, 4, 8)])
def test_the_network_size_is_read_from_the_file(sizes: tuple[int, int, int, int], tmp_path: Path) -> None:
    size, latent, base, widest = sizes
    network = CoModGANGenerator(size, latent=latent, base=base, widest=widest)
    found = CoModGAN(saved(tmp_path / "net_G_ema.pth", network.state_dict())).network
    assert tensors_sha256(found) == tensors_sha256(network)
    assert (found.size, found.latent) == (size, latent)


@pytest.mark.blackbox
def test_parameter_names_saved_from_several_devices_are_read(
    network: CoModGANGenerator, file: str, tmp_path: Path
) -> None:
    parallel = {f"module.{name}": value for name, value in network.state_dict().items()}
    batch = scene()
    assert torch.equal(CoModGAN(saved(tmp_path / "parallel.pth", parallel))(batch), CoModGAN(file)(batch))


@pytest.mark.property
def test_noise_is_repeatable_and_depends_on_the_seed(file: str) -> None:
    batch = scene()
    first, again = CoModGAN(file)(batch), CoModGAN(file)(batch)
    assert torch.equal(first, again)
    hole = (batch.mask > 0).expand_as(first)
    assert not torch.equal(CoModGAN(file, seed=1)(batch)[hole], first[hole])


@pytest.mark.property
def test_known_pixels_are_kept_and_hole_pixels_are_ignored(file: str) -> None:
    assert_honours_the_mask(CoModGAN(file), scene())


@pytest.mark.property
def test_images_do_not_depend_on_their_batch(file: str) -> None:
    assert_items_are_independent(CoModGAN(file), scene(count=3))


@pytest.mark.blackbox
def test_images_of_another_size_are_refused(file: str) -> None:
    with pytest.raises(BadInputError, match="CoModGAN: expected images of 32×32, found 40×32"):
        CoModGAN(file)(scene(32, 40))


@pytest.mark.blackbox
def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    other = saved(tmp_path / "net_D.pth", {"convs.ToRGB.0.weight": torch.ones(2)})
    with pytest.raises(BadInputError, match=r"net_D\.pth: expected weights of CoModGAN's generator.*G_mapping"):
        CoModGAN(other)
