"""Tests of EdgeConnect: official sizes and names, both layouts of its files, edges, masks and batches."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from baselines.edgeconnect import EdgeConnect, grey_and_edges
from baselines.edgeconnect_network import EdgeConnectGenerator, edge_generator, painting_generator
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
def networks() -> tuple[EdgeConnectGenerator, EdgeConnectGenerator]:
    return stirred(edge_generator(4, 2)), stirred(painting_generator(4, 1), seed=1)


@pytest.fixture
def files(networks: tuple[EdgeConnectGenerator, EdgeConnectGenerator], tmp_path: Path) -> tuple[str, str]:
    names = ("EdgeModel_gen.pth", "InpaintingModel_gen.pth")
    edge, painting = (
        saved(tmp_path / name, {"iteration": 2000, "generator": network.state_dict()})
        for name, network in zip(names, networks, strict=True)
    )
    return edge, painting


@pytest.mark.golden
@pytest.mark.parametrize(
    ("build", "parameters", "tensors"),
    [
        (edge_generator, 10761089, (70, "08b0010f36880660e7a9795e0e94dff8f8946b2a69960f9027e599da248e26fc")),
        (painting_generator, 10774595, (44, "f6baa87b0c785a6d32acc096238f2574d17cfeee94d1a700aa84ef54522b03be")),
    ],
)
def test_parameter_sizes_and_names_equal_the_official_ones(
    build: Callable[[], EdgeConnectGenerator], parameters: int, tensors: tuple[int, str]
) -> None:
    # The digests were taken from EdgeGenerator and InpaintGenerator of knazeri/edge-connect at 3142579.
    with torch.device("meta"):
        network = build()
    assert parameters_of(network) == parameters
    assert tensors_sha256(network) == tensors


@pytest.mark.blackbox
def test_official_files_are_read(
    networks: tuple[EdgeConnectGenerator, EdgeConnectGenerator], files: tuple[str, str]
) -> None:
    batch = scene()
    image, mask = (batch.image + 1) / 2, batch.mask
    grey, edges = (part.float() for part in grey_and_edges(image, mask > 0))
    with torch.inference_mode():
        completed = networks[0](torch.cat([grey * (1 - mask) + mask, edges * (1 - mask), mask], 1))
        painted = networks[1](torch.cat([image * (1 - mask) + mask, completed], 1)) * 2 - 1
    torch.testing.assert_close(EdgeConnect(*files)(batch), torch.where(mask > 0, painted, batch.image))


@pytest.mark.blackbox
def test_the_older_layout_of_spectral_normalisation_is_read(files: tuple[str, str], tmp_path: Path) -> None:
    # Before PyTorch 1.0.1 the normalised weight was stored, and no `weight_v`.
    state = torch.load(files[0], weights_only=True)["generator"]
    older = {}
    for name, value in state.items():
        if name.endswith("weight_v"):
            weight, u = state[name[:-1] + "orig"], state[name[:-1] + "u"]
            turned = weight.transpose(0, 1) if name.startswith(("decoder.0.", "decoder.3.")) else weight
            older[name[:-2]] = weight / torch.dot(u, turned.flatten(1) @ value)
        else:
            older[name] = value
    file = saved(tmp_path / "older.pth", {"iteration": 1, "generator": older})
    batch = scene()
    now, then = EdgeConnect(*files)(batch), EdgeConnect(file, files[1])(batch)
    torch.testing.assert_close(then, now, rtol=0, atol=1e-4)


@pytest.mark.property
def test_edges_are_found_in_known_pixels_alone() -> None:
    image = torch.zeros(1, 3, 48, 48)
    image[..., 24:] = 1
    hole = torch.zeros(1, 1, 48, 48, dtype=torch.bool)
    hole[..., :20, :] = True
    grey, edges = grey_and_edges(image, hole)
    assert torch.allclose(grey[0, 0], image[0, 0].double())
    assert edges[0, 0, :21].sum() == 0
    # The step lies between two columns, which are equally steep.
    assert (edges[0, 0, 24:44, 23:25].sum(1) >= 1).all()
    assert edges.sum() == edges[..., 23:25].sum()
    assert grey_and_edges(image, torch.ones_like(hole))[1].sum() == 0


@pytest.mark.property
def test_known_pixels_are_kept_and_hole_pixels_are_ignored(files: tuple[str, str]) -> None:
    assert_honours_the_mask(EdgeConnect(*files), scene(32, 36))


@pytest.mark.property
def test_images_do_not_depend_on_their_batch(files: tuple[str, str]) -> None:
    assert_items_are_independent(EdgeConnect(*files), scene(count=3))


@pytest.mark.blackbox
def test_images_whose_sides_do_not_fit_are_refused(files: tuple[str, str]) -> None:
    with pytest.raises(BadInputError, match=r"EdgeConnect: expected images with sides that are multiples of 4.* 34×32"):
        EdgeConnect(*files)(scene(32, 34))


@pytest.mark.blackbox
def test_files_of_other_networks_are_refused(files: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"InpaintingModel_gen\.pth: expected weights of EdgeConnect's edge gen"):
        EdgeConnect(files[1], files[1])
    with pytest.raises(BadInputError, match=r"EdgeModel_gen\.pth: expected weights of EdgeConnect's inpainting gen"):
        EdgeConnect(files[0], files[0])
    with pytest.raises(
        BadInputError, match=r"dis\.pth: expected only tensors with names, found int under the name 'iteration'"
    ):
        EdgeConnect(saved(tmp_path / "dis.pth", {"iteration": 3, "discriminator": {}}), files[1])
