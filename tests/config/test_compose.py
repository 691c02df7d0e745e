"""Tests of the composition of configurations: shipped ones compose, and wrong ones end with one message."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

import bench
from bench.cli import main
from bench.config.compose import changing, checked, compose_config, conf_dir, experiments, typed
from bench.config.instantiate import check_targets
from bench.config.kinds import kind_of
from bench.config.references import references, values_below
from bench.config.schema import STAGES, ComposedConfig
from bench.errors import BadInputError, TerminatedError
from bench.experiments.run import run

pytestmark = [pytest.mark.blackbox, pytest.mark.usefixtures("empty_folder")]

TABLE = "experiment=table2_inpaint_imagenet"
ELSEWHERE = ("experiment", "row", "table", "training", "vae")
"""Groups whose options other tests compose: experiments with their tables, rows, recipes and autoencoders."""
OPTIONS = sorted(
    (path.parent.name, path.stem) for path in conf_dir().glob("*/*.yaml") if path.parent.name not in ELSEWHERE
)
ROWS = sorted(path.stem for path in conf_dir().glob("row/*.yaml"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make empty folders in place of the weights, which `stage=check` does not open, and return the override."""
    folder = f"profile.weights={tmp_path_factory.mktemp('weights')}"
    profile = typed(compose_config([TABLE, folder]))[0].profile
    pipelines = (profile.pipeline, profile.text_pipeline, profile.exemplar_pipeline)
    for path in (*pipelines, *profile.features.values(), *profile.decoders.values()):
        Path(path).mkdir(parents=True, exist_ok=True)
    return folder


def option(group: str, name: str) -> list[str]:
    """Return the override that chooses this option for the table's experiment."""
    if group == "dataset" and name == "folder":
        return ["dataset=folder", "dataset.root=pictures"]
    if group == "dataset" and name == "prompts":
        return ["dataset=prompts", "dataset.captions=captions.csv"]
    if group == "baseline" and name == "predictions":
        return ["baseline=predictions", "baseline.root=pictures"]
    if group == "metrics" and name == "score":
        return ["profile=paper", "metrics=score"]
    if group == "metrics":
        return [f"profile={name}"]  # whose own they are
    return [f"{group}={name}"]


def check_all_targets(resolved: dict[str, Any]) -> None:
    check_targets(resolved["generator"], "generator", given=("device",))
    for key in ("dataset", "metrics", "profile", "rows", "training", "mini_models"):
        check_targets(resolved[key], key)


@pytest.mark.parametrize("name", experiments())
def test_every_experiment_composes_from_existing_parts(name: str) -> None:
    config, resolved = typed(compose_config([f"experiment={name}"]))
    assert config.name == name
    assert config.description == experiments()[name]
    if kind_of(config._target_).measures:
        assert config.table is not None
        check_all_targets(resolved)
    else:
        for key in ("training", "mini_models", "training_data", "validation_data"):
            check_targets(resolved[key], key, given=("resolution", "masks") if key.endswith("data") else ())


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_composes_with_a_table_from_existing_parts(group: str, name: str) -> None:
    config, resolved = typed(compose_config([TABLE, *option(group, name)]))
    check_all_targets(resolved)
    if group == "decoder":
        assert config.decoder is not None
        assert config.decoder.name == name


@pytest.fixture(scope="module")
def with_all_rows() -> DictConfig:
    """Return the composed configuration of a table that shows every row."""
    return compose_config([TABLE, f"row=[{','.join(ROWS)}]"])


def test_every_row_composes_with_a_table_from_existing_parts(with_all_rows: DictConfig) -> None:
    config, resolved = typed(with_all_rows)
    assert list(config.rows) == list(resolved["rows"]) == ROWS
    check_all_targets(resolved)


