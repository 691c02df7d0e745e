"""Tests of the miniature ImageNet and of the adapter that also reads the real data set."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import imagenet
from bench.data.imagenet import AuthorsArchive, ImageNetValidation
from bench.data.mini.imagenet import write_imagenet
from bench.data.mini.photos import PHOTOS
from bench.errors import BadInputError
from bench.store import file_sha256

CLASSES = {"train": 88, "dev": 88, "val": 132}


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


@pytest.mark.blackbox
def test_a_folder_at_the_wrong_level_is_told_by_its_counts(root: Path, tmp_path: Path) -> None:
    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "val").symlink_to(root)
    message = (
        rf"found no such subfolder in {tmp_path}/imagenet; {tmp_path}/imagenet/val has {CLASSES['val']} subfolders; if"
    )
    with pytest.raises(BadInputError, match=message):
        list(ImageNetValidation(tmp_path / "imagenet"))


@pytest.mark.blackbox
def test_a_folder_above_pictures_without_synset_folders_is_refused(root: Path, tmp_path: Path) -> None:
    for part, count in (("train", 2), ("val", 3)):
        (tmp_path / part).mkdir()
        for path in sorted(root.glob("*/*.JPEG"))[:count]:
            (tmp_path / part / path.name).write_bytes(path.read_bytes())
    with pytest.raises(BadInputError, match="found 2 pictures in train, 3 pictures in val in"):
        list(ImageNetValidation(tmp_path))


@pytest.mark.blackbox
def test_the_layout_equals_that_of_imagenet(root: Path) -> None:
    folders = [path for path in root.iterdir() if path.is_dir()]
    assert len(folders) == CLASSES["val"]
    assert all(path.name[0] == "n" and len(path.name) == 9 for path in folders)
    files = sorted(root.glob("*/*.JPEG"))
    assert len(files) == CLASSES["val"] * 3
    assert all(path.name.startswith("ILSVRC2012_val_0000") for path in files)
    sizes = Counter(pixels(path).shape for path in files)
    assert sizes == {(128, 128, 3): 72 * 3, (128, 171, 3): 60 * 3}


@pytest.mark.property
@pytest.mark.slow
def test_the_data_set_is_written_once_and_repeatable_by_seed(tmp_path: Path, root: Path) -> None:
    again = write_imagenet(tmp_path, "val", per_class=3)
    assert digest(again) == digest(root)
    stamp = (again / "scenes.jsonl").stat().st_mtime_ns
    assert (write_imagenet(tmp_path, "val", per_class=3) / "scenes.jsonl").stat().st_mtime_ns == stamp
    assert digest(write_imagenet(tmp_path, "val", per_class=1, seed=1)) != digest(root)


@pytest.mark.property
def test_splits_share_no_photograph_and_no_picture(tmp_path: Path) -> None:
    pictures: list[bytes] = []
    for split in ("train", "dev", "val"):
        folder = write_imagenet(tmp_path, split, per_class=1)
        pictures += [pixels(path).tobytes() for path in folder.glob("*/*.JPEG")]
    assert len(set(pictures)) == len(pictures) == sum(CLASSES.values())
    names = [name for split in PHOTOS.values() for name in split]
    assert len(set(names)) == len(names)


@pytest.mark.blackbox
def test_the_adapter_selects_pictures_of_every_class_by_seed(root: Path) -> None:
    pictures = list(ImageNetValidation(root, per_class=2))
    assert len(pictures) == 2 * CLASSES["val"]
    assert len({picture.id for picture in pictures}) == 2 * CLASSES["val"]
    assert [picture.id for picture in pictures] == sorted(picture.id for picture in pictures)
    assert pictures == list(ImageNetValidation(root, per_class=2))
    assert pictures != list(ImageNetValidation(root, per_class=2, seed=1))
    assert len(list(ImageNetValidation(root, per_class=50))) == 3 * CLASSES["val"]


@pytest.mark.blackbox
def test_every_picture_of_the_test_set_has_its_own_source(root: Path) -> None:
    sources = Counter(picture.source for picture in ImageNetValidation(root))
    photos = {source for source in sources if source.startswith("photo ")}
    assert photos == {f"photo {name}" for name in PHOTOS["val"]}
    assert set(sources.values()) == {1}
    assert sum(source.startswith("texture ") for source in sources) == 60 * 3 - len(photos)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("split", "notes", "mean"),
    [
        ("train", "2550d73a583454d8d0c70dffaf92f5f55d170f28cdea6125ae20c510e02309b1", 122.294),
        ("dev", "61705ed63a8bc638606204d81cab581c73cebf2158dc143aff64ea24490c286d", 127.751),
    ],
)
def test_the_training_data_of_the_shipped_models_is_unchanged(
    tmp_path: Path, split: str, notes: str, mean: float
) -> None:
    folder = write_imagenet(tmp_path, split, per_class=2)
    assert folder == tmp_path / "imagenet-v1-seed0-2" / split
    assert file_sha256(folder / "scenes.jsonl") == notes
    pictures = [pixels(path) for path in sorted(folder.glob("*/*.JPEG"))]
    assert np.mean([picture.mean() for picture in pictures]) == pytest.approx(mean, abs=0.01)


@pytest.mark.blackbox
def test_a_root_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.root.*nowhere"):
        list(ImageNetValidation(tmp_path / "nowhere"))
    (tmp_path / "n00000000").mkdir()
    with pytest.raises(BadInputError, match="found no such subfolder in"):
        list(ImageNetValidation(tmp_path))


@pytest.mark.blackbox
def test_zero_pictures_per_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.pictures\.per_class: expected 1 or more, found 0"):
        ImageNetValidation(tmp_path, per_class=0)


def flat(root: Path, folder: Path, *, unlike: int = 1) -> Path:
    """Write equal pictures in one folder with the devkit's list of their classes."""
    folder.mkdir()
    files = {path.name: path for path in root.glob("*/*.JPEG")}
    for name, path in files.items():
        (folder / name).symlink_to(path)
    classes = {name: unlike * number for number, name in enumerate(sorted(path.name for path in root.iterdir()))}
    lines = [str(1 + classes[files[name].parent.name]) for name in sorted(files)]
    (folder / "ground_truth.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.blackbox
def test_a_flat_folder_with_its_ground_truth_gives_the_same_selection(root: Path, tmp_path: Path) -> None:
    folder = flat(root, tmp_path / "flat", unlike=7)
    chosen = list(ImageNetValidation(folder, per_class=2, ground_truth="ground_truth.txt"))
    expected = ImageNetValidation(root, per_class=2)
    assert [picture.path.name for picture in chosen] == [picture.path.name for picture in expected]
    assert [picture.id for picture in chosen] == [picture.id for picture in expected]
    assert [picture.id for picture in chosen] == [picture.path.stem for picture in chosen]
    whole = ImageNetValidation(folder, ground_truth=str(folder / "ground_truth.txt"), seed=3)
    assert len(list(whole)) == 3 * CLASSES["val"]


@pytest.mark.blackbox
def test_three_pictures_of_a_thousand_classes_are_labelled_reconstructed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ImageNetValidation(root).subset == "custom"
    monkeypatch.setattr(imagenet, "CLASSES", CLASSES["val"])
    assert ImageNetValidation(root).subset == "reconstructed"
    assert ImageNetValidation(root, per_class=2).subset == "custom"


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1\n2\nn01440764\n-4\n",
            r"truth\.txt: expected a class number of 1 to 9 digits in every line, found n01440764 in line 3, -4 in ",
        ),
        ("", r"truth\.txt: expected a class number of 1 to 9 digits in every line, found no lines$"),
        (
            "1\n" * 7,
            r"truth\.txt: expected that each .*, found 6 of 7 missing: ILSVRC2012_val_00000002\.JPEG, .* and 1 more$",
        ),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ILSVRC2012_val_00000001.JPEG").touch()
    (tmp_path / "truth.txt").write_text(text)
    with pytest.raises(BadInputError, match=message):
        list(ImageNetValidation(tmp_path, ground_truth="truth.txt"))
    with pytest.raises(
        BadInputError, match=r"^dataset\.pictures\.ground_truth: expected a text file of class numbers.*gone"
    ):
        list(ImageNetValidation(tmp_path, ground_truth="gone.txt"))


