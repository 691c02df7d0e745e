"""Tests of several experiments in one run: each has a folder, an index lists all, and a failure stops no other."""

import json
import re
from pathlib import Path

import pytest

from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import CollectionConfig
from bench.experiments.collection import Collection
from bench.results.run_folder import Results
from tests.helpers import torchrun

pytestmark = pytest.mark.blackbox

NAMES = ["table6_text2image_coco", "table7_architecture_base", "table10_size_coco"]


def collection(out: Path, run, *extra: str) -> Collection:  # type: ignore[no-untyped-def]
    overrides = ["experiment=all_tables", f"out={out}", f"experiments=[{','.join(NAMES)}]", *extra]
    return Collection(CollectionConfig.of(*typed(compose_config(overrides))), overrides, run)


def fake(overrides: list[str]) -> Results:
    """Return a run that writes a table's files; the run of Table 7 fails."""
    chosen = dict(word.split("=", 1) for word in overrides)
    if chosen["experiment"] == NAMES[1]:
        raise RuntimeError("broken")
    out = Path(chosen["out"])
    out.mkdir(parents=True)
    (out / "run.json").write_text(json.dumps({"latents": {"sampled": 3, "stored": 4}}))
    (out / "report.html").write_text("a page")
    claims = [{"verdict": "holds"}, {"verdict": "holds"}]
    results = {"schema_version": 1, "experiment": chosen["experiment"], "rows": [], "claims": claims}
    (out / "results.json").write_text(json.dumps(results))
    return Results(out, 0, headline=("FID: 2 → 1, large",))


def test_all_experiments_run_and_the_index_shows_how_each_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = collection(tmp_path / "out", fake, "limit=8", "seed=3").run()
    assert (result.status, result.message) == (1, f"failed experiments: {NAMES[1]}")
    index = (tmp_path / "out" / "index.md").read_text()
    for words in (*NAMES, "RuntimeError: broken", "2 holds", "T1.e", "contradicted by the printed numbers"):
        assert words in index
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.findall('<a href="(.*)">', page) == [f"{NAMES[0]}/report.html", f"{NAMES[2]}/report.html"]
    for words in ("RuntimeError: broken", "2 holds", "FID: 2 → 1, large", "python -m bench experiment=all_tables"):
        assert words in page
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["latents"] == {"sampled": 6, "stored": 8}
    assert run["experiments"] == {NAMES[0]: 0, NAMES[1]: 1, NAMES[2]: 0}
    job = json.loads((tmp_path / "out" / NAMES[0] / "job.json").read_text())
    assert job["overrides"] == [f"experiment={NAMES[0]}", "limit=8", "seed=3"]
    assert "6 latents sampled, 8 found in the store" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "paper"),
        (["+each.all=['seed=1']"], "custom"),
        ([f"+each.{NAMES[0]}=['generator.steps=4']"], "custom"),
        (["limit=8"], "custom"),
    ],
)
def test_statements_on_two_tables_are_custom_if_one_table_is(tmp_path: Path, words: list[str], expected: str) -> None:
    collection(tmp_path / "out", fake, "profile=paper", *words).run()
    claims = json.loads((tmp_path / "out" / "claims.json").read_text())["claims"]
    (across,) = [claim for claim in claims if claim["id"] == "T5.f"]
    assert across["scope"] == expected


@pytest.mark.slow
def test_two_processes_run_every_experiment_of_a_collection(tmp_path: Path) -> None:
    names = ["table2_inpaint_imagenet", "table7_architecture_base", "table9_size_imagenet"]
    words = [
        "experiment=all_tables", f"experiments=[{','.join(names)}]", "limit=8", "profile.steps=2", "controls=[]",
        "stage=tabulate", "device=cpu", f"out={tmp_path / 'out'}", f"paths.data={tmp_path / 'data'}",
    ]  # fmt: skip
    torchrun.run([*torchrun.launcher(2), "-m", "bench", *words], BENCH_STORE=str(tmp_path / "store"))
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["experiments"] == dict.fromkeys(names, 0)
    assert run["latents"]["sampled"] >= 8
    for name in names:
        assert json.loads((tmp_path / "out" / name / "results.json").read_text())["rows"]
        assert json.loads((tmp_path / "out" / name / "job.json").read_text())["status"] == 0
