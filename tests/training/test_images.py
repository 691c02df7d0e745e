"""Tests of training batches, which depend on their step, lie in range and have the share of full masks."""

from pathlib import Path

import pytest
import torch

from bench.data.masks import preset
from bench.data.mini.imagenet import write_imagenet
from bench.errors import BadInputError
from bench.training.mini.images import TrainingImages, training_masks


@pytest.mark.property
def test_a_batch_depends_only_on_its_seeds(tmp_path: Path) -> None:
    images = TrainingImages(write_imagenet(tmp_path, "train", per_class=1), resolution=64)
    first, indices = images.batch(6, 0, "first_stage", 10)
    images.batch(3, 0, "first_stage", 11)
    again, same = images.batch(6, 0, "first_stage", 10)
    other, _ = images.batch(6, 0, "first_stage", 11)
    assert first.shape == (6, 3, 64, 64)
    assert -1 <= first.min() < first.max() <= 1
    assert torch.equal(first, again)
    assert (indices == same).all()
    assert not torch.equal(first, other)


@pytest.mark.property
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_full_masks_occur_with_the_configured_share(share: float) -> None:
    masks = training_masks(preset("thick_256@64"), 400, 64, 0, "decoder", 3, full_share=share)
    assert masks.shape == (400, 1, 64, 64)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    full = (masks.mean((1, 2, 3)) == 1).float().mean().item()
    assert abs(full - share) <= 4 * (share * (1 - share) / 400) ** 0.5 + 0.02  # strokes fill a few by themselves


@pytest.mark.property
def test_masks_differ_between_items_and_steps() -> None:
    first = training_masks(preset("thick_256@64"), 8, 64, 0, 1, full_share=0)
    other = training_masks(preset("thick_256@64"), 8, 64, 0, 2, full_share=0)
    assert len({mask.numpy().tobytes() for mask in torch.cat([first, other])}) == 16


@pytest.mark.blackbox
def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found no such file"):
        TrainingImages(tmp_path, resolution=64)
