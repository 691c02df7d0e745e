"""A row of somebody's own: one Python file on his path and one YAML file in his own folder, the package untouched."""

from pathlib import Path

import pandas
import pytest

from bench.command import main

CODE = """
from pathlib import Path

import torch

class Grey:
    training = "none"

    def __init__(self, level: float) -> None:
        self.level = level

    def to(self, device):
        return self

    def __call__(self, batch):
        return torch.full_like(batch.image, self.level)

class Colours(torch.nn.Module):
    # Any module that is called as a decoder is one.

    def __init__(self, path: str) -> None:
        super().__init__()
        self.level = float(Path(path).read_text())

    def forward(self, z, image, mask):
        return image * (1 - mask) + self.level * mask
"""
DECODER = """
# @package rows.colours
label: A decoder of his own
method:
  _target_: bench.generation.decoding.Decoded
  conditioned: true
  decoder: {_target_: outsider.Colours, path: "???"}
"""
ROW = """
# @package rows.grey
label: All grey
method: {_target_: outsider.Grey, level: 0.25}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "outsider.py").write_text(CODE)
    (tmp_path / "mine" / "row").mkdir(parents=True)
    (tmp_path / "mine" / "row" / "grey.yaml").write_text(ROW)
    (tmp_path / "mine" / "row" / "colours.yaml").write_text(DECODER)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return tmp_path


def command(folder: Path, *extra: str) -> list[str]:
    return [
        "--config-dir", str(folder / "mine"), "experiment=table2_inpaint_imagenet", "row=[stablediffusion,grey]",
        "limit=2", "generator.steps=1", "device=cpu", f"paths.store={folder / 'store'}",
        f"paths.data={folder / 'data'}", f"out={folder / 'out'}", *extra,
    ]  # fmt: skip


def test_a_row_of_his_own_stands_in_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder)) == 0
    assert "All grey" in capsys.readouterr().out
    records = pandas.read_parquet(folder / "out" / "records.parquet")
    assert sorted(records["row"].unique()) == ["grey", "stablediffusion"]


def test_a_decoder_of_his_own_is_known_by_its_weights_and_its_code(folder: Path) -> None:
    weights = folder / "weights.txt"
    mine = ["row=[stablediffusion,colours]", f"rows.colours.method.decoder.path={weights}"]

    def error() -> float:
        assert main(command(folder, *mine)) == 0
        records = pandas.read_parquet(folder / "out" / "records.parquet")
        return float(records[records["row"] == "colours"]["lpips"].mean())

    weights.write_text("0.5")
    first = error()
    weights.write_text("-0.5")
    assert error() != first
    weights.write_text("0.5")
    assert error() == first


def test_a_key_that_his_class_does_not_take_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "+rows.grey.method.colour=red")) == 2
    assert "rows.grey.method.colour: no such key; outsider.Grey takes level" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-dir", str(tmp_path / "none"), "experiment=table2_inpaint_imagenet"]) == 2
    assert f"--config-dir: expected a folder of configuration files, found nothing at {tmp_path / 'none'}" in (
        capsys.readouterr().err
    )
