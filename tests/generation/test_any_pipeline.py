"""Tests of the generator of pipelines in any latent space, compared with diffusers' own pipelines on tiny models."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.config.opened_files import opened_files
from bench.data.items import Item
from bench.errors import BadInputError
from bench.generation.any_pipeline import PipelineGenerator
from bench.generation.decoding import Decoded
from bench.generation.generator import float_images, image_batch, mask_batch, noise_sources
from bench.generation.method import Batch
from bench.generation.pipeline_kinds import KINDS
from bench.models import Decoder, DecoderConfig, load_decoder, save_decoder
from bench.runtime.libraries import quiet
from tests.generation import tiny
from tests.generation.tiny_editors import CHANNELS, FLUX, WRITERS, XL

CPU = torch.device("cpu")
SIDE = tiny.RESOLUTION // tiny.FACTOR
NAMES = (XL, FLUX)


@pytest.fixture(scope="module")
def editors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the tiny pipelines, and return their folders by the class of the pipeline."""
    root = tmp_path_factory.mktemp("editors")
    return {name: write(root / name) for name, write in WRITERS.items()}


@pytest.fixture
def copy(editors: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a pipeline, so that a test may damage it."""
    return lambda name: Path(shutil.copytree(editors[name], tmp_path / name))


def generator(folder: Path, **options: Any) -> PipelineGenerator:
    settings: dict[str, Any] = {"steps": 3, "guidance_scale": 4.0, "device": CPU, **options}
    return PipelineGenerator(str(folder), "a tree", **settings)


@pytest.fixture(scope="module")
def shared(editors: dict[str, Path]) -> Callable[..., PipelineGenerator]:
    """Return a function that loads a generator once for all tests that only sample, encode or decode with it."""
    return cache(lambda name, **options: generator(editors[name], **options))


def run_diffusers(folder: Path, items: list[Item], *, output: str, image: Tensor | None = None, **options: Any) -> Any:
    """Run the pipeline in a folder by diffusers alone, with the noise of the items for the seed 0."""
    name = json.loads((folder / "model_index.json").read_text())["_class_name"]
    with quiet():
        pipeline = getattr(diffusers, name).from_pretrained(folder, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        settings = {"num_inference_steps": 3, "guidance_scale": 4.0, "strength": 1.0, **options}
        made = pipeline(
            prompt=["a tree"] * len(items),
            image=image_batch(items) / 255 if image is None else image,
            mask_image=mask_batch(items),
            height=tiny.RESOLUTION,
            width=tiny.RESOLUTION,
            generator=noise_sources(items, 0),
            output_type=output,
            **settings,
        ).images
    packed = output == "latent" and made.ndim == 3
    return pipeline._unpack_latents(made, tiny.RESOLUTION, tiny.RESOLUTION, tiny.FACTOR) if packed else made


def decoded(decoder: Any, made: PipelineGenerator, latents: Tensor, items: list[Item], *, shown: bool) -> Tensor:
    image = float_images(image_batch(items))
    batch = Batch(tuple(item.id for item in items), made.decodable(latents), image, mask_batch(items), None, None)
    return Decoded(decoder, conditioned=shown)(batch)


def nan_weights(part: Path) -> None:
    (file,) = part.glob("*.safetensors")
    tensors = load_file(file)
    tensors[min(tensors)].view(-1)[0] = math.nan
    save_file(tensors, file, metadata={"format": "pt"})


# --- latents ----------------------------------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_latents_equal_those_of_diffusers(
    editors: dict[str, Path], shared: Callable[..., PipelineGenerator], name: str
) -> None:
    items = tiny.items()
    latents = shared(name).sample(items, 0)
    assert latents.shape == (3, CHANNELS[name], SIDE, SIDE)
    assert latents.dtype == torch.float32
    expected = run_diffusers(editors[name], items, output="latent")
    torch.testing.assert_close(latents, expected, rtol=0, atol=1e-6)  # the same operations


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_a_smaller_strength_starts_from_the_known_pixels(
    editors: dict[str, Path], shared: Callable[..., PipelineGenerator], name: str
) -> None:
    items = tiny.items(2)
    latents = shared(name, strength=0.5, steps=4).sample(items, 0)
    hidden = torch.where(mask_batch(items) > 0, 0.5, image_batch(items) / 255)
    options = {"strength": 0.5, "num_inference_steps": 4}
    expected = run_diffusers(editors[name], items, output="latent", image=hidden, **options)
    torch.testing.assert_close(latents, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(latents, shared(name, steps=4).sample(items, 0), atol=0.01)


@pytest.mark.property
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_pixels_of_the_hole_do_not_change_latents(
    shared: Callable[..., PipelineGenerator], name: str, strength: float
) -> None:
    made, (item, *_) = shared(name, strength=strength), tiny.items()
    image = item.image.copy()
    image[item.mask == 1] = 7
    assert torch.equal(made.sample([replace(item, image=image)], 0), made.sample([item], 0))
    image[item.mask == 0] = 7
    assert not torch.allclose(made.sample([replace(item, image=image)], 0), made.sample([item], 0), atol=1e-4)


@pytest.mark.property
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_latents_do_not_depend_on_the_batch(
    shared: Callable[..., PipelineGenerator], name: str, strength: float
) -> None:
    made, items = shared(name, strength=strength), tiny.items()
    together = made.sample(items, 0)
    apart = torch.cat([made.sample(items[2:], 0), made.sample(items[:1], 0), made.sample(items[1:2], 0)])
    torch.testing.assert_close(together[[2, 0, 1]], apart, rtol=0, atol=1e-4)  # convolutions of other batch sizes


@pytest.mark.property
@pytest.mark.parametrize("name", NAMES)
def test_latents_depend_on_the_seed_the_id_the_mask_and_the_prompt(editors: dict[str, Path], name: str) -> None:
    made, (item, *_) = generator(editors[name]), tiny.items()
    first = made.sample([item], 0)
    assert torch.equal(made.sample([item], 0), first)
    assert torch.equal(made.sample([replace(item, caption="two dogs")], 0), first)
    mask = np.ones_like(item.mask)
    for other in (made.sample([item], 1), made.sample([replace(item, id="another")], 0)):
        assert not torch.allclose(other, first, atol=1e-2)
    assert not torch.allclose(made.sample([replace(item, mask=mask)], 0), first, atol=1e-5)
    made.prompt = "two dogs"
    assert not torch.allclose(made.sample([item], 0), first, atol=1e-5)


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_half_precision_changes_latents_little(editors: dict[str, Path], name: str, strength: float) -> None:
    """The first stage stays in float32, although the pipelines' own code expects equal types."""
    items = tiny.items(1)
    whole, half = (
        generator(editors[name], strength=strength, precision=precision) for precision in ("float32", "bfloat16")
    )
    # Noise in bfloat16 differs from noise in float32, so only the spread of the latents can be compared.
    spreads = [made.sample(items, 0).std().item() for made in (whole, half)]
    assert spreads[1] == pytest.approx(spreads[0], rel=0.2)
    assert half._loaded.denoiser.dtype == torch.bfloat16
    assert half.first_stage.network.dtype == torch.float32


# --- encoding and decoding --------------------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_the_vanilla_decoder_makes_the_picture_of_the_pipeline(
    editors: dict[str, Path], shared: Callable[..., PipelineGenerator], name: str
) -> None:
    made, items = shared(name), tiny.items(2)
    image = decoded(load_decoder(editors[name] / "vae"), made, made.sample(items, 0), items, shown=False)
    expected = run_diffusers(editors[name], items, output="pt")
    torch.testing.assert_close((image / 2 + 0.5).clamp(0, 1), expected, rtol=0, atol=1e-5)  # other kernels
    assert (expected > 0).float().mean() > 0.5  # otherwise the clamp would hide differences


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_encoded_images_have_the_scale_of_the_pipeline(
    editors: dict[str, Path], shared: Callable[..., PipelineGenerator], name: str
) -> None:
    made, items = shared(name), tiny.items(2)
    network = diffusers.AutoencoderKL.from_pretrained(editors[name] / "vae", local_files_only=True)
    image = float_images(image_batch(items))
    with torch.no_grad():
        mean = network.encode(image).latent_dist.mean
        expected = network.decode(mean).sample
    encoded = made.encode(image_batch(items))
    shift = network.config.shift_factor or 0.0
    torch.testing.assert_close(encoded, (mean - shift) * network.config.scaling_factor)
    torch.testing.assert_close(made.encode(image), encoded, rtol=0, atol=0)
    image = decoded(load_decoder(editors[name] / "vae"), made, encoded, items, shown=False)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)


