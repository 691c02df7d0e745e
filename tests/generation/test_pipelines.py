"""Tests of pipelines from folders, checkpoint files and the hub's cache, which must be complete and are not fetched."""

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel

from bench.errors import BadInputError
from bench.generation import single_file
from bench.generation.clip_vocabulary import clip_tokenizer
from bench.generation.inpainting import InpaintingGenerator
from bench.generation.local_files import locate
from bench.generation.paint_by_example import PaintByExampleGenerator
from bench.generation.pipelines import INPAINTING, TEXT_TO_IMAGE, exemplar_parts, text_parts
from bench.generation.text_to_image import TextToImageGenerator
from bench.models import first_stage
from bench.models.first_stage import load_first_stage
from tests.generation import tiny

CPU = torch.device("cpu")
HUB = "somebody/some-model"
COMMIT = "0123456789012345678901234567890123456789"


def text(pipeline: Path | str, tokenizer: Path | None = None, *, channels: int = TEXT_TO_IMAGE) -> dict[str, Any]:
    return text_parts(str(pipeline), tokenizer and str(tokenizer), channels=channels, precision="float32", device=CPU)


def exemplar(pipeline: Path) -> dict[str, Any]:
    return exemplar_parts(
        str(pipeline), PaintByExampleImageEncoder, CLIPImageProcessor, precision="float32", device=CPU
    )


def same_weights(first: dict[str, Any], second: dict[str, Any], *names: str) -> bool:
    states = [[parts[name].state_dict() for name in names] for parts in (first, second)]
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in zip(*states, strict=True)
    )


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    """Return a copy of the folder of text to image that a test may damage."""
    return Path(shutil.copytree(folders["text"], tmp_path / "copy"))


