"""Tests of `experiment=train_mini` with few steps: every part is made, resumed and packed into weights."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from safetensors.torch import load_file

import bench
from bench.config.compose import compose_config
from bench.errors import BadInputError
from bench.models.checkpoints import WEIGHTS, load_decoder
from tests.helpers.branches import quickly_started_branches

pytestmark = pytest.mark.blackbox

PARTS = (
    "metric_features",
    "loss_features",
    "first_stage",
    "vanilla",
    "inpainting",
    "text_to_image",
    "exemplar",
    "clip_encoder",
    "lama",
    "vanilla_finetuned",
    "base",
    "large",
    "large_x2",
    "base_concat",
    "large_concat",
    "vq_first_stage",
    "tiny",
    "kl16_first_stage",
    "kl16_vanilla",
    "kl16_base",
)
SHIPPED = tuple(part for part in PARTS if part not in ("first_stage", "vanilla"))
COUNTS = {
    "scenes": 2,
    "dev_scenes": 2,
    "sampled": 2,
    "sampling_steps": 1,
    "references_per_thing": 1,
    "dev_references_per_thing": 1,
    "views_per_thing": 1,
    "dev_views_per_thing": 1,
}
"""Overrides for the pictures that parts draw and sample themselves."""


def short(out: Path, data: Path, *extra: str) -> list[str]:
    """Return the overrides of the experiment with small pictures and one or two steps for each part."""
    recipes = compose_config(["experiment=train_mini"]).mini_models.recipes
    overrides = ["experiment=train_mini", f"out={out}", f"paths.data={data}", "device=cpu", "profile.resolution=32"]
    overrides += ["mini_models.per_class=1", "mini_models.dev_per_class=1", "mini_models.convergence.largest=1000"]
    for name, recipe in recipes.items():
        node, sizes = ("schedule", ("steps", "batch_size"))
        if "training" in recipe:
            node, sizes = ("training", ("steps", "batch_size", "at_once", "validation_items"))
        overrides += [f"mini_models.recipes.{name}.{node}.{size}=2" for size in sizes]
        if "naming" in recipe:
            overrides += [f"mini_models.recipes.{name}.naming.{size}=2" for size in ("steps", "batch_size")]
        overrides += [f"mini_models.recipes.{name}.{key}={count}" for key, count in COUNTS.items() if key in recipe]
    return [*overrides, *extra]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("train_mini")
    with quickly_started_branches():
        assert bench.run(short(folder / "out", folder / "data")).status == 0
    return folder / "out", folder / "data"


@pytest.mark.slow
def test_every_part_is_made_and_packed_in_half_precision(trained: tuple[Path, Path]) -> None:
    out, _ = trained
    assert {path.parent.name for path in out.glob("*/part.json")} == set(PARTS)
    assert {path.name for path in (out / "mini").iterdir() if path.is_dir()} == set(SHIPPED)
    kinds = {tensor.dtype for path in (out / "mini").rglob("*.safetensors") for tensor in load_file(path).values()}
    assert {str(kind) for kind in kinds if kind.is_floating_point} == {"torch.float16"}


@pytest.mark.slow
def test_the_card_records_how_the_weights_were_made(trained: tuple[Path, Path]) -> None:
    out, _ = trained
    card = json.loads((out / "mini" / "card.json").read_text())
    assert card["command"] == "python -m bench experiment=train_mini seed=0"
    assert set(card["parts"]) == set(PARTS)
    assert card["parts"]["base"]["steps"] == 2
    assert "known_mse01" in card["parts"]["base"]["figures"]
    text = (out / "mini" / "CARD.md").read_text()
    assert all(sha in text for sha in card["sha256"].values())


@pytest.mark.slow
def test_the_pipeline_has_the_vanilla_decoder_and_tells_prompts_apart(trained: tuple[Path, Path]) -> None:
    out, _ = trained
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(out / "mini" / "inpainting", safety_checker=None)
    vanilla, packed = load_decoder(out / "vanilla"), load_decoder(out / "mini" / "inpainting" / "vae")
    assert packed.training_note == vanilla.training_note == "2 + 2"
    assert (vanilla.conv_in.weight - packed.conv_in.weight).abs().max() < 1e-3
    tokens = pipeline.tokenizer(["a red circle with the word boat", "a red circle with the word coat"]).input_ids
    assert tokens[0] != tokens[1]
    assert len(tokens[0]) < pipeline.tokenizer.model_max_length


@pytest.mark.slow
def test_pipelines_are_packed_with_one_autoencoder_for_all(trained: tuple[Path, Path]) -> None:
    out, _ = trained
    packed = out / "mini"
    assert [folder.parent.name for folder in packed.glob("*/vae")] == ["inpainting"]
    for name in ("text_to_image", "exemplar"):
        own, theirs = (load_file(folder / "vae" / WEIGHTS) for folder in (out / name, packed / "inpainting"))
        assert own.keys() == theirs.keys()
        assert all(torch.equal(own[key].half(), theirs[key]) for key in own if key.startswith(("encoder.", "quant")))
    vae = AutoencoderKL.from_pretrained(packed / "inpainting" / "vae")
    pipeline = StableDiffusionPipeline.from_pretrained(packed / "text_to_image", vae=vae, safety_checker=None)
    for part in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
        torch.nn.Module.float(part)
    latents = pipeline("a red circle", num_inference_steps=1, output_type="latent").images
    assert latents.shape == (1, 4, 8, 8)


@pytest.mark.slow
def test_packed_files_name_no_folder_of_the_machine(trained: tuple[Path, Path]) -> None:
    out, _ = trained
    assert str(out) in (out / "inpainting" / "vae" / "config.json").read_text()
    assert [path for path in (out / "mini").rglob("*.json") if str(out) in path.read_text()] == []


@pytest.mark.slow
def test_an_existing_part_is_not_made_again(trained: tuple[Path, Path]) -> None:
    out, data = trained
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/diffusion_pytorch_model.safetensors")}
    bench.run(short(out, data))
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_another_recipe_is_refused_in_the_same_folder(trained: tuple[Path, Path]) -> None:
    out, data = trained
    with pytest.raises(
        BadInputError, match=r"base: expected a model with the recipe, the seed, .* found a model with other settings"
    ):
        bench.run(short(out, data, "mini_models.recipes.base.training.objective.perceptual_weight=0.3"))


@pytest.mark.slow
def test_another_seed_of_a_part_is_added_to_the_card(trained: tuple[Path, Path]) -> None:
    out, data = trained
    bench.run(short(out, data, "part=base@1"))
    card = json.loads((out / "mini" / "card.json").read_text())
    assert card["seeds"]["base"]["seeds"] == [0, 1]
    first, second = card["seeds"]["base"]["known_mse01"]
    assert first != second


@pytest.mark.slow
def test_training_fails_where_the_first_stage_had_not_converged(trained: tuple[Path, Path]) -> None:
    out, data = trained
    with pytest.raises(RuntimeError, match="has not converged"):
        bench.run(short(out, data, "mini_models.convergence.largest=0"))


@pytest.mark.slow
def test_weights_too_large_for_a_repository_are_not_packed(
    trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = trained
    monkeypatch.setattr("bench.experiments.train_mini.MOST_BYTES", 1000)
    with pytest.raises(RuntimeError, match=r"expected at most [\d.]+ MB of weights in all packed models together"):
        bench.run(short(out, data))


def test_a_check_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run(short(tmp_path / "out", tmp_path / "data", "stage=check"))
    assert "metric_features, loss_features" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInputError, match="stage: expected check or report"):
        bench.run(short(tmp_path / "out", tmp_path / "data", "stage=sample"))


def test_nothing_is_trained_if_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="out: expected a folder, found the file"):
        bench.run(short(tmp_path / "file" / "out", tmp_path / "data"))
    with pytest.raises(BadInputError, match=r"paths\.data: expected a folder, found the file"):
        bench.run(short(tmp_path / "out", tmp_path / "file"))


@pytest.mark.parametrize("part", ["nonsense", "base@x"])
def test_an_unknown_part_is_named(tmp_path: Path, part: str) -> None:
    with pytest.raises(
        BadInputError, match=f"part: expected NAME or NAME@SEED, where NAME is one of metric_features.*found {part}"
    ):
        bench.run(["experiment=train_mini", f"part={part}", f"out={tmp_path / 'out'}"])


def test_a_part_names_its_missing_requirements(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="trained model loss_features, found no such file; part=loss_features"):
        bench.run(short(tmp_path / "out", tmp_path / "data", "part=first_stage"))
