"""Tests of `python -m bench.manifest`: its output, the changes that it finds, and its exit status."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data.cocoee import COCOEE
from bench.data.karpathy import KarpathyCOCO
from bench.data.manifest_command import diff, main, show
from bench.data.masks import preset
from bench.data.mini.cocoee import write_cocoee
from bench.data.mini.karpathy import write_karpathy
from bench.data.mini.places import write_places
from bench.data.places import Places
from bench.data.prepared import Items, Pictures, prepare_items

pytestmark = pytest.mark.blackbox

SAME, DIFFERENT, BAD_INPUT = 0, 1, 2
COUNT = 6


def prepare(folder: Path, pictures: Any, seed: int = 0) -> Items:
    adapter: Pictures = pictures
    masks = preset("thick_512@64")
    return prepare_items(folder, adapter, resolution=64, masks=masks, seed=seed, limit=None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write miniature data sets with drawn masks, with masks and exemplars, and with captions alone."""
    parent = tmp_path_factory.mktemp("data")
    shutil.copytree(write_places(parent, "val", pictures=COUNT), parent / "places")
    shutil.copytree(write_cocoee(parent, "val", pairs=COUNT), parent / "cocoee")
    shutil.copytree(write_karpathy(parent, "val", images=COUNT), parent / "karpathy")
    return parent


@pytest.fixture
def store(data: Path, tmp_path: Path) -> Path:
    """Return a store with the prepared items of the three data sets."""
    shutil.copytree(data, tmp_path / "data")
    for pictures in (
        Places(tmp_path / "data/places", "test_list.txt"),
        COCOEE(tmp_path / "data/cocoee"),
        KarpathyCOCO(tmp_path / "data/karpathy"),
    ):
        prepare(tmp_path / "store" / "items", pictures)
    return tmp_path / "store"


