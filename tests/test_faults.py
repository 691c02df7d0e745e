"""What happens to machines: a full disk, a store that may only be read, damaged files. Each has one message.

Disks are made in a mount namespace of the command's own; that takes root, or a kernel that lets users make namespaces.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ITEMS = 128
NO_MOUNT = 99
PAGE = 4096
KINDS = ("items", "latents", "scores")


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2",
        "device=cpu", "profile.fid_minimum=64", "row=[stablediffusion,base_mask]", f"paths.store={folder / 'store'}",
        f"paths.data={folder / 'data'}", f"out={out}", *more,
    ]  # fmt: skip


def mounted(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A shell script in a mount namespace of its own; `$0`, `$1`, … are the words."""
    own = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    done = subprocess.run([*own, "sh", "-c", script, *words], capture_output=True, text=True, timeout=900)
    assert done.returncode != NO_MOUNT, f"expected that a namespace may mount, found: {done.stderr}"
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(command(folder, folder / "out"), check=True, capture_output=True)
    return folder


def same(out: Path, whole: Path) -> None:
    for name in ("records.parquet", "results.json", "table.csv"):
        assert (out / name).read_bytes() == (whole / "out" / name).read_bytes()


def contents(folder: Path, kind: str) -> list[Path]:
    return [path for path in (folder / "store" / kind).rglob("*") if path.is_file()]


def messages(errors: str) -> list[str]:
    assert "Traceback" not in errors
    return [line for line in errors.splitlines() if line.startswith("bench: ")]


FULL = f"""
mount -t tmpfs -o size="$1" tmpfs "$0" || exit {NO_MOUNT}
store="$0"; shift
"$@" >&2; echo "$?"
find "$store" -name '*.partial' -o -name '*.lease'
mount -o remount,size=200m "$store"
"$@" > /dev/null 2>&1; echo "$?"
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(whole: Path, tmp_path: Path, kind: str) -> None:
    """Full when half of one kind is written."""
    pages = {one: sum(-(-path.stat().st_size // PAGE) for path in contents(whole, one)) for one in KINDS}
    size = sum(pages[one] for one in KINDS[: KINDS.index(kind)]) + pages[kind] // 2
    (tmp_path / "store").mkdir()
    line = command(tmp_path, tmp_path / "out", f"paths.data={whole / 'data'}")
    done = mounted(FULL, str(tmp_path / "store"), str(PAGE * size), *line)
    assert done.stdout.split() == ["1", "0"], done.stderr  # and nothing half-written between
    (said,) = messages(done.stderr)
    assert f"{tmp_path / 'store' / kind}" in said
    assert "no space left on the disk; make room" in said
    same(tmp_path / "out", whole)


READ_ONLY = f"""
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit {NO_MOUNT}
"$@"
"""


def test_a_store_that_may_only_be_read_serves_what_it_has(whole: Path, tmp_path: Path) -> None:
    done = mounted(READ_ONLY, str(whole / "store"), *command(whole, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    same(tmp_path / "out", whole)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["latents"] == {"sampled": 0, "stored": ITEMS}
    for more, kind in (("row=[stablediffusion,large_mask]", "scores"), ("seed=1", "items")):
        done = mounted(READ_ONLY, str(whole / "store"), *command(whole, tmp_path / kind, more))
        assert done.returncode == 2
        (said,) = messages(done.stderr)
        assert f"paths.store: expected a folder that can be written, as {kind} are missing in it" in said


def test_five_damaged_shards_are_named_and_made_again(whole: Path, tmp_path: Path) -> None:
    chosen = random.Random(0)
    store = tmp_path / "store"
    line = command(tmp_path, tmp_path / "out", f"paths.data={whole / 'data'}")
    subprocess.run(line, check=True, capture_output=True)
    same(tmp_path / "out", whole)
    latents = sorted((store / "latents").rglob("*.safetensors"))
    damaged = [*chosen.sample(latents, 1), *chosen.sample(sorted((store / "scores").rglob("*.safetensors")), 4)]
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(data)
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    for path in damaged:
        assert done.stderr.count(path.name) == 1
        assert path.with_suffix(".damaged").exists()
    same(tmp_path / "out", whole)
    checked = [sys.executable, "-m", "bench.store", "verify", "--store", str(store)]
    subprocess.run(checked, check=True, capture_output=True)


def test_damaged_items_are_prepared_again(whole: Path, tmp_path: Path) -> None:
    line = command(tmp_path, tmp_path / "out", f"paths.data={whole / 'data'}")
    subprocess.run([*line, "stage=prepare"], check=True, capture_output=True)
    (table,) = (tmp_path / "store" / "items").glob("*/items.arrow")
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1  # a pixel
    table.write_bytes(data)
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert f"{table.parent} is damaged" in done.stderr
    same(tmp_path / "out", whole)
