"""Tests of the miniature COCO with captions and of the adapter that also reads the real data set."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data import karpathy
from bench.data.karpathy import KarpathyCOCO
from bench.data.mini.karpathy import write_karpathy
from bench.data.pictures import read_rgb
from bench.errors import BadInputError
from tests.helpers.files import digests

IMAGES = 20
JSON = "dataset_coco.json"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_karpathy(tmp_path_factory.mktemp("data"), "val", images=IMAGES)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def entries(folder: Path, split: str | None = None) -> list[dict[str, Any]]:
    images = json.loads((folder / JSON).read_text())["images"]
    return [image for image in images if split in (None, image["split"])]


def change(folder: Path, changed: Callable[[dict[str, Any]], object], *, which: slice = slice(None)) -> None:
    """Change some of the entries of `val`."""
    content = json.loads((folder / JSON).read_text())
    for image in [image for image in content["images"] if image["split"] == "val"][which]:
        changed(image)
    (folder / JSON).write_text(json.dumps(content))


@pytest.mark.blackbox
def test_the_layout_equals_that_of_karpathys_file(root: Path) -> None:
    content = json.loads((root / JSON).read_text())
    assert content["dataset"] == "coco"
    images = content["images"]
    keys = {"filepath", "filename", "imgid", "cocoid", "split", "sentids", "sentences"}
    assert all(set(image) == keys for image in images)
    assert [image["imgid"] for image in images] == list(range(len(images)))
    assert Counter(image["split"] for image in images) == {"val": IMAGES, "train": 3, "test": 3}
    assert len({image["cocoid"] for image in images}) == len(images)
    said = [sentence for image in images for sentence in image["sentences"]]
    assert [sentence["sentid"] for sentence in said] == list(range(5 * len(images)))
    assert [sentence["sentid"] for sentence in images[1]["sentences"]] == images[1]["sentids"]
    assert all(set(sentence) == {"tokens", "raw", "imgid", "sentid"} for sentence in said)
    assert all(image["filename"] == f"COCO_{image['filepath']}_{image['cocoid']:012d}.jpg" for image in images)
    names = {image["filename"] for image in images if image["split"] != "train"}
    assert {path.name for path in (root / "val2014").iterdir()} == names


@pytest.mark.property
def test_the_data_set_is_repeatable_by_seed_and_its_splits_share_nothing(tmp_path: Path, root: Path) -> None:
    assert digests(write_karpathy(tmp_path, "val", images=IMAGES)) == digests(root)
    assert digests(write_karpathy(tmp_path, "val", images=IMAGES, seed=1)) != digests(root)
    pictures, words = [], []
    for split in ("train", "dev", "val"):
        folder = write_karpathy(tmp_path, split, images=10)
        assert len(list(KarpathyCOCO(folder))) == 50
        pictures += [read_rgb(path).tobytes() for path in folder.glob("val2014/*")]
        words += sorted({json.loads(line)["word"] for line in (folder / "sources.jsonl").read_text().splitlines()})
    assert len(set(pictures)) == len(pictures) == 36
    assert len(set(words)) == len(words)


@pytest.mark.blackbox
def test_each_caption_makes_one_picture_and_the_first_is_the_reference(root: Path) -> None:
    pictures = list(KarpathyCOCO(root))
    images = entries(root, "val")
    expected = [
        (f"{image['cocoid']}-{k}", said["raw"]) for image in images for k, said in enumerate(image["sentences"])
    ]
    assert [(picture.id, picture.caption) for picture in pictures] == expected
    assert [picture.reference for picture in pictures] == [True, False, False, False, False] * IMAGES
    assert pictures[0].path == root / "val2014" / images[0]["filename"]
    assert pictures[0].mask is pictures[0].exemplar is None
    assert Counter(Counter(picture.source for picture in pictures).values()) == {5: IMAGES}
    assert pictures[0].source == "scene karpathy val 2"  # the scenes before it are of other splits
    chosen = KarpathyCOCO(str(root), root / JSON)
    assert list(chosen) == list(chosen) == pictures


@pytest.mark.blackbox
def test_captions_are_stripped_and_limited_to_the_first_ones(copy: Path) -> None:
    change(copy, lambda image: image["sentences"][0].update(raw="  A red circle.\n"))
    change(copy, lambda image: image["sentences"].extend(2 * image["sentences"]))
    change(copy, lambda image: image.update(sentences=image["sentences"][:3]), which=slice(1, 2))
    pictures = list(KarpathyCOCO(copy))
    assert pictures[0].caption == "A red circle."
    assert len(pictures) == 5 * IMAGES - 2
    two = list(KarpathyCOCO(copy, captions=2))
    assert [picture.id for picture in two[:4]] == [pictures[k].id for k in (0, 1, 5, 6)]
    assert sum(picture.reference for picture in two) == IMAGES


@pytest.mark.blackbox
def test_a_chosen_split_needs_only_its_own_files(root: Path) -> None:
    assert len(list(KarpathyCOCO(root, split="test"))) == 3 * 5
    with pytest.raises(
        BadInputError, match=r"dataset_coco\.json: expected that each .*, found 3 of 3 missing: train2014/COCO_train"
    ):
        list(KarpathyCOCO(root, split="train"))


@pytest.mark.blackbox
def test_the_published_set_is_recognised_by_its_counts(
    root: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KarpathyCOCO(root).subset == "custom"
    monkeypatch.setattr(karpathy, "PUBLISHED", ("val", 5, IMAGES, 5 * IMAGES))
    assert KarpathyCOCO(root).subset == "published"
    assert KarpathyCOCO(root, split="test").subset == "custom"
    assert KarpathyCOCO(root, captions=6).subset == "custom"
    change(copy, lambda image: image["sentences"].pop(), which=slice(1))
    assert KarpathyCOCO(copy).subset == "custom"
    assert KarpathyCOCO.masks == "whole"
    assert KarpathyCOCO(root).fit == "squash"


@pytest.mark.blackbox
def test_empty_captions_are_skipped_and_counted(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(copy, lambda image: image["sentences"][0].update(raw=" \n"), which=slice(1))
    change(copy, lambda image: [sentence.update(raw="") for sentence in image["sentences"]], which=slice(1, 2))
    with caplog.at_level(logging.WARNING):
        data = KarpathyCOCO(copy)
        pictures = list(data) and list(data)
    assert caplog.messages == [f"{copy / JSON}: 6 empty captions of the split val are skipped"]
    assert len(pictures) == 5 * IMAGES - 6
    images = entries(copy, "val")
    assert [(picture.id, picture.reference) for picture in pictures[:2]] == [
        (f"{images[0]['cocoid']}-1", True),
        (f"{images[0]['cocoid']}-2", False),
    ]
    assert f"{images[1]['cocoid']}-0" not in {picture.id for picture in pictures}


@pytest.mark.blackbox
def test_an_empty_caption_is_replaced_by_the_next_one(copy: Path) -> None:
    change(copy, lambda image: image["sentences"].append({"raw": "a sixth"}))
    change(copy, lambda image: image["sentences"][0].update(raw=""), which=slice(1))
    assert list(KarpathyCOCO(copy))[4].caption == "a sixth"


@pytest.mark.blackbox
def test_a_set_with_only_empty_captions_is_refused(copy: Path) -> None:
    change(copy, lambda image: [sentence.update(raw="") for sentence in image["sentences"]])
    with pytest.raises(
        BadInputError, match=r"\.json: expected captions of the split val, found no caption with a text$"
    ):
        list(KarpathyCOCO(copy))
    change(copy, lambda image: image.update(sentences=[]))
    with pytest.raises(
        BadInputError, match=r"\.json: expected captions of the split val, found no caption with a text$"
    ):
        list(KarpathyCOCO(copy))


@pytest.mark.blackbox
def test_missing_images_are_counted_and_shown(copy: Path) -> None:
    gone = [f"val2014/{image['filename']}" for image in entries(copy, "val")[3:10]]
    for name in gone:
        (copy / name).unlink()
    with pytest.raises(BadInputError) as caught:
        list(KarpathyCOCO(copy))
    shown = f"found 7 of {IMAGES} missing: {', '.join(gone[:5])} and 2 more"
    assert str(caught.value) == f"{copy / JSON}: expected that each listed file exists in {copy}, {shown}"


@pytest.mark.blackbox
def test_an_unknown_split_is_named_with_the_known_ones(root: Path) -> None:
    message = r"^dataset\.pictures\.split: expected one of the splits test, train, val in .*_coco\.json, found restval$"
    with pytest.raises(BadInputError, match=message):
        list(KarpathyCOCO(root, split="restval"))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"dataset_coco\.json: expected JSON, found an error: "),
        ("[" * 100_000, r"dataset_coco\.json: expected JSON with at most 100 nested levels, found more"),
        ("[]", r"dataset_coco\.json: expected a JSON object, found a list"),
        ('{"images": {}}', r"dataset_coco\.json: images: expected a valid list, found an object"),
        ('{"images": []}', r"dataset\.pictures\.split: expected a split with images in .*, found val"),
        ('{"images": [3]}', r"dataset_coco\.json: images\.0: expected .*, found 3$"),
        (
            '{"images": [{"split": "val"}]}',
            r"dataset_coco\.json: expected the key images\.0\.cocoid, found no such key",
        ),
    ],
)
def test_a_broken_file_of_captions_is_named(copy: Path, text: str, message: str) -> None:
    (copy / JSON).write_text(text)
    with pytest.raises(BadInputError, match=message):
        list(KarpathyCOCO(copy))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filepath": "../elsewhere"}, r"expected only paths inside .*, found \.\./elsewhere/COCO_"),
        ({"filepath": "/etc", "filename": "passwd"}, r"expected only paths inside .*, found /etc/passwd$"),
        ({"cocoid": 7}, r"expected each name once, found 1 repeated: 7$"),
        ({"cocoid": "x"}, r"images\.\d+\.cocoid: expected .*, found \"x\"$"),
        ({"sentences": [{"raw": None}]}, r"images\.\d+\.sentences\.0\.raw: expected .*, found null$"),
    ],
)
def test_entries_with_wrong_paths_are_refused(copy: Path, changes: dict[str, Any], message: str) -> None:
    change(copy, lambda image: image.update(changes), which=slice(2))
    with pytest.raises(BadInputError, match=rf"dataset_coco\.json: {message}"):
        list(KarpathyCOCO(copy))


@pytest.mark.blackbox
def test_a_missing_root_or_file_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"^dataset\.root: expected a folder that contains the folder val2014, .*nowhere$"
    ):
        list(KarpathyCOCO(tmp_path / "nowhere"))
    with pytest.raises(
        BadInputError, match=r"^dataset\.pictures\.annotations: expected a file such as dataset_coco\.json.*gone\.json"
    ):
        list(KarpathyCOCO(root, "gone.json"))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changes", "message"), [({"captions": 0}, "captions.*found 0"), ({"fit": "lama"}, "fit.*lama")]
)
def test_settings_are_checked(root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=rf"^dataset\.pictures\.{message}"):
        KarpathyCOCO(root, **changes)


@pytest.mark.blackbox
def test_the_annotations_are_parsed_once_until_the_file_changes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    read = karpathy.read_json_as
    monkeypatch.setattr(karpathy, "read_json_as", lambda path, kind: (parsed.append(path), read(path, kind))[1])
    counts = [len(list(KarpathyCOCO(copy, captions=captions))) for captions in (1, 2, 2)]
    assert len(parsed) == 1
    change(copy, lambda entry: entry.update(sentences=entry["sentences"][:1]))
    assert len(list(KarpathyCOCO(copy, captions=2))) == counts[0] < counts[1]
    assert len(parsed) == 2
