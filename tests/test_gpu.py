"""Tests of CUDA: its numbers equal the CPU's, in float32 and not in TF32, and the UNet in half precision."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import bench
from bench.generation.compiling import compile_forward
from bench.generation.pipelines import INPAINTING, placed
from bench.metrics.known_region import near_hole
from bench.models import build_decoder
from bench.runtime.device import choose_device
from benchmarks.random_weights import stable_diffusion

pytestmark = pytest.mark.gpu


@pytest.mark.blackbox
def test_matrix_products_stay_float32() -> None:
    device = choose_device("cuda")
    a, b = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(0)).unbind()
    found = (a.to(device) @ b.to(device)).cpu().double()
    exact = a.double() @ b.double()
    assert (found - exact).abs().max() / exact.abs().max() < 1e-5  # TF32 has ten bits: 1e-3


@pytest.mark.reference
@pytest.mark.parametrize("name", ["vanilla", "base", "large"])
def test_a_decoder_of_paper_size_gives_the_same_image_on_cuda(name: str) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(name).eval()
    z, image = torch.randn(1, 4, 16, 16), torch.rand(1, 3, 128, 128) * 2 - 1
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 32:96, 40:88] = 1
    given = (z,) if name == "vanilla" else (z, image, mask)
    with torch.inference_mode():
        here = decoder(*given)
        there = decoder.to(choose_device("cuda"))(*(tensor.cuda() for tensor in given)).cpu()
    assert (here - there).abs().max() / here.abs().max() < 1e-4


@pytest.mark.reference
def test_the_table_on_cuda_equals_that_on_the_cpu(tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        places = [f"paths.store={tmp_path / device}", f"paths.data={tmp_path / 'data'}", f"out={tmp_path / device}/out"]
        bench.run(["experiment=table2_inpaint_imagenet", "limit=64", "generator.steps=2", f"device={device}", *places])
    found = [
        pandas.read_parquet(tmp_path / device / "out" / "records.parquet").select_dtypes("number")
        for device in ("cpu", "cuda")
    ]
    for name in ("lpips", "pre_error_float"):
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-2)
        assert abs(found[0][name].mean() / found[1][name].mean() - 1) < 1e-3


def unet(*, autocast: bool) -> Any:
    """Return a tiny UNet on CUDA with random weights."""
    parts = stable_diffusion(torch.device("cpu"), channels=INPAINTING, small=True)
    return placed(parts, torch.float32, choose_device("cuda"), autocast=autocast)["unet"]


def inputs() -> tuple[torch.Tensor, ...]:
    drawn = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=drawn).cuda() for shape in ((2, 9, 16, 16), (2, 7, 32)))


@pytest.mark.reference
def test_weights_in_half_precision_give_what_autocast_alone_gives() -> None:
    (x, condition), time = inputs(), torch.tensor(500).cuda()
    with torch.inference_mode():
        with torch.autocast("cuda", torch.float16):
            (expected,) = unet(autocast=False)(x, time, condition, return_dict=False)
        (found,) = unet(autocast=True)(x, time, condition, return_dict=False)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.float())


@pytest.mark.blackbox
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_unet_gives_the_same_values_in_every_call(mode: str) -> None:
    plain, compiled = unet(autocast=True), unet(autocast=True)
    compile_forward(compiled, mode)
    (x, condition), times = inputs(), [torch.tensor(time).cuda() for time in (900, 500, 100, 500)]
    with torch.inference_mode():
        expected, found = (
            [network(x, time, condition, return_dict=False)[0] for time in times] for network in (plain, compiled)
        )
    for one, other in zip(expected, found, strict=True):
        assert (one - other).abs().max() / one.abs().max() < 1e-2  # float16 has ten bits
    assert torch.equal(found[1], found[3])


@pytest.mark.reference
def test_pixels_near_the_hole_are_the_same_on_cuda() -> None:
    mask = (torch.rand(4, 1, 512, 512, generator=torch.Generator().manual_seed(0)) < 0.001).float()
    assert torch.equal(near_hole(mask.to(choose_device("cuda"))).cpu(), near_hole(mask))
