"""Tests of the contract of generators on tiny models: noise by item, conditions and options."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.generation.compiling import compile_forward
from bench.generation.generator import image_batch, noise_sources, start_noise
from bench.generation.inpainting import InpaintingGenerator
from bench.generation.paint_by_example import PaintByExampleGenerator
from bench.generation.reconstruction import ReconstructionGenerator
from bench.generation.schedulers import under_autocast
from bench.generation.text_to_image import TextToImageGenerator
from tests.generation import tiny

CPU = torch.device("cpu")
SIDE = tiny.RESOLUTION // tiny.FACTOR
KINDS = ("inpainting", "text", "exemplar")


def generator(folders: dict[str, Path], kind: str, **options: Any) -> Any:
    settings: dict[str, Any] = {"steps": 3, "guidance_scale": 2.0, "device": CPU, **options}
    if kind == "inpainting":
        return InpaintingGenerator(str(folders[kind]), **{"prompt": "a tree", "eta": 1.0, **settings})
    made = {"text": TextToImageGenerator, "exemplar": PaintByExampleGenerator}[kind]
    return made(str(folders[kind]), **settings)


def seen_by_unet(made: Any, items: Sequence[Any]) -> list[Tensor]:
    """Return the inputs of the UNet at every step, with the unconditional half first."""
    inputs: list[Tensor] = []
    hook = made._pipeline.unet.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].clone()))
    made.sample(items, 0)
    hook.remove()
    return inputs


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_latents_do_not_depend_on_the_batch(folders: dict[str, Path], kind: str) -> None:
    made, items = generator(folders, kind), tiny.items()
    together = made.sample(items, 0)
    assert together.shape == (3, 4, SIDE, SIDE)
    assert together.dtype == torch.float32
    apart = torch.cat([made.sample(items[2:], 0), made.sample(items[:1], 0), made.sample(items[1:2], 0)])
    torch.testing.assert_close(together[[2, 0, 1]], apart, rtol=0, atol=1e-5)  # convolutions of other batch sizes


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_latents_depend_on_the_seed_and_the_id(folders: dict[str, Path], kind: str) -> None:
    made, (item, *_) = generator(folders, kind), tiny.items()
    first = made.sample([item], 0)
    assert torch.equal(made.sample([item], 0), first)
    assert not torch.allclose(made.sample([item], 1), first, atol=1e-2)
    assert not torch.allclose(made.sample([replace(item, id="another")], 0), first, atol=1e-2)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("kind", "condition", "other"),
    [
        ("text", "caption", "a tree on a hill"),
        ("exemplar", "exemplar", np.zeros((20, 31, 3), np.uint8)),
        ("exemplar", "image", np.zeros((tiny.RESOLUTION, tiny.RESOLUTION, 3), np.uint8)),
        ("inpainting", "image", np.zeros((tiny.RESOLUTION, tiny.RESOLUTION, 3), np.uint8)),
        ("inpainting", "mask", np.ones((tiny.RESOLUTION, tiny.RESOLUTION), np.uint8)),
    ],
)
def test_the_condition_changes_latents(folders: dict[str, Path], kind: str, condition: str, other: Any) -> None:
    made, (item, *_) = generator(folders, kind), tiny.items()
    changed = replace(item, **{condition: other})
    assert not torch.allclose(made.sample([changed], 0), made.sample([item], 0), atol=1e-5)


@pytest.mark.property
@pytest.mark.parametrize("kind", ["inpainting", "exemplar"])
def test_pixels_of_the_hole_do_not_change_latents(folders: dict[str, Path], kind: str) -> None:
    made, (item, *_) = generator(folders, kind), tiny.items()
    image = item.image.copy()
    image[item.mask == 1] = 7
    assert torch.equal(made.sample([replace(item, image=image)], 0), made.sample([item], 0))


@pytest.mark.blackbox
def test_inpainting_uses_its_fixed_prompt_instead_of_the_caption(folders: dict[str, Path]) -> None:
    made, (item, *_) = generator(folders, "inpainting"), tiny.items()
    first = made.sample([item], 0)
    assert torch.equal(made.sample([replace(item, caption="two dogs")], 0), first)
    made.prompt = "two dogs"
    assert not torch.allclose(made.sample([item], 0), first, atol=1e-5)


@pytest.mark.reference
def test_a_shared_start_equals_the_released_scripts_noise(folders: dict[str, Path]) -> None:
    items = tiny.items(2)
    released = np.random.RandomState(0).randn(1, 4, SIDE, SIDE).astype(np.float32)
    shared = seen_by_unet(generator(folders, "inpainting", start_noise="shared"), items)[0][:2, :4]
    np.testing.assert_array_equal(shared, np.concatenate([released, released]))
    own = seen_by_unet(generator(folders, "inpainting"), items)[0][:2, :4]
    assert torch.equal(own, start_noise(noise_sources(items, 0), (4, SIDE, SIDE)))


def step_noise(made: Any, items: Sequence[Any]) -> Tensor:
    """Return the noise of the first DDIM step; with a UNet that predicts zero, the rest of the step only scales."""
    hook = made._pipeline.unet.register_forward_hook(lambda _, __, output: (torch.zeros_like(output[0]),))
    before, after = (seen[: len(items), :4] for seen in seen_by_unet(made, items))
    hook.remove()
    cumulative = made._pipeline.scheduler.alphas_cumprod[made._pipeline.scheduler.timesteps]
    return after - (cumulative[1] / cumulative[0]).sqrt() * before


@pytest.mark.property
def test_the_noise_of_the_steps_is_drawn_per_item_for_any_start(folders: dict[str, Path]) -> None:
    items = tiny.items(2)
    own, shared = (
        step_noise(generator(folders, "inpainting", start_noise=start, steps=2), items) for start in ("item", "shared")
    )
    torch.testing.assert_close(own, shared, rtol=0, atol=1e-5)
    assert own[0].std() > 0.02
    assert abs(torch.corrcoef(torch.stack([own[0].flatten(), own[1].flatten()]))[0, 1]) < 0.3  # of 256 values
    none = step_noise(generator(folders, "inpainting", steps=2, eta=0.0), items)
    torch.testing.assert_close(none, torch.zeros_like(none), rtol=0, atol=1e-5)


@pytest.mark.blackbox
def test_samplers_differ_and_start_from_the_items_noise(folders: dict[str, Path]) -> None:
    items = tiny.items(2)
    made = {name: generator(folders, "text", scheduler=name) for name in ("plms", "ddim")}
    starts = [seen_by_unet(one, items)[0][:2] for one in made.values()]
    assert torch.equal(starts[0], starts[1])
    assert not torch.allclose(made["plms"].sample(items, 0), made["ddim"].sample(items, 0), atol=1e-4)


@pytest.mark.blackbox
def test_the_mask_of_paint_by_example_is_resized_bilinearly_with_soft_edges(folders: dict[str, Path]) -> None:
    item = tiny.items(1)[0]
    known = 1 - item.mask.astype(np.float32)
    soft = seen_by_unet(generator(folders, "exemplar"), [item])[0][0, 8].numpy()
    # Between the two pixels in the middle of each four, along both sides.
    expected = sum(known[row :: tiny.FACTOR, column :: tiny.FACTOR] for row in (1, 2) for column in (1, 2)) / 4
    np.testing.assert_allclose(soft, expected, atol=1e-6)
    assert 0.5 in soft
    hard = seen_by_unet(generator(folders, "exemplar", mask_resize="nearest"), [item])[0][0, 8].numpy()
    np.testing.assert_array_equal(hard, known[:: tiny.FACTOR, :: tiny.FACTOR])


@pytest.mark.blackbox
def test_an_exemplar_is_resized_to_the_encoders_square(folders: dict[str, Path]) -> None:
    made, (item, *_) = generator(folders, "exemplar"), tiny.items()
    wide = np.zeros((16, 64, 3), np.uint8)
    wide[:, 60:] = 255  # a centre crop would lose it
    pixels = made._examples([replace(item, exemplar=wide)])
    assert pixels.shape == (1, 3, 16, 16)
    mean, std = 0.48145466, 0.26862954
    assert pixels[0, 0, :, -1].min() > (0.9 - mean) / std
    assert pixels[0, 0, :, 0].max() == pytest.approx(-mean / std, abs=1e-5)


@pytest.mark.blackbox
@pytest.mark.parametrize(("kind", "missing"), [("text", {"caption": " "}), ("exemplar", {"exemplar": None})])
def test_an_item_without_its_condition_is_named(folders: dict[str, Path], kind: str, missing: dict[str, Any]) -> None:
    with pytest.raises(
        BadInputError, match=r"^item item 0: expected an? (caption|exemplar), found (an empty text|no exemplar)$"
    ):
        generator(folders, kind).sample(tiny.items(**missing), 0)


@pytest.mark.blackbox
def test_captions_longer_than_the_tokenizers_limit_are_cut_and_counted(folders: dict[str, Path]) -> None:
    made, (item, *_) = generator(folders, "text"), tiny.items()
    long = "a red square " * 10
    assert made.truncated([item.caption, long, ""]) == 1
    assert made.truncated([]) == 0
    fits = " ".join(["dogs"] * (tiny.LENGTH - 2))  # beside start and end
    assert made.truncated([fits]) == 0
    assert made.truncated([f"{fits} dogs"]) == 1
    latents = [made.sample([replace(item, caption=caption)], 0) for caption in (long, long + "two dogs")]
    assert torch.equal(*latents)


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_stays_close_and_excludes_the_first_stage(folders: dict[str, Path], kind: str) -> None:
    items = tiny.items(2)
    full, half = (generator(folders, kind, precision=name) for name in ("float32", "bfloat16"))
    assert half._pipeline.unet.dtype == torch.bfloat16
    latents = half.sample(items, 0)
    assert latents.dtype == torch.float32
    difference = latents - full.sample(items, 0)
    assert 0 < difference.std() < 0.05 * latents.std()  # 8 bits, over a few guided steps
    image = image_batch(items)
    assert torch.equal(half.encode(image), full.encode(image))
    assert torch.equal(half.decodable(latents), full.decodable(latents))


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_on_the_cpu_uses_full_precision(folders: dict[str, Path], kind: str) -> None:
    items = tiny.items(2)
    full, half = (generator(folders, kind, precision=name) for name in ("float32", "autocast"))
    assert torch.equal(full.sample(items, 0), half.sample(items, 0))


@pytest.mark.reference
@pytest.mark.parametrize("kind", KINDS)
def test_weights_in_half_precision_sample_what_autocast_alone_samples(folders: dict[str, Path], kind: str) -> None:
    items, tensors = tiny.items(2), generator(folders, kind)._pipeline.unet.state_dict()
    alone, once = generator(folders, kind), generator(folders, kind)
    unet = alone._pipeline.unet
    forward = unet.forward

    def cast_anew(*arguments: Any, **options: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            output = forward(*arguments, **options)
        if isinstance(output, tuple):
            return tuple(part.float() for part in output)
        output.sample = output.sample.float()
        return output

    unet.forward = cast_anew
    under_autocast(once._pipeline.unet, "cpu", torch.bfloat16)
    assert torch.equal(alone.sample(items, 0), once.sample(items, 0))
    assert once._pipeline.unet.dtype == torch.float32  # diffusers' pipelines give their inputs this type
    kinds = {name: tensor.dtype for name, tensor in once._pipeline.unet.state_dict().items()}
    full = {name for name, kind in kinds.items() if kind == torch.float32}
    assert full == {name for name in tensors if "norm" in name or name.startswith("conv_in.")}
    assert {kinds[name] for name in kinds.keys() - full} == {torch.bfloat16}


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", ["inpainting", "text"])
@pytest.mark.slow
def test_a_compiled_sampler_samples_the_same_latents(folders: dict[str, Path], kind: str) -> None:
    """The back end runs PyTorch's own operations, so that equality is exact."""
    items, graphs = tiny.items(2), []
    plain, compiled = generator(folders, kind), generator(folders, kind)

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    compile_forward(compiled._pipeline.unet, "default", backend=backend)
    assert torch.equal(compiled.sample(items, 0), plain.sample(items, 0))
    assert graphs
    assert list(compiled._pipeline.unet.state_dict()) == list(plain._pipeline.unet.state_dict())


