"""Tests of `stage=check` by the command line: one list of all that is missing, and `ready` if nothing is."""

import json
import math
import os
import re
from pathlib import Path

import pytest
import torch

import bench
from bench.checking.assets import read_assets
from bench.cli import main
from bench.config.compose import changing
from bench.data.mini.places import write_places
from tests.helpers.commands import refused
from tests.helpers.figures import without_figures

pytestmark = pytest.mark.blackbox

PAPER = ["profile=paper", "stage=check"]
MINI = Path(bench.__file__).parent / "assets" / "mini"
SMALL = [
    "profile.resolution=64", "profile.masks=thick_512@64", "profile.steps=1", "profile.fid_minimum=2", "metrics=mini",
    f"+profile.features.images={MINI / 'metric_features'}", "device=cpu",
]  # fmt: skip
"""Overrides for the paper profile with the sizes and the features of the mini one."""
TABLE1 = {"places", "places_list", "sd_inpainting", "inception_lama", "vgg16", "decoder_large"}


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty folder, and remove the variables that set paths of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BENCH_")]:
        monkeypatch.delenv(name)


def numbered(message: str) -> list[str]:
    """Return the entries of the list by the word after each number."""
    lines = [line for line in message.splitlines() if line[:1].isdigit()]
    assert [line.split(". ")[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    return [line.split(". ", 1)[1].split(":")[0] for line in lines]


def test_one_list_names_everything_that_a_bare_machine_lacks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = refused(["experiment=table1_inpaint_places", *PAPER], capfd)
    assert message.startswith("bench: table1_inpaint_places: 6 things are missing or wrong\n")
    assert set(numbered(message)) == TABLE1
    assets = read_assets()
    for name in numbered(message):
        assert assets[name].variable in message
        assert assets[name].source.split()[0] in message
        assert assets[name].licence.split()[0] in message
        assert (assets[name].expected_sha256 or "") in message
    assert "outputs/data/places/test_large_30k.lst: nothing there" in message
    assert "30,000 items at 512 pixels needs disk space: 31.5 GB for items, 1.97 GB for latents" in message
    assert list(tmp_path.iterdir()) == []


def test_a_present_asset_is_removed_from_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_DECODER_LARGE", str(MINI / "large"))
    message = refused(["experiment=table1_inpaint_places", *PAPER], capfd)
    assert set(numbered(message)) == TABLE1 - {"decoder_large"}


def test_another_file_in_place_of_a_pinned_one_is_accepted_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "own.pth")
    monkeypatch.setenv("BENCH_INCEPTION_LAMA", str(tmp_path / "own.pth"))
    words = ["experiment=table1_inpaint_places", *PAPER]
    message = " ".join(refused(words, capfd).split())
    assert "another file, or a broken download; profile.unpinned=[inception_lama] accepts another file" in message
    other = "profile.unpinned=[inception_lama]"
    assert set(numbered(refused([*words, other], capfd))) == TABLE1 - {"inception_lama"}
    assert changing([other]) == [other], "the run is labelled custom"
    assert "profile.unpinned: expected some of" in refused([*words, "profile.unpinned=[places]"], capfd)


def test_the_rows_of_a_control_need_their_files(capfd: pytest.CaptureFixture[str]) -> None:
    message = refused(["experiment=table1_inpaint_places", *PAPER, "controls=[blending]"], capfd)
    assert set(numbered(message)) == TABLE1 | {"decoder_base", "decoder_large_x2"}


def test_the_sensitivity_needs_the_files_of_its_rows_and_choices(capfd: pytest.CaptureFixture[str]) -> None:
    names = set(numbered(refused(["experiment=sensitivity", *PAPER], capfd)))
    assert names == TABLE1 | {"alexnet"}


def test_native_baselines_need_their_authors_weights(capfd: pytest.CaptureFixture[str]) -> None:
    message = refused(["experiment=table1_inpaint_places", *PAPER, "baseline=native"], capfd)
    assert set(numbered(message)) >= {"lama", "comodgan", "deepfill_v2", "edgeconnect"}


def test_external_baselines_need_their_repositories(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["experiment=table1_inpaint_places", *PAPER, "baseline=external", f"paths.repositories={tmp_path / 'none'}"]
    message = refused(words, capfd)
    for row, name in {"lama": "lama", "deepfill_v2": "generative_inpainting", "edgeconnect": "edge-connect"}.items():
        assert f"rows.{row}.method.folder: nothing at {tmp_path / 'none' / name}" in message


def test_a_users_own_path_is_listed_by_its_key(capfd: pytest.CaptureFixture[str]) -> None:
    own = "rows.large_mask.method.decoder.path=mine/large"
    message = refused(["experiment=table1_inpaint_places", *PAPER, own], capfd)
    assert "rows.large_mask.method.decoder.path: nothing at mine/large" in message
    assert "decoder_large" not in numbered(message)


def test_the_authors_archive_takes_the_place_of_the_validation_set(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["experiment=table2_inpaint_imagenet", *PAPER, "dataset=imagenet_archive"]
    names = set(numbered(refused(words, capfd)))
    assert "imagenet_archive" in names
    assert "imagenet_val" not in names


def refused_for_some(words: list[str], capture: pytest.CaptureFixture[str]) -> str:
    """Run a collection that lacks something, check what it prints of Tables 7 and 8, and return the message."""
    assert main(words) == 2
    said, message = capture.readouterr()
    assert [line.partition(":")[0] for line in said.splitlines()] == [f"table{n}_architecture_{d}" for n, d in LAYERS]
    return message


def unsized(names: list[str]) -> list[str]:
    return [name for name in names if read_assets()[name].gigabytes is None]


def test_a_collection_lists_each_missing_thing_once_with_its_tables(capfd: pytest.CaptureFixture[str]) -> None:
    message = refused_for_some(["experiment=all_tables", *PAPER], capfd)
    one_line = " ".join(message.split())
    names = numbered(message)
    assert len(names) == len(set(names))
    # Neither training data nor what only a control needs, nor measures that no paper table takes, nor other data.
    left_out = {"imagenet_train", "decoder_vanilla_finetuned", "inception_clean", "alexnet", "imagenet_archive"}
    baselines = {name for name, asset in read_assets().items() if asset.used_for == "baselines"}
    elsewhere = {"coco2017", "sdxl_inpainting", "flux_fill", "clip_336", "dinov2"}
    assert set(names) == set(read_assets()) - left_out - baselines - elsewhere
    entry = message[message.index(". sd_text2image:") :].split("\n\n")[0]
    assert "needed by table6_text2image_coco, table10_size_coco" in entry
    entry = message[message.index(". inception_lama:") :].split("\n\n")[0]
    tables = ("table1_inpaint_places", "table2_inpaint_imagenet", "table3_blending_imagenet", "table9_size_imagenet")
    assert all(table in entry for table in tables)
    assert "table4" not in entry
    tail = message[message.index("ready: 2 of 10") :]
    assert tail.startswith("ready: 2 of 10 experiments (table7_architecture_base, table8_architecture_large)\n")
    assert re.search(r"^not ready: table3_blending_imagenet \(.*decoder_base_concat, .*\)$", tail, re.M)
    assert "train it: python -m bench experiment=train_decoder" in " ".join(message.split())
    lacking = [read_assets()[name].gigabytes for name in names]
    total = sum(size for size in lacking if size is not None)
    assert f"Disk for what is missing: {total:.3g} GB, and more for {', '.join(unsized(names))}, whose" in one_line
    shared = re.search(r"Disk for all runs: (\S+) GB of items, (\S+) GB of latents, and some for scores", one_line)
    assert shared is not None
    places, imagenet, cocoee = 30_000 * 4 * 512**2, 3_000 * 4 * 512**2, 3_500 * 512**2
    assert float(shared[1]) == pytest.approx((places + imagenet + cocoee) / 1e9, rel=0.01)
    assert "If you start the run now, it runs the ready experiments, " in tail


def test_a_sweep_lists_everything_that_its_jobs_lack(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "experiment=table1_inpaint_places", *PAPER, "seed=0,1"]
    assert main(words) == 2
    message = capfd.readouterr().err
    assert message.count("6 things are missing or wrong") == 1
    assert "bench: job 0 (seed=0); job 1 (seed=1): table1_inpaint_places: 6 things" in message
    assert set(numbered(message[message.index("bench: job") :].partition("\n")[2])) == TABLE1
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_of_one_table_is_in_the_collections_list(capfd: pytest.CaptureFixture[str]) -> None:
    names = ["table1_inpaint_places", "table2_inpaint_imagenet", *(f"table{n}_architecture_{d}" for n, d in LAYERS)]
    few = f"experiments=[{','.join(names)}]"
    message = refused_for_some(["experiment=all_tables", few, *PAPER, "profile.masks=thin_512"], capfd)
    assert ". profile.masks: " in message
    assert "needed by table1_inpaint_places, table2_inpaint_imagenet" in message


@pytest.fixture
def miniatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write small files of the right kind at the paper's paths, and return the folder of Places."""
    root = write_places(tmp_path / "data", "val", pictures=5)
    places = {
        "places": root, "places_list": "test_list.txt", "sd_inpainting": MINI / "inpainting",
        "decoder_base": MINI / "base", "decoder_large": MINI / "large",
    }  # fmt: skip
    for name, place in places.items():
        monkeypatch.setenv(read_assets()[name].variable, str(place))
    return root


LAYERS = ((7, "base"), (8, "large"))
"""Tables that need no file: their numbers and decoders."""
ROWS = "row=[lama,stablediffusion,large_mask,large_nomask]"


def test_a_complete_machine_is_ready_and_shown_the_estimate(
    miniatures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.evaluation.dry_run.PATIENCE", math.inf)  # a busy machine tries a whole batch as well
    before = set(tmp_path.iterdir())
    assert main(["experiment=table1_inpaint_places", *PAPER, *SMALL, ROWS]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("table1_inpaint_places: ready: no file is missing; 4 rows, ")
    said = {line.split()[0]: line for line in lines[1:]}
    assert list(said) == ["generator:", "items", "disk", "memory", "time", "from"]
    assert "UNet's weights" in said["generator:"]
    assert said["items"].split() == ["items", "5"]
    latents, item = 4 * (64 // 4) ** 2 * 4, 4 * 64**2
    assert f"{5 * item / 1e3:.3g} kB for items" in said["disk"]
    assert f"{5 * latents / 1e3:.3g} kB for latents" in said["disk"]
    assert re.search(r"on cpu, .* with 8 items at once", said["memory"])
    assert "s to sample an item" in said["time"]
    assert "a trial of 8 items" in said["from"]
    (outputs,) = set(tmp_path.iterdir()) - before
    written = [path for path in outputs.rglob("*") if path.is_file()]
    assert {path.parent.name for path in written if path.name != "asymbench-store.json"} == {"measured"}


@pytest.mark.slow
def test_a_finished_run_reports_the_error_of_its_estimate(
    miniatures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["experiment=table1_inpaint_places", *PAPER[:1], *SMALL, "row=[stablediffusion]"]
    assert main([*words, "stage=check"]) == 0
    capfd.readouterr()
    with without_figures():
        assert main([*words, f"out={tmp_path / 'run'}"]) == 0
    lines = capfd.readouterr().out.splitlines()
    (said,) = [line for line in lines if line.startswith("Compared with the estimate of 20")]
    sampled = r".*: sampling took \S+ s for an item instead of \S+ s \([+-]\d+%\), "
    scored = r"scoring took \S+ s for an item instead of \S+ s \([+-]\d+%\), "
    assert re.match(sampled + scored + r"\S+ [GM]B of memory instead of \S+ [GM]B \([+-]\d+%\)\.$", said)
    taken = json.loads((tmp_path / "run" / "run.json").read_text())["taken"]
    assert f"sampling took {taken['sampling']:.3g} s for an item" in said
    with without_figures():
        assert main([*words, f"out={tmp_path / 'again'}"]) == 0  # all is in the store: nothing to compare
        assert "Compared with the estimate" not in capfd.readouterr().out
        assert main([*words, "seed=3", "batch_size=2", f"out={tmp_path / 'other'}"]) == 0  # it was not of these batches
        assert "Compared with the estimate" not in capfd.readouterr().out


@pytest.mark.parametrize("wrong", ["kind", "list"])
def test_a_present_but_wrong_file_ends_the_check_with_status_2(
    wrong: str, miniatures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if wrong == "kind":
        (tmp_path / "text").mkdir()
        for path in (MINI / "inpainting").iterdir():
            (tmp_path / "text" / path.name).symlink_to(path)
        (tmp_path / "text" / "unet").unlink()
        (tmp_path / "text" / "unet").mkdir()
        settings = (MINI / "inpainting" / "unet" / "config.json").read_text().replace('channels": 9', 'channels": 4')
        (tmp_path / "text" / "unet" / "config.json").write_text(settings)
        weights = "unet/diffusion_pytorch_model.safetensors"
        (tmp_path / "text" / weights).symlink_to(MINI / "inpainting" / weights)
        monkeypatch.setenv("BENCH_SD_INPAINTING", str(tmp_path / "text"))
        expected = ("sd_inpainting", "a text-to-image checkpoint")
    else:
        with (miniatures / "test_list.txt").open("a") as file:
            file.writelines(f"absent_{number}.jpg\n" for number in range(6))
        expected = ("places", "found 6 of 11 missing")
    message = refused(["experiment=table1_inpaint_places", *PAPER, *SMALL, ROWS], capfd)
    assert "1 thing is missing or wrong" in message
    assert numbered(message) == [expected[0]]
    assert expected[1] in " ".join(message.split())
