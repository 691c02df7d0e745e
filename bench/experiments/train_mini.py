"""The experiment that trains the models of the mini profile.

The experiment trains one model after another, such as the first stage or a decoder. It then packs the finished models
into one folder, with a card that describes the weights.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from bench.checking.inspection import Problem
from bench.config.experiment_configs import TrainMiniConfig
from bench.config.instantiate import make, require_target
from bench.data.mini.imagenet import write_imagenet
from bench.errors import BadInputError
from bench.models.checkpoints import CONFIG, WEIGHTS, load_decoder, note_lineage, note_training
from bench.results.environment import environment
from bench.results.out_folder import check_out, check_writable, claim, claim_of
from bench.results.run_folder import Results
from bench.runtime.atomic import whole_folder
from bench.runtime.device import choose_device
from bench.runtime.files import write_atomically, write_json
from bench.runtime.strict_json import read_json
from bench.store import file_sha256, lease
from bench.tables.seeds import CARD, SeedStudy
from bench.training.mini.build import DONE, Shipped, Workshop, make_part, read_made
from bench.training.mini.card import CARD_TEXT, card_text

__all__ = ["TrainMini"]

log = logging.getLogger(__name__)

PACKED = "mini"
"""Name of the folder in `out` into which the finished models are packed, in half precision."""
MOST_BYTES = 60_000_000
"""Largest allowed size in bytes of all packed weights together, because the repository contains them."""
UNPACKED = ("first_stage", "vanilla")
"""Models that have no folder of their own among the packed weights.

Together they form the autoencoder of the inpainting pipeline, so they are packed inside this pipeline.
"""
AUTOENCODER = "inpainting"
"""Pipeline that is packed with its autoencoder. The other pipelines use the same autoencoder and are packed without it.
"""
SHIPPED_INSIDE = dict.fromkeys(UNPACKED, f"{AUTOENCODER}/vae")
"""Folder among the packed weights that contains each model in `UNPACKED`, by the model's name.