@pytest.mark.blackbox
def test_a_network_returns_float32_under_autocast(folders: dict[str, Path]) -> None:
    """The CPU's half precision stands for a GPU; the sums of the scheduler are not rounded."""
    items = tiny.items(2)
    full, half = (generator(folders, "text") for _ in range(2))
    under_autocast(half._pipeline.unet, "cpu", torch.bfloat16)
    kinds = []
    step = half._pipeline.scheduler.step

    def noted(output: torch.Tensor, time: int, sample: torch.Tensor, **options: object) -> object:
        kinds.append((output.dtype, sample.dtype))
        return step(output, time, sample, **options)

    half._pipeline.scheduler.step = noted
    latents = half.sample(items, 0)
    assert set(kinds) == {(torch.float32, torch.float32)}
    difference = latents - full.sample(items, 0)
    assert 0 < difference.std() < 0.05 * latents.std()
    with torch.no_grad():
        output = half._pipeline.unet(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 4, tiny.WIDTH))
    assert output.sample.dtype == torch.float32


@pytest.mark.reference
@pytest.mark.parametrize("kind", KINDS)
def test_encoding_and_unscaling_equal_those_of_the_first_stage(folders: dict[str, Path], kind: str) -> None:
    made, image, vae = generator(folders, kind), image_batch(tiny.items()), tiny.first_stage().eval()
    with torch.no_grad():
        mean = vae.encode(image.float() / 127.5 - 1).latent_dist.mean
        torch.testing.assert_close(made.encode(image), mean * 0.5, rtol=0, atol=1e-6)
        torch.testing.assert_close(made.decodable(made.encode(image)), vae.post_quant_conv(mean), rtol=0, atol=1e-6)
    assert torch.equal(made.encode(image.float() / 127.5 - 1), made.encode(image))


