"""Tests of CUDA: its numbers equal the CPU's, in float32 and not in TF32, the UNet in half precision, and copies."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import bench
from bench.checking.estimate import trial_items
from bench.evaluation.batch_size import Batches
from bench.evaluation.sampling import NeededLatents, Sampling
from bench.evaluation.scoring import Cell, Scoring
from bench.generation.compiling import compile_forward
from bench.generation.decoding import Decoded
from bench.generation.pipelines import INPAINTING, placed
from bench.metrics.batch_scorer import Unit
from bench.metrics.inception import InceptionMeasure
from bench.metrics.known_region import KnownRegionMeasure, near_hole
from bench.metrics.lpips import LPIPSMeasure
from bench.metrics.measure import Measure
from bench.metrics.names import HOLE_ONLY
from bench.metrics.similarity import SimilarityMeasure
from bench.models import build_decoder
from bench.runtime.copies import ReadBack, moved
from bench.runtime.device import choose_device
from bench.runtime.distributed import World
from bench.runtime.progress import Progress
from bench.store import Store
from benchmarks.random_weights import backbone_weights, inception_weights, stable_diffusion
from tests.helpers.noise import Noise

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


@pytest.mark.property
def test_values_are_copied_to_cuda_and_back_unchanged_beside_other_work() -> None:
    device = choose_device("cuda")
    here = {number: torch.randn(1000, 100, generator=torch.Generator().manual_seed(number)) for number in range(8)}
    work = torch.randn(4096, 4096, device=device)
    there: dict[int, torch.Tensor] = {}
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number, tensor in here.items():
            for _ in range(4):
                work = work @ work / 64
            there[number] = 2 * moved(tensor, device)
        copies = ReadBack({**there, "work": work})
        there.clear()
        work = torch.zeros_like(work)  # it may use memory that is free by now
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = copies.wait()
    for number, tensor in here.items():
        assert np.array_equal(found[number], (2 * tensor).numpy())


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measure]:
    """Return the measures of the paper profile for inpainting, with random weights."""
    folder = tmp_path_factory.mktemp("networks")
    torch.save(inception_weights(), folder / "inception.pth")
    torch.save(backbone_weights("vgg"), folder / "vgg16.pth")
    return {
        "lama": InceptionMeasure(folder / "inception.pth", ["lama", "torchfidelity"]),
        "lpips": LPIPSMeasure(folder / "vgg16.pth"),
        "known": KnownRegionMeasure(),
        "similarity": SimilarityMeasure(),
    }


SIDE, ITEMS = 128, 6


def block_of(networks: Mapping[str, Measure], device: torch.device, folder: Path) -> Callable[[], dict[Cell, Any]]:
    """Return a function that scores noise, which two decoders of paper size decode, in batches of two."""
    torch.manual_seed(0)
    methods = {name: Decoded(build_decoder(name), conditioned=name != "vanilla") for name in ("vanilla", "base")}
    for movable in (*methods.values(), *networks.values()):
        movable.to(device)
    noise = Noise(SIDE // 8, device)
    sampling = Sampling(
        lambda: noise, NeededLatents({}, 0, ()), store=Store(folder), device=device, batches=Batches(2),
        world=World(),
    )  # fmt: skip
    units = [*map(Unit, networks), Unit("lama", HOLE_ONLY)]
    scoring = Scoring(sampling, methods, networks, identities={}, protocols={}, units=units, batches=Batches(2))
    items = trial_items(SIDE, ITEMS)

    def call() -> dict[Cell, Any]:
        latents = sampling.block(items, Progress("sample", ITEMS))
        return scoring.block(items, latents, scoring.cells, Progress("score", ITEMS))

    return call


@pytest.mark.reference
def test_a_block_is_scored_on_cuda_with_one_wait_for_each_batch(
    networks: dict[str, Measure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = block_of(networks, torch.device("cpu"), tmp_path)()
    score = block_of(networks, choose_device("cuda"), tmp_path)
    score()  # it chooses kernels, and copies constants to the device
    waits, wait = [], ReadBack.wait

    def waited(copies: ReadBack[Any]) -> dict[Any, Any]:
        waits.append(copies)
        torch.cuda.set_sync_debug_mode("default")
        found = wait(copies)
        torch.cuda.set_sync_debug_mode("error")
        return found

    monkeypatch.setattr(ReadBack, "wait", waited)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = score()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(waits) == 2 * ITEMS // 2  # once for the latents and once for the scores of each batch
    assert found.keys() == expected.keys()
    for cell, arrays in expected.items():
        for name, values in arrays.items():
            assert found[cell][name] == pytest.approx(values, rel=1e-2, abs=1e-3, nan_ok=True), (cell, name)


@pytest.mark.reference
def test_pixels_near_the_hole_are_the_same_on_cuda() -> None:
    mask = (torch.rand(4, 1, 512, 512, generator=torch.Generator().manual_seed(0)) < 0.001).float()
    assert torch.equal(near_hole(mask.to(choose_device("cuda"))).cpu(), near_hole(mask))