def test_no_key_refers_to_another_row_so_that_every_row_composes_alone(with_all_rows: DictConfig) -> None:
    tree = OmegaConf.to_container(with_all_rows, resolve=False)
    read = {(leaf, key) for leaf, value in values_below(tree, "") for key in references(leaf, value)}
    assert ("rows.large_mask.method.decoder.path", "profile.decoders.large") in read
    of_rows = {(leaf, key) for leaf, key in read if key.partition(".")[0] == "rows"}
    assert {(leaf, key) for leaf, key in of_rows if leaf.split(".")[:2] != key.split(".")[:2]} == set()


def test_a_part_that_was_checked_before_is_checked_alike_with_other_paths(tmp_path: Path) -> None:
    """The tests remember checked parts of configurations, which must not differ from parts that are checked anew."""
    for name in ("first", "second"):
        composed = compose_config([TABLE, f"out={tmp_path / name}", f"paths.store={tmp_path / name / 'store'}"])
        plain = OmegaConf.create(OmegaConf.to_container(composed, resolve=True))
        whole = OmegaConf.merge(OmegaConf.structured(ComposedConfig), plain)
        config, resolved = typed(composed)
        assert config == OmegaConf.to_object(whole)
        assert resolved == OmegaConf.to_container(whole)
        assert config.out == str(tmp_path / name)


def test_a_successful_check_reports_it_and_writes_only_its_estimate(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([TABLE, "stage=check", "batch_size=4"]) == 0
    said, complained = capfd.readouterr()
    first, *estimate = said.splitlines()
    assert re.fullmatch(r"table2_inpaint_imagenet: ready: no file is missing; 14 rows, \d+\.\d MB of weights", first)
    assert [line.split()[0] for line in estimate] == ["generator:", "items", "disk", "memory", "time", "from"]
    assert re.fullmatch(r"a few trial items are processed on cpu, \w+, \d+ threads to estimate [\w ]+\n", complained)
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in written if path.parent.name != "measured"] == ["asymbench-store.json"]
    assert len(written) == 4  # the marker, that the contracts are kept, facts about the parts, and the estimate


