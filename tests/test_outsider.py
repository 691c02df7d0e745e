"""Tests of users' own parts: one Python file and one YAML file, without changes of the package.

The files and commands are those of docs/extending.md, as they stand there.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image
from safetensors.torch import save_file
from torch import full

from bench.cli import main
from bench.console import main as console
from bench.results.explain import main as explain
from bench.store import file_sha256

pytestmark = pytest.mark.blackbox

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
FILES = {match[1]: text for _, text in BLOCKS if (match := re.match(r"(?:# @.*\n)?# (my_(?:code|conf)/\S+)\n", text))}
COMMANDS = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if "…" not in line]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the store and the data that all tests share."""
    return tmp_path_factory.mktemp("outsider")


@pytest.fixture
def folder(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_STORE", str(shared / "store"))
    monkeypatch.setenv("BENCH_DATA", str(shared / "data"))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "my_code"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, *extra: str) -> int:
    """Run a command of the page on a few items."""
    python, _, module, *words = shlex.split(command)
    assert (python, module) == ("python", "bench")
    small = ["limit=2", "generator.steps=1", "device=cpu", "out=out"]
    return main([*words, *small, *extra])


def the_command(word: str, *others: str) -> str:
    """Return the only command of the page that contains a word and none of the others."""
    (found,) = (line for line in COMMANDS if word in line and not any(other in line for other in others))
    return str(found)


def records() -> pandas.DataFrame:
    return pandas.read_parquet("out/records.parquet")


def test_the_page_shows_a_python_and_a_yaml_file_of_each_kind() -> None:
    assert sorted(FILES) == [
        "my_code/colour_cast.py",
        "my_code/linear_decoder.py",
        "my_code/mean_colour.py",
        "my_code/paired.py",
        "my_conf/dataset/paired.yaml",
        "my_conf/measure/colour_cast.yaml",
        "my_conf/row/linear.yaml",
        "my_conf/row/mean_colour.yaml",
    ]
    assert len([line for line in COMMANDS if line.startswith("python -m bench")]) == 5


def test_the_first_lines_try_a_decoder_and_measure_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "python" and "bench.try_decoder" in text)
    (folder / "my_code" / "my_decoder.py").write_text(
        "from torch import nn\nclass MyDecoder(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Conv2d(4, 3, 1), nn.Upsample(scale_factor=4))\n"
    )
    exec(
        code.replace('"limit=64"', '"limit=2", "generator.steps=1", "row=[stablediffusion]", "controls=[]"'),
        names := {},
    )
    assert names["results"].table["row"].tolist() == ["stablediffusion", "mine"]
    assert "MyDecoder: no problem" in capsys.readouterr().out
    assert console(["check", "--row", "my_code/my_decoder.py:MyDecoder"]) == 0


@pytest.mark.slow
def test_a_decoder_gets_its_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (weights,) = (line for line in COMMANDS if line.startswith("python -c"))
    subprocess.run([sys.executable, *shlex.split(weights)[1:]], cwd=folder, check=True)
    assert run(the_command("row=[stablediffusion,linear]")) == 0
    assert "Linear decoder" in capsys.readouterr().out
    found = records().set_index("row")
    assert found.index.unique().tolist() == ["stablediffusion", "linear"]
    own = json.loads(Path("out/run.json").read_text())["own_rows"]
    file = "my_code/linear_decoder.py"
    code = {"name": "linear_decoder.LinearDecoder", "file": file, "sha256": file_sha256(Path(file)), "package": None}
    assert own == {
        "linear": {
            "code": [code],
            "imports": {},
            "parameters": 12,
            "tera_flop": 2 * 12 * 16 * 16 / 1e12,
            "unknown": {},
        }
    }
    assert explain(["out", "linear", "lpips"]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"^  {file_sha256(Path(file))} {file}$", shown, re.MULTILINE)
    assert re.search(r"^parameters +12\nTFLOP per image +6\.144e-09$", shown, re.MULTILINE)
    assert (found.loc["linear", "pre_error_float"] < 1e-12).all()


@pytest.mark.slow
def test_a_decoder_is_identified_by_its_weights_and_its_code(folder: Path) -> None:
    def error(colour: float) -> float:
        save_file({"colours": full((3, 4), colour)}, "colours.safetensors")
        assert run(the_command("row=[stablediffusion,linear]"), "stage=tabulate") == 0
        found = records()
        return float(found[found["row"] == "linear"]["lpips"].mean())

    first = error(0.1)
    assert error(-0.1) != first
    assert error(0.1) == first


@pytest.mark.slow
def test_a_method_to_compare_with_gets_its_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(the_command("mean_colour")) == 0
    assert "Mean colour" in capsys.readouterr().out
    assert set(records()["row"]) == {"stablediffusion", "mean_colour"}


@pytest.mark.slow
def test_a_new_metric_is_shown_beside_the_papers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(the_command("colour_cast", "columns"), "row=[stablediffusion,large_mask]", "verbose=true") == 0
    assert "Colour cast" in capsys.readouterr().out
    results = json.loads(Path("out/results.json").read_text())
    assert results["beside"][-1] == {
        "metric": "colour_cast", "title": "Colour cast", "unit": "grey levels", "scale": 255,
    }  # fmt: skip
    found = records()
    for row in results["rows"]:
        entry = row["metrics"]["colour_cast"]
        own = found[found["row"] == row["method"]]["colour_cast"]
        assert entry["value"] == pytest.approx(own.mean())
        assert entry["higher_is_better"] is False
        assert entry["protocol"] in results["protocols"]
        shown = f"{entry['value'] * 255:.3f} ± {entry['stderr'] * 255:.3f}"
        for name in ("md", "html"):
            assert shown in Path(f"out/table.{name}").read_text()
    assert "colour_cast_hole_only" in found