def manifests(store: Path) -> dict[str, Path]:
    """Return the path of each data set's manifest by the kind of its masks."""
    paths = store.rglob("manifest.json")
    return {json.loads(path.read_text())["masks"]: path for path in paths}


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a changed copy of a manifest."""
    manifest = json.loads(path.read_text())
    change(manifest)
    other = path.parent.parent / "changed.json"
    other.write_text(json.dumps(manifest))
    return other


def test_show_prints_counts_settings_and_the_first_lines(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifests(store)["given"]
    assert main(["show", str(path.parent)]) == SAME
    text = capsys.readouterr().out
    assert "counts    6 items, 6 sources, 6 references, 0 dropped, 0 broken\n" in text
    assert "settings  resolution 64, masks given, fit squash, seed 0\n" in text
    assert "subset    custom\n" in text
    first = json.loads(path.read_text())["items"][0]
    assert f"  {first['id']}  ({first['source']})  image {first['image'][:12]} mask " in text
    assert text.endswith("  and 1 more\n")


def test_show_prints_the_hash_of_the_tables_as_json(
    store: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = manifests(store)["whole"]
    assert main(["show", str(path), "--json"]) == SAME
    shown = json.loads(capsys.readouterr().out)
    assert shown["hash"] == prepare(store / "again", KarpathyCOCO(data / "karpathy")).hash
    assert (shown["items"], shown["references"], shown["sources"]) == (5 * COUNT, COUNT, COUNT)
    assert shown["first"] == json.loads(path.read_text())["items"][:5]


def test_equal_items_in_different_folders_compare_equal(store: Path, data: Path, tmp_path: Path) -> None:
    moved = prepare(tmp_path / "moved", Places(data / "places", "test_list.txt"))
    path = manifests(store)["thick_512@64"]
    assert diff(moved.manifest, json.loads(path.read_text())) == {}
    assert main(["diff", str(path), str(next((tmp_path / "moved").rglob("manifest.json")))]) == SAME


def test_missing_and_differing_items_are_counted_and_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifests(store)["whole"]
    names = [line["id"] for line in json.loads(path.read_text())["items"]]

    def change(manifest: dict[str, Any]) -> None:
        lines = manifest["items"]
        lines[0].update(image="0", mask="0")
        lines[1].update(caption=None, exemplar="0")
        for line in lines[2:9]:
            line["caption"] = "0"
        lines[9]["id"] = "new"
        lines[10]["reference"] = False

    other = changed(path, change)
    assert main(["diff", str(path), str(other)]) == DIFFERENT
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"only in A: 1 item(s): {names[9]}",
        "only in B: 1 item(s): new",
        f"image: 1 item(s): {names[0]}",
        f"mask: 1 item(s): {names[0]}",
        f"caption: 8 item(s): {', '.join(names[1:6])} and 3 more",
        f"exemplar: 1 item(s): {names[1]}",
        f"reference: 1 item(s): {names[10]}",
    ]
    assert main(["diff", str(path), str(other), "--json"]) == DIFFERENT
    assert json.loads(capsys.readouterr().out)["caption"] == names[1:9]


def test_a_changed_order_is_reported_as_a_difference(store: Path) -> None:
    first = json.loads(manifests(store)["given"].read_text())
    second = copy.deepcopy(first)
    second["items"] = [*second["items"][1:], second["items"][0]]
    assert list(diff(first, second)) == ["order"]
    assert show(first)["hash"] != show(second)["hash"]


def test_a_manifest_of_an_older_version_is_read(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for key in ("subset", "fit"):
            del manifest[key]
        for line in manifest["items"]:
            for key in ("caption", "exemplar", "reference"):
                del line[key]

    old = changed(manifests(store)["thick_512@64"], change)
    assert main(["show", str(old)]) == SAME
    assert "subset    None\n" in capsys.readouterr().out


def test_unchanged_prepared_items_pass_verification(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in manifests(store).values():
        assert main(["verify", str(path)]) == main(["verify", str(path.parent), str(store)]) == SAME
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        shutil.copy(path, run / "manifest.json")
        assert main(["verify", str(run), str(tmp_path / "data"), str(store / "items")]) == SAME
        count = len(json.loads(path.read_text())["items"])
        assert capsys.readouterr().out == f"{count} items, and none of them differs\n" * 3


def test_changed_and_missing_files_are_found(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifests(store)["given"]
    names = [line["id"] for line in json.loads(path.read_text())["items"]]
    root = tmp_path / "data/cocoee"
    shutil.copy(root / "GT_3500" / f"{names[1]}_GT.png", root / "GT_3500" / f"{names[0]}_GT.png")
    shutil.copy(root / "Ref_3500" / f"{names[1]}_ref.png", root / "Ref_3500" / f"{names[2]}_ref.png")
    (root / "Ref_3500" / f"{names[3]}_ref.png").unlink()
    assert main(["verify", str(path)]) == DIFFERENT
    expected = [
        f"image: 1 item(s): {names[0]}",
        f"exemplar: 1 item(s): {names[2]}",
        f"unreadable: 1 item(s): {names[3]}",
    ]
    assert capsys.readouterr().out.splitlines() == expected


def test_a_forged_manifest_is_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifests(store)["thick_512@64"]
    manifest = json.loads(path.read_text())
    manifest["items"][2]["mask"] = manifest["items"][3]["mask"]
    path.write_text(json.dumps(manifest))
    assert main(["verify", str(path.parent), "--json"]) == DIFFERENT
    assert json.loads(capsys.readouterr().out) == {"mask": [manifest["items"][2]["id"]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, found an error: "),
        ("[]", "expected a JSON object, found a list"),
        (
            '{"items": [{"id": "a"}]}',
            "expected a list `items` whose entries have an id, a source and values of the right types, "
            "found no such list",
        ),
        (None, "expected the file manifest.json, or a folder that contains it, found no such file"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    for command in (["show"], ["verify"], ["diff", str(tmp_path)]):
        assert main([*command, str(tmp_path)]) == BAD_INPUT
        output = capsys.readouterr()
        assert output.err.startswith("bench.manifest: ")
        assert message in output.err
        assert output.out == ""


def test_missing_or_broken_items_are_bad_input(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = manifests(store)["given"]
    assert main(["verify", str(path), str(tmp_path / "data")]) == BAD_INPUT
    assert "expected the prepared items of this manifest here or in a folder below" in capsys.readouterr().err
    (path.parent / "items.arrow").write_bytes(b"no table")
    assert main(["verify", str(path)]) == BAD_INPUT
    assert "items.arrow: expected prepared items, found " in capsys.readouterr().err


def test_the_command_returns_the_documented_statuses(store: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench.manifest", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    path = manifests(store)["given"]
    other = changed(path, lambda manifest: manifest["items"].pop())
    assert run("diff", str(path), str(path)).returncode == SAME
    compared = run("diff", str(path), str(other))
    assert (compared.returncode, compared.stderr) == (DIFFERENT, "")
    assert compared.stdout.startswith("only in A: 1 item(s): ")
    assert run("diff", str(path)).returncode == BAD_INPUT
    assert run("show", str(tmp_path / "gone")).returncode == BAD_INPUT


@pytest.mark.parametrize("key", ["id", "source", "subset"])
def test_text_of_a_manifest_does_not_break_lines(
    store: Path, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(manifests(store)["whole"].read_text())
    (manifest if key == "subset" else manifest["items"][0])[key] = "a\n::error::b\x1b[2J"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    main(["show", str(tmp_path / "manifest.json")])
    main(["diff", str(tmp_path / "manifest.json"), str(manifests(store)["whole"])])
    said = capsys.readouterr().out
    assert "\n:" not in said
    assert "\x1b" not in said
