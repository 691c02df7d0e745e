"""Tests of `experiment=seeds`: rows of retrained decoders are measured once and recorded in the card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import bench
from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import SeedsConfig
from bench.errors import BadInputError
from bench.experiments.seeds import SeedsExperiment
from bench.results.run_folder import Results
from bench.runtime.distributed import World
from bench.sweeps.jobs import Run
from bench.tables.seeds import SeedStudy
from bench.training.mini.card import CARD_TEXT, write_card_text

SHIPPED = Path(bench.__file__).parent / "assets" / "mini"
TABLE = "table3_blending_imagenet"


def train(folder: Path, name: str, seed: int) -> None:
    """Write a decoder like train_mini, which is the shipped one with slightly changed weights."""
    made = folder / f"{name}@{seed}"
    shutil.copytree(SHIPPED / name, made, dirs_exist_ok=True)
    weights = made / "diffusion_pytorch_model.safetensors"
    torch.manual_seed(seed)
    moved = {key: x.float() * (1 + 1e-2 * torch.randn(x.shape)) for key, x in load_file(weights).items()}
    save_file(moved, weights)
    recipe = json.loads((SHIPPED / "card.json").read_text())["parts"][name]["recipe"]
    (made / "part.json").write_text(json.dumps({"part": name, "seed": seed, "recipe": recipe}))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Write the base decoder of seeds 1 and 2 and the large one of seed 1."""
    for name, seed in (("base", 1), ("base", 2), ("large", 1)):
        train(tmp_path / "trained", name, seed)
    return tmp_path / "trained"


class FakeTables:
    """Write a table's files with numbers that follow from the decoder's path."""

    def __init__(self, *, manifest: str = "a" * 64, shift: float = 0.0, fails: str = "") -> None:
        self.manifest, self.shift, self.fails = manifest, shift, fails
        self.ran: list[tuple[str, list[str]]] = []

    def __call__(self, overrides: list[str]) -> Results:
        chosen = dict(word.split("=", 1) for word in overrides)
        out, rows = Path(chosen["out"]), chosen["row"].strip("[]").split(",")
        self.ran.append((out.name, rows))
        if out.name == self.fails:
            raise RuntimeError("broken")
        assert chosen["stage"] == "tabulate"
        out.mkdir(parents=True, exist_ok=True)
        lines = [{"method": row, "metrics": self.metrics(row, chosen)} for row in rows]
        number = int(chosen["experiment"].removeprefix("table").partition("_")[0])
        results = {"table": number, "manifest": self.manifest, "rows": lines}
        (out / "results.json").write_text(json.dumps(results))
        (out / "run.json").write_text(json.dumps({"experiment": chosen["experiment"], "weights": {}}))
        return Results(out, 0)

    def metrics(self, row: str, chosen: Mapping[str, str]) -> dict[str, dict[str, object]]:
        decoder = chosen.get(f"profile.decoders.{row.partition('_')[0]}", "@0").strip("'")
        value = 7.0 + int(decoder.rpartition("@")[2]) / 10 + self.shift
        return {"fid": {"value": value, "protocol": "p"}, "kid": {"value": None, "protocol": None}}


def study(trained: Path, run: Run, *extra: str) -> Results:
    overrides = ["experiment=seeds", f"experiments=[{TABLE}]", f"seeds_from={trained}"]
    overrides += [f"card={trained.parent / 'card'}", f"out={trained.parent / 'out'}", *extra]
    return SeedsExperiment(SeedsConfig.of(*typed(compose_config(overrides))), overrides, run).run()


def fids(trained: Path, table: int, row: str) -> dict[int, float]:
    found = SeedStudy.read(trained.parent / "card").tables[table].rows[row]
    return {training.seed: training.metrics["fid"] for training in found.trainings}


