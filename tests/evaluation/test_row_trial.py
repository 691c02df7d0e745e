"""Tests of `asymbench check --row`, which tries the decoder of one row."""

from pathlib import Path

import pytest

from bench.errors import BadInputError
from bench.evaluation.row_trial import main

pytestmark = pytest.mark.blackbox

CODE = """
import torch
from torch import nn
from torch.nn import functional

class Good(nn.Module):
    def forward(self, z):
        return functional.interpolate(z[:, :3].tanh(), scale_factor=4)

class Bytes(nn.Module):
    def forward(self, z):
        return functional.interpolate(z[:, :3].sigmoid() * 255, scale_factor=4)

class Sized(nn.Module):
    def __init__(self, size):
        super().__init__()

ready = Good()
number = 3
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tried_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--row", "stablediffusion"], "parameters  520,547"),
        (["--row=base_nomask", "experiment=table9_size_imagenet", "device=cpu"], "Decoder: no problem"),
        (["--row", "paste_back"], "Decoder: no problem"),
        (["--row", "my_tried_code.Good"], "Good: no problem"),
        (["--row", "my_tried_code.ready"], "Good: no problem"),
        (["--row", "my_tried_code.py:Good"], "factor 4, as in the profile mini"),
    ],
)
def test_a_decoder_without_faults_gives_status_0(
    arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert shown in capsys.readouterr().out


def test_a_faulty_decoder_gives_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--row", "my_tried_code.py:Bytes"]) == 2
    assert "PROBLEM  range" in capsys.readouterr().out


def test_a_row_of_a_users_folder_is_tried_with_its_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "mine.yaml").write_text(
        "# @package rows.mine\nlabel: Mine\nmethod: {_target_: bench.generation.decoding.Decoded, conditioned: false, "
        "decoder: {_target_: my_tried_code.Good}}\n"
    )
    assert main(["--row", "mine", "--config-dir", str(tmp_path)]) == 0
    assert "Good: no problem" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--row"], "--row: expected one row, as NAME, MODULE.NAME or FILE.py:NAME, found no row"),
        (["--row", "lama", "--row", "telea"], "--row: expected one row, .* found lama, telea"),
        (["--row", "large_maks"], r"--row: expected the name of a row, .* found large_maks; did you mean large_mask\?"),
        (["--row", "telea"], r"rows\.telea\.method: expected a method that decodes latents with a decoder"),
        (["--row", "stablediffusion_cited"], r"rows\.stablediffusion_cited\.method: expected a method that decodes"),
        (
            ["--row", "large_mask", "profile=paper"],
            r"rows\.large_mask\.method\.decoder\.path: expected a file or folder",
        ),
        (
            ["--row", "my_tried_code.py:Godo"],
            r"--row: expected the name of an object in my_tried_code\.py, found Godo; did you mean Good\?$",
        ),
        (["--row", "nowhere.py:Good"], r"--row: expected the path of an existing Python file .*, found nowhere\.py"),
        (
            ["--row", "my_tried_code.py:Sized"],
            "--row: expected an object, or a class that needs no arguments, .* 'size'",
        ),
        (["--row", "nowhere.Good"], "--row: expected an object, or a class that needs no arguments, found"),
        (["--row", "my_tried_code.number"], "module: expected a module or a function, found int"),
        (
            ["--row", "lama", "experiment=table7_architecture_base"],
            "experiment: expected an experiment that measures|row",
        ),
    ],
)
def test_bad_input_is_named(arguments: list[str], said: str) -> None:
    with pytest.raises(BadInputError, match=f"^{said}"):
        main(arguments)
