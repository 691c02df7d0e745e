"""Tests of the console command `asymbench`: its words, and that it passes everything else on unchanged."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import bench
from bench import cli
from bench.console import COMMANDS, main
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

SEVENTH = "experiment=table7_architecture_base"


def asymbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    code = "import sys; sys.argv[0] = 'asymbench'; from bench.__main__ import command; command()"
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_has_a_line_for_each_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, one in COMMANDS.items():
        assert len([line for line in lines if line.startswith(f"  {name} ") and line.endswith(one.about)]) == 1
    assert max(map(len, lines)) <= 120


def test_the_help_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys; from bench.console import main; main(['--help']); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("run", "check")])
def test_every_command_describes_its_arguments(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status: object = main([name, "--help"])
    except SystemExit as ended:  # argparse ends the process itself
        status = ended.code
    assert status == 0
    shown = capsys.readouterr().out
    assert any(program in shown for program in (f"python -m bench.{name}", f"usage: asymbench {name}"))


@pytest.mark.parametrize(
    ("arguments", "same"),
    [
        ([SEVENTH, "--cfg", "job", "-p", "table"], [SEVENTH, "--cfg", "job", "-p", "table"]),
        (["run", SEVENTH, "--cfg", "job", "-p", "table"], [SEVENTH, "--cfg", "job", "-p", "table"]),
        (["run"], []),
        (["--version"], ["--version"]),
        (["table7_architecture_base"], ["table7_architecture_base"]),
        (["limit=x", SEVENTH], ["limit=x", SEVENTH]),
        (["nonsense"], ["nonsense"]),
        (["check", "experiment=table2_inpaint_imagenet", "device=tpu"],
         ["experiment=table2_inpaint_imagenet", "device=tpu", "stage=check"]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("empty_folder")
def test_other_words_go_to_the_command_that_runs_experiments(
    arguments: list[str], same: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = main(arguments), capsys.readouterr()
    assert (status, shown) == (cli.main(same), capsys.readouterr())


@pytest.mark.slow
def test_check_runs_no_later_stage(tmp_path: Path) -> None:
    done = asymbench(tmp_path, "check", SEVENTH)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["explain", "nowhere", "a", "b"], "nowhere", marks=pytest.mark.slow),
        (["compare", "nowhere", "nowhere"], "nowhere"),
        pytest.param(["gather", "nowhere"], "nowhere", marks=pytest.mark.slow),
        pytest.param(["store", "ls", "--store", "nowhere"], "found no folder at nowhere", marks=pytest.mark.slow),
        (["stor"], "did you mean store?"),
        pytest.param(["check", "--row", "large_maks"], "did you mean large_mask?", marks=pytest.mark.slow),
    ],
)
def test_bad_input_ends_with_status_2_and_one_message(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = asymbench(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_mistyped_command_is_refused_with_the_commands() -> None:
    with pytest.raises(BadInputError, match=r"^compar: expected one of the commands run, check, .*mean compare\?$"):
        main(["compar", "a", "b"])


def test_the_installed_script_is_this_command() -> None:
    (script,) = entry_points(group="console_scripts", name="asymbench")
    assert script.value == "bench.__main__:command"