@pytest.mark.blackbox
def test_pictures_without_folders_and_ground_truth_are_refused_with_the_key_to_set(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_val_00000001.JPEG").touch()
    with pytest.raises(BadInputError, match=r"found no such subfolder in .*dataset\.pictures\.ground_truth"):
        list(ImageNetValidation(tmp_path))


@pytest.mark.blackbox
def test_two_pictures_with_equal_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    for name in ("a.png", "a.jpg"):
        (tmp_path / "n1" / name).touch()
    with pytest.raises(BadInputError, match=r"n1: expected each name once, found 1 repeated: a$"):
        list(ImageNetValidation(tmp_path))


def archive(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / f"{name}.png").touch()
    return folder


@pytest.mark.blackbox
def test_the_archive_is_read_as_pairs_sorted_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = AuthorsArchive(archive(tmp_path, "b", "b_mask", "a_crop000", "a_crop000_mask"))
    expected = [(name, tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png") for name in ("a_crop000", "b")]
    assert [(picture.id, picture.path, picture.mask) for picture in pairs] == expected
    assert [picture.source for picture in pairs] == ["a_crop000", "b"]
    assert pairs.subset == "custom"
    assert (pairs.masks, pairs.fit) == ("given", "squash")
    monkeypatch.setattr(imagenet, "PUBLISHED_PAIRS", 2)
    assert AuthorsArchive(tmp_path).subset == "published"


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a", "a_mask", "c", "b"],
            r", found 2 of 3 pairs incomplete; these files are missing: b_mask\.png, c_mask\.png$",
        ),
        (["a", "a_mask", "b_mask"], r", found 1 of 2 pairs incomplete; these files are missing: b\.png$"),
        ([], r"^dataset\.root: expected pairs of NAME\.png and NAME_mask\.png, found none in "),
    ],
)
def test_pictures_and_masks_without_a_partner_are_counted_and_shown(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        list(AuthorsArchive(archive(tmp_path, *names)))
    with pytest.raises(
        BadInputError, match=r"^dataset\.root: expected a folder with pairs of NAME\.png and NAME_mask\.png, found "
    ):
        list(AuthorsArchive(tmp_path / "nowhere"))


@pytest.mark.blackbox
def test_pictures_with_equal_names_in_two_classes_are_distinguished(tmp_path: Path) -> None:
    for folder in ("n1", "n2"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "1.png")
    assert [picture.id for picture in ImageNetValidation(tmp_path)] == ["n1/1", "n2/1"]
