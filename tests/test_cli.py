"""Tests of the command line beside correct overrides: flags, typing errors and users' own files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.checking import preflight
from bench.cli import main
from bench.config.compose import experiments
from bench.config.overrides import command, parse_all, setting
from bench.errors import BadInputError

pytestmark = [pytest.mark.blackbox, pytest.mark.usefixtures("empty_folder")]

TABLE = "experiment=table2_inpaint_imagenet"
SEVENTH = "experiment=table7_architecture_base"


SLIPS = [
    (["table2_inpaint_imagenet"], "did you mean experiment=table2_inpaint_imagenet?"),
    (["table2"], "did you mean experiment=table2_inpaint_imagenet?"),
    ([""], "'': expected KEY=VALUE or a flag, found neither"),
    (["experimnt=table2_inpaint_imagenet"], "did you mean experiment=table2_inpaint_imagenet?"),
    (
        ["experiment=table2_inpaint_imagent"],
        "found experiment/table2_inpaint_imagent, which does not exist; did you mean table2_inpaint_imagenet?",
    ),
    ([SEVENTH, "limti=1"], "did you mean limit?"),
    ([SEVENTH, "datset=places"], "did you mean dataset?"),
    ([SEVENTH, "decoder=larg"], "decoder: expected one of base, large"),
    ([SEVENTH, "decoder.widht=2"], "did you mean width?"),
    ([SEVENTH, "row=[base_maks]"], "did you mean base_mask?"),
    ([SEVENTH, "stage=reprot"], "did you mean report?"),
    (
        [SEVENTH, "measure=x"],
        "measure: expected one of diagnostics, efficientnet, text, found measure/x",
    ),
    ([SEVENTH, "decoder="], "decoder: expected one of base"),
    ([SEVENTH, "=3"], "=3: expected KEY=VALUE, found no KEY"),
    ([SEVENTH, "out="], "out: expected a folder, found an empty text"),
    ([SEVENTH, "controls=foo"], "controls: expected a list, such as controls=[A,B]"),
    ([SEVENTH, "limit=${seed}", "seed=${limit}"], "limit: expected a value, found an interpolation that refers back"),
    ([SEVENTH, "limit=${oc.evn:HOME}"], "found oc.evn; did you mean oc.env?"),
    ([SEVENTH, "decoder.width=1,2"], "decoder.width: expected one value, found several: 1,2"),
    ([SEVENTH, "device=cudda"], "device: expected"),
    ([os.fsdecode(b"out=\xe9")], "out=\\xe9: expected text in UTF-8, found other bytes"),
    ([SEVENTH, "~foo"], "foo: Could not delete"),
    ([SEVENTH, "training.steps=3"], "training.steps: expected a key that table7_architecture_base uses"),
    (["experiment=sweep_decoder_size", "baseline.root=x"], "baseline.root: expected a key that"),
    (["experiment=table1_inpaint_places", "profile.resolution=66"], "profile.resolution: expected a multiple of 8"),
    (["experiment=table1_inpaint_places", "dataset=folder"], "dataset.root: expected a value, found none"),
    (["experiment=table1_inpaint_places", "dataset.root=[c]"], "dataset.root: expected a folder, found ['c']"),
    (
        ["experiment=table1_inpaint_places", "dataset.root=nowhere"],
        "dataset.root: expected a folder, found nothing at nowhere",
    ),
    (["experiment=table1_inpaint_places", "paths.store="], "paths.store: expected a path, found an empty text"),
    (["--foo"], "--foo: expected a known flag"),
    (["--cgf", "job", SEVENTH], "did you mean --cfg?"),
    (["--config-dir"], "--config-dir: expected the path of a folder with configuration files, found no path"),
    (
        ["--config-dir", "nowhere", SEVENTH],
        "--config-dir: expected a folder with configuration files, found nothing at",
    ),
    (["--config-name=x", SEVENTH], "--config-name: expected a flag that has an effect in this program"),
    (["--cfg", SEVENTH], "--cfg/-c: invalid choice"),
    (["--resolve", SEVENTH], "--resolve: expected --cfg as well"),
    (["--cfg", "job", SEVENTH, "-p", "datset"], "did you mean dataset?"),
    (["-sc", SEVENTH], "-sc: expected exactly one of install=SHELL"),
    (["-sc", "install=tcsh"], "-sc: No completion plugin for 'tcsh' found"),
    (["--multirun", "--run", SEVENTH], "expected at most one of the flags --run, -m"),
    (["-m", SEVENTH, "limit=1,2"], "limit: expected a key that table7_architecture_base uses"),
    (["-m", SEVENTH], "-m: expected an override with several values"),
    (["-m", SEVENTH, "seed=range(1,1)"], "seed: expected values to sweep over, found an empty range"),
    (["-sc", "query=bash"], "-sc: expected the environment variable 'COMP_LINE'"),
    (["--cfg", "hydra", SEVENTH, "-p", "nonsense"], "--package: expected a key of the configuration, found nonsense"),
    (["--experiment=table2"], "did you mean experiment=table2?"),
    (
        [SEVENTH, "--limit", "8"],
        "--limit: expected a known flag, such as --help, found an unknown one; did you mean limit",
    ),
    (["experiment=conf/experiment/table2_inpaint_imagenet.yaml"], "did you mean table2_inpaint_imagenet?"),
    (["experiment = table2"], "experiment: expected KEY=VALUE without white space in KEY, found experiment = table2"),
    ([SEVENTH, "limit=abc"], "limit: expected a whole number, found abc"),
    ([SEVENTH, "limit="], "limit: expected a whole number, found an empty text"),
    ([SEVENTH, "limit=1e3"], "limit: expected a whole number, found 1000.0"),
    (
        [SEVENTH, f"seed={2**63}"],
        "seed: expected a whole number from -9223372036854775807 to 9223372036854775807, found 92233720368547758",
    ),
    ([SEVENTH, f"seed={'9' * 5000}"], "seed: expected a value that Hydra's grammar can read, found …"),
    ([SEVENTH, "seed=null"], "seed: expected a value, found null"),
    ([SEVENTH, "save_images=maybe"], "save_images: expected true or false, found maybe"),
    ([SEVENTH, "decoder.width=nan"], "decoder.width: expected a finite number, found nan"),
    ([SEVENTH, "decoder.width=wide"], "decoder.width: expected a number, found wide"),
    ([SEVENTH, "device=[cpu]"], "device: expected a text, found ['cpu']"),
    (
        [SEVENTH, "stage="],
        "stage: expected one of check, fetch, export, prepare, sample, score, tabulate, report, found an empty",
    ),
    ([SEVENTH, "out=~/x"], "out: expected a path, found ~/x; ~ is not expanded here, use $HOME/NAME"),
    ([SEVENTH, 'out="~/x"'], "out: expected a folder, found ~/x; ~ is not expanded here, use $HOME/NAME"),
    ([SEVENTH, "store=x"], "did you mean paths.store?"),
    ([SEVENTH, "row=[[a]]"], "row: expected one of base_concat"),
    ([SEVENTH, "row=[null]"], "row: expected one of base_concat"),
    ([SEVENTH, "row=5"], "row: expected one of base_concat"),
    ([SEVENTH, "table=null"], "table: expected one of"),
    ([SEVENTH, "row=[base_mask"], "row: expected a list, such as row=[A,B], or a quoted text, found [base_mask"),
    ([SEVENTH, "rows=[base_mask]"], "rows: expected a mapping of keys to values, found a list; did you mean row?"),
    ([SEVENTH, "rows.mine.label=x"], "rows.mine: no such key"),
    ([SEVENTH, "decoder.width=-1"], "decoder.width: expected more than 0, found -1.0"),
    ([SEVENTH, "name=../x"], "name: expected a name that a folder can have, without the character /, found ../x"),
    ([SEVENTH, "+nix=1"], "nix: no such key"),
    ([SEVENTH, f"row=[{'a' * 300}]"], "row: expected one of base_concat"),
    ([SEVENTH, "limit=8\n"], "limit: expected a value that Hydra's grammar can read, found 8; quote"),
    ([SEVENTH, "out=a\nb"], "out: expected a value that Hydra's grammar can read, found a b; quote"),
    ([SEVENTH, "a\nb=1"], "a b: expected KEY=VALUE without white space in KEY, found a b=1"),
]


@pytest.mark.parametrize(("arguments", "says"), SLIPS, ids=[" ".join(words)[-40:] for words, _ in SLIPS])
def test_a_typing_error_ends_with_status_2_and_one_message(
    arguments: list[str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = main(arguments)
    said, message = capfd.readouterr()
    assert (status, said) == (2, ""), message
    assert says in message
    assert message.startswith("bench: ")
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/a b/[c]", "/a,b", "a=b", "a#b", "(a)", 'a"b[', "{x}", "/ä", "a&b", "a;b"])
def test_an_unquoted_path_is_refused_with_the_right_quoting(path: str) -> None:
    with pytest.raises(BadInputError, match=r"^dataset\.root: expected .*dataset\.root="):
        parse_all([f"dataset.root={path}"])
    assert parse_all([setting("dataset.root", path)])[0].value() == path


FILES = {
    "mine": (b"label: x\n", "row/mine.yaml: expected `# @package rows.mine` as the first line, found"),
    "broken": (b"# @package rows.broken\nlabel: x\n  method: [\n", "row/broken.yaml, line 3: expected YAML"),
    "latin": (b"# @package rows.latin\nlabel: caf\xe9\n", "row/latin.yaml: expected text in UTF-8, found"),
    "marked": (
        b"\xef\xbb\xbf# @package rows.marked\nlabel: x\n",
        "expected text in UTF-8 without a byte order mark, found such a mark",
    ),
    "deep": (b"# @package rows.deep\nlabel: " + b"[" * 5000, "row/deep.yaml: expected YAML with fewer nested levels"),
    "number": (
        b"# @package rows.number\n5\n",
        "row/number.yaml: expected a mapping of keys to values, found a value of type int",
    ),
    "listed": (
        b"# @package rows.listed\n- label\n",
        "row/listed.yaml: expected a mapping of keys to values, found a value of type list",
    ),
    "nothing": (
        b"# @package rows.nothing\nnull: x\n",
        "row/nothing.yaml: expected a mapping of keys to values, found an empty or null key",
    ),
    "empty": (
        b"# @package rows.empty\nlabel: null\n",
        "rows.empty.label: expected a value, found null (in the option row/empty)",
    ),
    "control": (
        b"# @package rows.control\nlabel: x\ncontrol: all\n",
        "rows.control.control: expected one of hole_only",
    ),
    "word": (b"# @package rows.word\nlabl: x\n", "rows.word.labl: no such key; allowed are label, method, "),
}


@pytest.mark.parametrize("name", FILES)
def test_a_users_own_file_that_is_wrong_is_named(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content, says = FILES[name]
    (tmp_path / "my, cönf" / "row").mkdir(parents=True)
    (tmp_path / "my, cönf" / "row" / f"{name}.yaml").write_bytes(content)
    assert main(["--config-dir", "my, cönf", TABLE, f"row=[{name}]"]) == 2
    message = capfd.readouterr().err
    assert says in message
    assert message.count("\n") == 1


def test_hydras_help_flags_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in {
        ("help",): ["table9_size_imagenet", "--config-dir"],
        ("--help",): list(experiments()),
        ("--version",): ["asymbench", "Hydra"],
        (SEVENTH, "--cfg", "job"): ["name: table7_architecture_base", "resolution: 64"],
        (SEVENTH, "--cfg", "job", "-p", "decoder", "--resolve", "decoder.width=3"): ["# @package decoder", "width: 3"],
        ("--cfg", "hydra", SEVENTH): ["hydra:", "searchpath"],
        ("-sc", "install=bash"): ["complete"],
    }.items():
        assert main(list(arguments)) == 0
        shown = capsys.readouterr().out
        assert [word for word in words if word not in shown] == [], arguments


def test_a_device_without_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "DRIVERS", ("libnothing.so",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(BadInputError, match=r"^device: .*found cuda:1, but this machine has no driver"):
        preflight._check_device("cuda:1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(BadInputError, match=r"^device: .*CUDA_VISIBLE_DEVICES"):
        preflight._check_device("cuda")
    preflight._check_device("cpu")


MISTAKES = ("out=file", "dataset.root=nowhere", "device=cuda", "row=[base_maks]", "out=/proc/x")
LATE = """
import sys
from bench.cli import main
for word in sys.argv[2:]:
    status = main([sys.argv[1], word])
    print(word, "torch" in sys.modules, status)