@pytest.mark.blackbox
def test_reconstruction_replaces_the_generator(folders: dict[str, Path]) -> None:
    items = tiny.items()
    made = ReconstructionGenerator(str(folders["text"] / "vae"), device=CPU)
    diffusion = generator(folders, "text")
    latents = made.sample(items, 0)
    torch.testing.assert_close(made.decodable(latents), diffusion.decodable(diffusion.encode(image_batch(items))))
    assert torch.equal(made.sample([replace(item, id="another") for item in items], 1), latents)
    assert torch.equal(made.encode(image_batch(items).float() / 127.5 - 1), latents)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("text", {"steps": 0}, r"generator\.steps: expected a whole number of 1 or more, found 0"),
        ("exemplar", {"guidance_scale": -1.0}, r"generator\.guidance_scale: expected a number of 0 or more, found -1"),
        ("inpainting", {"eta": 2.0}, r"generator\.eta: expected a number in \[0, 1\], found 2"),
        ("inpainting", {"start_noise": "same"}, r"generator\.start_noise: expected one of item, shared, found same"),
        ("text", {"scheduler": "euler"}, r"generator\.scheduler: expected one of plms, ddim, found euler"),
        ("exemplar", {"mask_resize": "area"}, r"generator\.mask_resize: expected one of bilinear, nearest, found area"),
        (
            "text",
            {"precision": "half"},
            r"generator\.precision: expected one of float32, float16, bfloat16, autocast, found half",
        ),
        ("text", {"precision": "float16"}, r"generator\.precision: expected .* on the CPU, found float16"),
    ],
)
def test_a_value_out_of_its_range_is_named(
    folders: dict[str, Path], kind: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        generator(folders, kind, **options)


@pytest.mark.blackbox
@pytest.mark.parametrize("kind", ["text", "exemplar"])
def test_a_separate_autoencoder_replaces_that_of_the_pipeline(
    folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    whole = generator(folders, kind)
    bare = tmp_path / "bare"
    shutil.copytree(folders[kind], bare)
    (bare / "vae").rename(tmp_path / "elsewhere")
    shared = generator({kind: bare}, kind, vae=str(tmp_path / "elsewhere"))
    assert torch.equal(shared.sample(tiny.items(2), 0), whole.sample(tiny.items(2), 0))
    with pytest.raises(BadInputError, match=r"expected the file vae/config.json, found no such file"):
        generator({kind: bare}, kind)
