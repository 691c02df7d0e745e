"""The experiment that trains one decoder. Its steps are `check`, `prepare`, `train` and `report`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from bench.checking.inspection import Problem, inspect_needs
from bench.checking.report import report
from bench.checking.required_paths import needs
from bench.config.compose import conf_dir, key_of, part_of
from bench.config.experiment_configs import TrainDecoderConfig
from bench.config.instantiate import PATH_KEYS, identity, make, missing_files, require_target, weight_files
from bench.data.imagenet_train import ImageNetTrain
from bench.data.items import Item
from bench.data.masks import preset
from bench.errors import BadInputError
from bench.models import Decoder, load_decoder, save_decoder
from bench.models.autoencoders.trained_space import SPACE, space_facts
from bench.models.decoder import DecoderConfig, sized
from bench.models.first_stage import AdaptedFirstStage, load_first_stage
from bench.reporting.figures import draw_curves, draw_grid
from bench.results.environment import environment
from bench.results.out_folder import check_writable, open_out, writing_into
from bench.results.run_folder import Forecast, Results
from bench.results.write import run_facts, write_run
from bench.runtime.atomic import named_disk_errors, whole_folder
from bench.runtime.device import choose_device
from bench.runtime.distributed import World
from bench.runtime.files import write_atomically
from bench.runtime.progress import Progress
from bench.runtime.text import one_line
from bench.store import check_store, content_key, lease, mark_store
from bench.training.curve import Curve, print_curve
from bench.training.dry_run import NoiseItems, Space, before_trial, estimate_training, forecast_training, try_out
from bench.training.initialization import check_start, examples_of, started_decoder
from bench.training.recipe import DecoderRecipe
from bench.training.trainer import CPU_AT_ONCE, DecoderTraining, check_at_once, default_workers, named_workers
from bench.training.validation import Validation

__all__ = ["TrainDecoder", "own_checkpoint"]

log = logging.getLogger(__name__)

FILES = ("start", "first_stage", "training_data", "validation_data")
"""Configuration keys that name the files or data that the training needs."""
SILENT = 600.0
"""Time in seconds without a renewal after which this process takes over a lease that a process on another host holds.

A training has a lease, so that only one process writes into the folder of the training.
"""
VERSION = 1
"""Version number in the key of a training. It is increased when changed code trains another decoder from the same
settings, so that older weights in the store are not used.
"""
SHOWN = 6
"""Number of validation pictures in the figure that shows what the decoder makes."""
RESHAPING = ("decoder.width", "decoder.depth", "decoder.conditioned", "decoder.blending", "decoder.branch")
"""Keys that determine the shape of the decoder.

