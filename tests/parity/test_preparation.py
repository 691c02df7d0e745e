"""Tests of the three resizes to 299 pixels against the packages that define them, in grey levels."""

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from bench.metrics.networks.inception_input import clean, lama, tensorflow_resize, torchfidelity
from benchmarks.random_weights import random_images
from tests.parity.conftest import Within

pytestmark = pytest.mark.reference

SIZES = [(512, 512), (256, 256), (299, 299), (64, 401), (1, 7)]


def noise(height: int, width: int) -> torch.Tensor:
    """Return noise, in which differences between resizes are largest."""
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_tensorflows_resize_equals_torch_fidelitys(size: tuple[int, int], within: Within) -> None:
    image = noise(*size)
    expected = interpolate_bilinear_2d_like_tensorflow1x(image.float(), size=(299, 299), align_corners=False)
    name = f"resize {size[0]}×{size[1]} to 299, grey levels"
    within(name, "torch-fidelity", tensorflow_resize(image), expected, 1e-4, absolute=True)
    within(f"{name} / 128", "torch-fidelity", torchfidelity(image), (expected - 128) / 128, 1e-6, absolute=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_clean_resize_equals_clean_fids(size: tuple[int, int], within: Within) -> None:
    image = noise(*size)
    resize = build_resizer("clean")
    expected = np.stack([resize(one).transpose(2, 0, 1) for one in image.permute(0, 2, 3, 1).numpy()])
    found = clean(image) * 128 + 128
    within(f"bicubic {size[0]}×{size[1]} to 299, grey levels", "clean-fid clean", found, expected, 1e-4, absolute=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_lama_resize_equals_clean_fids_legacy_mode(size: tuple[int, int], within: Within) -> None:
    """clean-fid resizes grey levels, LaMa values in [0, 1]."""
    image = noise(*size)
    resize = build_resizer("legacy_pytorch")
    expected = np.stack([resize(one).transpose(2, 0, 1) for one in image.permute(0, 2, 3, 1).numpy()])
    found = (lama(image) + 1) / 2 * 255
    name = f"bilinear {size[0]}×{size[1]} to 299, grey levels"
    within(name, "clean-fid legacy_pytorch", found, expected, 1e-4, absolute=True)


def test_the_three_resizes_differ(apart: Within) -> None:
    image = random_images(2, 512, 512)
    ways = {"lama": lama(image), "torchfidelity": torchfidelity(image), "clean": clean(image)}
    for first, second in (("lama", "torchfidelity"), ("lama", "clean"), ("torchfidelity", "clean")):
        apart(f"512×512 to 299, {first}", f"ours, {second}", ways[first], ways[second], 1e-2)
