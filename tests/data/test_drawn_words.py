"""Tests of photographs with drawn words, of their adapter, and of words in prepared items."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.drawn_words import NOTES, DrawnWords
from bench.data.items import Item, Picture, inpainting_item, item_of_files
from bench.data.manifest_command import diff, verify
from bench.data.masks import preset
from bench.data.mini.drawn_words import WORDS, background, write_drawn_words
from bench.data.prepared import Items, prepare_items
from bench.data.squaring import Squaring
from bench.data.words import Word
from bench.errors import BadInputError
from bench.runtime.seeding import numpy_generator
from tests.helpers.files import digests

PICTURES, SIDE = 18, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_words(tmp_path_factory.mktemp("data"), pictures=PICTURES)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def prepared(folder: Path, root: Path) -> Items:
    masks = preset("thick_512@64")
    return prepare_items(folder, DrawnWords(root), resolution=SIDE, masks=masks, seed=0, limit=None)


@pytest.mark.property
def test_the_data_set_is_repeatable_by_seed(tmp_path: Path, root: Path) -> None:
    assert digests(write_drawn_words(tmp_path, pictures=PICTURES)) == digests(root)
    assert digests(write_drawn_words(tmp_path, pictures=PICTURES, seed=1)) != digests(root)


@pytest.mark.property
def test_each_picture_has_one_word_outside_the_hole_and_one_across_its_border(root: Path) -> None:
    pictures = list(DrawnWords(root))
    assert len(pictures) == PICTURES
    heights = []
    for picture in pictures:
        assert picture.mask is not None
        hole = np.asarray(Image.open(picture.mask)) > 0
        first, second = picture.words or ()
        assert first.is_outside(hole)
        assert second.crosses(hole)
        assert first.fits(hole.shape)
        assert second.fits(hole.shape)
        assert first.text in WORDS
        assert first.height == second.height
        assert first.right <= second.left or second.right <= first.left or (
            first.bottom <= second.top or second.bottom <= first.top
        )  # fmt: skip
        heights.append(first.height)
    assert sorted(heights) == sorted([10, 12, 16] * (PICTURES // 3))
    assert len({picture.source for picture in pictures}) == 13  # 9 of the split val, and 4 further ones


@pytest.mark.blackbox
def test_only_the_boxes_of_words_differ_from_the_photograph(root: Path) -> None:
    picture = next(iter(DrawnWords(root)))
    assert picture.path is not None
    pixels = np.asarray(Image.open(picture.path))
    crop = background(0, SIDE, numpy_generator(0, "drawn words", 0))
    assert picture.source == crop.source
    changed = (pixels != crop.pixels).any(-1)
    for word in picture.words or ():
        assert word.cut(changed).any()
        word.cut(changed)[...] = False
    assert not changed.any()


@pytest.mark.blackbox
def test_words_travel_through_prepared_items_and_the_manifest(tmp_path: Path, root: Path) -> None:
    items = prepared(tmp_path / "items", root)
    pictures = list(DrawnWords(root))
    assert [item.words for item in items.read(0, PICTURES)] == [picture.words for picture in pictures]
    assert items.lines()[0]["words"][0]["text"] == (pictures[0].words or ())[0].text
    assert verify(items.manifest, items.folder) == {}
    other = json.loads(json.dumps(items.manifest))
    other["items"][3]["words"][0]["text"] = "other"
    assert diff(items.manifest, other) == {"words": ["0003"]}


@pytest.mark.blackbox
def test_other_words_give_other_prepared_items(tmp_path: Path, copy: Path) -> None:
    first = prepared(tmp_path / "items", copy)
    lines = (copy / NOTES).read_text().splitlines()
    note = json.loads(lines[0])
    note["words"] = note["words"][:1]
    (copy / NOTES).write_text("\n".join([json.dumps(note), *lines[1:]]) + "\n")
    second = prepared(tmp_path / "items", copy)
    assert second.folder != first.folder
    assert second.hash != first.hash


@pytest.mark.blackbox
def test_a_picture_without_known_words_has_no_entry_for_words(tmp_path: Path, root: Path) -> None:
    (picture, *_) = DrawnWords(root)
    item, _ = item_of_files(
        Picture("a", picture.path, "a", mask=picture.mask), resolution=SIDE, squaring=Squaring("squash")
    )
    assert item.words is None


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "words.jsonl: expected one line for each picture, found no line"),
        ('{"file": "images/0000.png", "source": "a"}', "words.jsonl:1: expected the key words, found no such key"),
        (
            '{"file": "images/0000.png", "source": "a", "words": [{"text": "a"}]}',
            "words.jsonl:1: expected the key 0.left, found no such key",
        ),
        ('{"file": "../0000.png", "source": "a", "words": []}', "expected only paths inside"),
        ('{"file": "images/none.png", "source": "a", "words": []}', "found 2 of 2 missing: images/none.png"),
    ],
    ids=["empty", "key", "box", "outside", "missing"],
)
def test_a_broken_list_of_words_is_refused(copy: Path, line: str, said: str) -> None:
    (copy / NOTES).write_text(line)
    with pytest.raises(BadInputError) as refused:
        list(DrawnWords(copy))
    assert said in str(refused.value)


@pytest.mark.blackbox
def test_words_that_do_not_fit_their_picture_are_refused(root: Path) -> None:
    (picture, *_) = DrawnWords(root)
    with pytest.raises(BadInputError, match="expected a picture of 32×32 pixels, because the boxes of its words"):
        item_of_files(picture, resolution=32, squaring=Squaring("squash"))
    with pytest.raises(BadInputError, match="expected that its mask is a file, because the boxes of its words"):
        inpainting_item(picture, resolution=SIDE, masks=preset("thick_512@64"), seed=0)
    square = np.zeros((8, 8), np.uint8)
    with pytest.raises(BadInputError, match="expected the box of each word inside the image of 8×8 pixels, found the"):
        Item("a", "a", np.zeros((8, 8, 3), np.uint8), square, words=(Word("far", 2, 2, 9, 6, 4),))


@pytest.mark.blackbox
def test_words_without_a_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 pairs of words of 40 pixels have no place in a picture"):
        write_drawn_words(tmp_path, pictures=1, heights=(40,))
    assert list(tmp_path.glob("words-*[!e]")) == []
