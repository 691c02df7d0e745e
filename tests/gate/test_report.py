"""Tests of the gate's reports, which are readable, well formed and escaped for their readers."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.gate.command import main
from bench.gate.comparing import Comparison, Outcome
from bench.gate.decision import Verdict, Worsening
from bench.gate.margins import Margin
from bench.gate.read_run import Problem
from bench.gate.report import as_json, github_commands, junit, summary, to_markdown
from bench.metrics.spread import Spread
from tests.gate.runs import values, write_run

AWKWARD = 'a|b <i> & "c": 5%, d\x00'


def comparison(verdict: Verdict, row: str = "mine", value: float = 0.5, sources: int | None = 30) -> Comparison:
    spread = None if sources is None else Spread(0.1, sources, float(sources), sources - 1.0, 0.0)
    worse = Worsening(value, spread, paired=sources is not None)
    return Comparison("table2", row, "fid", 7.0 + value, 7.0, Margin(0.02), False, worse, verdict)


def outcome(*comparisons: Comparison, problems: tuple[Problem, ...] = (), notes: tuple[str, ...] = ()) -> Outcome:
    return Outcome(Path("new"), Path("old"), comparisons, problems, notes)


MIXED = outcome(
    comparison(Verdict.PASS, "same", 0.0),
    comparison(Verdict.IMPROVED, "better", -1.0),
    comparison(Verdict.CANNOT_TELL, "unsure", 0.1),
    comparison(Verdict.REGRESSION, AWKWARD),
    problems=(Problem("table3", f"row {AWKWARD}: expected as old, found none"),),
    notes=("table2: new has more rows: x_y",),
)


@pytest.mark.blackbox
def test_markdown_lists_changes_with_the_worst_first() -> None:
    text = to_markdown(MIXED)
    assert text.startswith(
        "## Gate: regression: 1 worse, 1 undecided, 1 improved, 1 within their margins, 1 not compar"
    )
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["regression", "cannot tell", "improved"]
    assert "+0.5 (+0.295 to +0.705)" in lines[2]
    assert "same" not in text
    heads = lines[0].count(" | ")
    assert all(line.replace("\\|", "").count(" | ") == heads for line in lines), "a bar in a name is no cell"
    assert "- table3: row a\\|b \\<i\\> &" in text
    assert "x\\_y" in text


@pytest.mark.golden
def test_a_pass_is_one_line_of_markdown() -> None:
    text = to_markdown(outcome(comparison(Verdict.PASS, value=0.0)))
    assert text == "## Gate: pass: 1 within their margins\n\n`new` compared with `old`\n"


@pytest.mark.blackbox
def test_junit_is_well_formed_and_counts() -> None:
    root = ElementTree.fromstring(junit(MIXED))
    assert root.tag == "testsuites"
    suites = {suite.attrib["name"]: suite for suite in root}
    assert {name: suites["table2"].attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "0",
    }  # fmt: skip
    assert suites["table3"].attrib["errors"] == "1"
    failed = [case for case in suites["table2"] if case.find("failure") is not None]
    assert len(failed) == 1
    assert failed[0].attrib["classname"] == "table2"
    assert failed[0].attrib["name"] == AWKWARD.replace("\x00", "\\x00") + ": fid"
    assert "7 to 7.5" in failed[0][0].attrib["message"]


@pytest.mark.blackbox
def test_annotations_are_escaped_for_workflow_commands() -> None:
    found = github_commands(MIXED)
    assert [line.partition(" ")[0] for line in found] == ["::error", "::warning", "::warning"]
    assert all("\n" not in line and "\r" not in line for line in found)
    assert found[0].startswith("::error title=table2%3A worse::fid of a|b")
    assert '"c": 5%25, d' in found[0]
    commas = outcome(problems=(Problem("a,b:c", "100%\r\n"),))
    assert github_commands(commas) == ["::warning title=a%2Cb%3Ac%3A not comparable::100%25"]


@pytest.mark.blackbox
def test_annotations_are_limited_to_the_number_that_is_shown() -> None:
    assert len(github_commands(outcome(*[comparison(Verdict.REGRESSION)] * 10))) == 10
    found = github_commands(outcome(*[comparison(Verdict.REGRESSION)] * 30))
    assert len(found) == 10
    assert found[-1].endswith("::and 21 more")


@pytest.mark.blackbox
def test_json_contains_every_comparison_and_only_finite_numbers() -> None:
    unknown = replace(comparison(Verdict.CANNOT_TELL), worsening=Worsening(0.5, paired=True))
    content = as_json(outcome(comparison(Verdict.PASS), unknown, comparison(Verdict.PASS, sources=None)))
    assert json.loads(json.dumps(content, allow_nan=False)) == json.loads(json.dumps(content))
    assert content["status"] == 4
    assert [each["worse_by_at_most"] is None for each in content["comparisons"]] == [False, True, False]
    assert [each["paired"] for each in content["comparisons"]] == [True, True, False]
    assert [each["ci95"] is None for each in content["comparisons"]] == [False, True, True]


@pytest.mark.blackbox
def test_an_empty_outcome_does_not_pass() -> None:
    assert summary(outcome(problems=(Problem("", "empty"),))) == "cannot tell: 1 not comparable"


@pytest.mark.blackbox
def test_the_command_writes_every_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = values()
    worse["mine"]["lpips"] = worse["mine"]["lpips"] + 1
    new, old = write_run(tmp_path / "new", worse), write_run(tmp_path / "old", values())
    files = {name: tmp_path / f"gate.{name}" for name in ("md", "xml", "json")}
    options = ["--markdown", files["md"], "--junit", files["xml"], "--json", files["json"], "--github"]
    assert main([str(word) for word in (new, old, *options)]) == 3
    assert "::error title=table2_inpaint_imagenet%3A worse::lpips of mine" in capsys.readouterr().out
    assert "| regression | mine | lpips |" in files["md"].read_text()
    assert ElementTree.parse(files["xml"]).getroot()[0].attrib["failures"] == "1"
    assert json.loads(files["json"].read_text())["verdict"] == "regression"
