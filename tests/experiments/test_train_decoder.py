"""Tests of `experiment=train_decoder` on the mini profile with few updates, and of its decoder in Table 2."""

import json
import re
from functools import cache
from pathlib import Path

import pandas
import pytest
import torch

import bench
from bench.checking.assets import read_assets
from bench.cli import main
from bench.config.compose import compose_config, conf_dir, typed
from bench.config.instantiate import make
from bench.config.kinds import narrowed
from bench.errors import BadInputError
from bench.experiments.run import experiment_of
from bench.models import build_decoder, load_autoencoder, load_decoder
from bench.training.recipe import DecoderRecipe
from tests.helpers.branches import quickly_started_branches
from tests.models.tiny_autoencoders import spatial, tiny_autoencoder

ADVERSARIAL = ("predict_branch=true", "training.objective.adversary=hinge", "training.objective.adversary_from=2")
RECIPES = sorted(path.stem for path in (conf_dir() / "training").glob("*.yaml"))
MINI = Path(bench.__file__).parent / "assets" / "mini"
COMMANDS = {
    name: re.findall(r"python -m bench (experiment=train_decoder .*?) out=DIR", asset.how)
    for name, asset in read_assets().items()
    if "experiment=train_decoder" in asset.how
}
"""Overrides in the list of assets, by asset."""


