"""Tests of 2000 damages to files of every kind, each of which is read as written or refused in one message.

What has a checksum (shards, prepared items) never gives another value; the rest may give what the damaged file says,
such as a picture of other colours, but no traceback, no hang, and no file outside the folder.
"""

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.data import manifest_command
from bench.data.cocoee import COCOEE
from bench.data.given_masks import read_mask
from bench.data.items import Picture
from bench.data.karpathy import KarpathyCOCO
from bench.data.listing import source_notes
from bench.data.masks import preset
from bench.data.pictures import read_rgb
from bench.data.places import Places
from bench.data.prepared import Items, prepare_items
from bench.errors import BadInputError, RunFailedError
from bench.models import Decoder, DecoderConfig, load_decoder, save_decoder
from bench.models.tensor_files import read_tensors
from bench.results.features import read_summary
from bench.results.stamps import read_stamps
from bench.store import Store, content_key
from bench.store.__main__ import main as look_after
from bench.sweeps import gather
from tests.helpers.damages import damaged, patience
from tests.helpers.prepared_items import Listed

pytestmark = [pytest.mark.slow, pytest.mark.property]

DAMAGES = 2000
PATIENCE = 20
"""Limit of the seconds for one file."""
KEY = content_key({"what": "fuzz"})
SIDE = 32
VALUES = (
    None, True, 0, -1, 1e308, math.nan, 10**400, "", "x", "../../escaped", "/etc/hostname", "\0", "ü" * 300, [], {},
    [[]], {"a": None},
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """Describe files and their reader."""

    make: Callable[[Path], None]
    """Writes whole files into a folder."""
    read: Callable[[Path], Any]
    """Reads them; raises what the harness raises for bad input."""
    damaged: str = "*"
    """Which files are damaged."""
    exact: bool = False
    """Whether nothing but the value of whole files may come."""


# --- what is read ----------------------------------------------------------------------------------------------------


def noise(side: int = 24, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def make_pictures(folder: Path) -> None:
    for mode, suffix in (("RGB", "png"), ("RGB", "jpg"), ("P", "gif"), ("RGBA", "webp"), ("CMYK", "tif"), ("L", "bmp")):
        noise().convert(mode).save(folder / f"picture.{suffix}")


def make_mask(folder: Path) -> None:
    noise().convert("1").save(folder / "mask.png")


def make_places(folder: Path) -> None:
    (folder / "test_256").mkdir()
    names = [f"Places365_test_{number:08}.jpg" for number in range(5)]
    for name in names:
        (folder / "test_256" / name).touch()
    (folder / "list.txt").write_text("\n".join(names) + "\n")
    notes = [json.dumps({"file": f"test_256/{name}", "source": "s"}) for name in names]
    (folder / "sources.jsonl").write_text("\n".join(notes) + "\n")


def below(folder: Path, pictures: Iterator[Picture]) -> list[str]:
    listed = list(pictures)
    for picture in listed:
        assert picture.path.resolve().is_relative_to(folder.resolve()), f"outside: {picture.path}"
    return [picture.id for picture in listed]


def make_captions(folder: Path) -> None:
    (folder / "val2014").mkdir()
    images = []
    for number in range(4):
        name = f"COCO_val2014_{number:012}.jpg"
        (folder / "val2014" / name).touch()
        sentences = [{"raw": f"a caption {place}"} for place in range(5)]
        images.append(
            {"split": "val", "cocoid": number, "filepath": "val2014", "filename": name, "sentences": sentences}
        )
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images}))


def make_ids(folder: Path) -> None:
    names = [f"{number:012}" for number in range(4)]
    for part, ending in (("GT_3500", "GT"), ("Mask_bbox_3500", "mask"), ("Ref_3500", "ref")):
        (folder / part).mkdir()
        for name in names:
            (folder / part / f"{name}_{ending}.png").touch()
    np.save(folder / "id_list.npy", np.arange(4))


def make_decoder(folder: Path) -> None:
    torch.manual_seed(0)
    save_decoder(Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=2)), folder)


def make_weights(folder: Path) -> None:
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(4, 3), "a.bias": torch.randn(4)}
    torch.save({"state_dict": state, "epoch": 3}, folder / "weights.ckpt")
    torch.save(state, folder / "weights.bin", _use_new_zipfile_serialization=False)


