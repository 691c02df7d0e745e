"""Tests of CUDA: its numbers equal the CPU's, in float32 and not in TF32."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import bench
from bench.models import build_decoder
from bench.runtime.device import choose_device

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
