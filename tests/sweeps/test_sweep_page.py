"""Tests of the table and the page of a sweep, from written files of jobs: titles, units, the shared row and plots."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas
import pytest
from safetensors.numpy import save_file

from bench.metrics.protocol import Protocol
from bench.results.run_folder import Results
from bench.sweeps.again import sweep_command, sweep_title
from bench.sweeps.expand import run_sweep, sweep_jobs
from bench.sweeps.gather import gather

pytestmark = pytest.mark.blackbox

Rows = Mapping[str, float]
"""Value of `pre_error` of each row, by the key of the row."""


@pytest.fixture(autouse=True)
def without_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figure for papers, which takes a second."""
    monkeypatch.setattr("bench.reporting.figures.draw_tradeoff", lambda *arguments, **named: None)


def write_job(
    folder: Path, name: str, chosen: Mapping[str, str], *, status: int = 0, fixed: Sequence[str] = ("experiment=mine",)
) -> Path:
    """Write the `job.json` of a job of a sweep, and return its folder."""
    job = folder / name
    job.mkdir(parents=True)
    overrides = [*fixed, *(f"{key}={value}" for key, value in chosen.items())]
    message = "" if status == 0 else f"no number of {name}"
    record = {"name": name, "chosen": dict(chosen), "overrides": overrides, "status": status, "message": message}
    (job / "job.json").write_text(json.dumps(record))
    return job


def write_table(job: Path, rows: Rows, *, manifest: str = "a" * 64, costs: bool = True, profile: str = "mini") -> None:
    """Write the results of a table's run. Larger values of `pre_error` belong to smaller decoders."""
    protocol = Protocol.of({"features": "none"})
    entry = {"stderr": 2e-6, "n": 8, "higher_is_better": False, "protocol": protocol.hash}
    metrics = {row: {"pre_error": {"value": value, **entry}} for row, value in rows.items()}
    results = {
        "schema_version": 1,
        "experiment": "mine",
        "manifest": manifest,
        "reference": "Reference",
        "protocols": {protocol.hash: protocol.settings},
        "columns": [{"metric": "pre_error", "title": "Pre_error [1e-5]"}],
        "rows": [{"method": row, "label": row.title(), "metrics": of} for row, of in metrics.items()],
    }
    (job / "results.json").write_text(json.dumps(results))
    lines = [
        {"row": row, "label": row.title(), "pre_error": value, "pre_error_stderr": 2e-6} for row, value in rows.items()
    ]
    pandas.DataFrame(lines).to_csv(job / "table.csv", index=False)
    known = {
        row: {"parameters": round(1 / value), "seconds_per_image": 0.001 * len(job.name + row)}
        for row, value in rows.items()
    }
    run = {"profile": profile, "config": {"metrics": {"measures": {}}}, "costs": known if costs else {}}
    (job / "run.json").write_text(json.dumps(run))


def markdown(folder: Path) -> str:
    assert gather(folder) == []
    return (folder / "sweep.md").read_text()


def page(folder: Path) -> str:
    assert gather(folder) == []
    return (folder / "sweep.html").read_text()


def swept(folder: Path, key: str = "decoder", values: Sequence[str] = ("base", "large"), **more: bool) -> Path:
    """Write a sweep whose jobs have the same reference row and another row of their own."""
    for number, value in enumerate(values):
        job = write_job(folder, str(number), {key: value})
        write_table(job, {"reference": 1e-4, "mine": 1e-5 * (2 + number)}, **more)  # type: ignore[arg-type]
    return folder


def test_a_row_with_the_same_numbers_in_all_jobs_is_shown_once(tmp_path: Path) -> None:
    text = markdown(swept(tmp_path))
    assert text.count("10.00 ± 0.20") == 1
    assert "| all | – | Reference | 10.00 ± 0.20 |" in text
    for line in ("| 0 | base | Mine | 2.00 ± 0.20 |", "| 1 | large | Mine | 3.00 ± 0.20 |"):
        assert line in text
    assert "Pre_error [1e-5]" in text
    assert "± is one standard error" in text
    assert list(pandas.read_csv(tmp_path / "sweep.csv")["row"]) == ["reference", "mine"] * 2


def test_a_row_with_other_numbers_in_one_job_is_repeated(tmp_path: Path) -> None:
    folder = swept(tmp_path)
    write_table(folder / "1", {"reference": 1.0001e-4, "mine": 3e-5})
    text = markdown(folder)
    assert "| all |" not in text
    assert text.count("| Reference |") == 2


def test_jobs_with_other_items_share_no_row_and_have_no_plots(tmp_path: Path) -> None:
    for number, limit in enumerate(("8", "16")):
        write_table(write_job(tmp_path, str(number), {"limit": limit}), {"reference": 1e-4}, manifest=str(number) * 64)
    text = page(tmp_path)
    assert "<svg viewBox" not in text
    assert "The jobs have different items" in text
    assert "| all |" not in markdown(tmp_path)
    assert (tmp_path / "sweep.md").read_text().count("10.00 ± 0.20") == 2


def test_rows_that_are_all_the_same_stay_with_their_jobs(tmp_path: Path) -> None:
    for number, size in enumerate(("1", "2")):
        write_table(write_job(tmp_path, str(number), {"batch_size": size}), {"reference": 1e-4})
    assert "| all |" not in markdown(tmp_path)