@pytest.mark.blackbox
@pytest.mark.parametrize("name", NAMES)
def test_an_asymmetric_decoder_of_the_space_decodes_the_latents(
    shared: Callable[..., PipelineGenerator], name: str, tmp_path: Path
) -> None:
    made, items = shared(name), tiny.items(2)
    torch.manual_seed(0)
    config = DecoderConfig(channels=(8, 8, 8), layers=1, groups=4, latent_channels=CHANNELS[name])
    save_decoder(Decoder(config), tmp_path / "base")
    latents, decoder = made.sample(items, 0), load_decoder(tmp_path / "base")
    known, unknown = (decoded(decoder, made, latents, items, shown=shown) for shown in (True, False))
    assert known.shape == unknown.shape == (2, 3, tiny.RESOLUTION, tiny.RESOLUTION)
    assert not torch.allclose(known, unknown, atol=1e-3)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.blackbox
def test_an_unknown_class_is_refused_with_the_known_ones(folders: dict[str, Path]) -> None:
    known = ", ".join(KINDS)
    with pytest.raises(
        BadInputError,
        match=rf"^generator\.pipeline: .*model_index\.json: _class_name: expected one of {known}, "
        r"found StableDiffusionInpaintPipeline$",
    ):
        generator(folders["inpainting"])
    with pytest.raises(BadInputError, match=r"^generator\.pipeline: .*found no model_index\.json in "):
        generator(folders["inpainting"] / "vae")


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("name", "part"),
    [(XL, "text_encoder_2"), (XL, "unet"), (XL, "vae"), (FLUX, "transformer"), (FLUX, "scheduler"), (FLUX, "vae")],
)
def test_a_missing_part_is_named(copy: Callable[[str], Path], name: str, part: str) -> None:
    folder = copy(name)
    shutil.rmtree(folder / part)
    with pytest.raises(BadInputError, match=rf"^generator\.pipeline: .*{name}: expected the file {part}/\w+\.json, "):
        generator(folder)


