"""The miniature ImageNet and the adapter that reads it as it reads the real one."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.imagenet import ImageNetValidation
from bench.data.mini.imagenet import write_imagenet
from bench.data.mini.photos import PHOTOS
from bench.errors import BadInputError

CLASSES = 88


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_imagenet(tmp_path_factory.mktemp("data"), "val", per_class=3)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def test_the_layout_is_imagenets(root: Path) -> None:
    folders = [path for path in root.iterdir() if path.is_dir()]
    assert len(folders) == CLASSES
    assert all(path.name[0] == "n" and len(path.name) == 9 for path in folders)
    files = sorted(root.glob("*/*.JPEG"))
    assert len(files) == CLASSES * 3
    assert all(path.name.startswith("ILSVRC2012_val_0000") for path in files)
    sizes = Counter(pixels(path).shape for path in files)
    assert sizes == {(128, 128, 3): 72 * 3, (128, 171, 3): 16 * 3}


def test_it_is_written_once_and_the_same_from_its_seed(tmp_path: Path, root: Path) -> None:
    again = write_imagenet(tmp_path, "val", per_class=3)
    assert digest(again) == digest(root)
    stamp = (again / "scenes.jsonl").stat().st_mtime_ns
    assert (write_imagenet(tmp_path, "val", per_class=3) / "scenes.jsonl").stat().st_mtime_ns == stamp
    assert digest(write_imagenet(tmp_path, "val", per_class=1, seed=1)) != digest(root)


def test_splits_share_no_photograph_and_no_picture(tmp_path: Path) -> None:
    pictures: list[bytes] = []
    for split in ("train", "dev", "val"):
        folder = write_imagenet(tmp_path, split, per_class=1)
        pictures += [pixels(path).tobytes() for path in folder.glob("*/*.JPEG")]
    assert len(set(pictures)) == len(pictures) == 3 * CLASSES
    names = [name for split in PHOTOS.values() for name in split]
    assert len(set(names)) == len(names)


def test_the_adapter_takes_a_seeded_choice_from_every_class(root: Path) -> None:
    pictures = list(ImageNetValidation(root, per_class=2))
    assert len(pictures) == 2 * CLASSES
    assert len({picture.id for picture in pictures}) == 2 * CLASSES
    assert [picture.id for picture in pictures] == sorted(picture.id for picture in pictures)
    assert pictures == list(ImageNetValidation(root, per_class=2))
    assert pictures != list(ImageNetValidation(root, per_class=2, seed=1))
    assert len(list(ImageNetValidation(root, per_class=50))) == 3 * CLASSES


def test_crops_of_one_photograph_share_their_source(root: Path) -> None:
    sources = Counter(picture.source for picture in ImageNetValidation(root))
    photos = {source for source in sources if source.startswith("photo ")}
    assert photos == {f"photo {name}" for name in PHOTOS["val"]}
    assert all(count == 1 for source, count in sources.items() if source not in photos)


def test_a_root_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.root.*nowhere"):
        list(ImageNetValidation(tmp_path / "nowhere"))
    (tmp_path / "n00000000").mkdir()
    with pytest.raises(BadInputError, match="found none in"):
        list(ImageNetValidation(tmp_path))


def test_no_picture_of_a_class_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.pictures\.per_class: expected 1 or more, found 0"):
        ImageNetValidation(tmp_path, per_class=0)