def read_weights(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        read_tensors(path)


def make_shards(folder: Path) -> None:
    store = Store(folder)
    store.uses.begin(folder, "mine", folder)
    store.put("latents", KEY, {"latents": np.arange(60, dtype=np.float32).reshape(5, 12)})
    store.uses.add("latents", [KEY])


def read_shards(folder: Path) -> Any:
    arrays = Store(folder).get("latents", KEY)
    return None if arrays is None else {name: array.tolist() for name, array in arrays.items()}


def look(folder: Path) -> None:
    for words in (["ls"], ["du"], ["verify"], ["gc", "--days", "0", "--delete"]):
        assert look_after([*words, "--store", str(folder)]) in (0, 1, 2)


PICTURES: list[Picture] = []


def prepare(folder: Path) -> Items:
    return prepare_items(folder, Listed(PICTURES), resolution=SIDE, masks=preset("thick_512@32"), seed=0, limit=None)


def read_items(folder: Path) -> Any:
    items = prepare(folder)
    return [(item.id, item.caption, item.image_sha256, item.mask_sha256) for item in items.read(0, len(items))]


def look_at_manifest(folder: Path) -> None:
    (prepared,) = (path for path in folder.iterdir() if path.is_dir())
    for words in (["show", str(prepared)], ["verify", str(prepared)], ["diff", str(prepared), str(prepared)]):
        assert manifest_command.main(words) in (0, 1, 2)


def read_run(folder: Path) -> None:
    read_stamps(folder / "0")
    assert gather.main([str(folder)]) in (0, 2)


def read_kept(folder: Path) -> Any:
    summary = read_summary(folder / "0")
    return [summary.measurement("base_mask", metric).value for metric in ("fid", "lpips")]


# --- how it is damaged -----------------------------------------------------------------------------------------------


def damage(path: Path, chosen: random.Random) -> str:
    """Damage a file once, and return a description."""
    if path.suffix in (".json", ".jsonl", ".txt") and chosen.random() < 0.5:
        path.write_bytes(with_other_value(path, chosen))
        return "another value"
    data, done = damaged(path.read_bytes(), chosen)
    path.write_bytes(data)
    return done


def with_other_value(path: Path, chosen: random.Random) -> bytes:
    """Return the file with another value in one place."""
    if path.suffix != ".json":
        lines = path.read_text().splitlines()
        lines[chosen.randrange(len(lines))] = str(chosen.choice(VALUES))
        return "\n".join(lines).encode()
    content = json.loads(path.read_text())
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(content)
    node, key = chosen.choice(places)
    if chosen.random() < 0.3:
        del node[key]
    else:
        node[key] = chosen.choice(VALUES)
    return json.dumps(content).encode()


# --- the damages -----------------------------------------------------------------------------------------------------

SUBJECTS = {
    "pictures": Subject(make_pictures, lambda folder: [read_rgb(path).size for path in sorted(folder.iterdir())]),
    "mask": Subject(make_mask, lambda folder: read_mask(folder / "mask.png", resolution=8, like=(24, 24))[0].tolist()),
    "list": Subject(make_places, lambda folder: below(folder, iter(Places(folder, "list.txt"))), "list.txt"),
    "notes": Subject(make_places, source_notes, "sources.jsonl"),
    "captions": Subject(make_captions, lambda folder: below(folder, iter(KarpathyCOCO(folder))), "dataset_coco.json"),
    "ids": Subject(make_ids, lambda folder: below(folder, iter(COCOEE(folder))), "id_list.npy"),
    "decoder": Subject(make_decoder, load_decoder),
    "weights": Subject(make_weights, read_weights),
    "shards": Subject(make_shards, read_shards, "*.safetensors", exact=True),
    "store": Subject(make_shards, look, "*"),
    "items": Subject(prepare, read_items, "*", exact=True),
    "manifest": Subject(prepare, look_at_manifest, "manifest.json"),
    "run": Subject(lambda folder: None, read_run, "*"),
    "kept": Subject(lambda folder: None, read_kept, "*.parquet", exact=True),
    "index": Subject(lambda folder: None, read_kept, "*.json"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return folders of undamaged files for each subject."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "drawn").mkdir()
    PICTURES.clear()
    for number in range(8):
        noise(44, number).save(folder / "drawn" / f"{number}.png")
        PICTURES.append(Picture(str(number), folder / "drawn" / f"{number}.png", str(number), caption=f"of {number}"))
    for name, subject in SUBJECTS.items():
        (folder / name).mkdir()
        subject.make(folder / name)
    words = ["experiment=table2_inpaint_imagenet", "limit=24", "generator.steps=1", "device=cpu", "keep_features=true"]
    words += ["row=[stablediffusion,base_mask]", "profile.fid_minimum=4", f"out={folder / 'run' / '0'}"]
    bench.run([*words, f"paths.store={folder / 'store_of_run'}", f"paths.data={folder / 'data'}"])
    job = {"name": "0", "chosen": {"seed": "0"}, "overrides": [], "status": 0, "message": ""}
    (folder / "run" / "0" / "job.json").write_text(json.dumps(job))
    for name in ("figures", "table.html", "table.tex", "table.md"):
        path = folder / "run" / "0" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("kept", "index"):
        shutil.copytree(folder / "run", folder / name, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_damaged_file_is_refused_in_one_message(whole: Path, tmp_path: Path, name: str) -> None:
    subject = SUBJECTS[name]
    expected = subject.read(shutil.copytree(whole / name, tmp_path / "before"))
    outcomes = {"read": 0, "refused": 0}
    for number in range(-(-DAMAGES // len(SUBJECTS))):
        chosen = random.Random(f"{name} {number}")
        root = tmp_path / "case" / "root"
        shutil.copytree(whole / name, root)
        path = chosen.choice(sorted(one for one in root.rglob(subject.damaged) if one.is_file()))
        done = f"{name} {number}: {path.relative_to(root)}: {damage(path, chosen)}"
        said = "read"
        try:
            with patience(PATIENCE):
                found = subject.read(root)
            if subject.exact:
                assert found in (expected, None), done
            outcomes["read"] += 1
        except (BadInputError, RunFailedError) as error:
            outcomes["refused"] += 1
            said = str(error).strip()
        except Exception as error:
            raise AssertionError(f"{done}: {type(error).__name__}: {error}") from error
        assert said, f"{done}: refused without a word"
        assert [one.name for one in (tmp_path / "case").iterdir()] == ["root"], f"{done}: something lies outside"
        shutil.rmtree(tmp_path / "case")
    assert [one.name for one in tmp_path.iterdir()] == ["before"]
    if name not in ("store", "manifest", "shards"):  # of which refusals are a status, or nothing found
        assert outcomes["refused"] > 0
