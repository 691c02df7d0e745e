"""The experiment that trains one decoder: check, prepare, train, report."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from bench.checking.inspection import Problem, inspect_needs
from bench.checking.required_paths import needs
from bench.config.compose import conf_dir, key_of
from bench.config.experiment_configs import TrainDecoderConfig
from bench.config.instantiate import PATH_KEYS, identity, make, missing_files, require_target, weight_files
from bench.data.imagenet_train import ImageNetTrain
from bench.data.items import Item
from bench.data.masks import preset
from bench.errors import BadInputError
from bench.models import Decoder, load_decoder, save_decoder
from bench.models.decoder import DecoderConfig, sized
from bench.models.first_stage import load_first_stage
from bench.reporting.figures import draw_curves, draw_grid
from bench.results.environment import environment
from bench.results.out_folder import check_writable, open_out, writing_into
from bench.results.run_folder import Results
from bench.results.write import run_facts, write_run
from bench.runtime.atomic import named_disk_errors, whole_folder
from bench.runtime.device import choose_device
from bench.runtime.distributed import World
from bench.runtime.files import write_atomically
from bench.runtime.progress import Progress
from bench.store import check_store, content_key, lease, mark_store
from bench.training.curve import Curve, print_curve
from bench.training.initialization import check_start, examples_of, started_decoder
from bench.training.loggers import Scalars
from bench.training.recipe import DecoderRecipe
from bench.training.trainer import DecoderTraining, named_workers
from bench.training.validation import Validation

__all__ = ["TrainDecoder", "own_checkpoint"]

log = logging.getLogger(__name__)

FILES = ("start", "first_stage", "training_data", "validation_data")
"""Keys that name files or data."""
SILENT = 600.0
"""Seconds without renewal after which the lease of another host's training is taken over, as only one may write."""
VERSION = 1
"""Version number, increased when a change of the code gives another decoder for the same settings."""
SHOWN = 6
"""Number of pictures in the grid."""
RESHAPING = ("decoder.width", "decoder.depth", "decoder.conditioned", "decoder.blending", "decoder.branch")
"""Keys whose overrides ask for a decoder of another shape than the configured weights have."""