def test_the_page_says_what_was_swept_the_profile_and_the_command(tmp_path: Path) -> None:
    text = page(swept(tmp_path))
    for words in (
        "<h1>Sweep of mine over decoder</h1>",
        "<strong>Profile mini</strong>: small models",
        "python -m bench -m experiment=mine decoder=base,large",
        "2 jobs. decoder: base, large",
        'class="plot-mark"',
        "<figcaption>Pre_error [1e-5]</figcaption>",
        "parameters [millions]",
        "job 1, Mine: Pre_error [1e-5] 3.00 ± 0.20",
    ):
        assert words in text
    assert "<img" not in text


def test_failed_jobs_are_listed_with_their_reason(tmp_path: Path) -> None:
    write_job(swept(tmp_path), "2", {"decoder": "nosuch"}, status=2)
    text = markdown(tmp_path)
    assert "| 2 | nosuch | no number of 2 |" in text
    assert "3 jobs, 1 of them failed." in (tmp_path / "sweep.html").read_text()


def test_a_sweep_in_which_every_job_failed_has_a_page(tmp_path: Path) -> None:
    for number in range(2):
        write_job(tmp_path, str(number), {"seed": str(number)}, status=1)
    text = page(tmp_path)
    assert "Jobs without numbers" in text
    assert "Results of the jobs" not in text
    assert "<svg viewBox" not in text


def test_quality_is_drawn_against_a_swept_number_where_no_costs_are_known(tmp_path: Path) -> None:
    text = page(swept(tmp_path, "decoder.width", ("1", "1.5"), costs=False))
    assert "Pre_error [1e-5], by decoder.width" in text
    assert "parameters [millions]" not in text
    assert '<polyline class="plot-line"' in text


def test_jobs_of_different_profiles_are_not_introduced_as_comparable(tmp_path: Path) -> None:
    for number, profile in enumerate(("mini", "paper")):
        job = write_job(tmp_path, str(number), {"profile": profile})
        write_table(job, {"reference": 1e-4}, manifest=str(number) * 64, profile=profile)
    text = page(tmp_path)
    assert "<strong>Profiles mini, paper</strong>: the jobs have different profiles" in text
    assert "<svg viewBox" not in text


def test_trainings_are_shown_with_the_size_of_their_decoders(tmp_path: Path) -> None:
    for number, width in enumerate((1, 2)):
        job = write_job(tmp_path, str(number), {"decoder.width": str(width)})
        values = {"step": [10, 20], "lpips": [1.0, 0.5 / width], "known_mse01": [1e-3, 2.5e-5]}
        pandas.DataFrame(values).to_csv(job / "validation.csv", index=False)
        (job / "decoder").mkdir()
        save_file({"a": np.zeros((10, width)), "b": np.zeros(5)}, job / "decoder/diffusion_pytorch_model.safetensors")
    text = markdown(tmp_path)
    assert "| 0 | 1 | 20 | 0.5000 | 2.50 | 1.5e-05 |" in text
    assert "LPIPS without mask" in text
    assert list(pandas.read_csv(tmp_path / "sweep.csv")["parameters"]) == [15, 25]
    assert "LPIPS without mask, by parameters [millions]" in (tmp_path / "sweep.html").read_text()


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=x", "decoder=base,large", "seed=0,1,2"],
        ["experiment=x", "row=[a,b],[c]", "+new.key=1,2"],
        ["experiment=x", 'paths.data="/a b",/c', "limit=8"],
    ],
)
def test_the_command_of_an_older_sweep_has_exactly_its_jobs(words: list[str], tmp_path: Path) -> None:
    jobs = sweep_jobs(words)
    records = [{"name": j.name, "chosen": j.chosen, "overrides": j.overrides, "status": 0, "message": ""} for j in jobs]
    found = shlex.split(sweep_command(tmp_path, records))  # type: ignore[arg-type]
    assert found[:4] == ["python", "-m", "bench", "-m"]
    assert sweep_jobs(found[4:]) == jobs


def test_jobs_of_no_single_sweep_have_one_command_each(tmp_path: Path) -> None:
    records = [
        {"name": "0", "chosen": {"seed": "0"}, "overrides": ["experiment=x", "limit=8", "seed=0"]},
        {"name": "1", "chosen": {"seed": "1"}, "overrides": ["experiment=x", "seed=1"]},
    ]
    assert sweep_command(tmp_path, records).split("\n") == [  # type: ignore[arg-type]
        "python -m bench experiment=x limit=8 seed=0",
        "python -m bench experiment=x seed=1",
    ]
    assert sweep_title(records) == "Sweep of x over seed"  # type: ignore[arg-type]


def test_jobs_with_different_swept_keys_have_one_command_each(tmp_path: Path) -> None:
    for name, chosen in {"0": {"seed": "0", "limit": "8"}, "1": {"seed": "1"}}.items():
        write_table(write_job(tmp_path, name, chosen, fixed=()), {"reference": 1e-4, "mine": 1e-5})
    text = page(tmp_path)
    assert "python -m bench seed=0 limit=8\npython -m bench seed=1" in text


def test_swept_numbers_without_a_place_on_an_axis_are_not_drawn(tmp_path: Path) -> None:
    text = page(swept(tmp_path, "clip", ("inf", "nan", "-inf"), costs=False))
    assert 'class="plot"' not in text
    assert "clip: inf, nan, -inf" in text


def test_the_command_of_a_sweep_has_its_launcher_and_not_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "o"
    words = ["seed=0,1", "hydra/launcher=basic", "experiment=train_mini", f"out={out}"]
    assert run_sweep(words, lambda _: Results(out, 0)) == 0
    command = "python -m bench -m seed=0,1 hydra/launcher=basic experiment=train_mini"
    assert f">{command}</code>" in (out / "sweep.html").read_text()
