"""Tests of machine faults, each of which has one message: a full disk, a read-only store, damaged files."""

import json
import os
import random
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.disks import FULL, PAGE, READ_ONLY, left_behind, messages, mounted

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

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
    """Return the folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(command(folder, folder / "out"), check=True, capture_output=True)
    return folder


def same(out: Path, whole: Path) -> None:
    for name in ("records.parquet", "results.json", "table.csv"):
        assert (out / name).read_bytes() == (whole / "out" / name).read_bytes()


def contents(folder: Path, kind: str) -> list[Path]:
    return [path for path in (folder / "store" / kind).rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumes_after_a_full_disk(whole: Path, tmp_path: Path, kind: str) -> None:
    """The disk is full when half the files of one kind are written."""
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


def small(store: Path, data: Path, out: Path) -> list[str]:
    """Return a run of few items with all files of a run."""
    more = ["limit=4", "profile.fid_minimum=4", "save_images=true", "keep_features=true"]
    return [*command(out, out, *more, f"paths.store={store}", f"paths.data={data}")]


@pytest.mark.parametrize(
    ("disk", "size", "said"),
    [
        ("data", 400_000, "imagenet-v3-seed0-6"),
        ("out", PAGE, "started.json"),
        ("out", 20 * PAGE, ""),  # among records, tables and features
        ("out", 60 * PAGE, "figures"),
        ("out", 240 * PAGE, ".png"),
    ],
)
def test_a_full_disk_below_a_run_is_named(whole: Path, tmp_path: Path, disk: str, size: int, said: str) -> None:
    places = {"store": whole / "few", "data": whole / "data", "out": tmp_path / "out", disk: tmp_path / disk}
    (tmp_path / disk).mkdir()
    done = mounted(FULL, str(tmp_path / disk), str(size), *small(**places))
    assert done.stdout.split() == ["1", "0"], done.stderr  # and nothing half-written between
    (message,) = messages(done.stderr)
    assert message.startswith(f"bench: {tmp_path / disk}/")
    assert said in message
    assert "no space left on the disk; make room" in message


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "TMPDIR"), (4000, ".started.json"), (30_000, "results.json"), (100_000, "figures/rows.")],
)
def test_a_limit_on_the_size_of_files_is_named(whole: Path, tmp_path: Path, size: int, said: str) -> None:
    line = small(whole / "few", whole / "data", tmp_path / "out")
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
    done = subprocess.run(line, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2
    (message,) = messages(done.stderr)
    assert said in message
    assert "ulimit -f" in message
    assert not left_behind(tmp_path)
    assert not left_behind(whole / "few")
    subprocess.run(line, check=True, capture_output=True)


def test_a_read_only_store_serves_its_content(whole: Path, tmp_path: Path) -> None:
    done = mounted(READ_ONLY, str(whole / "store"), *command(whole, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    same(tmp_path / "out", whole)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["latents"] == {"sampled": 0, "stored": ITEMS}
    for more, kind in (("row=[stablediffusion,large_mask]", "scores"), ("seed=1", "items")):
        done = mounted(READ_ONLY, str(whole / "store"), *command(whole, tmp_path / kind, more))
        assert done.returncode == 2
        (said,) = messages(done.stderr)
        assert f"paths.store: expected a folder that can be written, because {kind} must be saved in it" in said


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
    \"\"\"A decoder of several items whose process can get no more memory than it has.\"\"\"

    def __call__(self, batch):
        if os.environ["SHORT"] == "1" and len(batch.ids) > 1:  # the check on one item has enough
            size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        return super().__call__(batch)
"""


def test_a_run_resumes_after_running_out_of_memory(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(SHORT)
    more = ["batch_size=64", "rows.base_mask.method._target_=short.Short", f"paths.data={whole / 'data'}"]
    line = command(tmp_path, tmp_path / "out", *more)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(line, env={**env, "SHORT": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    (said,) = messages(done.stderr)
    assert "out of memory" in said
    assert "set batch_size=N" in said
    assert not (tmp_path / "out" / "run.json").exists()
    subprocess.run(line, env={**env, "SHORT": "0"}, check=True, capture_output=True, timeout=600)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["latents"] == {"sampled": 0, "stored": ITEMS}