def test_the_check_covers_a_folder_of_pictures(weights: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    choice = [TABLE, weights, "stage=check", "dataset=folder", "dataset.root=pictures", "row=[stablediffusion]"]
    assert main(choice) == 2
    assert "dataset.root: expected a folder, found nothing at pictures" in capfd.readouterr().err
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    assert main([*(word for word in choice if word != weights), "generator.steps=1", "controls=[]"]) == 0


BAD = [
    (["nonsense=1"], ["nonsense", "stage", "limit"]),
    (["+nonsense=1"], ["nonsense", "stage", "limit"]),
    (["profile.nonsense=1"], ["profile.nonsense", "resolution"]),
    (["+profile.nonsense=1"], ["profile.nonsense", "resolution"]),
    (["+dataset.rooot=x"], ["dataset.rooot", "pictures"]),
    (["+metrics.foo=1"], ["metrics.foo", "measures"]),
    (["rows.base_mask.method.conditioned=no"], ["rows.base_mask.method.conditioned", "expected bool", "no"]),
    (["profile.fid_minimum=1"], ["profile.fid_minimum", "2 or more"]),
    (["metrics.measures.images.fewest=1"], ["metrics.measures.images.fewest", "at least 2, found 1"]),
    (["~rows.base_mask.method._target_"], ["rows.base_mask.method._target_", "found no such name"]),
    (["rows.base_mask.labl=x"], ["rows.base_mask.labl", "label"]),
    (["+rows.base_mask.labl=x"], ["rows.base_mask.labl", "label"]),
    (["generator.stepss=3"], ["generator.stepss", "guidance_scale"]),
    (["+generator.stepss=3"], ["generator.stepss", "guidance_scale"]),
    (["~generator.prompt"], ["generator.prompt", "needs it; found none"]),
    (["limit=abc"], ["limit", "abc", "a whole number"]),
    (["seed=1.5"], ["seed", "1.5", "a whole number"]),
    (["seed=null"], ["seed"]),
    (["seed=-1"], ["seed", "0 or more", "-1"]),
    (["limit=0"], ["limit", "1 or more", "0"]),
    (["batch_size=-1"], ["batch_size", "1 or more", "-1"]),
    (["strip_rows=0"], ["strip_rows", "1 or more", "0"]),
    (["compile=fast"], ["compile", "fast", "default", "reduce-overhead", "max-autotune"]),
    (["compile=reduce-overhead", "device=cpu"], ["compile", "CUDA graphs", "cpu"]),
    (["profile.steps=0"], ["profile.steps", "1 or more"]),
    (["profile.masks=thin_512"], ["profile.masks", "thin_512", "thick_512", "thick_256"]),
    (["stage=nonsense"], ["stage", "nonsense", *STAGES]),
    (["device=nonsense"], ["device", "nonsense", "auto", "cpu"]),
    (["row=nonsense"], ["row/nonsense", "base_mask", "paste_back"]),
    (["row=[nonsense]"], ["row/nonsense", "base_mask", "paste_back"]),
    (["row=[]"], ["row", "at least one"]),
    (["profile=nonsense"], ["profile/nonsense", "mini"]),
    (["dataset=nonsense"], ["dataset/nonsense", "folder", "imagenet_val"]),
    (["dataset=folder"], ["dataset.root"]),
    (["dataset=null"], ["dataset"]),
    (["table.task=cooking"], ["table.task", "cooking", "inpainting", "editing"]),
    (["metrics.tasks.inpainting=[images,nonsense]"], ["metrics.tasks.inpainting", "nonsense", "known_region"]),
    (["controls=[nonsense]"], ["controls", "nonsense", "hole_only", "budget"]),
    (["batch_size=many"], ["batch_size", "auto", "many"]),
    (["row=[comodgan]"], ["row", "at least one row that is measured"]),
    (["table.columns=[fid,beauty]"], ["table.columns", "beauty", "pre_error"]),
    (["rows.base_mask.published={2: Theirs}"], ["rows.base_mask.published.2", "Theirs", "StableDiffusion"]),
    (["limit=${nonsense}"], ["limit", "nonsense"]),
    (["nonsense"], ["nonsense"]),
]


def refuse(arguments: list[str], words: list[str], capfd: pytest.CaptureFixture[str], *, lines: int | None = 1) -> None:
    status = main(arguments)
    said, message = capfd.readouterr()
    assert (status, said) == (2, ""), message
    assert message.startswith("bench: ")
    assert lines is None or message.count("\n") == lines, message
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("overrides", "words"), BAD, ids=[overrides[0] for overrides, _ in BAD])
def test_bad_input_is_refused_with_one_message(
    overrides: list[str], words: list[str], weights: str, capfd: pytest.CaptureFixture[str]
) -> None:
    last = [] if overrides == ["stage=nonsense"] else ["stage=check"]
    refuse([TABLE, weights, *overrides, *last], words, capfd)


def test_an_unknown_or_missing_experiment_is_refused_with_the_known_ones(capfd: pytest.CaptureFixture[str]) -> None:
    refuse(["experiment=nonsense"], ["experiment/nonsense", *experiments()], capfd)
    refuse(["stage=check"], ["experiment=", *experiments()], capfd)
    refuse(["experiment=train_mini", "part=nonsense"], ["part", "nonsense", "first_stage"], capfd)


def test_missing_weights_are_all_named_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    network = "metrics.measures.images.measure.network.folder"
    keys = ["generator.pipeline", network, "rows.base_mask.method.decoder.path"]
    refuse([TABLE, "profile.weights=nowhere", "stage=check"], [*keys, "nowhere/base"], capfd, lines=None)


