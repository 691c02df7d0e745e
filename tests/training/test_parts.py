"""Tests of the parts with their own pictures: their training data, and the UNet inputs of their pipelines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PaintByExamplePipeline
from torch import Tensor, nn
from transformers import CLIPImageProcessor

from bench.data.mini.captions import captions
from bench.data.mini.scenes import COLOURS, SHAPES, SIDE, Scene, Shape, draw_scene, numbered_scene
from bench.models.feature_network import FeatureNetwork
from bench.runtime.seeding import numpy_generator
from bench.training.mini.attribute_accuracy import ATTRIBUTES, accuracies, box_crops
from bench.training.mini.build import Workshop
from bench.training.mini.caption_pretraining import FACTS, UNSAID, named_facts
from bench.training.mini.clip_encoder import ClipEncoderPart, similarities
from bench.training.mini.diffusion import Noised, TextRecipe, noise_scheduler, tokenize, velocity_loss
from bench.training.mini.exemplar import ExemplarPart, another_thing, holes_of, known_mask
from bench.training.mini.exemplar_scenes import THINGS, enlarged_box, number_of, scene_of, scene_pictures, thing_crop
from bench.training.mini.fit import Schedule
from tests.training import small

pytestmark = pytest.mark.blackbox

SCHEDULE = Schedule(2, 2, 1e-3)
UNET: dict[str, Any] = {
    "channels": (8, 16), "layers": 1, "groups": 4, "head_channels": 2, "schedule": SCHEDULE, "empty_share": 0.1,
}  # fmt: skip


def scenes(split: str, count: int = 72) -> list[Scene]:
    return [numbered_scene(number, 0, data_set="test", split=split) for number in range(count)]


def workshop(folder: Path) -> Workshop:
    return Workshop(folder, 0, folder, folder, small.RESOLUTION, torch.device("cpu"), bfloat16=False)


# --- diffusion -----------------------------------------------------------------------------------------------------


def test_the_loss_is_zero_for_the_velocity_itself(tmp_path: Path) -> None:
    latents, noise, times = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 400, 999])
    signal = noise_scheduler().alphas_cumprod[times].view(-1, 1, 1, 1)
    velocity = signal.sqrt() * noise - (1 - signal).sqrt() * latents

    class Seer(nn.Module):
        def forward(self, inputs: Tensor, *_: Tensor) -> Any:
            assert torch.equal(inputs[:, 4:], beside)
            return type("Output", (), {"sample": velocity})

    beside = torch.randn(3, 5, 8, 8)
    found = velocity_loss(
        Seer(),
        noise_scheduler(),
        Noised(latents, times, noise),
        beside=(beside[:, :4], beside[:, 4:]),
        condition=torch.zeros(3, 1, 4),
        workshop=workshop(tmp_path),
    )
    assert found < 1e-12  # the square of float32's rounding


def test_captions_with_unseen_words_fit_the_text_encoder() -> None:
    recipe = TextRecipe(**UNET, text_width=8, text_layers=1, text_length=32, vocabulary=500)
    tokenizer = recipe.tokenizer([text for scene in scenes("train", 500) for text in captions(scene)])
    texts = [text for scene in scenes("val") for text in captions(scene)]
    assert max(len(ids) for ids in tokenizer(texts).input_ids) <= 32
    assert tokenizer.unk_token_id not in {index for ids in tokenizer(texts).input_ids for index in ids[1:-1]}
    assert len({tuple(ids) for ids in tokenize(tokenizer, texts).tolist()}) == len(set(texts))


def test_a_tokenizer_trained_again_is_equal() -> None:
    """A resumed training needs equal token numbers for its captions."""
    recipe = TextRecipe(**UNET, text_width=8, text_layers=1, text_length=32, vocabulary=300)
    texts = [text for scene in scenes("train") for text in captions(scene)]
    first, *others = (recipe.tokenizer(texts).get_vocab() for _ in range(4))
    assert all(other == first for other in others)


@pytest.mark.parametrize("attended", [1, 2])
def test_the_requested_number_of_levels_attend_to_the_condition(attended: int) -> None:
    recipe = TextRecipe(**UNET, attended=attended, text_width=8, text_layers=1, text_length=8, vocabulary=200)
    unet = recipe.unet(inputs=4, condition_width=8, side=8)
    levels = [block for block in unet.down_blocks if getattr(block, "has_cross_attention", False)]
    assert len(levels) == attended
    assert levels[-1] is unet.down_blocks[-1]


# --- what is drawn -------------------------------------------------------------------------------------------------


def test_facts_contain_only_what_a_caption_mentions() -> None:
    main, other = Shape("star", "red", (60, 60), 30, 0.0), Shape("ring", "orange", (20, 20), 12, 0.0)
    scene = Scene("waves", ("blue", "grey"), (main, other), "BOAT", "white", (4, 30), 0.8, 1)

    def said(text: str) -> dict[str, str]:
        found = zip(FACTS.items(), named_facts(scene, text), strict=True)
        return {fact: names[index] for (fact, names), index in found if index != UNSAID}

    thing = {"shape": "star", "colour": "red"}
    beside = {"beside_shape": "ring", "beside_colour": "orange"}
    ground = {"texture": "waves", "ground": "blue"}
    first, second, third, fourth, fifth = captions(scene)
    assert said(first) == {**thing, **ground, **beside}
    assert said(second) == said(third) == {**thing, **ground}
    assert said(fourth) == {**thing, **ground, **beside, "second_ground": "grey"}
    assert said(fifth) == thing


@pytest.mark.parametrize("thing", THINGS[::7])
def test_a_scene_of_a_thing_shows_it_before_other_colours(thing: tuple[str, str]) -> None:
    scene = scene_of(thing, numpy_generator(0, *thing), split="train")
    assert (scene.shapes[0].kind, scene.shapes[0].colour) == thing == THINGS[number_of(scene)]
    assert scene.shapes[0].colour not in scene.ground


def test_a_crop_shows_the_whole_thing_and_little_else() -> None:
    for number, scene in enumerate(scenes("train", 16)):
        inner, outer = scene.shapes[0].box, enlarged_box(scene, numpy_generator(0, number))
        assert all(0 <= out <= side for out, side in zip(outer[:2], inner[:2], strict=True))
        assert all(side <= out <= SIDE for out, side in zip(outer[2:], inner[2:], strict=True))
        assert max(abs(out - side) for out, side in zip(outer, inner, strict=True)) <= 10
        crop = thing_crop(scene, numpy_generator(0, number), 32, smallest=64)
        colour = np.array(COLOURS[scene.shapes[0].colour])
        near = (np.abs(crop.astype(int) - colour).max(2) < 60).mean()
        assert crop.shape == (32, 32, 3)
        assert crop.dtype == np.uint8
        assert near > 0.1


def test_pictures_are_scaled_by_area() -> None:
    scene = scenes("train", 1)[0]
    blocks = draw_scene(scene).reshape(32, 4, 32, 4, 3).mean((1, 3))
    picture = (scene_pictures([scene], 32)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(picture - blocks).max() <= 0.5 + 1e-3  # rounded to uint8


# --- following -----------------------------------------------------------------------------------------------------


def test_accuracy_counts_only_mentioned_facts() -> None:
    class Reader(FeatureNetwork):
        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {name: torch.eye(len(values))[[1] * len(image)] for name, values in ATTRIBUTES.items()}

    wanted = [{"shape": SHAPES[1], "word": "boat"}, {"shape": SHAPES[2]}]
    network = Reader([4], {})
    assert accuracies(network, torch.zeros(2, 3, 8, 8), wanted, ending="_x") == {"accuracy_shape_x": 0.5}


@pytest.mark.parametrize("box", [(40, 50, 60, 80), (0, 0, 30, 20), (100, 90, 128, 128), (0, 0, 128, 128)])
def test_a_box_is_cut_out_whole_and_inside_the_picture(box: tuple[int, int, int, int]) -> None:
    picture = -holes_of([box], 64).expand(-1, 3, -1, -1)
    crop = box_crops(picture, [box], side=32)
    longer = max(box[2] - box[0], box[3] - box[1]) / 2
    kept = -crop.mean() * min(64, round(1.5 * longer)) ** 2
    assert crop.shape == (1, 3, 32, 32)
    assert float(kept) == pytest.approx(float(-picture[:, 0].sum()), rel=0.1)  # bilinear at the box's edges


# --- exemplars -----------------------------------------------------------------------------------------------------


def exemplar_part() -> ExemplarPart:
    return ExemplarPart(
        **UNET,
        image_side=16,
        patch=4,
        image_width=8,
        image_layers=4,
        naming=SCHEDULE,
        scenes=2,
        masks_per_scene=2,
        references_per_thing=1,
        dev_scenes=2,
        dev_references_per_thing=1,
        sampled=2,
        sampling_steps=1,
        guidance_scale=1.0,
    )


def test_the_pipeline_gives_the_unet_the_inputs_of_training() -> None:
    part, vae = exemplar_part(), small.first_stage().autoencoder.network
    unet, encoder = part.unet(inputs=9, condition_width=8, side=16), part.image_encoder()
    assert len(encoder.mapper.blocks) == 1
    pipeline = PaintByExamplePipeline(
        vae=vae,
        image_encoder=encoder,
        unet=unet,
        scheduler=noise_scheduler(),
        safety_checker=None,
        feature_extractor=CLIPImageProcessor(),
    )
    pipeline.set_progress_bar_config(disable=True)
    seen: list[Tensor] = []
    unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    holes = holes_of([(20, 30, 70, 90)], 32)
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    vae.encode = _mean_only(vae)
    pipeline(
        example_image=torch.zeros(1, 3, 16, 16), image=picture, mask_image=holes, num_inference_steps=1,
        guidance_scale=1.0, output_type="latent",
    )  # fmt: skip
    known = vae.encode(picture * (1 - holes)).latent_dist.sample() * vae.config.scaling_factor
    assert torch.allclose(seen[0][:, 4:8], known, atol=1e-5)
    assert torch.equal(seen[0][:, 8:], known_mask(holes, 16, variant=1))


def _mean_only(vae: Any) -> Any:
    """Remove the noise of the encoder, so that two calls agree."""
    encode = type(vae).encode

    def mean(x: Tensor) -> Any:
        with torch.no_grad():
            posterior = encode(vae, x).latent_dist
        posterior.std = torch.zeros_like(posterior.std)
        return type("Output", (), {"latent_dist": posterior})

    return mean


def test_masks_are_resized_to_the_latents_side_by_both_rules() -> None:
    holes = holes_of([(20, 30, 70, 90)], 32)
    assert holes.sum() == (18 - 5) * (23 - 7)  # what is partly in the box is in the hole
    soft, hard = (known_mask(holes, 8, variant=variant) for variant in (0, 1))
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert soft[(soft > 0) & (soft < 1)].numel() > 0


def test_another_thing_differs_in_shape_and_colour() -> None:
    for number, scene in enumerate(scenes("dev", 20)):
        shape, colour = THINGS[another_thing(scene, numpy_generator(0, number))]
        assert shape != scene.shapes[0].kind
        assert colour not in (scene.shapes[0].colour, *scene.ground)


# --- embeddings ----------------------------------------------------------------------------------------------------


def test_similarities_distinguish_what_is_shared() -> None:
    """Embeddings have a direction for each shape and each colour, so that shared attributes can be counted."""
    shape, colour = torch.eye(len(SHAPES)), torch.eye(len(COLOURS))
    numbers = torch.arange(len(THINGS))
    embedding = torch.cat([shape[numbers // len(COLOURS)], colour[numbers % len(COLOURS)]], 1) / 2**0.5
    found = similarities(embedding[None], embedding[None])
    assert found["accuracy_nearest"] == 1
    assert [round(found[f"similarity_{kind}"], 6) for kind in ("same", "shape", "colour", "other")] == [1, 0.5, 0.5, 0]


def test_a_batch_contains_no_thing_twice() -> None:
    with pytest.raises(ValueError, match="batch_size: expected 72 or less, found 73"):
        ClipEncoderPart(
            widths=[4], dimension=4, image_side=16, temperature=0.1, views_per_thing=1, dev_views_per_thing=1,
            schedule=Schedule(1, 73, 1e-3),
        )  # fmt: skip
