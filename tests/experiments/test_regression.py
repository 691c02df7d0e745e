"""Tests of the regression experiment: its tables are compared with a baseline, which sets its status."""

import json
from pathlib import Path

import pytest
import yaml

from bench.config.compose import compose_config, for_each, typed
from bench.config.experiment_configs import RegressionConfig
from bench.errors import BadInputError
from bench.experiments.regression import Regression
from bench.gate import command as compare
from bench.results.run_folder import Results
from bench.sweeps.jobs import Run
from tests.gate.runs import values, write_run

NAMES = ["table2_inpaint_imagenet", "table3_blending_imagenet"]
GATE = {"gate.md", "gate.xml", "gate.json"}


def fake(*, worse: float = 0.0, fails: str = "") -> Run:
    """Return a run that writes a table's files; the LPIPS of Table 3 may be worse."""

    def run(overrides: list[str]) -> Results:
        chosen = dict(word.split("=", 1) for word in overrides)
        if chosen["experiment"] == fails:
            raise RuntimeError("broken")
        found = values()
        if chosen["experiment"] == NAMES[1]:
            found["mine"]["lpips"] = found["mine"]["lpips"] + worse
        out = write_run(Path(chosen["out"]), found, experiment=chosen["experiment"])
        results = json.loads((out / "results.json").read_text())
        (out / "results.json").write_text(json.dumps({**results, "claims": []}))
        return Results(out, 0)

    return run


def regression(out: Path, run: Run, *extra: str) -> Results:
    overrides = ["experiment=regression", f"out={out}", f"experiments=[{','.join(NAMES)}]", *extra]
    return Regression(RegressionConfig.of(*typed(compose_config(overrides))), overrides, run).run()


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    made = regression(tmp_path / "first", fake(), "gate.against=null")
    assert made.status == 0
    assert not GATE & {path.name for path in made.path.iterdir()}
    path = tmp_path / "baseline.json"
    assert compare.main([str(made.path), str(path), "--update"]) == 0
    return path


@pytest.mark.blackbox
def test_an_unchanged_run_passes(baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = regression(tmp_path / "out", fake(), f"gate.against={baseline}")
    assert (result.status, result.message) == (0, "pass: 8 within their margins")
    assert {path.name for path in result.path.iterdir()} >= GATE
    assert "pass: 8 within their margins" in " ".join(capsys.readouterr().out.split())


@pytest.mark.blackbox
def test_a_worse_run_ends_with_status_3(baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = regression(tmp_path / "out", fake(worse=0.1), f"gate.against={baseline}", "gate.annotations=true")
    assert result.status == 3
    assert "| regression | mine | lpips |" in (result.path / "gate.md").read_text()
    shown, _, folded = (result.path / "index.html").read_text().partition("All other numbers")
    assert 'Gate: <span class="verdict bad">regression</span>' in shown
    assert shown.count('<th scope="row">regression</th>') == 1
    assert 'href="gate.md"' in folded
    assert folded.count('<th scope="row">pass</th>') == 7
    assert f"::error title={NAMES[1]}%3A worse::lpips of mine" in capsys.readouterr().out
    excused = regression(
        tmp_path / "excused", fake(worse=0.1), f"gate.against={baseline}", "gate.margins=['lpips=20%']"
    )
    assert excused.status == 0


@pytest.mark.blackbox
def test_a_missing_experiment_ends_with_status_4(baseline: Path, tmp_path: Path) -> None:
    result = regression(tmp_path / "out", fake(), f"gate.against={baseline}", f"experiments=[{NAMES[0]}]")
    assert result.status == 4
    assert "expected table3_blending_imagenet" in (result.path / "gate.md").read_text().replace("\\", "")


@pytest.mark.blackbox
def test_a_failed_table_ends_in_failure_whatever_the_verdict(baseline: Path, tmp_path: Path) -> None:
    result = regression(tmp_path / "out", fake(fails=NAMES[1]), f"gate.against={baseline}")
    assert (result.status, result.message) == (1, f"failed experiments: {NAMES[1]}")
    assert json.loads((result.path / "gate.json").read_text())["verdict"] == "cannot tell"


@pytest.mark.blackbox
def test_an_earlier_run_can_be_the_baseline_and_is_paired(tmp_path: Path) -> None:
    first = regression(tmp_path / "first", fake(), "gate.against=null").path
    result = regression(tmp_path / "out", fake(), f"gate.against={first}")
    assert result.status == 0
    assert all(found["paired"] for found in json.loads((result.path / "gate.json").read_text())["comparisons"])


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("gate.against=nowhere.json", "gate.against: nowhere.json: expected a baseline"),
        ("gate.margins=[x]", "margins x"),
    ],
)
def test_bad_input_is_reported_before_any_work(tmp_path: Path, word: str, named: str) -> None:
    def run(overrides: list[str]) -> Results:
        raise AssertionError("nothing is to be run")

    with pytest.raises(BadInputError, match=named):
        regression(tmp_path / "out", run, word)
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
def test_overrides_of_the_command_replace_those_of_each_experiment() -> None:
    words = ["experiment=regression", "limit=8", "gate.against=null", "out=x"]
    each = for_each(typed(compose_config(words))[0], words)
    assert len(each) == 10
    assert each[NAMES[1]] == [
        f"experiment={NAMES[1]}",
        "limit=128",
        "costs=true",
        "controls=[trained_on,blending]",
        "limit=8",
    ]
    assert typed(compose_config(each[NAMES[0]]))[0].limit == 8


@pytest.mark.golden
def test_the_committed_baseline_matches_this_experiment() -> None:
    """The file contains every table of the experiment with equal numbers of items."""
    root = Path(__file__).parents[2]
    config = typed(compose_config(["experiment=regression"]))[0]
    assert config.gate is not None
    assert config.gate.against == "reports/baseline.json"
    content = json.loads((root / config.gate.against).read_text())
    assert set(content["experiments"]) == set(config.experiments)
    tables = [table for table in content["experiments"].values() if table["manifest"]]
    assert len(tables) == 8
    numbers = [cell for table in tables for row in table["rows"].values() for cell in row.items()]
    assert {number["n"] for metric, number in numbers if not metric.endswith("_40_50")} == {128}
    assert all(0 < number["n"] < 128 for metric, number in numbers if metric.endswith("_40_50"))
    assert all("limit=128" in table["custom"] for table in tables)
    assert all(number["value"] is not None for _, number in numbers)


@pytest.mark.blackbox
def test_the_workflow_runs_a_command_that_composes() -> None:
    """The command of `.github/workflows` composes, and the later steps read its folder."""
    workflow = yaml.safe_load((Path(__file__).parents[2] / ".github" / "workflows" / "regression.yml").read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    command, history = (step["run"].split() for step in steps if "python -m bench" in step.get("run", ""))
    config = typed(compose_config(command[3:]))[0]
    assert (command[:3], config.name) == (["python", "-m", "bench"], "regression")
    assert config.gate is not None
    assert config.gate.annotations
    assert any(f"{config.out}/gate.md" in step.get("run", "") for step in steps)
    assert {step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")} == {config.out}
    assert history == [
        "python", "-m", "bench.history", config.out, "--git", config.gate.against, "--margin", *config.gate.margins,
    ]  # fmt: skip


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["regression.yml", "reports.yml"])
def test_a_workflow_that_writes_the_history_gets_all_commits(name: str) -> None:
    workflow = yaml.safe_load((Path(__file__).parents[2] / ".github" / "workflows" / name).read_text())
    (job,) = workflow["jobs"].values()
    (checkout,) = (step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout"))
    assert checkout["with"]["fetch-depth"] == 0
