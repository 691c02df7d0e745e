"""Tests of runs whose rows are objects of the Python program that starts the run."""

import io
import logging
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import pandas
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import bench
from bench.cli import main
from bench.config.overrides import command
from bench.errors import BadInputError
from bench.generation.decoding import Decoded
from bench.models import load_decoder
from bench.results.explain import explain
from bench.store import file_sha256
from tests.helpers.commands import refused
from tests.helpers.files import read_json

pytestmark = pytest.mark.blackbox

LARGE = Path(bench.__file__).parent / "assets" / "mini" / "large"
TABLE = ["experiment=table2_inpaint_imagenet", "limit=4", "generator.steps=1", "controls=[]", "device=cpu"]


class Counted(nn.Module):
    """A decoder that counts its calls in its class, where they do not belong to the content of an object."""

    calls: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(4, 3, 1)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.1)

    def forward(self, z: Tensor) -> Tensor:
        Counted.calls += 1
        return functional.interpolate(self.colours(z), scale_factor=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the store that all tests share."""
    return tmp_path_factory.mktemp("python_rows")


def words(folder: Path, out: str, *further: str) -> list[str]:
    places = [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / out}"]
    return [*TABLE, "row=[stablediffusion]", "stage=tabulate", *places, *further]


def calls_of(folder: Path, module: nn.Module, out: str) -> int:
    before = Counted.calls
    bench.run(words(folder, out), rows={"mine": module}, quiet=True)
    return Counted.calls - before


def test_an_object_gives_the_same_numbers_as_the_file_with_its_weights(folder: Path) -> None:
    rows = {"mine": load_decoder(LARGE), "method": Decoded(load_decoder(LARGE), conditioned=True)}
    results = bench.run(words(folder, "same", "row=[stablediffusion,large_mask]"), rows=rows, quiet=True)
    assert results.table is not None
    found = results.table.set_index("row")
    assert found.index.tolist() == ["stablediffusion", "large_mask", "mine", "method"]
    assert found.loc["mine", "label"] == "mine"
    numbers = found.select_dtypes("number").filter(regex="^(lpips|pre_error)").filter(regex="(?<!_published)$")
    assert numbers.loc["large_mask"].notna().sum() > 8
    for row in ("mine", "method"):
        pandas.testing.assert_series_equal(numbers.loc[row], numbers.loc["large_mask"], check_names=False, rtol=0)


@pytest.mark.slow
def test_scores_are_reused_until_a_weight_changes(folder: Path) -> None:
    module = Counted()
    assert calls_of(folder, module, "first") > 0
    assert calls_of(folder, module, "again") == 0
    assert calls_of(folder, Counted(), "equal") == 0
    with torch.no_grad():
        module.colours.weight[0, 0] += 0.1
    assert calls_of(folder, module, "trained") > 0
    assert module.training
    assert calls_of(folder, module.eval(), "mode") > 0


@pytest.mark.slow
def test_scores_of_a_function_are_never_reused(folder: Path) -> None:
    numbers = []

    def shifted(z: Tensor) -> Tensor:
        numbers.append(len(z))
        return torch.zeros(len(z), 3, 64, 64)

    for out in ("closure", "closure_again"):
        before = len(numbers)
        bench.run(words(folder, out), rows={"mine": shifted}, quiet=True)
        assert len(numbers) > before


@pytest.mark.slow
def test_the_files_say_that_no_command_line_repeats_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = bench.run(words(folder, "report", "stage=report"), rows={"mine": Counted()}, quiet=True)
    assert capsys.readouterr() == ("", "")
    run = read_json(results.path, "run.json")
    assert run["custom"][-1] == "+row@rows.mine=mine"
    assert run["python_rows"] == {
        "mine": "This row is an object of a Python program. Only bench.run with rows={'mine': …} makes it again; a "
        "command line alone cannot."
    }
    decoder = run["config"]["rows"]["mine"]["method"]["decoder"]
    assert decoder["name"] == f"{__name__}.Counted"
    assert len(decoder["content"]) == 64
    assert run["costs"]["mine"]["parameters"] == 15
    assert run["costs"]["mine"]["tera_flop"] == 2 * 12 * 16 * 16 / 1e12
    own = run["own_rows"]["mine"]
    assert [part["name"] for part in own["code"]] == [f"{__name__}.Counted"]
    assert own["code"][0]["sha256"] == file_sha256(Path(__file__))
    assert (own["parameters"], own["tera_flop"]) == (15, run["costs"]["mine"]["tera_flop"])
    assert explain(results.path, "mine", "lpips")["own_row"] == own
    assert explain(results.path, "stablediffusion", "lpips")["own_row"] is None
    assert own["code"][0]["sha256"] in (results.path / "report.html").read_text()
    entry = next(row for row in read_json(results.path, "results.json")["rows"] if row["method"] == "mine")
    assert (entry["label"], entry["decoder"], entry["conditioned"]) == ("mine", decoder, False)
    assert "custom (" in (results.path / "table.md").read_text()
    again = explain(results.path, "mine", "lpips")["made_by"]["command"]
    assert again == command(run["overrides"])
    assert again.endswith("  # with the object rows={'mine': …} of a Python program")
    typed = shlex.split(again, comments=True)[3:]
    assert "row" in refused(typed, capsys)


def test_a_run_without_objects_lists_none(small_run: Path) -> None:
    run = read_json(small_run, "run.json")
    assert run["python_rows"] == run["own_rows"] == {}


def test_quiet_prints_only_errors(folder: Path) -> None:
    class Failing(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            raise ValueError("no image today")

    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(BadInputError, match=r"rows\.mine: .*no image today"),
    ):
        bench.run(words(folder, "failing"), rows={"mine": Failing()}, quiet=True)
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_a_folder_of_configuration_files_may_be_given_in_two_ways(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "grey.yaml").write_text(
        "# @package rows.grey\nlabel: Grey\nmethod: {_target_: baselines.paste_back.PasteBack, of: {_target_: "
        "bench.generation.decoding.Decoded, conditioned: false, decoder: {_target_: bench.models.load_decoder, path: "
        "'${profile.decoders.large}'}}}\n"
    )
    chosen = [*words(folder, "ways", "row=[stablediffusion,grey]")]
    for given in (([*chosen, "--config-dir", str(tmp_path)], None), (chosen, tmp_path)):
        results = bench.run(given[0], config_dir=given[1], quiet=True)
        assert results.table is not None
        assert results.table["label"].tolist() == ["StableDiffusion", "Grey"]


@pytest.mark.parametrize(
    ("overrides", "arguments", "said"),
    [
        (
            "experiment=table9_size_imagenet",
            {},
            "overrides: expected a list of texts such as KEY=VALUE, found the text",
        ),
        (["-m", "seed=0,1"], {}, "-m: expected KEY=VALUE or --config-dir DIR, found a flag that works only on the"),
        ([*TABLE, "--config-dir"], {}, "--config-dir: expected the path of a folder"),
        (
            TABLE,
            {"config_dir": "nowhere"},
            "--config-dir: expected a folder with configuration files, found nothing at",
        ),
        ([*TABLE, "seed=0,1"], {"rows": {"mine": Counted()}}, "seed: expected one value, found several: 0,1;"),
        (
            ["experiment=table7_architecture_base"],
            {"rows": {"mine": Counted()}},
            "rows: expected an experiment that measures rows, found table7_architecture_base, which measures no rows",
        ),
        (
            ["experiment=rehearsal"],
            {"rows": {"mine": Counted()}},
            "rows: expected an experiment that measures rows, found rehearsal, which measures no rows",
        ),
    ],
)
@pytest.mark.usefixtures("empty_folder")
def test_wrong_arguments_are_refused(overrides: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError) as error:
        bench.run(overrides, **arguments)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (lambda image: image[..., :32], "expected an image 1×3×H×W|expected an image 1×3×64×64"),
        (lambda image: (image,), "found tuple"),
        (lambda image: image * torch.nan, "found NaN or infinite values"),
        (lambda image: image.byte(), "found uint8"),
    ],
    ids=["size", "tuple", "NaN", "uint8"],
)
def test_a_faulty_object_is_refused_before_any_sampling(after: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=rf"^rows\.mine: .*({said})"):
        bench.run(
            words(tmp_path, "out"), rows={"mine": lambda z: after(functional.interpolate(z[:, :3], scale_factor=4))}
        )
    assert not (tmp_path / "store" / "latents").exists()


def test_weights_in_half_precision_are_refused(folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"^rows\.mine: .*RuntimeError"):
        bench.run(words(folder, "half"), rows={"mine": Counted().half()})


@pytest.mark.slow
def test_a_collection_adds_the_row_to_each_of_its_tables(folder: Path) -> None:
    few = [word for word in words(folder, "all") if not word.startswith(("row=", "experiment=", "generator."))]
    chosen = ["experiment=all_tables", "experiments=[table2_inpaint_imagenet,table7_architecture_base]"]
    results = bench.run([*chosen, *few], rows={"mine": Counted()}, quiet=True)
    assert results.status == 0
    rows = read_json(results.path / "table2_inpaint_imagenet", "results.json")["rows"]
    assert "mine" in [row["method"] for row in rows]


def test_the_command_line_is_refused_a_row_that_no_file_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TABLE, "+row@rows.mine=mine"]) == 2
    assert "row" in capsys.readouterr().err
