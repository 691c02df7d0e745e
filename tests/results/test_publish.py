"""Tests of the files that publish a run on the Hugging Face hub."""

import errno
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, parse_eval_result_entries
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from hypothesis import given
from hypothesis import strategies as st

from bench.console import main as asymbench
from bench.errors import BadInputError
from bench.results import publish as command
from bench.results.hub_metrics import HUB_METRICS, PINNED, MeasuredBy, PublishedName, published_name
from bench.results.model_card import (
    CARD,
    EVALUATION,
    HubDataset,
    PublishedNumber,
    PublishedRow,
    RunFacts,
    files_of,
)
from bench.results.publish import Publication, main, publish
from tests.helpers.imports import HEAVY, loaded_with
from tests.results.published_runs import MINI_RUN, Change, change_run, null_numbers, publishable_run

ROOT = Path(__file__).parents[2]
SHOWN = [
    "fid", "lpips", "pre_error", "pre_sse01", "psnr", "ssim", "ssim_known", "kid", "pre_error_released",
    "pre_error_rounded", "pre_error_float", "pre_error_ring", "pre_error_interior",
]  # fmt: skip
"""Metrics that the tables of the run show, in their order."""
COMMIT = "5503434ddd753f426f4b38109466949a1217c2bb"
INCEPTION = MeasuredBy(HUB_METRICS["fid"].measure, [PINNED["inception_lama"]], "a" * 64)
FACTS = RunFacts(
    "table2", "paper", "inpainting", HubDataset("imagenet", "ImageNet"), 512, "custom", "c" * 64,
    None, {"b" * 64: {"statistic": "mean over items"}}, (), {"torch": "2.5"}, "commit abc", "python -m bench",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return publishable_run(tmp_path / "run")


def front_matter(text: str) -> dict[str, Any]:
    """Return the YAML block at the start of a card, without the help of huggingface_hub."""
    _, block, _ = text.split("---\n", 2)
    content: dict[str, Any] = yaml.safe_load(block)
    return content


def measured_rows(run: Path) -> list[str]:
    """Return the names of the measured rows in `results.json`."""
    rows = json.loads((run / "results.json").read_text())["rows"]
    return [row["method"] for row in rows if row["origin"] != "published"]


def entries(run: Path, row: str) -> dict[str, Any]:
    """Return the entries of a row in `results.json`, by metric."""
    rows = json.loads((run / "results.json").read_text())["rows"]
    found: dict[str, Any] = next(one["metrics"] for one in rows if one["method"] == row)
    return found


@pytest.mark.reference
def test_every_value_is_read_again_by_huggingface_hub(run: Path, tmp_path: Path) -> None:
    folders = publish(run, tmp_path / "out", Publication())
    assert [folder.name for folder in folders] == measured_rows(run)
    for folder in folders:
        text = (folder / CARD).read_text()
        assert list(front_matter(text)) == ["model-index"]
        name, found = model_index_to_eval_results(front_matter(text)["model-index"])
        measured = entries(run, folder.name)
        assert name == folder.name
        assert [one.metric_value for one in found] == [measured[metric]["value"] for metric in SHOWN]
        for one, metric in zip(found, SHOWN, strict=True):
            assert one.metric_args.get("standard_error") == measured[metric]["stderr"]
            assert one.metric_args.get("interval_95") == measured[metric]["ci95"]
            assert one.metric_args["protocol_sha256"] == measured[metric]["protocol"]
            assert one.verified is None
        assert ModelCard.load(folder / CARD).data.eval_results == found
        again = parse_eval_result_entries(yaml.safe_load((folder / EVALUATION).read_text()))
        assert [(one.task_id, one.value) for one in again] == [(one.metric_type, one.metric_value) for one in found]


@pytest.mark.reference
def test_the_model_index_has_the_keys_of_the_specification(run: Path, tmp_path: Path) -> None:
    choices = Publication("large_mask", "me/decoder", f"ILSVRC/imagenet-1k@{COMMIT}")
    (folder,) = publish(run, tmp_path / "out", choices)
    index = front_matter((folder / CARD).read_text())["model-index"]
    assert index == eval_results_to_model_index(*model_index_to_eval_results(index))
    (model,) = index
    (result,) = model["results"]
    assert model["name"] == "me/decoder"
    assert result["task"] == {"type": "image-to-image", "name": "Image inpainting"}
    manifest = json.loads((run / "results.json").read_text())["manifest"]
    assert result["dataset"] == {
        "name": "ImageNet validation subset",
        "type": "ILSVRC/imagenet-1k",
        "split": "val",
        "revision": COMMIT,
        "args": {"manifest_sha256": manifest, "resolution": 64, "subset": "custom"},
    }
    assert [metric["type"] for metric in result["metrics"]] == SHOWN
    first = yaml.safe_load((folder / EVALUATION).read_text())[0]
    assert first["dataset"] == {"id": "ILSVRC/imagenet-1k", "task_id": "fid", "revision": COMMIT}


@pytest.mark.property
@given(
    value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
    stderr=st.floats(min_value=0, allow_infinity=False) | st.none(),
    label=st.text(),
    model=st.from_regex(r"[\w.-]+(/[\w.-]+)?", fullmatch=True),
)
def test_any_number_and_any_text_survive(value: float, stderr: float | None, label: str, model: str) -> None:
    entry: Any = {"value": value, "stderr": stderr, "n": 3, "higher_is_better": False, "protocol": "b" * 64}
    row = PublishedRow("row", label, model, [PublishedNumber(PublishedName("fid", "FID"), entry)], {}, {}, FACTS)
    files = files_of(row)
    name, (found,) = model_index_to_eval_results(front_matter(files[CARD])["model-index"])
    assert name == model
    assert repr(found.metric_value) == repr(value)
    assert repr(found.metric_args.get("standard_error")) == repr(stderr)
    (again,) = parse_eval_result_entries(yaml.safe_load(files[EVALUATION]))
    assert repr(again.value) == repr(value)


@pytest.mark.blackbox
def test_values_that_huggingface_hub_changes_are_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = ModelCardData.to_yaml
    monkeypatch.setattr(ModelCardData, "to_yaml", lambda self: re.sub(r"(value: \d+\.\d)\d+", r"\1", exact(self)))
    with pytest.raises(BadInputError, match=r"stablediffusion/README\.md: expected that huggingface_hub reads"):
        publish(run, tmp_path / "out", Publication())
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
def test_the_card_says_what_was_measured(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asymbench(["publish", str(run), str(tmp_path / "out"), "--row", "Ours (large) w/ mask"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "large_mask")
    card = (tmp_path / "out" / "large_mask" / CARD).read_text()
    facts, fid = json.loads((run / "run.json").read_text()), entries(run, "large_mask")["fid"]
    low, high = (f"{end:.6g}" for end in fid["ci95"])
    assert f"| {fid['value']:.6g} | {fid['stderr']:.6g} | {low} to {high} | {fid['n']} |" in card
    for word in (
        "# Ours (large) w/ mask",
        "64×64 pixels, profile paper",
        "## Protocol imagenet_3k",
        "| split | val |",
        "| resize | not stated |",
        facts["manifest"],
        fid["protocol"],
        facts["source"]["commit"],
        "    python -m bench experiment=table2_inpaint_imagenet",
        *(f"| {name} | {facts['versions'][name]} |" for name in ("torch", "diffusers", "asymbench")),
        *(sha for file, sha in facts["weights"].items() if "mine/large/" in file),
    ):
        assert word in card


@pytest.mark.blackbox
def test_a_number_without_a_value_is_left_out_with_its_reason(run: Path, tmp_path: Path) -> None:
    def lose(results: dict[str, Any], _: dict[str, Any]) -> None:
        null_numbers(results["rows"][1])
        results["rows"][0]["metrics"]["fid"] |= {"value": None, "stderr": None, "reason": "too few items"}
        results["rows"][0]["metrics"]["kid"]["interval_too_short"] = True
        results.pop("protocol")

    folders = publish(change_run(run, lose), tmp_path / "out", Publication())
    assert [folder.name for folder in folders] == [name for name in measured_rows(run) if name != "base_mask"]
    card = (tmp_path / "out" / "stablediffusion" / CARD).read_text()
    assert "fid has no value: too few items." in card
    assert card.count("(too short)") == 1
    assert "## Protocol imagenet_3k" not in card
    _, found = model_index_to_eval_results(front_matter(card)["model-index"])
    assert [one.metric_type for one in found] == SHOWN[1:]


def unlike(**changes: Any) -> Change:
    """Return a change of some keys of `run.json`."""
    return lambda _, run: run.update(changes)


def without_numbers(results: dict[str, Any], _: dict[str, Any]) -> None:
    for row in results["rows"]:
        null_numbers(row)


def drawn(_: dict[str, Any], run: dict[str, Any]) -> None:
    run["config"]["dataset"]["pictures"]["root"] = {"_target_": "bench.data.mini.imagenet.write_imagenet"}


REFUSED: dict[str, tuple[Change, str]] = {
    "mini": (unlike(profile="mini"), "for the mini profile, found the profile mini"),
    "mini metrics": (
        lambda _, run: run["config"]["metrics"].update(name="mini"),
        "for the mini profile, found the metrics mini",
    ),
    "drawn pictures": (drawn, "for the mini profile, found a data set of the mini profile"),
    "mini weights": (
        lambda _, run: run["weights"].update({"${paths.assets}/mini/base/config.json": "d" * 64}),
        "for the mini profile, found weights of the mini profile",
    ),
    "rehearsal": (unlike(profile="rehearsal"), "expected a run with trained networks, found a rehearsal"),
    "unfinished": (unlike(status="running"), "expected the status complete, found running"),
    "two runs": (unlike(manifest="d" * 64), "found files of two different runs"),
    "null": (without_numbers, "expected at least one row with a measured number, found none"),
    "choice": (
        lambda results, _: results["rows"][0].update(choice="round"),
        "expected a table with one line for each row, found another kind of table",
    ),
    "unknown measure": (
        lambda results, _: results["measures"].update(fid="nothing"),
        "expected a measure of metrics.measures for fid, found nothing",
    ),
    "no versions": (lambda _, run: run.pop("versions"), "expected the key versions, found no such key"),
}


def assert_refused(capsys: pytest.CaptureFixture[str], parent: Path, said: str, *words: str | Path) -> None:
    """Run the command, and require status 2, one line that contains `said`, and no new file."""
    before = sorted(parent.rglob("*"))
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("asymbench publish: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert sorted(parent.rglob("*")) == before


@pytest.mark.blackbox
@pytest.mark.parametrize("case", REFUSED)
def test_runs_that_must_not_be_published_are_refused(
    case: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = REFUSED[case]
    change_run(run, change)
    assert_refused(capsys, tmp_path, said, run, tmp_path / "out")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (MINI_RUN, "found the profile mini"),
        (MINI_RUN.parent, "expected the folder of one table, found a folder of several runs: table10_size_coco"),
        (MINI_RUN.parent / "table7_architecture_base", "found another kind of table"),
        (MINI_RUN.parent / "nothing", "expected this file, which every complete run has, found no such file"),
    ],
)
def test_other_folders_are_refused(folder: Path, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(capsys, tmp_path, said, folder, tmp_path / "out")


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["results.json", "run.json"])
def test_a_file_that_was_changed_after_the_run_is_refused(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (run / name).read_text()
    (run / name).write_text(re.sub(r'"seed": 0|"value": \d', lambda found: found[0][:-1] + "7", text, count=1))
    assert (run / name).read_text() != text
    assert_refused(capsys, tmp_path, f"{name}: expected", run, tmp_path / "out")


@pytest.mark.blackbox
@pytest.mark.parametrize("key", ["sha256", "files"])
def test_a_run_without_hashes_is_refused(
    key: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_run(run, lambda _, facts: [facts.pop(name) for name in {key, "sha256"}], seal=False)
    assert_refused(capsys, tmp_path, "found no hashes", run, tmp_path / "out")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--row", "largest"], "--row: expected one of stablediffusion (StableDiffusion); base_mask"),
        (["--row", "base_mask"], "--row: expected a row with a measured number, found only null for base_mask"),
        (["--model", "me/decoder"], "--model: expected a name such as OWNER/NAME for one row, which --row chooses"),
        (["--row", "large_mask", "--model", "a b"], "found a b for 1 row"),
        (["--dataset", "a/b/c"], "--dataset: expected OWNER/NAME or OWNER/NAME@COMMIT"),
        (["--dataset", "a/b@main"], "found a/b@main"),
    ],
)
def test_wrong_choices_are_refused(
    words: list[str], said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_run(run, lambda results, _: null_numbers(results["rows"][1]))
    assert_refused(capsys, tmp_path, said, run, tmp_path / "out", *words)


@pytest.mark.blackbox
def test_an_empty_folder_is_filled_and_another_one_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main([str(run), str(out), "--row", "large_mask"]) == 0
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == [
        "large_mask", f"large_mask/{CARD}", f"large_mask/{EVALUATION}",
    ]  # fmt: skip
    capsys.readouterr()
    assert_refused(capsys, tmp_path, "OUT: expected a new or an empty folder, found files", run, out)
    assert_refused(capsys, tmp_path, "OUT: expected a folder, found the file", run, run / "run.json")


@pytest.mark.blackbox
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EBUSY])
def test_a_failed_write_leaves_nothing(number: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def fail_later(path: Path, text: str) -> None:
        if len(written) == 3:
            raise OSError(number, "the disk fails")
        path.write_text(text)
        written.append(path)

    monkeypatch.setattr(command, "write_atomically", fail_later)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError if number == errno.ENOSPC else BadInputError, match="the disk fails"):
        publish(run, tmp_path / "out", Publication())
    assert len(written) == 3
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.blackbox
def test_a_row_whose_name_is_a_path_stays_in_the_folder(run: Path, tmp_path: Path) -> None:
    change_run(run, lambda results, _: results["rows"][0].update(method="../row"))
    publish(run, tmp_path / "parent" / "out", Publication())
    assert len(list((tmp_path / "parent" / "out").glob(f"*/{CARD}"))) == len(measured_rows(run))
    assert [path.name for path in (tmp_path / "parent").iterdir()] == ["out"]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("metric", "by", "expected"),
    [
        ("fid", INCEPTION, PublishedName("fid", "FID")),
        ("kid", INCEPTION, PublishedName("kid", "KID")),
        ("fid_clean", INCEPTION, PublishedName("fid", "fid_clean")),
        ("fid_40_50", INCEPTION, PublishedName("fid_40_50", "FID, 40–50 % masked")),
        ("fid_hole_only", INCEPTION, PublishedName("fid_hole_only", "FID, hole only")),
        (
            "fid",
            replace(INCEPTION, weights=["e" * 64]),
            PublishedName("fid_inceptionmeasure_aaaaaaaaaaaa", "FID by InceptionMeasure aaaaaaaaaaaa"),
        ),
        ("fid", replace(INCEPTION, weights=[]), PublishedName(
            "fid_inceptionmeasure_aaaaaaaaaaaa", "FID by InceptionMeasure aaaaaaaaaaaa"
        )),
        (
            "fid_40_50",
            MeasuredBy("bench.metrics.feature_measure.FeatureMeasure", ["e" * 64], "b" * 64),
            PublishedName(
                "fid_featuremeasure_bbbbbbbbbbbb_40_50", "FID, 40–50 % masked by FeatureMeasure bbbbbbbbbbbb"
            ),
        ),
        (
            "lpips",
            MeasuredBy("bench.metrics.feature_measure.FeatureMeasure", [PINNED["vgg16"]], "b" * 64),
            PublishedName("lpips_featuremeasure_bbbbbbbbbbbb", "LPIPS by FeatureMeasure bbbbbbbbbbbb"),
        ),
        (
            "clip_score",
            MeasuredBy("bench.metrics.clip_score.ClipScore", [PINNED["clip"]], "b" * 64),
            PublishedName("clip_similarity_to_exemplar_clipscore_bbbbbbbbbbbb", "CLIP score by ClipScore bbbbbbbbbbbb"),
        ),
        (
            "clip_prompt",
            MeasuredBy("bench.metrics.prompt_score.PromptScore", [PINNED["clip"]], "b" * 64),
            PublishedName("clip_score", "CLIP score of the prompt"),
        ),
        (
            "psnr",
            MeasuredBy("mine.Psnr", [], "b" * 64),
            PublishedName("psnr_psnr_bbbbbbbbbbbb", "PSNR by Psnr bbbbbbbbbbbb"),
        ),
        (
            "pre_error",
            MeasuredBy("bench.metrics.known_region.KnownRegionMeasure", [], "b" * 64),
            PublishedName("pre_error", "Pre_error"),
        ),
    ],
)  # fmt: skip
def test_a_metric_has_the_name_of_the_hub_only_if_it_is_that_metric(
    metric: str, by: MeasuredBy, expected: PublishedName
) -> None:
    assert published_name(metric, by) == expected


@pytest.mark.blackbox
def test_the_path_of_a_folder_of_pictures_is_not_the_name_of_the_data_set(run: Path, tmp_path: Path) -> None:
    path = "/home/me/My Pictures"
    change_run(run, lambda _, facts: facts["config"]["dataset"].update(name=path, root=path))
    (folder,) = publish(run, tmp_path / "out", Publication("large_mask"))
    _, found = model_index_to_eval_results(front_matter((folder / CARD).read_text())["model-index"])
    assert {(one.dataset_type, one.dataset_name) for one in found} == {("my-pictures", "My Pictures")}


@pytest.mark.blackbox
def test_other_features_are_named_on_the_card(run: Path, tmp_path: Path) -> None:
    change_run(run, lambda _, facts: facts["weights"].update({"weights/inception.pth": "e" * 64}))
    (folder,) = publish(run, tmp_path / "out", Publication("large_mask"))
    _, found = model_index_to_eval_results(front_matter((folder / CARD).read_text())["model-index"])
    content = json.loads((run / "results.json").read_text())
    digest = content["protocols"][entries(run, "large_mask")["fid"]["protocol"]]["measure"]["weights"][:12]
    types = [one.metric_type for one in found]
    assert types[0] == f"fid_inceptionmeasure_{digest}"
    assert types[SHOWN.index("kid")] == f"kid_inceptionmeasure_{digest}"
    assert types[1] == "lpips"


@pytest.mark.golden
def test_pinned_weights_are_those_of_the_list_of_files() -> None:
    listed = yaml.safe_load((ROOT / "bench" / "checking" / "assets.yaml").read_text(encoding="utf-8"))
    assert {name: listed[name]["sha256"] for name in PINNED} == PINNED


@pytest.mark.blackbox
@pytest.mark.parametrize("metric", HUB_METRICS)
def test_the_measures_of_the_hub_metrics_exist(metric: str) -> None:
    module, _, name = HUB_METRICS[metric].measure.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.blackbox
@pytest.mark.slow
def test_torch_is_not_imported(tmp_path: Path) -> None:
    assert not HEAVY & loaded_with("bench.results.publish", tmp_path)
