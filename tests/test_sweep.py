"""Sweeps: every combination runs, a failed one is named, and one table has them all."""

from pathlib import Path

import pandas
import pytest

from bench.errors import BadInputError
from bench.results import Results
from bench.sweep import run_sweep, sweep_jobs


def test_every_combination_is_a_job_and_lists_are_values() -> None:
    jobs = sweep_jobs(["experiment=x", "a=1,2", "b.c=u,v", "row=[p,q]"])
    assert [job.chosen for job in jobs] == [
        {"a": first, "b.c": second} for first in ("1", "2") for second in ("u", "v")
    ]
    assert jobs[3].overrides == ["experiment=x", "row=[p,q]", "a=2", "b.c=v"]


@pytest.mark.parametrize(("words", "message"), [(["a=1"], "several values"), (["a=[1"], "a=")])
def test_what_is_no_sweep_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        sweep_jobs(words)


def test_one_table_has_all_jobs_failed_ones_included(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def run(overrides: list[str]) -> Results:
        seen.append(overrides)
        chosen = dict(word.split("=") for word in overrides)
        if chosen["a"] == "2":
            raise BadInputError("a: expected less")
        if chosen["a"] == "3":
            raise RuntimeError("broken")
        return Results(Path(chosen["out"]), 0, table=pandas.DataFrame([{"score": float(chosen["a"]) / 3}]))

    assert run_sweep(["a=1,2,3,4", f"out={tmp_path / 'o'}"], run) == 2
    assert [words[-1] for words in seen] == [f"out={tmp_path / 'o' / str(number)}" for number in range(4)]
    table = pandas.read_csv(tmp_path / "o" / "sweep.csv")
    assert list(table["a"]) == [1, 2, 3, 4]
    assert list(table["score"].isna()) == [False, True, True, False]
    assert list(table["failed"][1:3]) == ["a: expected less", "RuntimeError: broken"]
    shown = capsys.readouterr().out
    assert "0.33333" in shown
    assert "a: expected less" in shown