def words(store: Path, out: Path, *extra: str) -> list[str]:
    """Return the overrides of the experiment with four updates."""
    sizes = ("steps=4", "batch_size=2", "at_once=2", "save_every=2", "validate_every=2", "validation_items=4")
    return [
        "experiment=train_decoder",
        f"paths.store={store}",
        f"paths.data={store / 'data'}",
        f"out={out}",
        "device=cpu",
        "predict_branch=false",
        "profile.datasets.imagenet_train.per_class=1",
        "profile.datasets.imagenet_dev.per_class=1",
        *(f"training.{size}" for size in sizes),
        *extra,
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def trained(store: Path) -> Path:
    """Return the folder of a finished run."""
    with quickly_started_branches():
        assert bench.run(words(store, store / "base", *ADVERSARIAL)).status == 0
    return store / "base"


@pytest.mark.blackbox
def test_a_run_writes_its_decoder_curve_pictures_and_lineage(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        ".started.json", "best", "decoder", "figures", "losses.csv", "run.json", "validation.csv",
    }  # fmt: skip
    drawn = {f"{name}.{kind}" for name in ("curves", "samples") for kind in ("png", "pdf")}
    assert {path.name for path in (trained / "figures").iterdir()} == drawn
    losses, validations = (pandas.read_csv(trained / f"{name}.csv") for name in ("losses", "validation"))
    assert list(losses["step"]) == [1, 2, 3, 4]
    assert list(validations["step"]) == [0, 2, 4]
    assert {"lpips", "mse", "lpips_mask", "known_mse01"} < set(validations)
    run = json.loads((trained / "run.json").read_text())
    lineage = load_decoder(trained / "decoder").lineage
    assert lineage["data"] == run["lineage"]["data"]
    assert lineage["step"] == 4
    assert len(lineage["first_stage"]["path"]) == 64
    assert lineage["training"]["steps"] == 4
    assert set(lineage["source"]) == {"commit", "dirty"}


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures, for tests of trainings that only differ in their settings."""
    for name in ("draw_curves", "draw_grid"):
        monkeypatch.setattr(f"bench.experiments.train_decoder.{name}", lambda *_, **__: None)


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
def test_a_repeated_run_trains_nothing(trained: Path, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        bench.run(words(store, store / "again", *ADVERSARIAL))
    assert "the store already has this decoder" in caplog.text
    first, second = (load_decoder(folder / "decoder").state_dict() for folder in (trained, store / "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.blackbox
def test_a_trained_decoder_makes_a_row_with_its_lineage(trained: Path, store: Path, tmp_path: Path) -> None:
    found = bench.run(
        [
            "experiment=table2_inpaint_imagenet",
            "row=[stablediffusion,decoder_mask,decoder_nomask]",
            f"decoder.checkpoint={trained / 'decoder'}",
            f"paths.store={store}",
            f"paths.data={store / 'data'}",
            f"out={tmp_path / 'table'}",
            "limit=4",
            "generator.steps=2",
            "device=cpu",
            "stage=tabulate",
        ]
    )
    assert found.table is not None
    assert list(found.table["label"]) == ["StableDiffusion", "base w/ mask", "base w/o mask"]
    run = json.loads((tmp_path / "table" / "run.json").read_text())
    assert run["lineage"]["decoder_mask"]["step"] == 4
    assert run["lineage"]["stablediffusion"]["part"] == "vanilla"


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    "extra",
    [
        ["decoder.blending=concat", "decoder.branch=partial"],
        ["decoder.branch=partial"],
        ["decoder=large"],
        ["decoder=vanilla_finetuned", "training.precision=float32"],
        ["decoder.width=0.5", "start=null"],
    ],
)
@pytest.mark.slow
def test_every_other_decoder_can_be_trained(store: Path, tmp_path: Path, extra: list[str]) -> None:
    found = bench.run(words(store, tmp_path / "out", "training.steps=1", *extra))
    assert found.status == 0
    decoder = load_decoder(tmp_path / "out" / "decoder")
    wanted = typed(compose_config(["experiment=train_decoder", *extra]))[0].decoder
    assert wanted is not None
    assert decoder.config.blending == wanted.blending
    assert (decoder.condition_encoder is not None) == wanted.conditioned
    assert decoder.config.channels[0] == round(16 * wanted.width)


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
@pytest.mark.slow
def test_a_sweep_over_the_share_of_full_masks_makes_one_table(store: Path, tmp_path: Path) -> None:
    sweep = words(store, tmp_path / "sweep", "training.full_share=0,1", "training.steps=1")
    assert main(["-m", *sweep]) == 0
    table = pandas.read_csv(tmp_path / "sweep" / "sweep.csv")
    assert list(table["training.full_share"]) == [0, 1]
    assert table["known_mse01"].nunique() == 2


@cache
def recipe_of(name: str) -> DecoderRecipe:
    _, resolved = typed(compose_config(["experiment=train_decoder", f"training={name}"]))
    recipe: DecoderRecipe = make(resolved["training"], "training")
    return recipe


@pytest.mark.blackbox
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes_in_its_profile(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.profile == name.partition("_")[0]
    assert recipe.rate(pretrained=False)(recipe.warmup) == pytest.approx(recipe.learning_rate)


@pytest.mark.golden
def test_the_papers_recipes_have_the_released_values() -> None:
    names = ("paper_base", "paper_large", "paper_large_x2", "paper_base_as_printed", "paper_large_as_printed")
    base, large, widest, *printed = (recipe_of(name) for name in names)
    assert [recipe.fresh for recipe in (base, large, widest, *printed)] == [False, True, True, False, True]
    assert (base.learning_rate, base.batch_size, base.pretrained_rate) == (3.6e-4, 80, 0.1)
    assert base.learning_rate == pytest.approx(4.5e-6 * base.batch_size)
    assert large.learning_rate == pytest.approx(4.5e-6 * large.batch_size)
    assert widest.learning_rate == pytest.approx(4.5e-6 * widest.batch_size)
    assert base.steps == 12 * (1_152_196 // 80)
    assert large.steps == 120_030
    for recipe in (base, large, widest):
        assert recipe.objective.adversary_from == 50_001
        assert (recipe.objective.adversary, recipe.objective.adversary_weight) == ("hinge", 0.8)
        assert tuple(recipe.betas) == (0.5, 0.9)
    assert printed[1].learning_rate == 7.2e-4
    assert {recipe.objective.adversary for recipe in printed} == {"log"}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["training.stepss=3"], r"training\.stepss"),
        (["training.steps=0"], "training: steps: expected 1 or more, found 0"),
        (["training.masks=thin"], r"training\.masks: expected one of thick_512, .*, found 'thin'"),
        (["decoder.width=1.1"], "decoder: channels: expected a multiple of 2"),
        (["decoder.blending=multiply"], "decoder: blending: expected one of add, concat"),
        (["decoder.width=0.5"], "start: .*start=null starts from random weights"),
        (["start=nowhere"], "start: nothing at nowhere"),
        (["first_stage=nowhere"], "first_stage: nothing at nowhere"),
        (["wandb=mine"], "wandb"),
    ],
)
def test_bad_input_is_named(store: Path, tmp_path: Path, extra: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        bench.run(words(store, tmp_path / "out", *extra))
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
def test_everything_that_a_training_of_the_paper_lacks_is_listed_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg.pth").touch()
    words = ["experiment=train_decoder", "profile=paper", "training=paper_base", "stage=check", "device=cpu"]
    with pytest.raises(BadInputError) as raised:
        bench.run([*words, f"paths.vgg16={tmp_path / 'vgg.pth'}"])
    said = str(raised.value)
    assert said.startswith("train_decoder: 3 things are missing or wrong\n")
    for name in ("imagenet_train", "sd_inpainting", "vgg16"):
        assert f". {name}: " in said
        assert read_assets()[name].source.split()[0] in said
    assert "expected SHA-256" in said
    state = 3 * 4 * sum(parameter.numel() for parameter in build_decoder("base").parameters())
    found = re.search(r"Disk for 172,824 updates: (\S+) GB of checkpoints", said)
    assert found is not None
    assert float(found[1]) * 1e9 > 3 * state
    assert not (tmp_path / "outputs").exists()


@pytest.mark.blackbox
@pytest.mark.parametrize("patience", [0.0, 1000.0], ids=["reckoned", "timed"])
def test_the_check_of_a_training_estimates_its_time_memory_and_space(
    patience: float, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.training.dry_run.PATIENCE", patience)
    before = sorted(store.rglob("*"))
    found = bench.run(words(store, tmp_path / "out", *ADVERSARIAL, "training.steps=1000", "stage=check"))
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("train_decoder: ready: 1000 updates of 2 items")
    said = {line.split()[0]: line for line in lines[1:]}
    assert list(said) == ["updates", "disk", "memory", "time", "from"]
    assert "of checkpoints" in said["disk"]
    assert re.search(r"B on cpu, .* with 2 items at once", said["memory"])
    assert ("calculated from an update with 1 item" in said["time"]) == (patience == 0)
    seconds = re.search(r"([\d.e-]+) s for an update, ([\d.e-]+) s with the discriminator", said["time"])
    assert seconds is not None
    assert found.forecast is not None
    assert found.forecast.seconds == pytest.approx(2 * float(seconds[1]) + 998 * float(seconds[2]), rel=0.02)
    assert sorted(store.rglob("*")) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("at_once", "message"),
    [
        ("auto", "expected a number, because 2 processes train, found auto"),
        ("1", "expected a multiple of 2, the number of processes"),
    ],
)
def test_several_processes_are_refused_before_they_start_to_work(
    at_once: str, message: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInputError, match=rf"training\.at_once: {message}"):
        bench.run(words(store, tmp_path / "out", f"training.at_once={at_once}"))


@pytest.mark.blackbox
def test_a_training_prints_what_it_wrote_and_records_the_items_at_once(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], without_figures: None
) -> None:
    out = tmp_path / "out"
    bench.run(words(store, out, "training.batch_size=20", "training.at_once=auto", "training.steps=1"))
    said = capfd.readouterr().out.splitlines()
    assert said[-3:] == ["Items in one forward pass: 5", f"files: {out}", f"decoder: {out / 'decoder'}"]
    assert json.loads((out / "run.json").read_text())["at_once"] == 5  # the largest divisor of 20 up to 8
    assert load_decoder(out / "decoder").lineage["at_once"] == 5


@pytest.mark.blackbox
def test_a_missing_folder_of_training_pictures_is_named(store: Path, tmp_path: Path) -> None:
    drawn = "profile.datasets.imagenet_train.per_class=1"  # of use only where the pictures are drawn
    given = [word for word in words(store, tmp_path / "out", "training_data.root=nowhere") if word != drawn]
    with pytest.raises(BadInputError, match=r"training_data\.root: nothing at nowhere"):
        bench.run(given)
    with pytest.raises(BadInputError, match=r"per_class: expected a key that train_decoder uses"):
        bench.run([*given, drawn])


@pytest.fixture
def paper(tmp_path: Path) -> list[str]:
    """Return overrides for the paper profile at small sizes, with all files of a training except its pictures."""
    (tmp_path / "train").mkdir()
    return [
        f"paths.sd_inpainting={MINI / 'inpainting'}",
        f"paths.imagenet_train={tmp_path / 'train'}",
        "profile.decoder_sizes={channels: [16, 32, 64], layers: 2, groups: 2}",
        "profile.perceptual._target_=bench.training.objective.feature_distance",
        "~profile.perceptual.backbone",
        f"+profile.perceptual.path={MINI / 'loss_features'}",
        "training.resolution=32",
        "training.batch_size=2",
        "training.at_once=2",
        "device=cpu",
        "stage=check",
    ]


@pytest.mark.blackbox
@pytest.mark.parametrize("asset", COMMANDS)
@pytest.mark.slow
def test_the_commands_in_the_list_of_assets_work(asset: str, paper: list[str]) -> None:
    (command,) = COMMANDS[asset]
    assert bench.run([*command.split(), *paper]).status == 0


@pytest.mark.blackbox
def test_a_start_that_cannot_be_widened_is_refused_before_pictures_are_read(paper: list[str]) -> None:
    large = ["experiment=train_decoder", "profile=paper", "decoder=large", *paper]
    with pytest.raises(
        BadInputError, match=r"start: expected at least 16 channels .* found 24 channels in 2 groups; start=null"
    ):
        bench.run([*large, "training=paper_base"])
    fresh = [*large, "training=paper_large", "start=nowhere"]
    assert bench.run(fresh).status == 0
    experiment = experiment_of(narrowed(*typed(compose_config(fresh))), fresh)
    assert "start" not in {key for problem in experiment.missing() for key in problem.keys}


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            ["profile=paper"],
            r"the profile paper \(training=paper_base, .*training=paper_large_x2\), found a recipe of the profile mini",
        ),
        (
            ["training=paper_base"],
            r"the profile mini \(training=mini, training=mini_vanilla\), found a recipe of the profile paper",
        ),
        (["profile.name=mine"], r"the profile mine \(\+training\.profile=mine\), found a recipe of the profile mini"),
    ],
)
def test_a_recipe_of_another_profile_is_refused(chosen: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=f"training: expected a recipe of {message}"):
        bench.run(["experiment=train_decoder", *chosen, "stage=check"])


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
def test_a_fresh_recipe_ignores_the_start(store: Path, tmp_path: Path) -> None:
    fresh = ["+training.fresh=true", "start=nowhere", "predict_branch=true", "training.steps=1"]
    assert bench.run(words(store, tmp_path / "out", *fresh)).status == 0
    decoder = load_decoder(tmp_path / "out" / "decoder")
    assert decoder.training_note == "1"
    assert decoder.lineage["start"] is None
    assert not decoder.lineage["predict_branch"]


def in_space(store: Path, out: Path, stage: Path, *extra: str, levels: int) -> list[str]:
    """Return the overrides of a training of two updates for a first stage, whose factor has this number of levels."""
    sizes = f"profile.decoder_sizes={{channels: [{','.join(['8'] * levels)}], layers: 1, groups: 4}}"
    return words(store, out, f"first_stage={stage}", sizes, "training.steps=2", *extra)


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("name", "channels", "factor", "own"),
    [
        ("kl", 16, 8, True),
        ("kl", 32, 8, True),
        ("kl", 16, 16, False),
        ("kl", 32, 32, True),
        ("dc", 32, 32, False),
        ("wan", 16, 8, False),
    ],
)
def test_a_decoder_is_trained_for_a_first_stage_of_another_space(
    name: str, channels: int, factor: int, own: bool, store: Path, tmp_path: Path
) -> None:
    stage, out = tmp_path / "stage", tmp_path / "out"
    network = tiny_autoencoder(name) if name == "wan" else spatial(name, channels, factor)
    network.save_pretrained(stage)
    start = f"start={stage if own else 'null'}"
    with quickly_started_branches():
        run = in_space(store, out, stage, start, "predict_branch=true", levels=factor.bit_length())
        assert bench.run(run).status == 0
    losses = pandas.read_csv(out / "losses.csv")
    assert len(losses) == 2
    assert losses["l1"].notna().all()
    decoder = load_decoder(out / "decoder")
    assert (decoder.config.latent_channels, decoder.factor) == (channels, factor)
    space = decoder.lineage["space"]
    assert (space["channels"], space["factor"]) == (channels, factor)
    assert json.loads((out / "run.json").read_text())["lineage"]["space"] == space
    if own:  # two updates with a small rate change the weights of the first stage's decoder only a little
        first = dict(network.named_parameters())["decoder.conv_in.weight"]
        assert torch.allclose(decoder.conv_in.weight, first, atol=0.01)
    autoencoder = load_autoencoder(out / "decoder", encoder=stage)
    assert autoencoder.space.name == space["name"]
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    z = autoencoder.encode(image)
    with_pixels = autoencoder.decode(z, image, mask)
    assert with_pixels.shape == image.shape
    assert not torch.equal(with_pixels, autoencoder.decode(z, -image, mask))  # the branch reads the known pixels
    weights = (store / "training").rglob("decoder/diffusion_pytorch_model.safetensors")
    assert (out / "decoder" / "diffusion_pytorch_model.safetensors").read_bytes() in {
        file.read_bytes() for file in weights
    }


@pytest.mark.blackbox
@pytest.mark.usefixtures("without_figures")
def test_a_decoder_is_trained_on_the_latents_of_a_tiny_autoencoder(store: Path, tmp_path: Path) -> None:
    tiny_autoencoder("tiny").save_pretrained(tmp_path / "stage")
    run = in_space(store, tmp_path / "out", tmp_path / "stage", "start=null", levels=4)
    with pytest.raises(BadInputError, match=r"first_stage: the argument space: .* sd1, .*, found no value"):
        bench.run(run)
    assert bench.run([*run, "first_stage_space=sd3"]).status == 0
    lineage = load_decoder(tmp_path / "out" / "decoder").lineage
    assert lineage["space"]["name"] == lineage["first_stage"]["space"] == "sd3"


@pytest.mark.blackbox
def test_the_check_estimates_a_training_in_another_space(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spatial("kl", 32, 32).save_pretrained(tmp_path / "stage")
    found = bench.run(in_space(store, tmp_path / "out", tmp_path / "stage", "start=null", "stage=check", levels=6))
    assert found.forecast is not None
    assert "updates of 2 items for a decoder of 8, 8, 8, 8, 8, 8 channels" in capfd.readouterr().out


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("stage", "extra", "message"),
    [
        (
            ("kl", 16, 8),
            ["start=null"],
            r"profile\.decoder_sizes\.channels: expected 4 levels for the factor 8 of the first stage .*stage, found 3 "
            r"levels for the factor 4; set profile\.decoder_sizes\.channels=\[C1,C2,C3,C4\], with",
        ),
        (
            ("kl", 16, 4),
            [],
            "start: expected a decoder of latents with 16 channels and the factor 4, like those of the first stage, "
            "found one of latents with 4 channels and the factor 4; start=null starts from random weights",
        ),
        (
            ("kl", 4, 2),
            ["profile.decoder_sizes.channels=[16,32]"],
            "start: expected a decoder of latents with 4 channels and the factor 2, .* found .* 4 channels and the fac",
        ),
        (
            ("dc", 8, 4),
            ["start=STAGE"],
            "start: .*_class_name: expected one of Decoder, .*, found AutoencoderDC; start=null starts from random",
        ),
        (
            ("kl", 16, 4),
            ["start=null", "training.resolution=66"],
            r"training\.resolution: expected a multiple of 4, because the first stage .* encodes no other pictures",
        ),
    ],
    ids=["levels", "channels", "factor", "architecture", "resolution"],
)
def test_a_decoder_that_does_not_fit_the_first_stage_is_refused(
    stage: tuple[str, int, int], extra: list[str], message: str, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stage"
    spatial(*stage).save_pretrained(folder)
    run = words(
        store, tmp_path / "out", f"first_stage={folder}", *(word.replace("STAGE", str(folder)) for word in extra)
    )
    with pytest.raises(BadInputError, match=message):
        bench.run(run)
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
def test_a_first_stage_for_pictures_of_one_size_is_refused_for_others(store: Path, tmp_path: Path) -> None:
    tiny_autoencoder("rae").save_pretrained(tmp_path / "stage")
    with pytest.raises(BadInputError, match=r"training\.resolution: expected 32, because .*, found 64"):
        bench.run(in_space(store, tmp_path / "out", tmp_path / "stage", "start=null", levels=5))


PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.blackbox
@pytest.mark.parametrize(("channels", "factor"), [(16, 8), (32, 32)])
def test_the_commands_of_the_page_for_other_spaces_work(
    channels: int, factor: int, paper: list[str], tmp_path: Path
) -> None:
    commands = re.findall(r"python -m bench (experiment=train_decoder .*first_stage=DIR.*)", PAGE.read_text())
    assert len(commands) == 2
    command = commands[0 if factor == 8 else 1].replace("DIR", str(tmp_path / "stage")).split()
    spatial("kl" if factor == 8 else "dc", channels, factor).save_pretrained(tmp_path / "stage")
    full = compose_config(command).profile.decoder_sizes
    assert 2 ** (len(full.channels) - 1) == factor
    assert all(width % full.groups == 0 for width in full.channels)
    given = [word for word in paper if not word.startswith(("profile.decoder_sizes", "training.resolution"))]
    tiny = [f"profile.decoder_sizes.channels={[8] * len(full.channels)}", "profile.decoder_sizes.groups=4"]
    fewer = ["profile.decoder_sizes.layers=1", "training.resolution=64"]
    found = bench.run([*command, *given, *tiny, *fewer])
    assert found.forecast is not None
