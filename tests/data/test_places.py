"""Tests of the miniature Places and of the adapter that also reads the real data set."""

from collections import Counter
from pathlib import Path

import pytest

from bench.data import places
from bench.data.listing import names_sha256
from bench.data.mini.places import write_places
from bench.data.pictures import read_rgb
from bench.data.places import Places
from bench.errors import BadInputError
from tests.helpers.files import digests

LIST = "test_list.txt"
COUNT = 24


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_places(tmp_path_factory.mktemp("data"), "val", pictures=COUNT)


def listing(folder: Path, *names: str) -> Path:
    path = folder / "some.txt"
    path.write_text("\n".join(names))
    return path


@pytest.mark.blackbox
def test_the_layout_equals_that_of_places(root: Path) -> None:
    names = (root / LIST).read_text().splitlines()
    assert len(names) == len(set(names)) == COUNT
    assert names[:2] == ["Places365_test_00000001.jpg", "Places365_test_00000008.jpg"]
    assert sorted(path.name for path in (root / "test_256").iterdir()) == names
    assert {read_rgb(root / "test_256" / name).size for name in names} == {(128, 128)}


@pytest.mark.property
def test_the_data_set_is_repeatable_by_seed_and_its_splits_share_nothing(tmp_path: Path, root: Path) -> None:
    assert digests(write_places(tmp_path, "val", pictures=COUNT)) == digests(root)
    assert digests(write_places(tmp_path, "val", pictures=COUNT, seed=1)) != digests(root)
    pictures, sources = [], []
    for split in ("train", "dev", "val"):
        folder = write_places(tmp_path, split, pictures=12)
        pictures += [read_rgb(path).tobytes() for path in folder.glob("test_256/*.jpg")]
        sources += sorted({picture.source for picture in Places(folder, LIST)})
    assert len(set(pictures)) == 36
    assert len(set(sources)) == len(sources)


@pytest.mark.blackbox
def test_pictures_follow_the_order_of_the_list(root: Path, tmp_path: Path) -> None:
    pictures = list(Places(root, LIST))
    assert [f"{picture.id}.jpg" for picture in pictures] == (root / LIST).read_text().splitlines()
    assert [picture.path for picture in pictures] == [root / "test_256" / f"{picture.id}.jpg" for picture in pictures]
    assert pictures[0].mask is pictures[0].exemplar is None
    few = [f" {picture.id}.jpg\r" for picture in pictures[7:3:-1]]
    chosen = Places(str(root), listing(tmp_path, *few, ""))
    assert list(chosen) == list(chosen) == pictures[7:3:-1]


@pytest.mark.blackbox
def test_five_of_six_pictures_are_scenes_and_the_rest_are_photographic(root: Path, tmp_path: Path) -> None:
    kinds = Counter(picture.source.split()[0] for picture in Places(root, LIST))
    assert kinds == {"scene": COUNT * 5 // 6, "photo": COUNT // 12, "texture": COUNT // 12}
    train = Places(write_places(tmp_path, "train", pictures=COUNT), LIST)
    assert Counter(picture.source.split()[0] for picture in train) == {"scene": COUNT * 5 // 6, "photo": COUNT // 6}


@pytest.mark.blackbox
def test_a_real_picture_is_its_own_source(root: Path, tmp_path: Path) -> None:
    (tmp_path / "test_256").symlink_to(root / "test_256")
    name = "Places365_test_00000001"
    assert [picture.source for picture in Places(tmp_path, listing(tmp_path, f"{name}.jpg"))] == [name]


@pytest.mark.golden
def test_the_published_list_is_recognised_by_its_count_and_hash(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (root / LIST).read_text().split()
    assert Places(root, LIST).subset == "custom"
    monkeypatch.setattr(places, "PUBLISHED", (COUNT, names_sha256(names)))
    assert Places(root, LIST).subset == "published"
    assert Places(root, listing(tmp_path, *names, "")).subset == "published"
    assert Places(root, listing(tmp_path, *names[:-1])).subset == "custom"
    assert Places(root, listing(tmp_path, *names[::-1])).subset == "custom"
    assert Places.masks == "drawn"
    assert Places.fit == "lama"


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jpg", "b.jpg", "a.png"], r"some\.txt: expected each name once, found 1 repeated: a$"),
        (["../secret.jpg"], r"some\.txt: expected only paths inside .*test_256, found \.\./secret\.jpg$"),
        (["/etc/passwd"], r"expected only paths inside .*, found /etc/passwd$"),
        (
            ["Places365_test_00000001.jpg", "b.jpg", "."],
            r"some\.txt: expected that each .*, found 2 of 3 missing: b\.jpg, \.$",
        ),
        (["", "  "], r"some\.txt: expected the file name of one picture on each line, found no file name$"),
    ],
)
def test_a_list_with_wrong_paths_is_refused(root: Path, tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        list(Places(root, listing(tmp_path, *names)))


@pytest.mark.blackbox
def test_a_missing_or_wrong_root_or_list_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"^dataset\.root: expected a folder that contains the folder test_256, found nothing at"
    ):
        list(Places(tmp_path / "nowhere", LIST))
    with pytest.raises(
        BadInputError,
        match=r"^dataset\.pictures\.listing: expected a text file with one file name on each line.*gone\.txt",
    ):
        list(Places(root, "gone.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"^dataset\.pictures\.listing: .*bytes\.txt"):
        list(Places(root, tmp_path / "bytes.txt"))
