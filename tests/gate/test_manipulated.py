"""Tests that the gate never passes damaged or edited files, and never ends in a traceback."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from bench.results.run_files import file_seals, sealed
from tests.gate.runs import EXPERIMENT, ITEMS, values, write_run
from tests.helpers.gate import command, said

PASS, BAD_INPUT, REGRESSION, CANNOT_TELL = 0, 2, 3, 4
DAMAGES = 200
COSTS = {
    "stablediffusion": {"least_seconds_per_image": 2.0, "parameters": 90},
    "mine": {"least_seconds_per_image": 3.0, "parameters": 100},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", values(), costs=COSTS, seals=True)


def leave_items(folder: Path) -> Path:
    """Leave `manifest.json` and `records.parquet` in a run's folder, and seal it anew with them."""
    lines = [{"id": str(number), "source": str(number)} for number in range(ITEMS)]
    (folder / "manifest.json").write_text(json.dumps({"items": lines, "resolution": 64}))
    records = {"item": [line["id"] for line in lines], "row": "mine", "lpips": np.linspace(0, 1, ITEMS)}
    pandas.DataFrame(records).to_parquet(folder / "records.parquet", index=False)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(sealed({**run, "files": file_seals(folder)})))
    return folder


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """Return a copy of the run with a worse LPIPS."""
    found = values()
    found["mine"]["lpips"] = found["mine"]["lpips"] * 1.2
    return write_run(tmp_path / "worse", found, costs=COSTS, seals=True)


@pytest.fixture
def baseline(run: Path, tmp_path: Path) -> Path:
    assert command(run, tmp_path / "baseline.json", "--update") == PASS
    return tmp_path / "baseline.json"


def change(path: Path, *keys: str | int, to: Any = None, seal: bool = False, drop: bool = False) -> None:
    """Set or drop the value under some keys of a JSON file, with a right seal behind it or without."""
    content = json.loads(path.read_text())
    node = content
    for key in keys[:-1]:
        node = node[key]
    if drop:
        del node[keys[-1]]
    else:
        node[keys[-1]] = to
    if seal and path.name == "baseline.json":
        content["experiments"] = {name: sealed(table) for name, table in content["experiments"].items()}
    elif seal:
        content = sealed(content)
    path.write_text(json.dumps(content))


@pytest.mark.blackbox
def test_sealed_files_pass(run: Path, worse: Path, baseline: Path) -> None:
    assert command(run, run) == PASS
    assert command(run, baseline) == PASS
    assert command(worse, run) == REGRESSION
    assert command(worse, baseline) == REGRESSION


VALUE = ("experiments", EXPERIMENT, "rows", "mine", "lpips", "value")


