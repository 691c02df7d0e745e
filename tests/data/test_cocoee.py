"""Tests of the miniature COCOEE and of the adapter that also reads the real data set."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bench.data import cocoee
from bench.data.cocoee import COCOEE
from bench.data.items import Picture, item_of_files
from bench.data.listing import names_sha256
from bench.data.mini.cocoee import _box_mask, write_cocoee
from bench.data.mini.scenes import SHAPES, Shape
from bench.data.pictures import read_rgb
from bench.data.squaring import Squaring
from bench.errors import BadInputError
from tests.helpers.files import digests

PAIRS = 40


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cocoee(tmp_path_factory.mktemp("data"), "val", pairs=PAIRS)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def ids(folder: Path) -> npt.NDArray[np.int64]:
    return np.load(folder / "id_list.npy", allow_pickle=False)


def notes(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "sources.jsonl").read_text().splitlines()]


def levels(path: Path | None) -> npt.NDArray[np.uint8]:
    assert path is not None
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


@pytest.mark.blackbox
def test_the_layout_equals_that_of_the_coco_test_bench(root: Path) -> None:
    assert ids(root).dtype == np.int64
    assert len(set(ids(root).tolist())) == PAIRS
    assert ids(root).tolist() != sorted(ids(root).tolist())
    names = sorted(f"{number:012d}" for number in ids(root))
    assert {len(name) for name in names} == {12}
    assert any(name.startswith("900100") for name in names)
    for part, ending in (("GT_3500", "GT"), ("Mask_bbox_3500", "mask"), ("Ref_3500", "ref")):
        assert sorted(path.name for path in (root / part).iterdir()) == [f"{name}_{ending}.png" for name in names]


@pytest.mark.property
def test_the_data_set_is_repeatable_by_seed_and_its_splits_share_nothing(tmp_path: Path, root: Path) -> None:
    assert digests(write_cocoee(tmp_path, "val", pairs=PAIRS)) == digests(root)
    assert digests(write_cocoee(tmp_path, "val", pairs=PAIRS, seed=1)) != digests(root)
    pictures, words = [], []
    for split in ("train", "dev", "val"):
        folder = write_cocoee(tmp_path, split, pairs=10)
        pictures += [read_rgb(path).tobytes() for part in ("GT_3500", "Ref_3500") for path in folder.glob(f"{part}/*")]
        words += sorted({line[key] for line in notes(folder) for key in ("word", "reference_word")})
    assert len(set(pictures)) == 60
    assert len(set(words)) == len(words)


@pytest.mark.property
@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_a_mask_is_one_box_of_8_to_50_percent(tmp_path: Path, resolution: int) -> None:
    for picture in COCOEE(write_cocoee(tmp_path, "dev", pairs=50, resolution=resolution)):
        mask = levels(picture.mask)
        assert mask.shape == (resolution, resolution)
        assert set(np.unique(mask)) == {0, 255}
        assert 0.08 <= (mask == 255).mean() <= 0.5
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


@pytest.mark.blackbox
def test_a_reference_shows_another_shape_at_its_own_size(root: Path) -> None:
    facts = notes(root)
    assert all(line["shape"] != line["reference_shape"] for line in facts)
    assert sum(line["colour"] != line["reference_colour"] for line in facts) > PAIRS / 2
    assert len({(line["shape"], line["reference_shape"]) for line in facts}) == PAIRS
    sizes = {read_rgb(path).size for path in root.glob("Ref_3500/*")}
    assert len(sizes) > PAIRS / 2
    assert all(20 < side <= 128 for size in sizes for side in size)


@pytest.mark.blackbox
def test_pictures_follow_the_order_of_the_list(root: Path) -> None:
    pictures = list(COCOEE(root))
    name = f"{ids(root)[0]:012d}"
    assert pictures[0] == Picture(
        name,
        root / "GT_3500" / f"{name}_GT.png",
        "scene cocoee val 0",
        mask=root / "Mask_bbox_3500" / f"{name}_mask.png",
        exemplar=root / "Ref_3500" / f"{name}_ref.png",
    )
    assert [int(picture.id) for picture in pictures] == ids(root).tolist()
    assert list(COCOEE(str(root))) == pictures
    assert len({picture.source for picture in pictures}) == PAIRS


@pytest.mark.blackbox
def test_an_item_is_made_from_a_pair(root: Path) -> None:
    item, grey = item_of_files(next(iter(COCOEE(root))), resolution=64, squaring=Squaring(COCOEE.fit))
    assert grey == 0
    assert item.image.shape == (64, 64, 3)
    assert 0.08 <= item.mask_area <= 0.5
    assert item.exemplar is not None


@pytest.mark.blackbox
def test_ids_are_read_from_the_folders_when_there_is_no_list(copy: Path) -> None:
    (copy / "id_list.npy").rename(copy / "other.npy")
    (copy / "GT_3500" / "notes_GT.png").touch()
    found = list(COCOEE(copy))
    assert [picture.id for picture in found] == sorted(picture.id for picture in found)
    assert sorted(found, key=lambda picture: picture.id) == sorted(
        COCOEE(copy, ids="other.npy"), key=lambda picture: picture.id
    )


@pytest.mark.blackbox
def test_a_users_own_list_selects_pictures_in_its_order(root: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", ids(root)[5:1:-1].astype(np.uint64))
    chosen = COCOEE(root, ids=tmp_path / "few.npy")
    assert list(chosen) == list(COCOEE(root))[5:1:-1]
    assert chosen.subset == "custom"


@pytest.mark.blackbox
def test_the_published_ids_are_recognised_in_any_order(root: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COCOEE(root).subset == "custom"
    names = sorted(f"{number:012d}" for number in ids(root))
    monkeypatch.setattr(cocoee, "PUBLISHED", (PAIRS, names_sha256(names)))
    (copy / "id_list.npy").unlink()
    assert COCOEE(root).subset == COCOEE(copy).subset == "published"
    np.save(copy / "id_list.npy", ids(root)[:-1])
    assert COCOEE(copy).subset == "custom"
    assert COCOEE.masks == "given"


@pytest.mark.blackbox
def test_ids_that_lack_a_file_are_counted_and_shown(copy: Path) -> None:
    names = [picture.id for picture in COCOEE(copy)]
    gone = [f"GT_3500/{names[0]}_GT.png", f"Mask_bbox_3500/{names[0]}_mask.png", f"Ref_3500/{names[7]}_ref.png"]
    for file in gone:
        (copy / file).unlink()
    with pytest.raises(BadInputError) as caught:
        list(COCOEE(copy))
    found = f"2 of {PAIRS} ids with missing files: {', '.join(gone)}"
    expected = (
        f"{copy / 'id_list.npy'}: expected a picture, a mask and an exemplar in {copy} for each id, found {found}"
    )
    assert str(caught.value) == expected
    (copy / "id_list.npy").unlink()
    with pytest.raises(BadInputError, match=rf"^{copy}: expected a picture, .*, found 2 of {PAIRS} ids with missing"):
        list(COCOEE(copy))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([3, 5, 3, 5, 7]), r"expected each name once, found 2 repeated: 000000000003, 000000000005$"),
        (np.array([1.5, 2.5]), r"expected a 1-D array of whole numbers, found float64 of shape \(2,\)$"),
        (np.array([[1, 2]]), r"expected a 1-D array of whole numbers, found int64 of shape \(1, 2\)$"),
        (np.array([1, -2, 10**12]), r"expected ids from 0 to 999999999999, found -2, 1000000000000$"),
        (np.array([], np.int64), r"expected ids of pictures, found no id$"),
        (
            np.array([{}], object),
            r"expected a NumPy file \(\.npy\) with ids, found one that cannot be read \(Object arrays cannot be loaded",
        ),
    ],
)
def test_a_broken_list_is_refused(copy: Path, content: npt.NDArray[np.generic], message: str) -> None:
    np.save(copy / "id_list.npy", content, allow_pickle=True)
    with pytest.raises(BadInputError, match=rf"id_list\.npy: {message}"):
        list(COCOEE(copy))


@pytest.mark.blackbox
def test_a_wrong_list_or_folder_is_named(copy: Path, tmp_path: Path) -> None:
    (copy / "id_list.npy").write_text("1\n2\n")
    with pytest.raises(BadInputError, match=r"id_list\.npy: expected a NumPy file \(\.npy\) with ids, found "):
        list(COCOEE(copy))
    with pytest.raises(
        BadInputError, match=r"gone\.npy: expected a NumPy file \(\.npy\) with ids, found .*No such file"
    ):
        list(COCOEE(copy, ids="gone.npy"))
    with pytest.raises(
        BadInputError, match=r"^dataset\.root: expected a folder that contains the folders GT_3500, .*nowhere$"
    ):
        list(COCOEE(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"empty: expected ids of pictures, found no id$"):
        list(COCOEE(tmp_path / "empty"))


@pytest.mark.blackbox
def test_the_largest_and_the_smallest_shape_get_a_mask() -> None:
    for kind, radius in itertools.product(SHAPES, (24, 38)):
        for centre, angle in itertools.product((22, 64, 106), range(0, 360, 15)):
            shape = Shape(kind, "red", (centre, centre), radius, float(angle))
            for margin in (3, 8):
                assert 0.08 <= _box_mask(shape, 64, margin).mean() <= 0.5
