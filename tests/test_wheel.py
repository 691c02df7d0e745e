"""Test of the built wheel in a fresh environment and another directory, with `conf/` and the mini weights."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.blackbox]

ROOT = Path(__file__).parents[1]
TABLE = ["-m", "bench", "experiment=table2_inpaint_imagenet", "limit=8", "generator.steps=2", "out=out"]
MISSING = "bench: diffusers is not installed: run pip install 'asymbench[tables]'"


def test_the_installed_wheel_makes_the_table_from_any_directory_once_it_has_its_extra(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("asymbench-*.whl")
    assert 40e6 < wheel.stat().st_size < 50e6  # the mini weights travel in it
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def install(what: str) -> None:
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", what], check=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *arguments], cwd=elsewhere, check=False, capture_output=True, text=True)

    install(str(wheel))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run("-m", "bench", "--version").stdout.startswith(f"asymbench {version}, ")
    assert "table2_inpaint_imagenet" in run("-m", "bench").stdout
    assert run("-m", "bench.compare", "--help").returncode == 0
    assert run("-m", "bench", "experiment=table7_architecture_base", "out=seventh").returncode == 0
    refused = run(*TABLE)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (2, MISSING)
    install(f"{wheel}[tables]")
    done = run(*TABLE)
    assert done.returncode == 0, done.stderr
    assert "Table 2, profile mini" in done.stdout
    assert {"table.md", "report.html", "results.json", "run.json"} <= {
        path.name for path in (elsewhere / "out").iterdir()
    }
