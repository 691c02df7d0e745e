"""Tests of training items, which depend only on their position and have the released code's crops and masks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bench.data.imagenet_train import ImageNetTrain
from bench.errors import BadInputError
from tests.training.small import write_pictures

COUNT = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("train"), COUNT)


def data(root: Path, **changes: object) -> ImageNetTrain:
    return ImageNetTrain(root, **{"resolution": 32, "masks": "thick_256@32", **changes})  # type: ignore[arg-type]


@pytest.mark.property
def test_several_workers_read_the_same_items_as_one_process(root: Path) -> None:
    items = [data(root)[position] for position in range(3 * COUNT)]
    loaded = DataLoader(data(root), sampler=list(range(3 * COUNT)), batch_size=None, num_workers=2)
    for first, second in zip(items, loaded, strict=True):
        assert first["position"] == second["position"]
        assert torch.equal(first["image"], second["image"])
        assert torch.equal(first["mask"], second["mask"])
    images = {item["image"].numpy().tobytes() for item in items}
    assert len(images) == 3 * COUNT  # a picture's crop is another one in each epoch


@pytest.mark.property
def test_an_epoch_contains_every_picture_once_in_a_new_order(root: Path) -> None:
    whole = data(root)
    orders = [list(whole._shuffled(epoch)) for epoch in range(3)]
    assert all(sorted(order) == list(range(COUNT)) for order in orders)
    assert orders[0] != orders[1]
    assert list(whole._shuffled(0)) == orders[0]


@pytest.mark.property
def test_images_and_masks_lie_in_their_ranges(root: Path) -> None:
    item = data(root, full_share=0.0)[0]
    assert item["image"].shape == (3, 32, 32)
    assert -1 <= float(item["image"].min()) < float(item["image"].max()) <= 1
    assert set(np.unique(item["mask"])) == {0.0, 1.0}


@pytest.mark.property
@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (1.0, 200, 200), (0.5, 72, 128)])
def test_full_masks_occur_with_the_configured_share(root: Path, share: float, low: int, high: int) -> None:
    """The share of 200 masks may differ by four standard deviations."""
    chosen = data(root, full_share=share)
    full = sum(bool(chosen[position]["mask"].min() == 1) for position in range(200))
    strokes = sum(bool(data(root, full_share=0.0)[position]["mask"].min() == 1) for position in range(200))
    assert low <= full <= high + strokes


@pytest.mark.blackbox
def test_alternating_masks_are_full_at_every_second_position(root: Path) -> None:
    chosen = data(root, alternating=True)
    assert all(bool(chosen[position]["mask"].min() == 1) for position in range(0, 20, 2))
    assert not all(bool(chosen[position]["mask"].min() == 1) for position in range(1, 20, 2))


@pytest.mark.blackbox
def test_a_listing_selects_the_pictures(root: Path, tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("n1/2.png\nn1/4.png\n")
    chosen = data(root, listing=listing)
    assert chosen.names == ["n1/2.png", "n1/4.png"]
    assert chosen.manifest != data(root).manifest


@pytest.mark.blackbox
def test_the_last_pictures_of_each_folder_can_be_held_out(tmp_path: Path) -> None:
    write_pictures(tmp_path, 3)
    shutil.copytree(tmp_path / "n1", tmp_path / "n2")
    assert data(tmp_path, only_last=1).names == ["n1/2.png", "n2/2.png"]
    assert data(tmp_path, without_last=1).names == ["n1/0.png", "n1/1.png", "n2/0.png", "n2/1.png"]
    assert data(tmp_path, without_last=1).manifest != data(tmp_path).manifest
    with pytest.raises(BadInputError, match="found no picture to use"):
        data(tmp_path, without_last=3)
    with pytest.raises(BadInputError, match="without_last, only_last: expected 0 or more for both, found -1"):
        data(tmp_path, without_last=-1)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("../secret.png", "expected only paths inside"),
        ("n1/2.png\nn1/99.png", "found 1 of 2 missing, such as n1/99.png"),
    ],
)
def test_a_listing_with_wrong_paths_is_refused(root: Path, tmp_path: Path, text: str, message: str) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(text)
    with pytest.raises(BadInputError, match=message):
        data(root, listing=listing)


@pytest.mark.blackbox
def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found no such folder"):
        data(tmp_path / "none")
    with pytest.raises(BadInputError, match="found no picture to use"):
        data(tmp_path)