def test_bad_input_raises_an_exception_in_python() -> None:
    with pytest.raises(BadInputError, match="limit: expected 1 or more, found 0"):
        run([TABLE, "limit=0"])


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "bench: interrupted"),
        (TerminatedError(), 143, "bench: asked to end"),
        (OSError(errno.ENOSPC, "full", "here"), 1, "bench: here: no space left on the disk"),
        (RuntimeError("odd"), 1, "Traceback"),
    ],
)
def test_an_interruption_and_a_failure_have_their_own_status(
    error: BaseException,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(overrides: list[str]) -> None:
        raise error

    monkeypatch.setattr("bench.experiments.run.checked", fail)
    assert main([TABLE]) == status
    assert says in capfd.readouterr().err


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--help"], 0), ([TABLE, "nonsense=1"], 2)])
def test_listing_and_refusing_load_no_torch(arguments: list[str], status: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bench.cli" in loaded
    assert not {"torch", "torchvision", "diffusers", "transformers"} & loaded
    for name, description in experiments().items():
        assert (name in done.stdout and description in done.stdout) == (status == 0)


def test_decoders_of_the_paper_profile_train_as_released_and_are_chosen_on_held_out_pictures() -> None:
    training = "experiment=train_decoder"
    (mini, own), (paper, theirs) = (
        typed(compose_config([training, *words])) for words in ([], ["profile=paper", "training=paper_base"])
    )
    assert (mini.predict_branch, paper.predict_branch) == (True, False)
    assert theirs["training_data"]["root"] == theirs["validation_data"]["root"] == paper.paths.imagenet_train
    assert theirs["training_data"]["without_last"] == theirs["validation_data"]["only_last"] == 1
    assert own["training_data"]["without_last"] == own["validation_data"]["only_last"] == 0


def test_a_decoder_checkpoint_alone_adds_its_two_rows(weights: str) -> None:
    overrides = [TABLE, weights, "decoder.name=mine", "decoder.checkpoint=somewhere"]
    plain = typed(compose_config(overrides))[0]
    config, resolved = checked(overrides)
    assert list(config.rows) == [*plain.rows, "decoder_mask", "decoder_nomask"]
    assert config.rows["decoder_mask"].label == "mine w/ mask"
    assert resolved["rows"]["decoder_nomask"]["method"]["decoder"]["path"] == "somewhere"
    chosen = [*overrides, "row=[stablediffusion,decoder_mask]"]
    assert list(checked(chosen)[0].rows) == ["stablediffusion", "decoder_mask"]


@pytest.mark.parametrize(
    ("override", "custom"),
    [
        ("profile=paper", False),
        ("dataset=imagenet_archive", False),
        ("paths.imagenet_val=/data", False),
        ("batch_size=4", False),
        ("strip_rows=64", False),
        ("compile=default", False),
        ("profile.steps=4", True),
        ("generator.steps=4", True),
        ("limit=4", True),
        ("dataset=folder", True),
        ("+rows.mine.label=mine", True),
    ],
)
def test_an_override_that_changes_the_papers_table_makes_it_custom(override: str, custom: bool) -> None:
    assert changing(["experiment=table2_inpaint_imagenet", override]) == [override] * custom


def test_one_setting_names_the_checkpoint_file_of_the_paper(tmp_path: Path) -> None:
    file = tmp_path / "sd-v1-5-inpainting.ckpt"
    config, resolved = typed(compose_config([TABLE, "profile=paper", f"paths.sd_inpainting={file}"]))
    assert config.profile.decoders["vanilla"] == config.profile.first_stage == str(file)
    assert resolved["rows"]["stablediffusion"]["method"]["decoder"]["path"] == str(file)
    folder, _ = typed(compose_config([TABLE, "profile=paper", f"paths.sd_inpainting={tmp_path}"]))
    assert folder.profile.decoders["vanilla"] == folder.profile.first_stage == f"{tmp_path}/vae"


def test_what_only_says_where_the_papers_files_are_makes_no_table_custom() -> None:
    words = [TABLE, "profile=paper", "paths.sd_inpainting=a.ckpt", "generator.tokenizer=b"]
    assert changing([*words, "profile.decoders.vanilla=a.ckpt"]) == []
    assert changing([*words, "profile.decoders.vanilla=c.ckpt"]) == ["profile.decoders.vanilla=c.ckpt"]
    assert changing([TABLE, "profile.decoders.vanilla=a.ckpt"]) == ["profile.decoders.vanilla=a.ckpt"]
