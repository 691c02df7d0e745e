"""Tests of the committed `reports/`: only tables and the baseline, and no file that `nox -s reports` makes again."""

import json
from pathlib import Path

import pytest
import yaml

import noxfile

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.blackbox
def test_reports_contains_only_the_tables_and_the_baseline() -> None:
    experiments = yaml.safe_load((ROOT / "conf" / "experiment" / "all_tables.yaml").read_text())["experiments"]
    expected = {"baseline.json", "run.json"}
    for name in experiments:
        expected |= {f"{name}/table.md", f"{name}/results.json", f"{name}/run.json"}
        if "architecture" not in name:  # Tables 7 and 8 list layers: they have no pictures
            expected.add(f"{name}/figures/rows.png")
    assert files(REPORTS) == expected


@pytest.mark.blackbox
def test_keep_reports_copies_the_kept_files_and_removes_old_ones(tmp_path: Path) -> None:
    complete, kept = tmp_path / "complete", tmp_path / "kept"
    made = ["run.json", "index.md", "index.html", "claims.json", "table1/report.html", "table1/records.parquet"]
    made += ["table1/figures/rows.png", "table1/figures/rows.pdf", "table1/figures/borders.png"]
    made += [f"{table}/{name}" for table in ("table1", "table7") for name in ("table.md", "results.json", "run.json")]
    for name in made:
        (complete / name).parent.mkdir(parents=True, exist_ok=True)
        (complete / name).write_text(f"new {name}")
    old = {"baseline.json": "the baseline", "index.md": "old", "table1/table.md": "old", "table0/table.md": "old"}
    for name, text in old.items():
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_text(text)
    noxfile.keep_reports(complete, kept)
    expected = {"baseline.json", "run.json", "table1/figures/rows.png"}
    expected |= {
        f"{table}/{name}" for table in ("table1", "table7") for name in ("table.md", "results.json", "run.json")
    }
    assert files(kept) == expected
    assert (kept / "baseline.json").read_text() == "the baseline"
    assert all((kept / name).read_text() == f"new {name}" for name in expected - {"baseline.json"})


@pytest.mark.golden
def test_every_kept_run_is_complete() -> None:
    for path in REPORTS.rglob("run.json"):
        assert json.loads(path.read_text())["status"] == "complete", path


@pytest.mark.blackbox
def test_continuous_integration_keeps_the_files_of_the_chore() -> None:
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "reports.yml").read_text())["jobs"].values()
    (upload,) = (step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    assert upload["with"]["path"] == noxfile.COMPLETE.as_posix()
    assert "nox -s reports" in [step.get("run") for step in job["steps"]]
