"""Tests of sweeps: every combination runs, a failed one is named, and one table contains all."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from bench.errors import BadInputError
from bench.metrics.protocol import Protocol
from bench.results.run_folder import Results
from bench.sweeps import gather
from bench.sweeps.expand import run_sweep, sweep_jobs

pytestmark = pytest.mark.blackbox


def test_every_combination_becomes_a_job() -> None:
    jobs = sweep_jobs(["experiment=x", "a=1,2", "b.c=u,v", "row=[p,q]"])
    assert [job.chosen for job in jobs] == [
        {"a": first, "b.c": second} for first in ("1", "2") for second in ("u", "v")
    ]
    assert jobs[3].overrides == ["experiment=x", "row=[p,q]", "a=2", "b.c=v"]


@pytest.mark.parametrize(("words", "message"), [(["a=1"], "several values"), (["a=[1"], "a=")])
def test_an_invalid_sweep_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        sweep_jobs(words)


def row(out: Path, score: float, *, manifest: str = "a" * 64, splits: int = 10) -> None:
    """Return the results of one row of a table's run."""
    protocol = Protocol.of({"splits": splits})
    known = {"stderr": None, "n": 2, "higher_is_better": False}
    metrics = {
        "lpips": {"value": score, "protocol": protocol.hash, **known},
        "fid": {"value": None, "protocol": None, **known},
    }
    results = {
        "schema_version": 1, "experiment": "x", "manifest": manifest, "protocols": {protocol.hash: protocol.settings},
        "rows": [{"method": "mine", "label": "Mine", "metrics": metrics}],
    }  # fmt: skip
    (out / "results.json").write_text(json.dumps(results))
    pandas.DataFrame([{"row": "mine", "label": "Mine", "lpips": score}]).to_csv(out / "table.csv", index=False)
    costs = {"mine": {"parameters": 10 * score, "tera_flop": score, "seconds_per_image": 0.1}}
    (out / "run.json").write_text(json.dumps({"costs": costs}))


def run(overrides: list[str]) -> Results:
    chosen = dict(word.split("=") for word in overrides)
    if chosen["a"] == "2":
        raise BadInputError("a: expected less")
    if chosen["a"] == "3":
        raise RuntimeError("broken")
    out = Path(chosen["out"])
    out.mkdir()
    row(out, float(chosen["a"]) / 3)
    return Results(out, 0)


def test_one_table_contains_all_jobs_including_failed_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # room for every column
    out = tmp_path / "o"
    assert run_sweep(["a=1,2,3,4", f"out={out}"], run) == 2
    assert sorted(path.name for path in out.iterdir()) == [
        ".started.json", "0", "1", "2", "3", "sweep.csv", "sweep.html", "sweep.md", "sweep.pdf", "sweep.png",
    ]  # fmt: skip
    table = pandas.read_csv(out / "sweep.csv")
    assert list(table["a"]) == [1, 2, 3, 4]
    assert list(table["lpips"].isna()) == [False, True, True, False]
    assert list(table["parameters"].dropna()) == pytest.approx([10 / 3, 40 / 3])
    assert list(table["failed"][1:3]) == ["a: expected less", "RuntimeError: broken"]
    shown = capsys.readouterr().out
    for words in ("0.3333", "LPIPS", "decoding [ms an image]", "a: expected less", "RuntimeError: broken"):
        assert words in shown
        assert words in (out / "sweep.md").read_text()
        assert words in (out / "sweep.html").read_text()


def test_the_page_of_a_sweep_links_to_the_reports(tmp_path: Path) -> None:
    def reported(overrides: list[str]) -> Results:
        result = run(overrides)
        (result.path / "report.html").write_text("a page")
        return result

    assert run_sweep(["a=1,2", f"out={tmp_path / 'o'}"], reported) == 2
    page = (tmp_path / "o" / "sweep.html").read_text()
    assert page.count("/report.html") == 1
    assert '<a href="0/report.html">0: a=1</a>' in page
    assert "<img" not in page