"""


def test_simple_mistakes_are_reported_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {**os.environ, "PYTHONPATH": str(Path(preflight.__file__).parents[2]), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", LATE, TABLE, *MISTAKES], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [f"{word} False 2" for word in MISTAKES], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "LANG": "de_DE.ISO-8859-1", "LC_ALL": ""},
    ],
    ids=["C", "ascii", "latin"],
)
def test_other_terminal_encodings_cause_no_failure(locale: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "conf" / "row").mkdir(parents=True)
    text = "# @package rows.mine\nlabel: × é\n"
    (tmp_path / "conf" / "row" / "mine.yaml").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(preflight.__file__).parents[2]), **locale}
    words = ["--config-dir", "conf", TABLE, "row=[mine]", "--cfg", "job", "-p", "rows.mine.label"]
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("latin-1").strip() in ("\\xd7 \\xe9", "× é", "Ã\x97 Ã©")


def test_a_recorded_command_can_be_typed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my conf"
    (folder / "row").mkdir(parents=True)
    (folder / "row" / "mine.yaml").write_text("# @package rows.mine\n")
    monkeypatch.setenv("PYTHONPATH", "my code")
    words = [TABLE, "row=[mine]", "out=x", "overwrite=true", f'hydra.searchpath=["file://{folder}"]']
    again = command(words)
    start = f"PYTHONPATH='my code' python -m bench --config-dir '{folder}' {TABLE} 'row=[mine]'"
    assert again == f"{start}  # with {folder}/row/mine.yaml"
    assert command([SEVENTH, "out=x"]) == f"python -m bench {SEVENTH}"