@pytest.mark.blackbox
def test_each_seed_runs_only_the_rows_of_its_decoders(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = FakeTables()
    assert study(trained, tables, f"experiments=[{TABLE},table9_size_imagenet]").status == 0
    assert tables.ran == [
        ("table3_blending_imagenet@0", ["base_mask", "base_concat", "large_mask", "large_concat"]),
        ("table3_blending_imagenet@1", ["base_mask", "large_mask"]),
        ("table3_blending_imagenet@2", ["base_mask"]),
        ("table9_size_imagenet@0", ["base_mask", "large_mask", "large_x2_mask", "vanilla_finetuned"]),
        ("table9_size_imagenet@1", ["base_mask", "large_mask"]),
        ("table9_size_imagenet@2", ["base_mask"]),
    ]
    assert fids(trained, 3, "base_mask") == pytest.approx({0: 7.0, 1: 7.1, 2: 7.2})
    assert fids(trained, 9, "large_mask") == pytest.approx({0: 7.0, 1: 7.1})
    assert fids(trained, 9, "large_x2_mask") == {0: 7.0}
    shown = capsys.readouterr().out
    assert "seed 2: trained: base; not trained: base_concat, large, large_concat, large_x2, vanilla_finetuned" in shown


@pytest.mark.blackbox
def test_each_value_is_stored_with_its_identity(trained: Path) -> None:
    study(trained, FakeTables(), "seed=5")
    table = SeedStudy.read(trained.parent / "card").tables[3]
    assert (table.manifest, table.seed, table.protocols) == ("a" * 64, 5, {"fid": "p"})
    sha = json.loads((SHIPPED / "card.json").read_text())["sha256"]["base/diffusion_pytorch_model.safetensors"]
    first, second, _ = table.rows["base_mask"].trainings
    assert first.weights == sha != second.weights
    assert set(first.metrics) == {"fid"}


@pytest.mark.blackbox
def test_only_new_decoders_are_measured(trained: Path) -> None:
    study(trained, FakeTables())
    train(trained, "large", 2)
    train(trained, "base", 3)
    again = FakeTables()
    study(trained, again, "seeds=[1,2,3]")
    assert [name for name, _ in again.ran] == [f"{TABLE}@{seed}" for seed in (0, 2, 3)]
    assert again.ran[1][1] == ["large_mask"]
    assert list(fids(trained, 3, "large_mask")) == [0, 1, 2]
    assert list(fids(trained, 3, "base_mask")) == [0, 1, 2, 3]


@pytest.mark.blackbox
@pytest.mark.parametrize("change", [{"manifest": "b" * 64}, {"shift": 0.1}])
def test_changed_items_or_latents_are_measured_again(trained: Path, change: dict[str, object]) -> None:
    study(trained, FakeTables())
    again = FakeTables(**change)  # type: ignore[arg-type]
    study(trained, again)
    assert len(again.ran) == 3
    shift = again.shift
    assert fids(trained, 3, "base_mask") == pytest.approx({0: 7.0 + shift, 1: 7.1 + shift, 2: 7.2 + shift})


@pytest.mark.blackbox
def test_retrained_weights_are_measured_again(trained: Path) -> None:
    study(trained, FakeTables())
    train(trained, "base", 2)
    weights = trained / "base@2" / "diffusion_pytorch_model.safetensors"
    save_file({key: 2 * x for key, x in load_file(weights).items()}, weights)
    again = FakeTables()
    study(trained, again)
    assert [name for name, _ in again.ran] == [f"{TABLE}@{seed}" for seed in (0, 2)]


@pytest.mark.blackbox
def test_a_failed_run_is_named_and_stops_no_other(trained: Path) -> None:
    result = study(trained, FakeTables(fails="table3_blending_imagenet@1"))
    assert (result.status, result.message) == (1, "failed runs: table3_blending_imagenet@1")
    assert list(fids(trained, 3, "base_mask")) == [0, 2]


@pytest.mark.blackbox
def test_the_card_shows_the_spread_and_is_reproduced_from_its_data(trained: Path) -> None:
    study(trained, FakeTables())
    card = trained.parent / "card"
    text = (card / CARD_TEXT).read_text()
    assert "| 3 | base_mask | 0, 1, 2 | 7.100 ± 0.1 | – | – | – | – |" in text
    assert "| 3 | base_concat | 0 | 7.000 | – | – | – | – |" in text
    shutil.copy(SHIPPED / "card.json", card)
    (card / CARD_TEXT).unlink()
    write_card_text(card)
    assert (card / CARD_TEXT).read_text() == text


@pytest.mark.golden
def test_the_shipped_text_is_generated_from_the_shipped_data(tmp_path: Path) -> None:
    for name in ("card.json", "seeds.json"):
        if (SHIPPED / name).is_file():
            shutil.copy(SHIPPED / name, tmp_path)
    write_card_text(tmp_path)
    assert (tmp_path / CARD_TEXT).read_text() == (SHIPPED / CARD_TEXT).read_text()


@pytest.mark.blackbox
def test_a_check_lists_the_measurements_to_make_and_writes_nothing(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = FakeTables()
    study(trained, tables, "stage=check", f"paths.data={trained.parent / 'data'}")
    assert tables.ran == []
    assert not (trained.parent / "card").exists()
    assert "seed 1: trained: base, large; not trained:" in capsys.readouterr().out


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["stage=score"], "stage: expected check or tabulate for experiment=seeds, found score"),
        (["seeds=[0,7]"], r"found no file \*@7/part.json"),
        (
            ["limit=8", f"card={SHIPPED}"],
            "card: expected another folder than that of the shipped card, because limit=8 changes the tables",
        ),
        (["profile.weights=nowhere"], "profile.weights: expected a folder that contains card.json, found no file"),
        (["row=[stablediffusion]"], "a row whose decoder is in profile.decoders, found no such row in table3"),
    ],
)
def test_bad_input_is_named_before_any_work(trained: Path, extra: list[str], message: str) -> None:
    tables = FakeTables()
    with pytest.raises(BadInputError, match=message):
        study(trained, tables, *extra)
    assert tables.ran == []


