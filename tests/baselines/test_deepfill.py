"""Tests of DeepFill v2: official sizes and names, its file, the attention, masks and batches."""

from pathlib import Path

import pytest
import torch

from baselines.deepfill import DeepFillV2
from baselines.deepfill_network import DeepFillGenerator, contextual_attention
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
def network() -> DeepFillGenerator:
    return stirred(DeepFillGenerator(8))


@pytest.fixture
def file(network: DeepFillGenerator, tmp_path: Path) -> str:
    return saved(tmp_path / "states_tf_places2.pth", {"G": network.state_dict()})


@pytest.mark.golden
def test_parameter_sizes_and_names_equal_the_official_ones() -> None:
    # The digest was taken from Generator of nipponjo/deepfillv2-pytorch at 4899fd3, model/networks_tf.py.
    with torch.device("meta"):
        network = DeepFillGenerator()
    assert parameters_of(network) == 4052478
    assert tensors_sha256(network) == (84, "4f59e74cfa7d7e8417594d7fd01508c74988a8b320ba733eac6d2b85ae9e8d43")


@pytest.mark.blackbox
def test_the_official_file_is_read(network: DeepFillGenerator, file: str) -> None:
    batch = scene()
    shown = torch.cat([batch.image * (1 - batch.mask), torch.ones_like(batch.mask), batch.mask], 1)
    with torch.inference_mode():
        refined = network(shown, batch.mask)[1]
    torch.testing.assert_close(DeepFillV2(file)(batch), torch.where(batch.mask > 0, refined, batch.image))


@pytest.mark.property
def test_attention_copies_from_known_places_alone() -> None:
    # Features that differ by place only where nothing is known cannot reach the result.
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    x = torch.zeros(1, 2, 16, 16)
    x[:, 0] = 3
    x[:, 1, :, :6] = noise(16, 6)
    out = contextual_attention(x, mask)
    assert torch.allclose(out[:, 1], torch.zeros(1, 16, 16), atol=1e-6)
    # Four pasted patches overlap at every place but those at the edges, which have fewer.
    assert torch.allclose(out[0, 0, 1:-1, 1:-1], torch.full((14, 14), 3.0), atol=1e-4)
    assert (contextual_attention(x, torch.ones_like(mask)) == 0).all()


@pytest.mark.property
def test_known_pixels_are_kept_and_hole_pixels_are_ignored(file: str) -> None:
    assert_honours_the_mask(DeepFillV2(file), scene(32, 40))


@pytest.mark.property
def test_images_do_not_depend_on_their_batch(file: str) -> None:
    assert_items_are_independent(DeepFillV2(file), scene(count=3))


@pytest.mark.blackbox
def test_images_whose_sides_do_not_fit_are_refused(file: str) -> None:
    with pytest.raises(BadInputError, match=r"DeepFill v2: expected images with sides that are multiples of 8.* 36×32"):
        DeepFillV2(file)(scene(32, 36))


@pytest.mark.blackbox
def test_the_network_with_other_padding_is_refused(tmp_path: Path) -> None:
    tuned = saved(tmp_path / "states_pt_places2.pth", {"G": {"stage1.conv1.conv.weight": torch.ones(48, 5, 5, 5)}})
    with pytest.raises(BadInputError, match=r"states_pt_places2\.pth: expected weights of DeepFill v2 \(states_tf_"):
        DeepFillV2(tuned)
