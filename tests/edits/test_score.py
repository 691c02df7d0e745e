"""Tests of `bench.score`: its numbers are those of a table's run, and its files are read by the other commands."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import bench
from bench.data.manifest_command import main as manifest
from bench.edits.command import main
from bench.edits.scores import Scores
from bench.errors import BadInputError
from bench.gate.command import main as compare
from bench.results.explain import main as explain
from bench.runtime.clock import is_moment
from tests.helpers.photographs import Photograph, photograph, write

pytestmark = pytest.mark.blackbox


def drawn(count: int, seed: int = 0) -> list[Photograph]:
    rng = np.random.default_rng(seed)
    return [photograph(rng, 64) for _ in range(count)]


def scored(count: int = 12, **options: Any) -> Scores:
    rng = np.random.default_rng(1)
    pictures = drawn(count)
    return bench.score(
        [one.pixels for one in pictures],
        {"a": [one.edited(rng) for one in pictures], "b": [one.filled() for one in pictures]},
        [one.hole for one in pictures],
        quiet=True,
        **options,
    )


def test_identical_pictures_have_no_error_and_are_said_to_be_identical() -> None:
    pictures = [one.pixels for one in drawn(4)]
    scores = bench.score(pictures, pictures, quiet=True)
    numbers = scores.numbers.set_index("metric")
    assert numbers.loc["pre_error", "value"] == 0
    assert numbers.loc["ssim", "value"] == 1
    assert [check.kind for check in scores.checks] == ["identical"]
    assert scores.table.columns.tolist() == ["edited"]


def test_floats_are_not_rounded() -> None:
    one = drawn(1)[0]
    truth = torch.from_numpy(one.pixels).permute(2, 0, 1)[None].float() / 255
    scores = bench.score(truth, (truth + 0.25 / 255).clamp(0, 1), quiet=True)
    numbers = scores.numbers.set_index("metric")["value"]
    assert numbers["pre_error"] == 0
    assert 0 < numbers["pre_error_float"] < (0.26 / 255) ** 2


def test_a_missing_network_is_a_reason_with_a_command() -> None:
    scores = scored()
    reasons = scores.numbers[scores.numbers["editor"] == "a"].set_index("metric")["reason"]
    assert "vgg16-397923af.pth is missing; download it with: curl" in reasons["lpips"]
    assert "BENCH_VGG16=FILE" in reasons["lpips"]
    for metric in ("fid", "kid", "inception_score"):
        assert reasons[metric] == "12 pictures, fewer than the 2048 that this protocol requires"
    assert scores.table.loc["LPIPS", "a"] == "–"


def test_every_pair_of_editors_is_compared_without_a_reference() -> None:
    rng, pictures = np.random.default_rng(1), drawn(12)
    edited = {name: [one.edited(rng) for one in pictures] for name in "abc"}
    scores = bench.score([one.pixels for one in pictures], edited, measures=["similarity"], quiet=True)
    found = scores.differences[scores.differences["metric"] == "ssim"]
    assert list(zip(found["editor"], found["against"], strict=True)) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert (found["p_holm"] <= 1).all()
    assert scored(reference="b", measures=["similarity"]).differences["against"].unique().tolist() == ["b"]


def test_the_differences_are_paired_by_picture() -> None:
    scores = scored(reference="b", measures=["similarity"])
    records = scores.records.pivot(index="item", columns="row", values="ssim")
    found = scores.differences.set_index("metric").loc["ssim"]
    difference = records["a"] - records["b"]
    assert found["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    assert found["ci95_low"] < difference.mean() < found["ci95_high"]


def test_pictures_of_different_sizes_are_scored_one_size_after_the_other() -> None:
    rng = np.random.default_rng(2)
    pictures = [photograph(rng, side) for side in (64, 48, 64, 80)]
    truth, edited, holes = [one.pixels for one in pictures], [one.edited(rng) for one in pictures], [
        one.hole for one in pictures
    ]  # fmt: skip
    measures = ["known_region", "similarity"]
    together = bench.score(truth, edited, holes, measures=measures, quiet=True).records.set_index("item")
    for place in range(4):
        alone = bench.score([truth[place]], [edited[place]], [holes[place]], measures=measures, quiet=True).records
        assert together.loc[str(place), "pre_error"] == pytest.approx(alone.loc[0, "pre_error"], abs=1e-15)
        assert together.loc[str(place), "ssim"] == pytest.approx(alone.loc[0, "ssim"], abs=1e-12)


def test_an_editor_with_another_size_has_no_value_but_a_reason(tmp_path: Path) -> None:
    rng, pictures = np.random.default_rng(1), drawn(4)
    truth = [one.pixels for one in pictures]
    edited = {"good": [one.edited(rng) for one in pictures], "bad": [one[:48] for one in truth]}
    scores = bench.score(truth, edited, reference="bad", quiet=True)
    numbers = scores.numbers.set_index(["metric", "editor"])
    assert numbers.loc[("pre_error", "bad"), "reason"] == "4 of 4 pictures have another size than their truth"
    assert numbers.loc[("pre_error", "good"), "value"] > 0
    assert "an aspect ratio that differs by" in str(scores.checks[0])
    against = scores.differences
    assert set(against["against"]) == {"bad"}
    assert (against["reason"] != "").all()
    only = bench.score(truth, [one[:48] for one in truth], quiet=True)
    assert (only.save(tmp_path / "only") / "report.html").exists()
    assert is_moment(json.loads((tmp_path / "only" / "run.json").read_text())["started"])
    assert only.table.to_numpy().tolist()
    assert set(only.numbers["reason"]) != {""}


def test_a_mask_over_everything_leaves_no_known_pixel() -> None:
    one = drawn(1)[0]
    scores = bench.score([one.pixels], [one.shifted()], [np.ones_like(one.hole)], quiet=True)
    numbers = scores.numbers.set_index("metric")
    assert np.isnan(numbers.loc["pre_error", "value"])
    assert numbers.loc["pre_error", "reason"] == "no item has a known pixel"
    assert [check.kind for check in scores.checks] == ["whole"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "c"}, "reference: expected one of a, b, found c"),
        ({"measures": ["fid"]}, "measures: expected default, paper, mini, or some of known_region"),
        ({"measures": []}, "measures: .*found an empty list"),
        ({"batch_size": 0}, "batch_size: expected auto or a whole number of at least 1, found 0"),
        ({"batch_size": True}, "batch_size: expected auto"),
        ({"device": "tpu9"}, "device: expected auto, cpu or a device that exists"),
        ({"prompts": "abcdefghijkl"}, "prompts: expected a list of texts, found str"),
        ({"prompts": [None] * 12}, "prompts: expected printable texts, each on one line, found None"),
        ({"measures": None}, "measures: expected a name or a list of names, found NoneType"),
        ({"measures": "clip"}, "exemplars: expected a value, because the measure clip needs it, found none"),
        ({"measures": "prompt"}, "prompts: expected a value, because the measure prompt needs it, found none"),
        ({"device": "meta"}, "device: expected a device that computes values, found meta"),
        ({"device": None}, "device: expected the name of a device, found None"),
        ({"reference": ["a"]}, "reference: expected one of a, b, found"),
        ({"prompts": ["one"]}, "prompts: expected 12 texts, one for each picture in truth, found 1"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        scored(**options)


@pytest.mark.parametrize("edited", [{}, {"": [1]}, {"a\n": [1]}])
def test_wrong_names_of_editors_are_refused(edited: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="edited: expected"):
        bench.score([drawn(1)[0].pixels], edited, quiet=True)


# --- files and commands ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("folders"), np.random.default_rng(1)
    pictures = {f"p{place}": one for place, one in enumerate(drawn(12))}
    write(root / "truth", {name: one.pixels for name, one in pictures.items()})
    write(root / "mask", {name: one.mask for name, one in pictures.items()})
    write(root / "a", {name: one.edited(rng) for name, one in pictures.items()})
    write(root / "b", {name: one.filled() for name, one in pictures.items()})
    return root


def words(root: Path, *more: str) -> list[str]:
    editors = [word for name in "ab" for word in ("--edited", f"{name}={root / name}")]
    return ["--truth", str(root / "truth"), *editors, "--mask", str(root / "mask"), "--quiet", *more]


def test_the_command_prints_and_writes_what_a_run_writes(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(folders, "--reference", "a", "--out", str(out))) == 0
    shown = capsys.readouterr().out
    assert "Pre_error" in shown
    assert "b: in 12 of 12 pictures all known pixels equal the truth exactly" in shown.replace("\n", " ")
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "report.html",
        "results.json",
        "run.json",
        "manifest.json",
        "records.parquet",
        "table.md",
        "table.tex",
        "table_main.tex",
    }
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.index("all known pixels equal the truth exactly") < page.index('id="table"')
    assert "python -m bench.score --truth" in page
    assert set(re.findall('href="([^"]*)" download', page)) == names - {"report.html", ".started.json"}
    assert len(pandas.read_parquet(out / "records.parquet")) == 24


def test_the_other_commands_read_the_files(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("new", "old"):
        options = ["--reference", "a", "--measures", "known_region", "--out", str(tmp_path / name)]
        assert main(words(folders, *options)) == 0
    assert compare([str(tmp_path / "new"), str(tmp_path / "old")]) == 0
    capsys.readouterr()
    assert explain([str(tmp_path / "new"), "b", "pre_error"]) == 0
    assert "python -m bench.score --truth" in capsys.readouterr().out


@pytest.mark.slow
def test_another_scoring_is_not_replaced_silently(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--measures", "known_region", "--out", str(tmp_path / "out")]
    assert main(words(folders, *options)) == 0
    assert main(words(folders, *options)) == 0  # the same one
    swapped = words(folders, *options)
    swapped[3], swapped[5] = f"a={folders / 'b'}", f"b={folders / 'a'}"
    for other in (swapped, words(folders, "--measures", "similarity", *options[2:])):
        assert main(other) == 2
        assert "overwrite=True, or --overwrite, allows this folder" in capsys.readouterr().err
    assert main([*swapped, "--overwrite"]) == 0


def test_the_recorded_command_has_all_options(folders: Path, tmp_path: Path) -> None:
    more = ["--measures", "known_region,similarity", "--batch-size", "3", "--reference", "a"]
    assert main(words(folders, *more, "--out", str(tmp_path / "out"))) == 0
    command = json.loads((tmp_path / "out" / "run.json").read_text())["command"]
    assert command.endswith("--reference a --measures known_region,similarity --batch-size 3")


def test_an_unwritable_folder_is_found_before_anything_is_measured(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, "--out", str(folders / "truth" / "p0.png"))) == 2
    shown = capsys.readouterr()
    assert "--out: expected a folder, found the file" in shown.err
    assert shown.out == ""


def test_the_findings_come_first_and_the_missing_networks_last(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders)) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert (
        shown.index("all known pixels equal the truth")
        < shown.index("Pre_error")
        < shown.index("lpips: no value. Reason")
    )


def test_a_command_for_a_missing_file_stands_on_one_line(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders)) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "curl" in line)
    assert re.search(r"curl --location --create-dirs --output \S+ https://\S+vgg16-397923af.pth", line)


def test_the_manifest_command_reads_a_scoring(folders: Path, tmp_path: Path) -> None:
    assert main(words(folders, "--out", str(tmp_path / "out"))) == 0
    assert manifest(["show", str(tmp_path / "out")]) == 0


def test_a_folder_with_other_files_is_refused(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(words(folders, "--out", str(tmp_path))) == 2
    assert "expected an empty folder or the folder of an earlier run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--edited", "c"], "--edited: expected NAME=DIR, found c"),
        (["--edited", "a=x"], "--edited: expected a different name for each editor, found a twice"),
        (["--reference", "z"], "reference: expected one of a, b, found z"),
        (["--batch-size", "many"], "batch_size: expected auto"),
        (["--prompts", "no.txt"], "--prompts: expected a text file"),
    ],
)
def test_a_wrong_word_is_bad_input(
    folders: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, *more)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_module_is_a_command_and_the_name_a_function(folders: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.score", "--truth", str(folders / "a")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--edited" in done.stderr
    with pytest.raises(ImportError, match=r"bench.score is a function"):
        __import__("bench.score")
    assert callable(bench.score)


def test_a_notebook_shows_the_table_and_the_checks() -> None:
    scores = scored()
    html = scores._repr_html_()
    assert "<table" in html
    assert "all known pixels equal the truth" in html
    assert "Pre_error" in str(scores)


def test_identical_pictures_have_no_signal_to_noise_and_say_why() -> None:
    one = drawn(1)[0]
    numbers = bench.score([one.pixels], [one.pixels], quiet=True).numbers.set_index("metric")
    assert numbers.loc["psnr", "reason"] == "every image equals its truth, so the ratio is infinite"


def test_a_list_of_sources_that_names_no_picture_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "truth", {"a": drawn(1)[0].pixels})
    (tmp_path / "truth" / "sources.jsonl").write_text('{"file": "a", "source": "one"}\n')
    with pytest.raises(
        BadInputError, match=r"that names files of this folder, such as a\.png, found only other names: a$"
    ):
        bench.score(tmp_path / "truth", tmp_path / "truth", quiet=True)


@pytest.mark.slow
def test_words_are_read_in_the_pictures_of_an_editor() -> None:
    truth = np.full((3, 64, 160, 3), 70, np.uint8)
    letters = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"), 24)
    for place, word in enumerate(("house", "green")):
        sheet = Image.fromarray(truth[place])
        ImageDraw.Draw(sheet).text((20, 16), word, font=letters, fill="white")
        truth[place] = np.asarray(sheet)
    gone = truth.copy()
    gone[0] = 70
    scores = bench.score(truth, {"same": truth, "gone": gone}, measures=["text"], quiet=True)
    numbers = scores.numbers.set_index(["metric", "editor"])["value"]
    assert numbers["text_accuracy_outside", "same"] == 1
    assert numbers["text_accuracy_outside", "gone"] == numbers["text_ned_outside", "gone"] == 0.5
    assert np.isnan(scores.records.set_index(["item", "row"])["text_accuracy_outside"]["2", "same"])
    said = scores.numbers.set_index(["metric", "editor"])["reason"]["text_accuracy_crossing", "same"]
    assert said == "no item has such a word that can be read"
    assert "1 of 3 pictures without such a word." in " ".join(scores._typed.notes)
