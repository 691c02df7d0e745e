"""Tests of LaMa: official sizes and names, official files, masks, padding and batches."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.lama import LaMa, load_lama
from baselines.lama_network import LaMaGenerator
from baselines.padding import mirrored
from baselines.torchscript import read_program_tensors
from bench.errors import BadInputError
from tests.baselines.pictures import (
    assert_honours_the_mask,
    assert_items_are_independent,
    noise,
    parameters_of,
    saved,
    scene,
    stirred,
    tensors_sha256,
)


@pytest.fixture
def network() -> LaMaGenerator:
    return stirred(LaMaGenerator(8, 2))


@pytest.fixture
def checkpoint(network: LaMaGenerator, tmp_path: Path) -> str:
    state = {f"generator.{name}": value for name, value in network.state_dict().items()}
    others = {"discriminator.model0.0.weight": torch.ones(1), "val_evaluator.scale": torch.ones(1)}
    return saved(tmp_path / "best.ckpt", {"epoch": 3, "global_step": 7, "state_dict": {**state, **others}})


@pytest.mark.golden
@pytest.mark.parametrize(
    ("blocks", "parameters", "tensors"),
    [
        (9, 27048835, (521, "66568fbe91a3fbb2f1e1f8de676d1b7904b7841372cbe0ff5a8ecfd045d6589e")),
        (18, 50975875, (989, "b9660a63a537ae9b5f5eda6a0fb41324397efaf40b006f27d1714f021a78f613")),
    ],
)
def test_parameter_sizes_and_names_equal_the_official_ones(
    blocks: int, parameters: int, tensors: tuple[int, str]
) -> None:
    # The digests were taken from FFCResNetGenerator of advimman/lama at 786f593.
    with torch.device("meta"):
        network = LaMaGenerator(64, blocks)
    assert parameters_of(network) == parameters
    assert tensors_sha256(network) == tensors


@pytest.mark.blackbox
def test_a_lightning_checkpoint_is_read(network: LaMaGenerator, checkpoint: str) -> None:
    batch = scene()
    image, mask = (batch.image + 1) / 2, batch.mask
    with torch.inference_mode():
        painted = network(torch.cat([image * (1 - mask), mask], 1)) * 2 - 1
    torch.testing.assert_close(LaMa(checkpoint)(batch), torch.where(mask > 0, painted, batch.image))


@pytest.mark.blackbox
def test_a_file_of_the_generator_alone_is_read(network: LaMaGenerator, tmp_path: Path) -> None:
    found = load_lama(Path(saved(tmp_path / "own.pt", network.state_dict())))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in found.state_dict().items())


class Inner(nn.Module):
    """Hold the generator two modules deep, like the export of bin/to_jit.py."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        painted = self.generator(torch.cat([image * (1 - mask), mask], 1))
        return mask * painted + (1 - mask) * image


class Wrapper(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.model(image, mask)


@pytest.mark.blackbox
def test_a_torchscript_program_is_read_without_being_run(
    network: LaMaGenerator, checkpoint: str, tmp_path: Path
) -> None:
    path = tmp_path / "big-lama.pt"
    wrapper = Wrapper(Inner(network)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        program = torch.jit.trace(wrapper, (torch.rand(1, 3, 40, 40), torch.rand(1, 1, 40, 40)))
        program.save(path)
    found = read_program_tensors(path)
    assert found.keys() == wrapper.state_dict().keys()
    assert all(torch.equal(value, wrapper.state_dict()[name]) for name, value in found.items())
    batch = scene()
    assert torch.equal(LaMa(str(path))(batch), LaMa(checkpoint)(batch))
    with torch.inference_mode():
        theirs = program((batch.image + 1) / 2, batch.mask) * 2 - 1
    torch.testing.assert_close(LaMa(str(path))(batch), theirs, rtol=0, atol=1e-5)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInputError, match=r"big-lama\.pt"):
        LaMa(str(path))


@pytest.mark.property
def test_known_pixels_are_kept_and_hole_pixels_are_ignored(checkpoint: str) -> None:
    assert_honours_the_mask(LaMa(checkpoint), scene())


@pytest.mark.property
def test_images_do_not_depend_on_their_batch(checkpoint: str) -> None:
    assert_items_are_independent(LaMa(checkpoint), scene(count=3))


@pytest.mark.blackbox
def test_sides_are_padded_by_mirroring_to_a_multiple(checkpoint: str) -> None:
    x = noise(1, 2, 13, 3)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 3), (0, 5)), mode="symmetric")
    assert np.array_equal(mirrored(x, 8).numpy(), expected)
    assert torch.equal(mirrored(x[:, :, :8, :1].expand(-1, -1, -1, 8), 8), x[:, :, :8, :1].expand(-1, -1, -1, 8))
    assert_honours_the_mask(LaMa(checkpoint), scene(29, 35))


@pytest.mark.blackbox
def test_files_of_other_networks_are_refused(checkpoint: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"missing\.ckpt: expected a weight file, found no such file"):
        LaMa(str(tmp_path / "missing.ckpt"))
    other = saved(tmp_path / "other.ckpt", {"state_dict": {"decoder.weight": torch.ones(2)}})
    with pytest.raises(BadInputError, match=r"other\.ckpt: expected weights of LaMa's generator, found other tensors"):
        LaMa(other)
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    state.pop("generator.model.5.conv2.ffc.convg2g.fu.bn.weight")
    short = saved(tmp_path / "short.ckpt", {"state_dict": state})
    with pytest.raises(BadInputError, match=r"short\.ckpt.*model\.5\.conv2\.ffc\.convg2g\.fu\.bn\.weight"):
        LaMa(short)


@pytest.mark.blackbox
def test_the_network_can_be_trained() -> None:
    network = LaMaGenerator(4, 1, halvings=2)
    network(torch.rand(2, 4, 16, 16)).mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.blackbox
@pytest.mark.slow
def test_importing_the_network_imports_no_large_package() -> None:
    line = "import sys, baselines.lama_network; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert not {"diffusers", "transformers", "skimage", "cv2"} & set(done.stdout.split())
