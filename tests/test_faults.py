"""What happens to machines: a full disk, a store that may only be read, damaged files. Each has one message."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disks import FULL, PAGE, READ_ONLY, messages, mounted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
ITEMS = 128
KINDS = ("items", "latents", "scores")


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "bench", "experiment=table2_inpaint_imagenet", f"limit={ITEMS}", "generator.steps=2",
        "device=cpu", "profile.fid_minimum=64", "row=[stablediffusion,base_mask]", f"paths.store={folder / 'store'}",
        f"paths.data={folder / 'data'}", f"out={out}", *more,
    ]  # fmt: skip


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


SHORT = """
import os, resource
from bench.generation.decoding import Decoded

class Short(Decoded):
    \"\"\"As one decodes, where the process may have no more memory than it has.\"\"\"

    def __call__(self, batch):
        if os.environ["SHORT"] == "1":
            size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        return super().__call__(batch)
"""


def test_a_run_without_memory_says_so_and_with_more_it_goes_on(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(SHORT)
    more = ["batch_size=64", "rows.base_mask.method._target_=short.Short", f"paths.data={whole / 'data'}"]
    line = command(tmp_path, tmp_path / "out", *more)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(line, env={**env, "SHORT": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    (said,) = messages(done.stderr)
    assert "out of memory" in said
    assert "fewer items at once (batch_size=N" in said
    assert not (tmp_path / "out" / "run.json").exists()
    subprocess.run(line, env={**env, "SHORT": "0"}, check=True, capture_output=True, timeout=600)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["latents"] == {"sampled": 0, "stored": ITEMS}