An override of one of them asks for a decoder that may not have the shape of the weights in `decoder.checkpoint`.
"""


class TrainDecoder:
    """An experiment that trains one decoder for the profile's frozen first stage."""

    def __init__(self, config: TrainDecoderConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line."""
        self.config, self.overrides = config, list(overrides)
        self.device = choose_device(config.device)
        self.world = World()
        self._latents: Tensor | None = None

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files that the training needs."""
        fresh = self.config.training.get("fresh", False)
        nodes = {key: getattr(self.config, key) for key in FILES if not (key == "start" and fresh)}
        nodes["profile.perceptual"] = self._perceptual
        keys, profile = (*PATH_KEYS, "start", "first_stage"), self.config.profile
        found = needs(nodes, self.config.resolved["paths"], keys, asset_list=profile.asset_list)
        return inspect_needs(found, profile.unpinned)

    def run(self) -> Results:
        """Run the steps that the stage in the configuration needs, and return the results.

        With `stage=check`, the run ends after the step `check`. With `stage=prepare`, it ends after the step `prepare`.
        With every later stage, the run trains the decoder and writes the report.
        """
        self.check()
        if self.config.stage == "check":
            return Results(Path(), 0, forecast=self.predict())
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
        """Return the folder in the store with the weights of the trained decoder.

        If the weights do not exist, this method first trains the decoder.
        """
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
        """Check the settings before any work: each `_target_` with its arguments, the files, and the decoder's sizes.

        Raises:
            BadInputError: a setting is wrong or a file is missing. The message names the key.
        """
        import_module("bench.training.loggers")  # finds a missing package of the extra `train` before any work
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
                f"training: expected a recipe of the profile {profile} ({known}), found a recipe of the "
                f"profile {self.recipe.profile}"
            )
        check_at_once(self.recipe, World.here().size)  # before the processes share any work
        _ = self.planned
        try:
            preset(self.recipe.masks)
        except ValueError as error:
            raise BadInputError(f"training.masks: {error}") from error
        problems = self.missing()
        if problems:
            raise BadInputError(report(self.config.name, problems, tail=before_trial(self.planned, self.recipe)))
        missing = missing_files(self._perceptual, "profile.perceptual")  # also paths in arguments of external code
        missing += [line for key in ("training_data", "validation_data") for line in missing_files(nodes[key], key)]
        if missing:
            raise BadInputError("the training needs files that are missing: " + "; ".join(dict.fromkeys(missing)))
        if self.config.wandb is not None and find_spec("wandb") is None:
            raise BadInputError("wandb: expected that the package wandb is installed, found that it is not")
        self._check_resolution()
        start = self._loaded_start()
        if start is not None:
            check_start(start.config, self.sizes)

    @cached_property
    def recipe(self) -> DecoderRecipe:
        recipe: DecoderRecipe = make(self.config.training, "training")
        return recipe

    @property
    def start(self) -> str | None:
        """Path of the weights from which the training starts; None if the training starts from random weights."""
        return None if self.recipe.fresh else self.config.start

    def _loaded_start(self) -> Decoder | None:
        """Return the decoder from which the training starts; None for random weights.

        Raises:
            BadInputError: the configured path `start` contains no decoder of this project's architecture.
        """
        if self.start is None:
            return None
        try:
            return load_decoder(self.start)
        except BadInputError as error:
            raise BadInputError(f"start: {error}; start=null starts from random weights") from error

    @cached_property
    def first_stage(self) -> AdaptedFirstStage:
        try:
            return load_first_stage(self.config.first_stage, space=self.config.first_stage_space)
        except BadInputError as error:
            raise BadInputError(f"first_stage: {error}") from error

    def _check_resolution(self) -> None:
        """Require that the first stage can encode the pictures of the training.

        Raises:
            BadInputError: the side of the pictures is not a multiple of the first stage's factor, or the first stage
                encodes only pictures of another size.
        """
        encoder, side = self.first_stage.autoencoder, self.recipe.resolution
        only = encoder.side
        if side % encoder.divisor or (only is not None and side != only):
            expected = f"a multiple of {encoder.divisor}" if only is None else only
            raise BadInputError(
                f"training.resolution: expected {expected}, because the first stage {self.config.first_stage} encodes "
                f"no other pictures, found {side}"
            )

    @cached_property
    def sizes(self) -> DecoderConfig:
        """Sizes of the decoder, with as many latent channels as the first stage has.

        Raises:
            BadInputError: the configured sizes are wrong, or their number of levels does not fit the first stage.
        """
        space, planned, place = self.first_stage.space, self.planned, self.config.first_stage
        levels = space.factor.bit_length()
        if space.factor != 2 ** (levels - 1):
            raise BadInputError(f"first_stage: expected a factor that is a power of 2, found {space.factor} at {place}")
        if planned.factor != space.factor:
            key = "profile.decoder_sizes.channels"
            example = ",".join(f"C{level}" for level in range(1, levels + 1))
            raise BadInputError(
                f"{key}: expected {levels} levels for the factor {space.factor} of the first stage {place}, found "
                f"{len(planned.channels)} levels for the factor {planned.factor}; set {key}=[{example}], with the "
                "channels of the finest level first"
            )
        return replace(planned, latent_channels=space.channels)

    @cached_property
    def planned(self) -> DecoderConfig:
        """Sizes of the decoder according to the configuration alone. The number of latent channels is always 4 here.

        The correct number is known only after the first stage is read.
        """
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

    def predict(self) -> Forecast:
        """Print that the training is ready. Print and return the time, memory and disk space that it is going to need.

        Time and memory are measured with a few updates on noise, which do not change any saved weights.

        Raises:
            BadInputError: a network does not load, or the items of one pass do not fit the device's memory.
        """
        sizes, recipe, device = self.sizes, self.recipe, self.device
        print(
            f"{self.config.name}: ready: {recipe.steps} updates of {recipe.batch_size} items for "
            f"a decoder of {', '.join(map(str, sizes.channels))} channels, {sizes.layers} layers"
        )
        perceptual = make(self._perceptual, "profile.perceptual").to(device)
        first_stage = self.first_stage.to(device)
        started = started_decoder(sizes, self._loaded_start(), seed=self.config.seed, device=device)

        def create(short: DecoderRecipe, folder: Path) -> DecoderTraining:
            return DecoderTraining(
                started.decoder,
                first_stage,
                NoiseItems(short.resolution),
                perceptual,
                short,
                seed=self.config.seed,
                device=device,
                folder=folder,
                settings="trial",
                pretrained=started.pretrained,
            )

        most = CPU_AT_ONCE if device.type == "cpu" else None
        state = Space.of(sizes, recipe).state
        tried = try_out(create, recipe, most=most, processes=World.here().size, state=state, device=device)
        print("\n".join(estimate_training(sizes, recipe, tried, Path(self.config.paths.store))))
        return forecast_training(sizes, recipe, tried)

    # --- prepare -----------------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> ImageNetTrain:
        """Pictures for training. If the profile's pictures are drawn, the first access writes them to a folder."""
        return self._pictures("training_data", self.recipe.drawing())

    @cached_property
    def validation_data(self) -> ImageNetTrain:
        """Pictures for validation, which are not used for training. None of their masks covers the whole picture."""
        return self._pictures("validation_data", self.recipe.drawing(validation=True))

    def _pictures(self, name: str, drawing: dict[str, Any]) -> ImageNetTrain:
        data: ImageNetTrain = make(getattr(self.config, name), name, **drawing, seed=self.config.seed)
        return data

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file that the training reads. The key is the file's path."""
        nodes = (self.start, self.config.first_stage, self._perceptual)
        return {path: sha for node in nodes for path, sha in weight_files(_as_node(node)).items()}

    @property
    def _perceptual(self) -> dict[str, Any]:
        node: dict[str, Any] = self.config.resolved["profile"]["perceptual"]
        return node

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """Origin of the trained weights, and the latent space of the decoder. Both are saved with the weights."""
        return {**self._origin, SPACE: space_facts(self.first_stage.autoencoder)}

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """Everything that determines the trained weights: settings, seed, data and starting weights."""
        first_stage = _as_node(self.config.first_stage)
        if self.config.first_stage_space:
            first_stage = {**first_stage, SPACE: self.config.first_stage_space}
        return {
            "decoder": asdict(self.sizes),
            "training": identity(self.config.training, {}),
            "seed": self.config.seed,
            "data": {"manifest": self.data.manifest, "pictures": len(self.data)},
            "start": identity(_as_node(self.start), self.weights),
            "first_stage": identity(first_stage, self.weights),
            "perceptual": identity(self._perceptual, self.weights),
            "predict_branch": self.config.predict_branch and self.start is not None,
        }

    @cached_property
    def key(self) -> str:
        return content_key({"version": VERSION, "validation": self.validation_data.manifest, **self._origin})

    # --- train -------------------------------------------------------------------------------------------------------

    def train(self, data: ImageNetTrain, folder: Path) -> tuple[Curve, Decoder, Validation]:
        """Train the decoder, or load it if the store has the trained decoder.

        Args:
            data: pictures for training.
            folder: folder of this training in the store, for checkpoints, the curve and the weights.

        Returns:
            The curve of the losses and validations, the trained decoder, and the object that validates decoders.
        """
        perceptual = make(self._perceptual, "profile.perceptual").to(self.device)
        first_stage = self.first_stage.to(self.device)
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
            log.info("training: nothing is trained, because the store already has this decoder")
            return Curve(folder), load_decoder(finished).to(self.device), validation
        seed, device = self.config.seed, self.device
        examples = examples_of(data, first_stage, seed=seed, device=device) if self.config.predict_branch else ()
        started = started_decoder(self.sizes, self._loaded_start(), seed=seed, device=device, examples=examples)
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
            workers=default_workers(device, self.world.size) if self.config.workers is None else self.config.workers,
        )
        decoder = training.decoder
        if not self.world.is_main_process:
            for _ in training.updates():
                pass
            return Curve(folder), decoder, validation
        from bench.training.loggers import Scalars  # only a training needs the extra `train`

        curve = Curve(folder, training.told)
        scalars = Scalars(folder / "tensorboard", wandb=self.config.wandb, settings=self.lineage)
        with curve, scalars, Progress("train", self.recipe.steps, unit="updates") as progress:
            progress.skip(training.told)
            if training.told == 0:
                curve.validated(0, validation(decoder))
            for update in training.updates():
                curve.updated(update.step, update.losses)
                progress.advance(1, note="  ".join(f"{name} {value:.4g}" for name, value in update.losses.items()))
                scalars.values(update.step, {**update.losses, **{f"rate {k}": v for k, v in update.rates.items()}})
                if update.step % self.recipe.validate_every == 0 or update.step == self.recipe.steps:
                    with training.interruptible():
                        figures = validation(decoder)
                    if curve.validated(update.step, figures):
                        self._keep(training, folder / "best")
                    scalars.values(update.step, {f"validation {name}": value for name, value in figures.items()})
                    scalars.pictures(update.step, validation.grid(decoder, SHOWN, self._sampled(validation)))
        self._keep(training, finished)
        return curve, decoder, validation

    def _keep(self, training: DecoderTraining, folder: Path) -> None:
        """Write the decoder and the origin of its weights into a folder. An interrupted write leaves no folder.

        Args:
            training: training of the decoder, after any number of updates.
            folder: folder of the weights.
        """
        decoder, step, pretrained, at_once = training.decoder, training.step, training.pretrained, training.at_once
        before = decoder.training_note
        decoder.training_note = f"{before} + {step}" if pretrained else str(step)
        decoder.lineage = {**self.lineage, "step": step, "at_once": at_once, "source": environment()["source"]}
        with whole_folder(folder) as partial:
            save_decoder(decoder, partial)
        decoder.training_note = before

    def _sampled(self, validation: Validation) -> Tensor | None:
        """Return latents that the configured generator samples for the first `SHOWN` validation pictures.

        The result is None in these cases:

        - `sampled_preview` is not set. The generator is then not loaded.
        - No generator is configured.
        - The generator uses another first stage than this training. The trained decoder then cannot decode the
          generator's latents.
        """
        generator = self.config.generator
        if generator is None or not self.config.sampled_preview:
            return None
        if Path(self.config.first_stage) != Path(part_of(str(generator.get("pipeline")), "vae")):
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
        """Write the report of the training into a folder, and print the curve.

        The report has the final and the best weights, the losses and validations as CSV files, figures and `run.json`.

        Args:
            out: folder of the run.
            curve: losses and validations of the training.
            decoder: the trained decoder.
            validation: object that validates decoders. It also makes the pictures of the report.
        """
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
        at_once = decoder.lineage.get("at_once")  # a decoder that an earlier version trained does not have it
        facts = run_facts(
            self.config,
            self.config.resolved,
            self.overrides,
            device=str(self.device),
            weights=self.weights,
            facts={
                "processes": self.world.size,
                "at_once": at_once,
                "lineage": self.lineage,
                "validation": validations.iloc[-1].to_dict(),
            },
        )
        write_run(out, facts)
        print_curve(losses, validations)
        print(f"\nItems in one forward pass: {at_once or 'unknown'}")
        print(one_line(f"files: {out}"))
        print(one_line(f"decoder: {out / 'decoder'}"))

    @property
    def _title(self) -> str:
        return f"{self.config.decoder.name}, profile {self.config.profile.name}"


