"""Test of the built wheel in a fresh environment and another directory, with `conf/` and the mini weights."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

ROOT = Path(__file__).parents[1]


def test_the_installed_wheel_makes_the_table_from_any_directory(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("asymbench-*.whl")
    assert 30e6 < wheel.stat().st_size < 40e6  # the mini weights travel in it
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [python, "-m", "bench", "experiment=table2_inpaint_imagenet", "limit=8", "generator.steps=2", "out=out"],
        cwd=elsewhere, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "Table 2, profile mini" in done.stdout
    assert {"table.md", "report.html", "results.json", "run.json"} <= {
        path.name for path in (elsewhere / "out").iterdir()
    }