@pytest.mark.slow
def test_a_new_metric_may_be_a_column_of_the_table(folder: Path) -> None:
    words = ["row=[stablediffusion,large_mask]", "stage=tabulate"]
    assert run(the_command("table.columns=[fid,colour_cast]"), *words) == 0
    head, *_ = (line for line in Path("out/table.md").read_text().splitlines() if line.startswith("| Method"))
    assert "| Colour cast [grey levels] |" in head


def test_a_metric_with_the_name_of_another_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "my_conf" / "measure" / "colour_cast.yaml"
    path.write_text(path.read_text().replace("  colour_cast:", "  psnr:"))
    assert run(the_command("colour_cast", "columns")) == 2
    assert (
        "metrics.measures.colour_cast.metrics: expected a name that no other metric has, found psnr"
        in capsys.readouterr().err
    )


def test_a_metric_declares_its_direction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "my_conf" / "measure" / "colour_cast.yaml"
    path.write_text(path.read_text().replace(" higher_is_better: false,", ""))
    assert run(the_command("colour_cast", "columns")) == 2
    assert "metrics.measures.colour_cast.metrics.colour_cast.higher_is_better" in capsys.readouterr().err


@pytest.mark.slow
def test_a_data_set_gets_its_table(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "my_pictures" / kind).mkdir(parents=True)
    for name in ("street_1", "street_2", "garden_1"):
        Image.fromarray(draw.integers(0, 255, (80, 80, 3), np.uint8)).save(f"my_pictures/images/{name}.png")
        mask = np.zeros((80, 80), np.uint8)
        mask[20:50, 30:60] = 255
        Image.fromarray(mask).save(f"my_pictures/masks/{name}.png")
    words = ["row=[stablediffusion,large_mask]", "limit=null", "stage=tabulate"]
    assert run(the_command("dataset=paired"), *words) == 0
    found = records()
    assert sorted(found["item"].unique()) == ["garden_1", "street_1", "street_2"]
    assert set(found["source"]) == {"garden", "street"}
    assert found["mask_area"].between(0.13, 0.15).all()
    assert "My pictures" in Path("out/table.md").read_text()


def test_a_key_that_a_class_does_not_take_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(the_command("mean_colour"), "+rows.mean_colour.method.colour=red") == 2
    assert (
        "rows.mean_colour.method.colour: no such key; mean_colour.MeanColour accepts no keys" in capsys.readouterr().err
    )


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-dir", str(tmp_path / "none"), "experiment=table2_inpaint_imagenet"]) == 2
    assert f"--config-dir: expected a folder with configuration files, found nothing at {tmp_path / 'none'}" in (
        capsys.readouterr().err
    )


BARE = """
class Bare:
    \"\"\"A class that has nothing but what a test adds.\"\"\"

    def __init__(self, device=None):
        pass


class WithoutProtocol(Bare):
    def keep_truth(self, truth):
        return {}, None

    def keep(self, image, truth, mask, kept, extra):
        return {"bare": image.mean((1, 2, 3)).numpy()}


class Whole(WithoutProtocol):
    protocol = {"what": "mean"}


class Lost(Whole):
    def to(self, device):
        pass


class Generator:
    def __init__(self):
        pass
"""


MEASURE = "# @package metrics.measures.bare\nmeasure: {{_target_: bare.{}}}\ntasks: [inpainting]\n"
TABLE2 = "python -m bench --config-dir my_conf experiment=table2_inpaint_imagenet"


def write_bare(folder: Path, name: str) -> None:
    """Write the classes above, and an option `bare` for a measure and for a generator of the class `name`."""
    (folder / "my_code" / "bare.py").write_text(BARE)
    for group, text in (("measure", MEASURE.format(name)), ("generator", f"_target_: bare.{name}\n")):
        (folder / "my_conf" / group).mkdir(exist_ok=True)
        (folder / "my_conf" / group / "bare.yaml").write_text(text)


@pytest.mark.parametrize(
    ("group", "name", "said"),
    [
        ("measure", "Bare", "expected an object with the members keep, keep_truth, protocol, found Bare without"),
        ("measure", "WithoutProtocol", "expected an object with the members protocol, found WithoutProtocol without"),
        ("measure", "Lost", "expected that the method to(device) returns the object, found that it returns None"),
        ("generator", "Bare", "expected an object with the members decodable, encode, sample, found Bare without"),
        (
            "generator",
            "Generator",
            "expected a class or function that accepts the argument device, found bare.Generator",
        ),
    ],
)
def test_an_incomplete_class_is_refused_with_what_it_lacks(
    group: str, name: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bare(folder, name)
    chosen = f"{group}={'[bare]' if group == 'measure' else 'bare'}"
    assert main([*shlex.split(TABLE2)[3:], "row=[stablediffusion]", "limit=2", "device=cpu", chosen]) == 2
    key = {"measure": "metrics.measures.bare: ", "generator": "generator"}[group]
    message = capsys.readouterr().err
    assert message.startswith(f"bench: {key}")
    assert said in message


def test_a_measure_that_does_not_inherit_gets_every_default(folder: Path) -> None:
    write_bare(folder, "Whole")
    words = ["row=[stablediffusion]", "controls=[]", "stage=check", "batch_size=1", "measure=[bare]"]
    assert run(TABLE2, *words) == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "+metrics.measures.images.set_metrics.anything=features",
            "set_metrics: expected names that begin with a known statistic",
        ),
        ("features=mini", "features: no such key; it is called metrics now"),
        ("parts=mini", "parts: no such key; it is called mini_models now"),
    ],
)
def test_a_former_name_or_an_unknown_statistic_is_refused(
    word: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("python -m bench experiment=table2_inpaint_imagenet", word) == 2
    assert said in capsys.readouterr().err