@pytest.mark.blackbox
@pytest.mark.parametrize(("name", "wanted"), [(XL, "vocab.json and merges.txt"), (FLUX, "spiece.model")])
def test_a_missing_tokenizer_is_named(copy: Callable[[str], Path], name: str, wanted: str) -> None:
    folder = copy(name)
    shutil.rmtree(folder / "tokenizer_2")
    with pytest.raises(
        BadInputError, match=rf"^generator\.tokenizer: .*tokenizer_2: expected tokenizer.json, or {wanted}, found nei"
    ):
        generator(folder)


@pytest.mark.blackbox
@pytest.mark.parametrize(("name", "part"), [(XL, "unet"), (XL, "vae"), (FLUX, "transformer"), (FLUX, "text_encoder_2")])
def test_weights_that_are_not_finite_are_refused(copy: Callable[[str], Path], name: str, part: str) -> None:
    folder = copy(name)
    nan_weights(folder / part)
    with pytest.raises(BadInputError, match=rf"/{part}: expected finite weights, found NaN or infinite weights in "):
        generator(folder)


def changed(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


@pytest.mark.blackbox
def test_a_part_of_another_kind_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy(FLUX)
    changed(folder / "scheduler" / "scheduler_config.json", _class_name="UNet2DModel")
    with pytest.raises(BadInputError, match=r"_class_name: expected a scheduler of diffusers, found UNet2DModel$"):
        generator(folder)
    changed(folder / "scheduler" / "scheduler_config.json", _class_name="NoSuchScheduler")
    with pytest.raises(BadInputError, match=r"_class_name: expected a scheduler of diffusers, found NoSuchScheduler$"):
        generator(folder)
    changed(folder / "vae" / "config.json", _class_name="AutoencoderTiny")
    with pytest.raises(BadInputError, match=r"_class_name: expected AutoencoderKL, found AutoencoderTiny$"):
        generator(folder)


@pytest.mark.blackbox
def test_a_network_without_inputs_for_the_known_pixels_is_refused(tmp_path: Path) -> None:
    folder = WRITERS[FLUX](tmp_path / "flux")
    torch.manual_seed(0)
    config = json.loads((folder / "transformer" / "config.json").read_text())
    diffusers.FluxTransformer2DModel.from_config({**config, "in_channels": 64}).save_pretrained(folder / "transformer")
    with pytest.raises(BadInputError, match=r"transformer/config\.json: in_channels: expected 192, .*, found 64$"):
        generator(folder)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, r"generator\.steps: expected a whole number of 1 or more, found 0"),
        ({"strength": 0.0}, r"generator\.strength: expected a number in \(0, 1\], found 0\.0"),
        ({"strength": 1.5}, r"generator\.strength: expected a number in \(0, 1\], found 1\.5"),
        ({"strength": 0.2}, r"generator\.steps: expected 5 or more, so that a strength of 0\.2 leaves one .*, found 3"),
        ({"precision": "half"}, r"generator\.precision: expected one of float32, .*, found half"),
    ],
)
def test_a_value_out_of_its_range_is_refused(editors: dict[str, Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=f"^{message}$"):
        generator(editors[XL], **options)


@pytest.mark.blackbox
def test_images_that_the_pipeline_would_resize_are_refused(shared: Callable[..., PipelineGenerator]) -> None:
    item = tiny.items(1)[0]
    cut = replace(item, image=item.image[:28, :28], mask=item.mask[:28, :28])
    made = shared(FLUX)
    with pytest.raises(BadInputError, match=r"^profile\.resolution: expected a multiple of 8 .*, found items of 28×28"):
        made.sample([cut], 0)


@pytest.mark.blackbox
def test_noise_that_all_items_share_is_refused(tmp_path: Path) -> None:
    folder = WRITERS[FLUX](tmp_path / "flux", stochastic_sampling=True)
    with pytest.raises(BadInputError, match=r"scheduler_config\.json: expected a scheduler whose noise .* separately"):
        generator(folder).sample(tiny.items(2), 0)


@pytest.mark.blackbox
def test_the_key_of_stored_latents_contains_every_part(editors: dict[str, Path]) -> None:
    for name, folder in editors.items():
        parts = {file.relative_to(folder).parts[0] for file in opened_files(folder)}
        kind = KINDS[name]
        assert parts == {"model_index.json", "scheduler", "vae", kind.denoiser, *kind.encoders, *kind.tokenizers}