The first stage gives the encoder of this autoencoder, and the vanilla decoder is its decoder.
"""


class TrainMini:
    """An experiment that trains the models of the mini profile, one model after another."""

    def __init__(self, config: TrainMiniConfig, overrides: Sequence[str]) -> None:
        """Set the configuration. The overrides of the command line are not used."""
        self.config = config

    def missing(self) -> list[Problem]:
        """Return an empty list, because the experiment draws its data and makes its weights itself."""
        return []

    def run(self) -> Results:
        """Train the models that do not exist yet, as the function `train_mini` describes."""
        return train_mini(self.config)


def train_mini(config: TrainMiniConfig) -> Results:
    """Train the models that do not exist yet, and pack all models as soon as all exist.

    `part=NAME` trains only this model. `part=NAME@SEED` trains it again with another seed, which shows how much the
    results depend on the training seed. A model may need other models, such as the first stage. They are read from
    `out`. Models that `out` does not have are read from the shipped weights if the training has `part=NAME@SEED` or
    `mini_models.from_shipped=true`. With `stage=check`, nothing is trained or packed.

    Raises:
        BadInputError: the stage is neither `check` nor `report`; the model is unknown; a needed model is missing; or
            the folder `out` belongs to another recipe or seed.
        RuntimeError: the first stage has not converged, or the packed weights are too large. The message contains the
            numbers.
    """
    if config.stage not in ("check", "report"):
        raise BadInputError(f"stage: expected check or report (the default), found {config.stage}")
    training = config.resolved["mini_models"]
    shipped: dict[str, Any] = training["recipes"]
    recipes = {**shipped, **training["extras"]}
    parts = {name: make(recipe, f"mini_models.recipes.{name}") for name, recipe in _checked(recipes)}
    wanted = [config.part] if config.part is not None else list(shipped)
    for part in wanted:
        name, _, seed = part.partition("@")
        if name not in recipes or (seed and not seed.isdecimal()):
            raise BadInputError(
                f"part: expected NAME or NAME@SEED, where NAME is one of {', '.join(recipes)} and SEED is a "
                f"whole number; found {part}"
            )
    out = Path(config.out or f"outputs/train_mini/seed{config.seed}")
    check_out(replace(config, out=str(out)))
    check_writable(config.paths.data, "paths.data")
    if config.stage == "check":
        print(
            f"{config.name}: ready: a run trains {', '.join(wanted)}, at most "
            f"{sum(parts[part.partition('@')[0]].steps for part in wanted)} steps in all"
        )
        return Results(out, 0)
    out.mkdir(parents=True, exist_ok=True)
    claim(out, claim_of(config))
    packed = Shipped(Path(config.profile.weights), SHIPPED_INSIDE)
    added_to = packed if training["from_shipped"] else None
    for part in wanted:
        name, _, seed = part.partition("@")
        workshop = Workshop(
            out=out,
            seed=int(seed) if seed else config.seed,
            train=write_imagenet(config.paths.data, "train", per_class=training["per_class"], seed=config.seed),
            dev=write_imagenet(config.paths.data, "dev", per_class=training["dev_per_class"], seed=config.seed),
            resolution=config.profile.resolution,
            device=choose_device(config.device),
            bfloat16=training["bfloat16"],
            shipped=packed if seed else added_to,
        )
        make_part(part, parts[name], recipes[name], workshop)
    if all((out / name / DONE).is_file() or (added_to and added_to.part(name)) for name in shipped):
        _check_convergence(out, training["convergence"])
        with lease(out / f".{PACKED}.lease"):
            pack(out, shipped, training, config, added_to)
        print(out / PACKED)
    return Results(out, 0)


def _checked(recipes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, recipe in recipes.items():
        require_target(recipe, f"mini_models.recipes.{name}")
        yield name, recipe


def _check_convergence(out: Path, limits: Mapping[str, Any]) -> None:
    part = limits["part"]
    if not (out / part / DONE).is_file():  # a shipped model converged before it was shipped
        return
    change = read_made(out / part)["figures"].get(limits["figure"])
    if change is None:
        raise BadInputError(f"{out / part / DONE}: expected the measured value {limits['figure']}, found no such value")
    if abs(change) > limits["largest"]:
        raise RuntimeError(
            f"{limits['part']}: expected {limits['figure']} from -{limits['largest']:.0%} to +{limits['largest']:.0%}, "
            f"found {change:+.1%}; "
            "the first stage has not converged, so the other decoders would look better only because of longer training"
        )


def pack(
    out: Path,
    recipes: Mapping[str, Any],
    training: Mapping[str, Any],
    config: TrainMiniConfig,
    added_to: Shipped | None = None,
) -> None:
    """Copy the finished models into the folder `out/mini` in half precision, and write `CARD.md` and `card.json` there.

    The new card has a study of training seeds only if the models are added to shipped ones. Otherwise, an earlier study
    belongs to other weights.

    Args:
        out: folder of the training run.
        recipes: recipe of each model to pack, by the model's name.
        training: the configuration `mini_models` as plain data.
        config: configuration of the run.
        added_to: shipped models. A model that `out` does not have is copied from them. With None, `out` has all models.

    Raises:
        RuntimeError: all weights together have more than `MOST_BYTES` bytes.
    """
    made_here = [name for name in recipes if (out / name / DONE).is_file()]
    names = [name for name in made_here if name not in UNPACKED]
    with whole_folder(out / PACKED) as partial:
        if added_to is not None:
            shutil.copytree(added_to.folder, partial, dirs_exist_ok=True)
        for name in names:
            for file in _shipped_files(out / name):
                source, copy = out / name / file, partial / name / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                if source.suffix == ".safetensors":
                    _halve(source, copy)
                elif source.name == CONFIG:
                    _without_origin(source, copy)
                else:
                    shutil.copyfile(source, copy)
        autoencoder = partial / AUTOENCODER / "vae"
        if "vanilla" in made_here:
            _give_vanilla_decoder(out / "vanilla", autoencoder)
        for name in made_here:
            folder = autoencoder if name == "vanilla" else partial / name
            if "training" in recipes[name]:
                made = read_made(out / name)
                notes = {key: made[key] for key in ("part", "settings", "seed", "steps", "recipe", "source")}
                note_lineage(folder, notes)
        card = _card(out, list(recipes), training, config, partial)
        study = SeedStudy() if added_to is None else SeedStudy.read(partial)
        if card["bytes"] > MOST_BYTES:
            raise RuntimeError(
                f"{out / PACKED}: expected at most {MOST_BYTES / 1e6:.0f} MB of weights in all packed models together, "
                f"found {card['bytes'] / 1e6:.2f} MB"
            )
        write_json(partial / CARD, card)
        write_atomically(partial / CARD_TEXT, card_text(card, study))


def _shipped_files(part: Path) -> list[Path]:
    """Return the paths of those files of a finished model that are to be packed, relative to the model's folder.

    The files of the autoencoder are packed only with the pipeline `AUTOENCODER`; for other models they are left out.
    """
    files = sorted(path.relative_to(part) for path in part.rglob("*") if path.is_file() and path.name != DONE)
    return [file for file in files if file.parts[0] != "vae" or part.name == AUTOENCODER]


def _halve(source: Path, copy: Path) -> None:
    save_file({key: x.half() if x.is_floating_point() else x for key, x in load_file(source).items()}, copy)


def _without_origin(source: Path, copy: Path) -> None:
    """Copy a JSON configuration of diffusers, but leave out the key `_name_or_path`.

    The value of this key is a path on the machine that trained the model. The path means nothing on another machine.
    """
    settings = {key: value for key, value in read_json(source).items() if key != "_name_or_path"}
    copy.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _give_vanilla_decoder(vanilla: Path, vae: Path) -> None:
    """Replace the decoder in an autoencoder by the trained vanilla decoder.

    Args:
        vanilla: folder of the vanilla decoder.
        vae: folder of the packed autoencoder, for whose encoder the decoder was trained.
    """
    decoder = load_decoder(vanilla)
    tensors = load_file(vae / WEIGHTS)
    tensors |= {f"decoder.{key}": tensor.half() for key, tensor in decoder.state_dict().items()}
    save_file(tensors, vae / WEIGHTS)
    note_training(vae, decoder.training_note)


def _card(
    out: Path, recipes: list[str], training: Mapping[str, Any], config: TrainMiniConfig, packed: Path
) -> dict[str, Any]:
    earlier = read_json(packed / CARD) if (packed / CARD).is_file() else {"parts": {}, "seeds": {}}
    seeds: dict[str, dict[str, Any]] = dict(earlier["seeds"])
    for name in recipes:
        others = sorted(folder.name for folder in out.glob(f"{name}@*") if (folder / DONE).is_file())
        if others and (out / name / DONE).is_file():
            runs = [read_made(out / run)["figures"] for run in (name, *others)]
            seeds[name] = {
                "seeds": [read_made(out / run)["seed"] for run in (name, *others)],
                **{figure: [run[figure] for run in runs] for figure in runs[0]},
            }
    files = sorted(path for path in packed.rglob("*.safetensors"))
    return {
        "command": f"python -m bench experiment=train_mini seed={config.seed}",
        "seed": config.seed,
        "shipped": f"the parts of seed {config.seed}",
        **environment(),
        "parts": {
            name: read_made(out / name) if (out / name / DONE).is_file() else earlier["parts"][name] for name in recipes
        },
        "seeds": seeds,
        "recipes_tried": training["recipes_tried"],
        "sha256": {path.relative_to(packed).as_posix(): file_sha256(path) for path in files},
        "bytes": sum(path.stat().st_size for path in files),
    }
