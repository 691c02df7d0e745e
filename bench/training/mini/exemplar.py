"""A mini model: a diffusion model that paints an exemplar into a box, saved as diffusers' Paint-by-Example pipeline.

A thing is a shape in a colour. The UNet is trained as in Yang et al. 2023, "Paint by Example", section 3: the main
thing of a scene is cut out, and the exemplar shows what to paint in the hole. In that paper, the exemplar is an
augmented crop of the object that was cut out. Here the exemplar is a crop of a different scene, in which the same thing
has a different position, size, angle and background. The model can therefore use only the shape and the colour of the
exemplar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, PaintByExamplePipeline
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPImageProcessor, CLIPVisionConfig

from bench.data.mini.scenes import COLOURS, SHAPES, SIDE, Scene, numbered_scene
from bench.models.checkpoints import load_feature_network
from bench.runtime.seeding import numpy_generator
from bench.training.mini.attribute_accuracy import accuracies, box_crops
from bench.training.mini.build import Outcome, Part, Workshop
from bench.training.mini.diffusion import (
    ENCODED_AT_ONCE,
    SAMPLED_AT_ONCE,
    Noised,
    UNetRecipe,
    encode_means,
    noise_scheduler,
    plain_attention,
    velocity_figures,
    velocity_loss,
)
from bench.training.mini.exemplar_scenes import THINGS, enlarged_box, number_of, scene_of, scene_pictures, thing_crop
from bench.training.mini.fit import Schedule, fit, seeded, torch_generator

__all__ = ["ExemplarPart", "another_thing", "holes_of", "known_mask"]

Box = tuple[int, int, int, int]
MASK_RESIZES = ("bilinear", "nearest")
"""Ways to resize masks to the latents' size: `bilinear` as in the original program, `nearest` as in diffusers.

The masks of a scene use the two ways in turn, so that the model works with both.
"""
MEAN, DEVIATION = 0.5, 0.5
"""Mean and deviation of the image encoder's input: pixels in [0, 1] minus the mean, divided by the deviation."""