def _as_node(node: Any) -> Any:
    """Return `{"path": node}` if `node` is a text, which is then a path. Return any other value unchanged.

    The functions of `bench.config.instantiate` recognize a path by its key.
    """
    return {"path": node} if isinstance(node, str) else node


def _recipes(profile: str) -> list[str]:
    """Return the names of this project's training recipes for a profile, as in `training=NAME`."""
    files = sorted((conf_dir() / "training").glob("*.yaml"))
    return [
        file.stem
        for file in files
        if yaml.safe_load(file.read_text(encoding="utf-8")).get("profile", DecoderRecipe.profile) == profile
    ]


def own_checkpoint(config: TrainDecoderConfig, overrides: Sequence[str]) -> str | None:
    """Train the decoder of a table if needed, and return the folder of its weights.

    This function is for a table whose configuration has a training recipe, for example in a sweep over decoder sizes.
    The decoder is trained in these cases:

    - No `decoder.checkpoint` is configured.
    - The configured checkpoint exists, but it has another shape than the configured decoder.
    - The configured checkpoint does not exist, and an override sets one of the keys in `RESHAPING`.

    The weights are saved in the store. All runs that share the store use them, and no run trains this decoder again.

    Args:
        config: configuration of the training.
        overrides: overrides of the run.

    Returns:
        The folder of the weights. If no training is needed, the result is None, and the table uses
            `decoder.checkpoint`. If this checkpoint does not exist, the later check of the table's files reports it.
            With `stage=check`, the training is only checked, and the result is also None.

    Raises:
        BadInputError: the decoder cannot be trained. The message names what is missing or wrong.
    """
    training = TrainDecoder(config, overrides)
    checkpoint = config.decoder.checkpoint
    if checkpoint is not None and Path(checkpoint).exists():
        found = load_decoder(checkpoint).config
        needed = found != replace(training.planned, latent_channels=found.latent_channels)
    else:
        needed = checkpoint is None or any(key_of(word) in RESHAPING for word in overrides)
    if not needed:
        return None
    if config.stage == "check":
        training.check()
        return None
    return str(training.weights_of())