@pytest.fixture
def tiny_configs(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checkpoint files hold tiny models."""
    monkeypatch.setattr(single_file, "CONFIGS", folders["configs"])
    monkeypatch.setattr(first_stage, "AUTOENCODER", folders["configs"] / "vae" / "config.json")


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_a_pipeline_of_another_kind_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(
        BadInputError,
        match=r"^generator\.pipeline: .*text: expected a UNet with 9 input channels \(inpainting\), "
        r"found a UNet with 4 \(text to image\)$",
    ):
        InpaintingGenerator(str(folders["text"]), "", steps=1, guidance_scale=1.0, eta=0.0, device=CPU)
    with pytest.raises(BadInputError, match=r"expected a UNet with 4 .*found a UNet with 9 \(inpainting\)$"):
        TextToImageGenerator(str(folders["inpainting"]), steps=1, guidance_scale=1.0, device=CPU)
    with pytest.raises(BadInputError, match=r"expected a UNet with 9 .*found a UNet with 4 \(text to image\)$"):
        PaintByExampleGenerator(str(folders["text"]), steps=1, guidance_scale=1.0, device=CPU)
    with pytest.raises(
        BadInputError, match=r"exemplar: expected the file text_encoder/config\.json, found no such file$"
    ):
        text(folders["exemplar"], channels=INPAINTING)
    with pytest.raises(
        BadInputError, match=r"inpainting: expected the file feature_extractor/preprocessor.*, found no such file$"
    ):
        exemplar(folders["inpainting"])


@pytest.mark.blackbox
@pytest.mark.parametrize(
    "missing", ["model_index.json", "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"]
)
def test_a_missing_file_is_named(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(BadInputError, match=rf"^generator\.pipeline: .*{missing}") as caught:
        text(copy)
    assert str(copy) in str(caught.value)


@pytest.mark.blackbox
def test_a_folder_without_weights_is_refused(copy: Path) -> None:
    (copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"^generator\.pipeline: .*/unet does not load \("):
        text(copy)


@pytest.mark.blackbox
@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_truncated_weights_are_refused(copy: Path, part: str) -> None:
    (copy / part).write_bytes((copy / part).read_bytes()[:2000])
    with pytest.raises(BadInputError, match=rf"^generator\.pipeline: .*/{part.split('/')[0]} does not load \("):
        text(copy)


@pytest.mark.blackbox
@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_a_missing_weight_is_not_initialised_at_random(copy: Path, part: str) -> None:
    tensors = load_file(copy / part)
    del tensors[next(name for name in tensors if name.endswith("norm2.bias"))]
    save_file(tensors, copy / part, metadata={"format": "pt"})
    with pytest.raises(BadInputError, match=rf"^generator\.pipeline: .*/{part.split('/')[0]}"):
        text(copy)


@pytest.mark.blackbox
def test_weights_only_in_half_precision_are_accepted(copy: Path, folders: dict[str, Path]) -> None:
    for weights in list(copy.glob("*/*.safetensors")):
        half = {name: tensor.half() for name, tensor in load_file(weights).items()}
        save_file(half, weights.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})
        weights.unlink()
    parts, whole = text(copy), text(folders["text"])
    for name in ("vae", "unet", "text_encoder"):
        for tensor, other in zip(parts[name].parameters(), whole[name].parameters(), strict=True):
            assert torch.equal(tensor, other.half().float())


@pytest.mark.blackbox
def test_pickled_weights_load_without_a_warning_and_damaged_ones_are_refused(
    copy: Path, folders: dict[str, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    names = {"model.safetensors": "pytorch_model.bin"}
    for weights in list(copy.glob("*/*.safetensors")):
        torch.save(load_file(weights), weights.with_name(names.get(weights.name, f"{weights.stem}.bin")))
        weights.unlink()
    parts = text(copy)
    load_first_stage(copy / "vae")
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert same_weights(parts, text(folders["text"]), "vae", "unet", "text_encoder")
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"broken")
    with pytest.raises(BadInputError, match="unet does not load"):
        text(copy)


@pytest.mark.blackbox
def test_text_encoders_of_older_transformers_load(copy: Path, folders: dict[str, Path]) -> None:
    """Published encoders have tensors one level deeper and contain position ids."""
    weights = copy / "text_encoder" / "model.safetensors"
    older = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in load_file(weights).items()}
    older["text_model.embeddings.position_ids"] = torch.arange(tiny.LENGTH)[None]
    save_file(older, weights, metadata={"format": "pt"})
    assert same_weights(text(copy), text(folders["text"]), "text_encoder")


@pytest.mark.blackbox
def test_image_encoders_of_older_transformers_load(tmp_path: Path, folders: dict[str, Path]) -> None:
    """The published Paint-by-Example has such an encoder in a pickled file."""
    copy = shutil.copytree(folders["exemplar"], tmp_path / "copy")
    weights = copy / "image_encoder" / "model.safetensors"
    older = {
        f"model.vision_model.{name.removeprefix('model.').removeprefix('vision_model.')}"
        if name.startswith("model.")
        else name: tensor
        for name, tensor in load_file(weights).items()
    }
    older["model.vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    torch.save(older, copy / "image_encoder" / "pytorch_model.bin")
    weights.unlink()
    assert same_weights(exemplar(copy), exemplar(folders["exemplar"]), "image_encoder")


@pytest.mark.blackbox
def test_older_settings_of_the_image_processor_load(tmp_path: Path, folders: dict[str, Path]) -> None:
    copy = shutil.copytree(folders["exemplar"], tmp_path / "copy")
    path = copy / "feature_extractor" / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    del settings["image_processor_type"]
    older = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 16, "crop_size": 16}
    path.write_text(json.dumps({**settings, **older}))
    items = tiny.items(2)
    latents = [
        PaintByExampleGenerator(str(folder), steps=1, guidance_scale=2.0, device=CPU).sample(items, 0)
        for folder in (copy, folders["exemplar"])
    ]
    assert torch.equal(*latents)


# --- tokenizers ------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_a_tokenizer_of_two_files_is_accepted_with_the_encoders_length(copy: Path, folders: dict[str, Path]) -> None:
    model = json.loads((copy / "tokenizer" / "tokenizer.json").read_text())["model"]
    for file in (copy / "tokenizer").iterdir():
        file.unlink()
    (copy / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(pair) for pair in model["merges"]]
    (copy / "tokenizer" / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    older, newer = text(copy)["tokenizer"], text(folders["text"])["tokenizer"]
    assert older.model_max_length == newer.model_max_length == tiny.LENGTH
    assert older("two dogs").input_ids == newer("two dogs").input_ids


@pytest.mark.blackbox
def test_a_tokenizer_of_another_text_encoder_is_refused(copy: Path) -> None:
    config = copy / "text_encoder" / "config.json"
    text_settings = {**json.loads(config.read_text()), "vocab_size": 50}
    config.write_text(json.dumps(text_settings))
    weights = copy / "text_encoder" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("token_embedding.weight"))
    save_file({**tensors, name: tensors[name][:50].clone()}, weights, metadata={"format": "pt"})
    with pytest.raises(
        BadInputError, match=r"^generator\.tokenizer: .*expected at most 50 tokens, .*, found \d+ tokens$"
    ):
        text(copy)


@pytest.mark.blackbox
def test_a_folder_without_a_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(BadInputError, match=r"^generator\.tokenizer: .*expected tokenizer\.json, or vocab\.json"):
        text(copy)


# --- the hub's cache -------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_an_uncached_hub_id_is_refused_with_the_way_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        BadInputError,
        match=rf"^generator\.pipeline: .*found {HUB}, which is none of these; .*, `hf download {HUB}` fetches its",
    ):
        text(HUB)
    with pytest.raises(
        BadInputError, match=rf"found {HUB}@{COMMIT}, which .*, `hf download {HUB} --revision {COMMIT}` fetches"
    ):
        text(f"{HUB}@{COMMIT}")


@pytest.mark.blackbox
def test_a_cached_hub_id_is_resolved_to_its_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]
) -> None:
    repository = tmp_path / f"models--{HUB.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = shutil.copytree(folders["text"], repository / "snapshots" / COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert locate(HUB) == locate(f"{HUB}@{COMMIT}") == snapshot
    assert same_weights(text(HUB), text(folders["text"]), "vae", "unet", "text_encoder")


@pytest.mark.blackbox
@pytest.mark.parametrize("name", ["/no/such/folder", "nothing", "one/two/three", "some/file.ckpt"])
def test_a_missing_pipeline_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInputError, match=rf"^generator\.pipeline: expected a folder, .*found {name}, which"):
        text(name)


# --- one checkpoint file ---------------------------------------------------------------------------------------------


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize("ending", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("kind", ["text", "inpainting"])
def test_a_checkpoint_file_gives_the_same_latents_as_the_folder(
    folders: dict[str, Path], tmp_path: Path, ending: str, kind: str
) -> None:
    path, items = tmp_path / f"model{ending}", tiny.items(2)
    tensors = tiny.original_layout({"text": 4, "inpainting": 9}[kind])
    if ending == ".ckpt":
        torch.save({"state_dict": tensors, "global_step": 1}, path)
    else:
        save_file(tensors, path)
    made: Any = TextToImageGenerator if kind == "text" else InpaintingGenerator
    more = {} if kind == "text" else {"prompt": "two dogs", "eta": 1.0}
    latents = [
        made(str(place), steps=2, guidance_scale=3.0, device=CPU, tokenizer=tokenizer, **more).sample(items, 0)
        for place, tokenizer in ((path, str(folders[kind] / "tokenizer")), (folders[kind], None))
    ]
    assert torch.equal(*latents)


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize("channels", [TEXT_TO_IMAGE, INPAINTING])
def test_raw_weights_are_used_if_a_file_holds_a_moving_average_too(
    folders: dict[str, Path], tmp_path: Path, channels: int
) -> None:
    tokenizer, raw = folders["text"] / "tokenizer", tiny.original_layout(channels)
    average = {
        f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor + 1
        for name, tensor in raw.items()
        if name.startswith("model.diffusion_model.")
    }
    assert len(average) > 100  # from where on diffusers takes them for a moving average
    save_file(raw, tmp_path / "raw.safetensors")
    save_file({**raw, **average, "model_ema.decay": torch.ones(1)}, tmp_path / "both.safetensors")
    alone, both = (text(tmp_path / f"{name}.safetensors", tokenizer, channels=channels) for name in ("raw", "both"))
    assert same_weights(alone, both, "unet")
    assert both["unet_weights"].startswith("raw, ")
    assert "the file contains no moving average" in alone["unet_weights"]


@pytest.mark.blackbox
def test_the_kind_of_unet_weights_is_reported_only_if_a_folder_has_both(copy: Path) -> None:
    assert text(copy)["unet_weights"] == "raw or a moving average (EMA): the folder does not say which"
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".non_ema.safetensors"))
    assert text(copy)["unet_weights"].startswith("the moving average (EMA)")


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", ["text", "inpainting", "exemplar"])
def test_a_generator_reports_which_unet_weights_it_uses(folders: dict[str, Path], kind: str) -> None:
    made: Any = {
        "text": TextToImageGenerator,
        "inpainting": InpaintingGenerator,
        "exemplar": PaintByExampleGenerator,
    }[kind]
    more = {"prompt": "two dogs", "eta": 1.0} if kind == "inpainting" else {}
    generator = made(str(folders[kind]), steps=1, guidance_scale=1.0, device=CPU, **more)
    assert generator.unet_weights == "raw or a moving average (EMA): the folder does not say which"


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
def test_a_checkpoint_file_takes_the_tokenizer_of_clip(folders: dict[str, Path], tmp_path: Path) -> None:
    save_file(tiny.original_layout(4), tmp_path / "model.safetensors")
    with pytest.raises(
        BadInputError, match=r"^generator\.tokenizer: null, .*: expected at most 120 tokens, .*, found 49408 tokens$"
    ):
        text(tmp_path / "model.safetensors")  # the tiny text encoder knows fewer tokens
    with pytest.raises(BadInputError, match=r"^generator\.tokenizer: .*unet: expected tokenizer\.json, or vocab\.json"):
        text(tmp_path / "model.safetensors", folders["text"] / "unet")


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
def test_a_checkpoint_file_gives_the_first_stage_and_the_decoder_of_the_folder(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": tiny.original_layout(9)}, path)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found, expected = (load_first_stage(one) for one in (path, folders["inpainting"] / "vae"))
    assert torch.equal(found.latents(image), expected.latents(image))
    torch.save({"state_dict": {"weight": torch.ones(1)}}, path)
    with pytest.raises(
        BadInputError,
        match="expected Stable Diffusion 1 in the original layout, found no tensors whose names begin with first_stage",
    ):
        load_first_stage(path)


@pytest.mark.reference
@pytest.mark.parametrize(
    "sentence", ["photograph of a beautiful empty scene, highest quality settings", "A man's 2 cafés!! 日本"]
)
def test_the_tokens_of_clip_equal_those_of_open_clip(sentence: str) -> None:
    theirs = [token for token in open_clip.get_tokenizer("ViT-B-32")([sentence])[0].tolist() if token]
    assert clip_tokenizer()(sentence).input_ids == theirs


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
def test_a_checkpoint_file_of_another_kind_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    path, tokenizer = tmp_path / "model.safetensors", folders["text"] / "tokenizer"
    save_file(tiny.original_layout(9), path)
    with pytest.raises(
        BadInputError, match=r"model\.safetensors: expected a UNet with 4 .*found a UNet with 9 \(inpainting\)$"
    ):
        text(path, tokenizer)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(BadInputError, match=r"model\.safetensors: expected Stable Diffusion 1 in the original layout"):
        text(path, tokenizer)


@pytest.mark.blackbox
@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.diffusion_model.out.2.bias", "unet"),
        ("first_stage_model.quant_conv.bias", "vae"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.bias", "text_encoder"),
    ],
)
def test_a_checkpoint_file_without_a_weight_is_refused(
    folders: dict[str, Path], tmp_path: Path, name: str, part: str
) -> None:
    tensors = tiny.original_layout(4)
    del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BadInputError, match=rf"expected the {part} of Stable Diffusion 1, found one with 1 missing \("):
        text(tmp_path / "model.safetensors", folders["text"] / "tokenizer")


@pytest.mark.blackbox
def test_a_checkpoint_of_tiny_size_is_refused_as_stable_diffusion(folders: dict[str, Path], tmp_path: Path) -> None:
    save_file(tiny.original_layout(4), tmp_path / "model.safetensors")
    with pytest.raises(BadInputError, match=r"expected .*Stable Diffusion 1, found"):
        text(tmp_path / "model.safetensors", folders["text"] / "tokenizer")


@pytest.mark.reference
def test_shipped_settings_have_stable_diffusions_numbers_of_parameters() -> None:
    """The expected numbers are those of CompVis/stable-diffusion's own classes with `v1-inference.yaml`."""
    settings = {
        name: json.loads((single_file.CONFIGS / name / "config.json").read_text())
        for name in ("vae", "unet", "text_encoder")
    }
    with init_empty_weights():
        networks = {
            "vae": AutoencoderKL.from_config(settings["vae"]),
            "unet": UNet2DConditionModel.from_config(settings["unet"]),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_dict(settings["text_encoder"])),
        }
    counts = {name: sum(weight.numel() for weight in network.parameters()) for name, network in networks.items()}
    assert counts == {"vae": 83_653_863, "unet": 859_520_964, "text_encoder": 123_060_480}