@pytest.mark.blackbox
@pytest.mark.parametrize("value", ["Infinity", "NaN", "-Infinity", "1e999", "9" * 400, "true", "-5", '"1"', "[1]"])
@pytest.mark.parametrize("hand", ["sealed again", "not sealed again"])
def test_an_invalid_number_never_passes(
    value: str, hand: str, worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(baseline, *VALUE, to="HERE")
    if hand == "sealed again" and value in ("true", "-5", '"1"', "[1]"):
        change(baseline, *VALUE, to=json.loads(value), seal=True)
    baseline.write_text(baseline.read_text().replace('"HERE"', value))
    assert command(worse, baseline) == BAD_INPUT
    assert str(baseline) in said(capsys)


@pytest.mark.blackbox
def test_a_changed_value_of_a_baseline_is_named(
    worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(baseline, *VALUE, to=9.0)
    assert command(worse, baseline) == BAD_INPUT
    assert "expected content that matches the hash under its key sha256, found changed content" in said(capsys)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (("rows", "mine", "lpips"), "lpips of mine"),
        (("rows", "mine"), "only the new run has these rows: mine"),
        (
            ("costs", "mine", "parameters"),
            "parameters of mine: expected it in the new and in the old run, found it only in the new run",
        ),
        (("protocols", "lpips"), "lpips"),
    ],
    ids=lambda keys: "/".join(keys) if isinstance(keys, tuple) else "",
)
def test_a_missing_part_of_a_baseline_is_named(
    keys: tuple[str, ...], named: str, worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(baseline, "experiments", EXPERIMENT, *keys, drop=True)
    assert command(worse, baseline) == BAD_INPUT
    capsys.readouterr()
    change(baseline, "schema_version", to=2, seal=True)
    status = command(worse, baseline)
    assert named in said(capsys)
    # Nothing tells a row that a baseline lost, and was sealed without, from a row that is new.
    assert status in (CANNOT_TELL, REGRESSION) or named == "only the new run has these rows: mine"


@pytest.mark.blackbox
def test_a_column_that_every_row_of_old_lost_is_named(
    worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for row in ("mine", "stablediffusion"):
        change(baseline, "experiments", EXPERIMENT, "rows", row, "lpips", drop=True, seal=True)
    assert command(worse, baseline) == CANNOT_TELL
    assert "lpips of mine, stablediffusion: expected a value in the new and in the old run" in said(capsys).replace(
        "stablediffusion, mine", "mine, stablediffusion"
    )


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"profile": "paper"}, "profile: expected mini, found paper"),
        ({"seed": 1}, "sampling: seed: expected 0, found 1"),
        ({"weights": {"unet/weights": "e" * 64}}, "sampling: generator.pipeline: expected"),
        (
            {"config": {
                "rows": {}, "controls": [], "table": {"columns": []}, "generator": {"pipeline": "unet", "steps": 4},
            }},
            "sampling: generator.steps: expected 20, found 4",
        ),
    ],
    ids=["profile", "seed", "weights", "steps"],
)  # fmt: skip
def test_another_sampling_is_named(
    changes: dict[str, Any], named: str, run: Path, baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_run(tmp_path / "new", values(), costs=COSTS, changes=changes, seals=True)
    for old in (run, baseline):
        assert command(new, old) == CANNOT_TELL
        assert named in said(capsys)
    assert command(run, new) == CANNOT_TELL


def lost_influences(run: Path) -> None:
    (run / "influences.parquet").unlink()


def lost_column(run: Path) -> None:
    change(run / "results.json", "columns", to=[{"metric": "inception_score"}])


def lost_row(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    change(run / "results.json", "rows", to=[row for row in results["rows"] if row["method"] != "mine"])


def better_value(run: Path) -> None:
    change(run / "results.json", "rows", 1, "metrics", "lpips", "value", to=1.05)


def cheaper(run: Path) -> None:
    change(run / "run.json", "costs", "mine", "parameters", to=1)


def replaced(name: str, how: Callable[[Path], object]) -> Callable[[Path], None]:
    def manipulate(run: Path) -> None:
        (run / name).unlink()
        how(run / name)

    return manipulate


def influences(how: Callable[[pandas.DataFrame], pandas.DataFrame]) -> Callable[[Path], None]:
    def manipulate(run: Path) -> None:
        path = run / "influences.parquet"
        how(pandas.read_parquet(path)).to_parquet(path, index=False)

    return manipulate


MANIPULATIONS: dict[str, Callable[[Path], object]] = {
    "lost influences": lost_influences,
    "lost column": lost_column,
    "lost row": lost_row,
    "better value": better_value,
    "cheaper": cheaper,
    "lost costs": lambda run: change(run / "run.json", "costs", drop=True),
    "no files named": lambda run: change(run / "run.json", "files", to={}),
    "another status": lambda run: change(run / "run.json", "status", to="complete "),
    **{
        f"{name} is {what}": replaced(name, how)
        for name in ("run.json", "results.json", "influences.parquet")
        for what, how in {
            "a folder": Path.mkdir,
            "a pipe": os.mkfifo,
            "a loop": lambda path: path.symlink_to(path.name),
            "empty": Path.touch,
            "a link to nothing": lambda path: path.symlink_to("nowhere"),
        }.items()
    },
    "smaller influences": influences(lambda found: found.assign(**{"influence.lpips": np.float32(0)})),
    "doubled lines": influences(lambda found: pandas.concat([found, found.head(1)])),
    "fewer lines": influences(lambda found: found.head(-1)),
    "other type": influences(lambda found: found.assign(**{"influence.lpips": found["influence.lpips"].astype(str)})),
    "infinite influence": influences(lambda found: found.assign(**{"influence.lpips": np.float32(np.inf)})),
    "numbers for items": influences(lambda found: found.assign(item=range(len(found)))),
}


@pytest.mark.blackbox
@pytest.mark.parametrize("name", MANIPULATIONS)
def test_a_manipulated_run_never_passes(
    name: str, run: Path, worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MANIPULATIONS[name](worse)
    for words in ((worse, run), (run, worse), (worse, baseline)):
        assert command(*words) == CANNOT_TELL
        assert str(worse) in said(capsys).replace(" ", "")


UNSEALED = [name for name in MANIPULATIONS if name not in ("better value", "cheaper", "smaller influences")]


@pytest.mark.blackbox
@pytest.mark.parametrize("name", UNSEALED)
def test_a_run_without_seals_never_passes(
    name: str, tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = values()
    found["mine"]["lpips"] = found["mine"]["lpips"] * 1.2
    new = write_run(tmp_path / "new", found, costs=COSTS)
    MANIPULATIONS[name](new)
    assert command(new, run) in (CANNOT_TELL, REGRESSION)
    said(capsys)


@pytest.mark.property
@pytest.mark.parametrize("name", ["manifest.json", "records.parquet"])
def test_a_damaged_description_of_items_never_passes(
    name: str, run: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gate reads no number from these files, but a run with a changed file is not the original run."""
    path = leave_items(run) / name
    assert command(run, baseline) == PASS
    draw, whole = random.Random(name), path.read_bytes()
    for _ in range(DAMAGES):
        way = draw.choice(BYTES if name.endswith(".parquet") else WAYS)
        path.write_bytes(way(bytearray(whole), draw))
        expected = PASS if path.read_bytes() == whole else CANNOT_TELL
        assert command(run, baseline) == expected, way.__name__
        said(capsys)


@pytest.mark.blackbox
def test_files_of_a_table_inside_a_collection_are_named(
    tmp_path: Path, run: Path, worse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copytree(worse, whole / "table2")
    for names in (["results.json"], ["results.json", "run.json"], ["results.json", "run.json", "influences.parquet"]):
        for name in names:
            shutil.copy(run / name, whole)
        assert command(whole, run) == CANNOT_TELL
        assert "expected one run or a folder of runs, found the files of a run and the runs table2" in said(capsys)


# --- damages


def flipped(data: bytearray, draw: random.Random) -> bytes:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def cut(data: bytearray, draw: random.Random) -> bytes:
    return bytes(data[: draw.randrange(len(data))])


def removed(data: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    del data[start : start + draw.randrange(1, 40)]
    return bytes(data)


def repeated(data: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    return bytes(data[:start] + data[start : start + draw.randrange(1, 400)] + data[start:])


def nested(content: Any, draw: random.Random) -> tuple[Any, Any]:
    """Return a container somewhere in JSON and one of its keys."""
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw.choice(keys)
        if not (isinstance(node[key], dict | list) and node[key]) or draw.random() < 0.1:
            return node, key
        node = node[key]


ODD = [None, True, -5, 0, 1e300, "", "1", [], {}, "\ud800", "\n::error::x", [[[[]]]]]


def odd_value(data: bytearray, draw: random.Random) -> bytes:
    content = json.loads(data)
    node, key = nested(content, draw)
    node[key] = draw.choice(ODD)
    return json.dumps(content).encode()


def lost_key(data: bytearray, draw: random.Random) -> bytes:
    content = json.loads(data)
    node, key = nested(content, draw)
    del node[key]
    return json.dumps(content).encode()


def digit(data: bytearray, draw: random.Random) -> bytes:
    places = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    data[draw.choice(places)] = ord(draw.choice("0123456789"))
    return bytes(data)


BYTES = [flipped, cut, removed, repeated]
WAYS = [*BYTES, odd_value, lost_key, digit]


@pytest.mark.property
@pytest.mark.parametrize("name", ["results.json", "run.json", "influences.parquet", "baseline.json"])
def test_a_damaged_file_neither_passes_nor_raises_a_traceback(
    name: str, run: Path, worse: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worse run is compared with a good one and must not pass, whichever file is damaged."""
    draw = random.Random(name)
    path = baseline if name == "baseline.json" else worse / name
    whole = path.read_bytes()
    ways = BYTES if name.endswith(".parquet") else WAYS
    for _ in range(DAMAGES):
        way = draw.choice(ways)
        path.write_bytes(way(bytearray(whole), draw))
        assert command(worse, baseline) in (BAD_INPUT, REGRESSION, CANNOT_TELL), way.__name__
        assert said(capsys)