@dataclass(frozen=True, kw_only=True)
class ExemplarPart(UNetRecipe, Part):
    """The recipe of a UNet that paints an exemplar into a hole.

    Its nine input channels are the noisy latents, the latents of the known pixels, and a mask that is 1 where the
    pixels are known.
    """

    image_side: int
    """Side in pixels of the exemplars that the image encoder reads."""
    patch: int
    image_width: int
    image_layers: int
    """Number of layers of the image encoder, four or more. With fewer, diffusers' `PaintByExampleMapper` is empty."""
    naming: Schedule
    """Schedule of the image encoder's training. The encoder learns to recognise things before the UNet is trained."""
    scenes: int
    """Number of training scenes."""
    masks_per_scene: int
    references_per_thing: int
    """Number of exemplars of each thing, that is of each shape in each colour."""
    dev_scenes: int
    dev_references_per_thing: int
    sampled: int
    """Number of scenes of the development split into which another thing is painted, to measure the model."""
    sampling_steps: int
    guidance_scale: float

    @property
    def needs(self) -> tuple[str, ...]:
        return ("first_stage", "loss_features")

    @property
    def steps(self) -> int:
        return self.naming.steps + self.schedule.steps

    def make(self, name: str, settings: str, workshop: Workshop, folder: Path) -> Outcome:
        device = workshop.device
        vae = AutoencoderKL.from_pretrained(workshop.part("first_stage")).to(device).requires_grad_(False)
        with seeded(workshop.seed, name, "weights"):
            unet = self.unet(inputs=9, condition_width=self.image_width, side=workshop.resolution // 4)
            image_encoder = self.image_encoder()
            naming = _Naming(image_encoder)
        plain_attention(unet)
        model = nn.ModuleDict({"unet": unet, "image_encoder": image_encoder}).to(device)
        scheduler = noise_scheduler()
        train = _Cache.encode(self, self.scenes, self.references_per_thing, vae, workshop, name, "train")
        dev = _Cache.encode(self, self.dev_scenes, self.dev_references_per_thing, vae, workshop, name, "dev")

        def named(step: int) -> dict[str, Tensor]:
            generator = numpy_generator(workshop.seed, name, "naming", step)
            chosen = torch.from_numpy(generator.integers(len(train.references), size=self.naming.batch_size))
            return naming.losses(normalised(train.references[chosen]).to(device), (chosen % len(THINGS)).to(device))

        def velocity(cache: _Cache, *seeds: int | str) -> Tensor:
            generator = numpy_generator(workshop.seed, name, *seeds)
            size = self.schedule.batch_size
            pictures = torch.from_numpy(generator.integers(len(cache.latents), size=size))
            masks = torch.from_numpy(generator.integers(self.masks_per_scene, size=size))
            references = torch.from_numpy(generator.integers(len(cache.references) // len(THINGS), size=size))
            times = torch.from_numpy(generator.integers(scheduler.config.num_train_timesteps, size=size))
            emptied = torch.from_numpy(generator.random(size) < self.empty_share).to(device)
            latents = cache.latents[pictures]
            exemplars = cache.references[references * len(THINGS) + cache.things[pictures]]
            noise = torch.randn(latents.shape, generator=torch_generator(workshop.seed, name, *seeds))
            with workshop.autocast():
                shown, nothing = image_encoder(normalised(exemplars).to(device), return_uncond_vector=True)
            return velocity_loss(
                unet,
                scheduler,
                Noised(latents, times, noise),
                beside=(cache.known[pictures, masks], cache.certain[pictures, masks]),
                condition=torch.where(emptied[:, None, None], nothing, shown),
                workshop=workshop,
            )

        pretrained = workshop.out / "checkpoints" / name / "naming.pt"
        seconds = fit(naming.to(device), named, self.naming, checkpoint=pretrained, settings=settings)
        named_right = naming.accuracy(normalised(dev.references).to(device))
        seconds += self.fit_velocity(model, partial(velocity, train), workshop.checkpoint(name), settings)
        pipeline = PaintByExamplePipeline(
            vae=vae,
            image_encoder=image_encoder,
            unet=unet,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=CLIPImageProcessor(
                size={"height": self.image_side, "width": self.image_side},
                do_center_crop=False,
                image_mean=[MEAN] * 3,
                image_std=[DEVIATION] * 3,
            ),
        )
        pipeline.save_pretrained(folder)
        figures = {"accuracy_naming": named_right, **velocity_figures(velocity, train, dev)}
        return Outcome(figures | self._agreement(pipeline, dev, name, workshop), seconds)

    def image_encoder(self) -> PaintByExampleImageEncoder:
        """Return an image encoder with random weights."""
        return PaintByExampleImageEncoder(
            CLIPVisionConfig(
                hidden_size=self.image_width,
                intermediate_size=2 * self.image_width,
                projection_dim=self.image_width,
                num_hidden_layers=self.image_layers,
                num_attention_heads=4,
                image_size=self.image_side,
                patch_size=self.patch,
            )
        )

    @torch.no_grad()
    def _agreement(
        self, pipeline: PaintByExamplePipeline, dev: _Cache, name: str, workshop: Workshop
    ) -> dict[str, float]:
        """Measure how often a painted box shows the shape and the colour of its exemplar.

        For comparison, the results whose names end in `_true` are measured on the true scenes. These results say how
        often the classifier recognises the shape and the colour that the box contains before anything is painted.
        """
        pipeline.set_progress_bar_config(disable=True)
        network = load_feature_network(workshop.part("loss_features")).to(workshop.device)
        scenes, boxes = dev.scenes[: self.sampled], [boxes[0] for boxes in dev.boxes[: self.sampled]]
        true = scene_pictures(scenes, workshop.resolution)
        holes = holes_of(boxes, workshop.resolution)
        things = [
            another_thing(scene, numpy_generator(workshop.seed, name, "asked", number))
            for number, scene in enumerate(scenes)
        ]
        pictures = []
        for first in range(0, len(scenes), SAMPLED_AT_ONCE):
            places = range(first, min(first + SAMPLED_AT_ONCE, len(scenes)))
            latents = pipeline(
                example_image=[
                    Image.fromarray(dev.references[things[place]].permute(1, 2, 0).numpy()) for place in places
                ],
                image=true[list(places)],
                mask_image=holes[list(places)],
                num_inference_steps=self.sampling_steps,
                guidance_scale=self.guidance_scale,
                generator=[torch_generator(workshop.seed, name, "sampled", place) for place in places],
                output_type="latent",
            ).images
            pictures.append(pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1))
        wanted = [{"shape": THINGS[thing][0], "colour": THINGS[thing][1]} for thing in things]

        def crops(whole: Tensor) -> Tensor:
            return box_crops(whole, boxes, side=workshop.resolution).to(workshop.device)

        own = [{"shape": scene.shapes[0].kind, "colour": scene.shapes[0].colour} for scene in scenes]
        return accuracies(network, crops(true), own, ending="_true") | accuracies(
            network, crops(torch.cat(pictures)), wanted
        )


def normalised(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels to the image encoder's input in [-1, 1]."""
    return (pixels.float() / 255 - MEAN) / DEVIATION


class _Naming(nn.Module):
    """An image encoder with two linear classifiers, which predict the shape and the colour from the embedding."""

    def __init__(self, image_encoder: PaintByExampleImageEncoder) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.shape, self.colour = (nn.Linear(image_encoder.proj_size, len(names)) for names in (SHAPES, COLOURS))

    def losses(self, pixels: Tensor, things: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropies of shape and colour, each a scalar.

        Args:
            pixels: normalised exemplars B×3×s×s.
            things: index in `THINGS` of the thing in each exemplar, B values.
        """
        embedding = self.image_encoder(pixels)[:, 0]
        return {
            "shape": functional.cross_entropy(self.shape(embedding), things // len(COLOURS)),
            "colour": functional.cross_entropy(self.colour(embedding), things % len(COLOURS)),
        }

    @torch.no_grad()
    def accuracy(self, pixels: Tensor) -> float:
        """Return the fraction of exemplars whose shape and colour are both recognised, in [0, 1].

        Args:
            pixels: normalised exemplars in the order of `_Cache.references`.
        """
        things = torch.arange(len(pixels), device=pixels.device) % len(THINGS)
        embedding = torch.cat([self.image_encoder(batch)[:, 0] for batch in torch.split(pixels, ENCODED_AT_ONCE)])
        found = self.shape(embedding).argmax(1) * len(COLOURS) + self.colour(embedding).argmax(1)
        return float((found == things).float().mean())


@dataclass(frozen=True)
class _Cache:
    """N encoded scenes with M boxes to cut out of each, and K exemplars of each of the 72 things."""

    scenes: list[Scene]
    boxes: list[list[Box]]
    """The M boxes of each scene, in pixels of a scene (`SIDE` pixels for a side)."""
    things: Tensor
    """Index in `THINGS` of each scene's main thing, N values."""
    latents: Tensor
    """Latents N×4×h×w of the whole scenes, in the scale of the UNet."""
    known: Tensor
    """Latents N×M×4×h×w of the scenes with one box cut out, in the scale of the UNet."""
    certain: Tensor
    """Masks N×M×1×h×w at the latents' size, 1 where the scene is known."""
    references: Tensor
    """Exemplars 72K×3×s×s uint8. The exemplar with index k·72 + n shows the thing with index n."""

    @classmethod
    def encode(
        cls,
        part: ExemplarPart,
        count: int,
        references_per_thing: int,
        vae: AutoencoderKL,
        workshop: Workshop,
        name: str,
        split: str,
    ) -> _Cache:
        def generator(*purpose: str | int) -> np.random.Generator:
            return numpy_generator(workshop.seed, name, split, *purpose)

        scenes = [numbered_scene(number, workshop.seed, data_set=name, split=split) for number in range(count)]
        boxes = [
            [enlarged_box(scene, generator("box", number, variant)) for variant in range(part.masks_per_scene)]
            for number, scene in enumerate(scenes)
        ]
        latents, known, certain = [], [], []
        for first in range(0, count, ENCODED_AT_ONCE):
            batch = slice(first, first + ENCODED_AT_ONCE)
            pictures = scene_pictures(scenes[batch], workshop.resolution)
            latents.append(encode_means(vae, pictures, workshop))
            holes = [holes_of(variant, workshop.resolution) for variant in zip(*boxes[batch], strict=True)]
            known.append(torch.stack([encode_means(vae, pictures * (1 - hole), workshop) for hole in holes], 1))
            side = latents[0].shape[-1]
            certain.append(
                torch.stack([known_mask(hole, side, variant=variant) for variant, hole in enumerate(holes)], 1)
            )
        references = []
        for number in range(references_per_thing * len(THINGS)):
            draws = generator("reference", number)
            scene = scene_of(THINGS[number % len(THINGS)], draws, split=split)
            references.append(thing_crop(scene, draws, part.image_side))
        return cls(
            scenes,
            boxes,
            torch.tensor([number_of(scene) for scene in scenes]),
            torch.cat(latents),
            torch.cat(known),
            torch.cat(certain),
            torch.from_numpy(np.stack(references)).permute(0, 3, 1, 2).contiguous(),
        )


def holes_of(boxes: Sequence[Box], resolution: int) -> Tensor:
    """Return masks B×1×R×R, 1 = hole, whose holes are the given boxes. A pixel partly in a box belongs to the hole.

    Args:
        boxes: left, top, right and bottom of each box, in a unit in which the side of the mask is `SIDE`.
        resolution: side R of the masks.
    """
    masks = torch.zeros(len(boxes), 1, resolution, resolution)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        rows, columns = (
            slice(low * resolution // SIDE, -(-high * resolution // SIDE))
            for low, high in ((top, bottom), (left, right))
        )
        mask[:, rows, columns] = 1
    return masks


def known_mask(holes: Tensor, side: int, *, variant: int) -> Tensor:
    """Return masks for the pipeline's UNet, B×1×`side`×`side`, 1 = known.

    Args:
        holes: masks B×1×R×R, 1 = hole.
        side: side of the latents.
        variant: index of the mask among the masks of a scene; it selects one of `MASK_RESIZES`.
    """
    resize = MASK_RESIZES[variant % len(MASK_RESIZES)]
    corners = {"align_corners": False} if resize == "bilinear" else {}
    return functional.interpolate(1 - holes, size=(side, side), mode=resize, **corners)


def another_thing(scene: Scene, generator: np.random.Generator) -> int:
    """Return the index in `THINGS` of a random thing that can replace the main thing of a scene.

    The new thing and the main thing differ in shape and in colour. The background does not contain the new colour.
    """
    main = scene.shapes[0]
    others = [
        number
        for number, (shape, colour) in enumerate(THINGS)
        if shape != main.kind and colour not in (main.colour, *scene.ground)
    ]
    return others[int(generator.integers(len(others)))]