@pytest.mark.blackbox
def test_several_processes_are_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "here", classmethod(lambda cls: cls(0, 2)))
    with pytest.raises(BadInputError, match="seeds: expected a run with one process, found 2 processes"):
        study(trained, FakeTables())


@pytest.mark.blackbox
def test_a_decoder_of_another_recipe_is_refused_as_a_further_training(trained: Path) -> None:
    (trained / "base@2" / "part.json").write_text(json.dumps({"recipe": {"start": "nothing"}}))
    with pytest.raises(BadInputError, match=r"base@2/part.json: expected the recipe that card.json has for base"):
        study(trained, FakeTables())


@pytest.mark.blackbox
@pytest.mark.slow
def test_real_tables_differ_between_seeds_on_the_same_latents(trained: Path) -> None:
    places = [f"paths.store={trained.parent / 'store'}", f"paths.data={trained.parent / 'data'}"]
    words = ["limit=2", "profile.steps=2", "device=cpu", "controls=[]", *places]
    assert study(trained, bench.run, *words).status == 0
    table = SeedStudy.read(trained.parent / "card").tables[3]
    assert "inpainting/unet/diffusion_pytorch_model.safetensors" in table.weights
    found = SeedStudy.read(trained.parent / "card").values(
        3, "base_mask", "lpips", manifest=table.manifest, protocol=table.protocols["lpips"]
    )
    assert isinstance(found, dict)
    assert len(set(found.values())) == 3
    facts = [json.loads((trained.parent / "out" / f"{TABLE}@{seed}" / "run.json").read_text()) for seed in (0, 1)]
    assert [run["latents"] for run in facts] == [{"sampled": 2, "stored": 0}, {"sampled": 0, "stored": 2}]