class TrainDecoder:
    """An experiment that trains one decoder for the profile's frozen first stage."""

    def __init__(self, config: TrainDecoderConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the words of the command line."""
        self.config, self.overrides = config, list(overrides)
        self.device = choose_device(config.device)
        self.world = World()
        self._latents: Tensor | None = None

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong of the files that the training needs."""
        fresh = self.config.training.get("fresh", False)
        nodes = {key: getattr(self.config, key) for key in FILES if not (key == "start" and fresh)}
        nodes["profile.perceptual"] = self._perceptual
        return inspect_needs(needs(nodes, self.config.resolved["paths"], (*PATH_KEYS, "start", "first_stage")))

    def run(self) -> Results:
        """Run every stage up to the configured one."""
        self.check()
        if self.config.stage == "check":
            sizes = self.sizes
            print(
                f"{self.config.name}: ready: {self.recipe.steps} updates of {self.recipe.batch_size} items for "
                f"a decoder of {', '.join(map(str, sizes.channels))} channels, {sizes.layers} layers"
            )
            return Results(Path(), 0)
        mark_store(Path(self.config.paths.store))  # before the data are written, which may lie in the store
        self.world = World.join(self.device)
        data = self.data
        if self.config.stage == "prepare":
            return Results(Path(), 0)
        curve, decoder, validation = self._locked(data)
        if not self.world.is_main_process:
            return Results(Path(), 0)
        out = open_out(self.config)
        with named_disk_errors(out), writing_into(out):
            self.report(out, curve, decoder, validation)
        return Results(out, 0, table=curve.validations().tail(1))

    def weights_of(self) -> Path:
        """Return the folder of the decoder's weights in the store, and train the decoder first if they do not exist."""
        self.check()
        mark_store(Path(self.config.paths.store))
        self.world = World.join(self.device)
        self._locked(self.data)
        return self._folder / "decoder"

    @property
    def _folder(self) -> Path:
        return Path(self.config.paths.store) / "training" / self.key

    def _locked(self, data: ImageNetTrain) -> tuple[Curve, Decoder, Validation]:
        alone = (
            lease(self._folder.with_suffix(".lease"), silent=SILENT) if self.world.is_main_process else nullcontext()
        )
        with named_disk_errors(self._folder), alone, named_workers():
            return self.train(data, self._folder)

    # --- check -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check before any work the targets, arguments and files, and that the sizes fit together."""
        nodes = self.config.resolved
        for name in ("store", "data"):
            check_writable(nodes["paths"][name], f"paths.{name}")
        check_store(Path(nodes["paths"]["store"]))
        require_target(nodes["training"], "training")
        require_target(nodes["profile"]["perceptual"], "profile.perceptual")
        for name in ("training_data", "validation_data"):
            require_target(nodes[name], name, given=("resolution", "masks", "full_share", "alternating", "seed"))
        profile = self.config.profile.name
        if self.recipe.profile != profile:
            known = ", ".join(f"training={name}" for name in _recipes(profile)) or f"+training.profile={profile}"
            raise BadInputError(
                f"training: expected a recipe of the {profile} profile ({known}), found {self.recipe.profile}"
            )
        _ = self.sizes
        try:
            preset(self.recipe.masks)
        except ValueError as error:
            raise BadInputError(f"training.masks: {error}") from error
        missing = [
            f"{key}: nothing at {path}"
            for key, path in (("start", self.start), ("first_stage", nodes["first_stage"]))
            if path is not None and not Path(path).exists()
        ]
        missing += missing_files(self._perceptual, "profile.perceptual")
        missing += [line for key in ("training_data", "validation_data") for line in missing_files(nodes[key], key)]
        if missing:
            raise BadInputError("these are missing: " + "; ".join(dict.fromkeys(missing)))
        if self.config.wandb is not None and find_spec("wandb") is None:
            raise BadInputError("wandb: expected the package wandb to be installed, found none")
        if self.start is not None:
            check_start(load_decoder(self.start).config, self.sizes)

    @cached_property
    def recipe(self) -> DecoderRecipe:
        recipe: DecoderRecipe = make(self.config.training, "training")
        return recipe

    @property
    def start(self) -> str | None:
        """Path of the weights that the decoder starts from; None for random weights."""
        return None if self.recipe.fresh else self.config.start

    @cached_property
    def sizes(self) -> DecoderConfig:
        spec = self.config.decoder
        try:
            return sized(
                self.config.resolved["profile"]["decoder_sizes"],
                width=spec.width,
                depth=spec.depth,
                conditioned=spec.conditioned,
                blending=spec.blending,
                branch=spec.branch,
            )
        except ValueError as error:
            raise BadInputError(f"decoder: {error}") from error

    # --- prepare -----------------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> ImageNetTrain:
        """Pictures to train on; a profile with drawn pictures writes them first."""
        return self._pictures("training_data", self.recipe.drawing())

    @cached_property
    def validation_data(self) -> ImageNetTrain:
        """Pictures that are not used for training; none of them has a full mask."""
        return self._pictures("validation_data", self.recipe.drawing(validation=True))

    def _pictures(self, name: str, drawing: dict[str, Any]) -> ImageNetTrain:
        data: ImageNetTrain = make(getattr(self.config, name), name, **drawing, seed=self.config.seed)
        return data

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file that the training uses, by path."""
        nodes = (self.start, self.config.first_stage, self._perceptual)
        return {path: sha for node in nodes for path, sha in weight_files(_as_node(node)).items()}

    @property
    def _perceptual(self) -> dict[str, Any]:
        node: dict[str, Any] = self.config.resolved["profile"]["perceptual"]
        return node

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """Origin of the trained weights, which is saved with them: settings, seed, data and starting weights."""
        first_stage = self.config.first_stage
        return {
            "decoder": asdict(self.sizes),
            "training": identity(self.config.training, {}),
            "seed": self.config.seed,
            "data": {"manifest": self.data.manifest, "pictures": len(self.data)},
            "start": identity(_as_node(self.start), self.weights),
            "first_stage": identity(_as_node(first_stage), self.weights),
            "perceptual": identity(self._perceptual, self.weights),
            "predict_branch": self.config.predict_branch and self.start is not None,
        }

    @cached_property
    def key(self) -> str:
        return content_key({"version": VERSION, "validation": self.validation_data.manifest, **self.lineage})

    # --- train -------------------------------------------------------------------------------------------------------

    def train(self, data: ImageNetTrain, folder: Path) -> tuple[Curve, Decoder, Validation]:
        """Train the decoder, or load it if the store has it, and return the curve, the decoder and the validation."""
        perceptual = make(self._perceptual, "profile.perceptual").to(self.device)
        first_stage = load_first_stage(self.config.first_stage)
        first_stage.to(self.device)
        validation = Validation.of(
            self.validation_data,
            self.recipe.validation_items,
            first_stage=first_stage,
            perceptual=perceptual,
            device=self.device,
        )
        finished = folder / "decoder"
        # The first process holds the lock, so its answer counts for all processes.
        if self.world.any_process(self.world.is_main_process and (finished / "config.json").is_file(), self.device):
            log.info("training: the store has the finished decoder")
            return Curve(folder), load_decoder(finished).to(self.device), validation
        start = load_decoder(self.start) if self.start is not None and not self.recipe.fresh else None
        seed, device = self.config.seed, self.device
        examples = examples_of(data, first_stage, seed=seed, device=device) if self.config.predict_branch else ()
        started = started_decoder(self.sizes, start, seed=seed, device=device, examples=examples)
        training = DecoderTraining(
            started.decoder,
            first_stage,
            data,
            perceptual,
            self.recipe,
            seed=seed,
            device=device,
            folder=folder / "checkpoints",
            settings=self.key,
            pretrained=started.pretrained,
            world=self.world,
            workers=self.config.workers,
        )
        decoder, pretrained = training.decoder, training.pretrained
        if not self.world.is_main_process:
            for _ in training.updates():
                pass
            return Curve(folder), decoder, validation
        curve = Curve(folder, training.step)
        scalars = Scalars(folder / "tensorboard", wandb=self.config.wandb, settings=self.lineage)
        with curve, scalars, Progress("train", self.recipe.steps, unit="updates") as progress:
            progress.skip(training.step)
            if training.step == 0:
                curve.validated(0, validation(decoder))
            for update in training.updates():
                curve.updated(update.step, update.losses)
                progress.advance(1, note="  ".join(f"{name} {value:.4g}" for name, value in update.losses.items()))
                scalars.values(update.step, {**update.losses, **{f"rate {k}": v for k, v in update.rates.items()}})
                if update.step % self.recipe.validate_every == 0 or update.step == self.recipe.steps:
                    figures = validation(decoder)
                    if curve.validated(update.step, figures):
                        self._keep(decoder, folder / "best", update.step, pretrained)
                    scalars.values(update.step, {f"validation {name}": value for name, value in figures.items()})
                    scalars.pictures(update.step, validation.grid(decoder, SHOWN, self._sampled(validation)))
        self._keep(decoder, finished, training.step, pretrained)
        return curve, decoder, validation

    def _keep(self, decoder: Decoder, folder: Path, step: int, pretrained: frozenset[str]) -> None:
        """Write the decoder with its lineage; an interrupted write leaves no folder."""
        before = decoder.training_note
        decoder.training_note = f"{before} + {step}" if pretrained else str(step)
        decoder.lineage = {**self.lineage, "step": step, "source": environment()["source"]}
        with whole_folder(folder) as partial:
            save_decoder(decoder, partial)
        decoder.training_note = before

    def _sampled(self, validation: Validation) -> Tensor | None:
        """Return the diffusion model's latents for the grid's pictures; None if it has another first stage."""
        generator = self.config.generator
        if generator is None or Path(self.config.first_stage) != Path(str(generator.get("pipeline"))) / "vae":
            return None
        if self._latents is None:
            sampler = make(generator, "generator", device=self.device)
            images = ((validation.images[:SHOWN] + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            masks = validation.masks[:SHOWN, 0].to(torch.uint8).cpu().numpy()
            names = [f"validation {number}" for number in range(len(images))]
            items = [Item(name, name, image, mask) for name, image, mask in zip(names, images, masks, strict=True)]
            latents = sampler.sample(items, self.config.seed)
            self._latents = sampler.decodable(latents).clone()
        return self._latents

    # --- report ------------------------------------------------------------------------------------------------------

    def report(self, out: Path, curve: Curve, decoder: Decoder, validation: Validation) -> None:
        """Save the weights, the curve and the pictures in a folder, and print the curve."""
        for name in ("decoder", "best"):
            if (curve.folder / name).is_dir():
                with whole_folder(out / name) as partial:
                    for file in (curve.folder / name).iterdir():
                        shutil.copyfile(file, partial / file.name)
        (out / "figures").mkdir(exist_ok=True)
        losses, validations = curve.losses(), curve.validations()
        write_atomically(out / "losses.csv", losses.to_csv(index=False))
        write_atomically(out / "validation.csv", validations.to_csv(index=False))
        draw_curves(out / "figures" / "curves.png", losses, validations, title=self._title)
        draw_grid(
            out / "figures" / "samples.png",
            validation.grid(decoder, SHOWN, self._sampled(validation)),
            title=self._title,
        )
        facts = run_facts(
            self.config,
            self.config.resolved,
            self.overrides,
            device=str(self.device),
            weights=self.weights,
            facts={
                "processes": self.world.size,
                "lineage": self.lineage,
                "validation": validations.iloc[-1].to_dict(),
            },
        )
        write_run(out, facts)
        print_curve(losses, validations)
        print(f"\n{out / 'decoder'}")

    @property
    def _title(self) -> str:
        return f"{self.config.decoder.name}, profile {self.config.profile.name}"


def _as_node(node: Any) -> Any:
    """Return a configuration node; a path becomes a node with the key `path`, and another value is unchanged."""
    return {"path": node} if isinstance(node, str) else node


def _recipes(profile: str) -> list[str]:
    """Return the names of the shipped recipes for a profile."""
    files = sorted((conf_dir() / "training").glob("*.yaml"))
    return [
        file.stem
        for file in files
        if yaml.safe_load(file.read_text(encoding="utf-8")).get("profile", DecoderRecipe.profile) == profile
    ]


def own_checkpoint(config: TrainDecoderConfig, overrides: Sequence[str]) -> str | None:
    """Return the folder of weights trained for the configured decoder, or None if `decoder.checkpoint` is used.

    A table whose configuration has a training recipe, such as a sweep's, uses `decoder.checkpoint` if it has the shape
    that the run asks for. If no checkpoint is configured, or it has another shape, the decoder is trained once for all
    runs that share the store. If the configured checkpoint does not exist, the decoder is trained only if an override
    asks for another shape; otherwise the result is None, and the table's check reports the missing file.

    With `stage=check`, the training is only checked, and the result is None.

    Raises:
        BadInputError: the decoder cannot be trained; the message names what is missing.
    """
    training = TrainDecoder(config, overrides)
    checkpoint = config.decoder.checkpoint
    if checkpoint is not None and Path(checkpoint).exists():
        needed = load_decoder(checkpoint).config != training.sizes
    else:
        needed = checkpoint is None or any(key_of(word) in RESHAPING for word in overrides)
    if not needed:
        return None
    if config.stage == "check":
        training.check()
        return None
    return str(training.weights_of())