def test_a_swept_key_with_the_name_of_a_column_is_shown_once(tmp_path: Path) -> None:
    def rows(overrides: list[str]) -> Results:
        out = Path(dict(word.split("=") for word in overrides)["out"])
        out.mkdir()
        row(out, 0.5)
        return Results(out, 0)

    assert run_sweep(["row=mine,other", f"out={tmp_path / 'o'}"], rows) == 0
    table = pandas.read_csv(tmp_path / "o" / "sweep.csv")
    assert list(table.columns[:3]) == ["job", "row", "label"]
    assert list(table["row"]) == ["mine", "other"]


def test_gathering_again_gives_the_same_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o"
    run_sweep(["a=1,2,4", f"out={out}"], run)
    before = (out / "sweep.csv").read_bytes()
    (out / "sweep.csv").unlink()
    assert gather.main([str(out)]) == 0
    assert (out / "sweep.csv").read_bytes() == before


def without(key: str) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        results = json.loads((out / "results.json").read_text())
        (out / "results.json").write_text(json.dumps({name: part for name, part in results.items() if name != key}))

    return damage


def tampered(out: Path) -> None:
    text = (out / "results.json").read_text()
    (out / "results.json").write_text(text.replace('"splits": 10', '"splits": 1'))


@pytest.fixture
def without_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figure of the sweep, for tests that read only its table."""
    monkeypatch.setattr("bench.reporting.figures.draw_tradeoff", lambda *arguments, **named: None)


@pytest.mark.usefixtures("without_figure")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: row(out, 1, manifest="b" * 64), "manifest: expected aaaaaaaaaaaa, found bbbbbbbbbbbb"),
        (lambda out: row(out, 1, splits=5), "protocol of lpips: splits: expected 10, found 5"),
        (without("protocols"), "to which lpips refers"),
        (without("manifest"), "expected the hash of the measured items under the key manifest, found no hash"),
        (without("rows"), "expected the key rows, found no such key"),
        (tampered, "expected a protocol of lpips with the hash"),
        (lambda out: (out / "results.json").unlink(), "found no such file"),
    ],
    ids=["other items", "other protocol", "no stamps", "no manifest", "no rows", "changed stamp", "no results"],
)
def test_results_that_are_not_comparable_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], message: str
) -> None:
    out = tmp_path / "o"
    run_sweep(["a=1,4", f"out={out}"], run)
    damage(out / "1")
    assert gather.main([str(out)]) == 2
    assert message in capsys.readouterr().err
    table = pandas.read_csv(out / "sweep.csv")
    assert list(table["lpips"].isna()) == [False, True]
    assert message in table["failed"][1]


def test_swept_items_are_distinguished_in_one_table(tmp_path: Path) -> None:
    def seeded(overrides: list[str]) -> Results:
        chosen = dict(word.split("=") for word in overrides)
        Path(chosen["out"]).mkdir()
        row(Path(chosen["out"]), 0.5, manifest=chosen["seed"] * 64)
        return Results(Path(chosen["out"]), 0)

    assert run_sweep(["seed=1,2", f"out={tmp_path / 'o'}"], seeded) == 0
    assert gather.main([str(tmp_path / "o")]) == 0
    table = pandas.read_csv(tmp_path / "o" / "sweep.csv", dtype=str)
    assert list(table["items"]) == ["1" * 12, "2" * 12]
    assert not (tmp_path / "o" / "sweep.png").exists()


def test_an_interrupted_sweep_gathers_its_finished_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(overrides: list[str]) -> Results:
        if "a=4" in overrides:
            raise KeyboardInterrupt
        return run(overrides)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(["a=1,4", f"out={tmp_path / 'o'}"], stopped)
    assert len(pandas.read_csv(tmp_path / "o" / "sweep.csv")) == 1
    assert gather.main([str(tmp_path / "o")]) == 2  # the table lacks a job
    assert capsys.readouterr().err == (
        "bench.gather: job 1: expected the file job.json, which records how the job ended, found no such file; the job "
        "still runs, or it was ended before it could write the file\n"
    )


def test_a_folder_without_jobs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gather.main([str(tmp_path)]) == 2
    assert f"{tmp_path}: expected folders of jobs" in capsys.readouterr().err
    assert gather.main([]) == 2
