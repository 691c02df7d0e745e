"""Makes the models of the mini profile, part by part, and packs them with a card."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from bench.data.mini.imagenet import write_imagenet
from bench.device import choose_device
from bench.errors import BadInputError
from bench.models.checkpoints import CONFIG, WEIGHTS, load_decoder, note_lineage, note_training
from bench.objects import make, require_target
from bench.results import Results, check_writable, environment, write_atomically, write_json
from bench.schema import Config
from bench.store import file_sha256, lease
from bench.tables.seeds import CARD, SeedStudy
from bench.training.card import CARD_TEXT, card_text
from bench.training.workshop import DONE, Shipped, Workshop, make_part
from bench.whole import whole_folder

__all__ = ["train_mini"]

log = logging.getLogger(__name__)

PACKED = "mini"
"""Folder of the weights as they are shipped, in half precision."""
MOST_BYTES = 40_000_000
"""Of all weights that the repository carries."""
UNPACKED = ("first_stage", "vanilla")
"""Parts that travel inside another, as the inpainting pipeline's own autoencoder."""
AUTOENCODER = "inpainting"
"""The pipeline that keeps its autoencoder; the others are packed without theirs, which is the same."""
SHIPPED_INSIDE = dict.fromkeys(UNPACKED, f"{AUTOENCODER}/vae")
"""Where the unpacked parts lie: the first stage's encoder and the vanilla decoder make up that autoencoder."""


def train_mini(config: Config, resolved: Mapping[str, Any]) -> Results:
    """Make the parts that are not there yet; when all are, pack them.

    `part=NAME` makes one of them. `part=NAME@SEED` makes it once more with other draws, for the spread between training
    seeds; the parts that it needs are those of the run's own seed where they were made here, and else the ones that the
    repository carries.

    Raises:
        BadInputError: an unknown part, one whose needs are not made yet, or an out= of another recipe or seed.
        RuntimeError: the first stage had not converged; the message gives the figures.
    """
    if config.stage not in ("check", "report"):
        raise BadInputError(f"stage: training knows check and report, the default, found {config.stage}")
    training = resolved["parts"]
    shipped: dict[str, Any] = training["recipes"]
    recipes = {**shipped, **training["extras"]}
    parts = {name: make(recipe, f"parts.recipes.{name}") for name, recipe in _checked(recipes)}
    wanted = [config.part] if config.part is not None else list(shipped)
    for part in wanted:
        name, _, seed = part.partition("@")
        if name not in recipes or (seed and not seed.isdecimal()):
            raise BadInputError(f"part: expected one of {', '.join(recipes)}, or one of them @SEED, found {part}")
    out = Path(config.out or f"outputs/train_mini/seed{config.seed}")
    check_writable(str(out), "out")
    check_writable(config.paths.data, "paths.data")
    if config.stage == "check":
        print(
            f"{config.name}: {', '.join(wanted)} in {sum(parts[part.partition('@')[0]].steps for part in wanted)} steps"
        )
        return Results(out, 0)
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
            shipped=Shipped(Path(config.profile.weights), SHIPPED_INSIDE) if seed else None,
        )
        make_part(part, parts[name], recipes[name], workshop)
    if all((out / name / DONE).is_file() for name in shipped):
        _check_convergence(out, training["convergence"])
        with lease(out / f".{PACKED}.lease"):
            pack(out, shipped, training, config)
        print(out / PACKED)
    return Results(out, 0)


def _checked(recipes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, recipe in recipes.items():
        require_target(recipe, f"parts.recipes.{name}")
        yield name, recipe


def _made(out: Path, name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((out / name / DONE).read_text())
    return made


def _check_convergence(out: Path, limits: Mapping[str, Any]) -> None:
    change = _made(out, limits["part"])["figures"][limits["figure"]]
    if abs(change) > limits["largest"]:
        raise RuntimeError(
            f"{limits['part']}: {limits['figure']} is {change:+.1%}, more than {limits['largest']:.0%}: the first "
            "stage had not converged, and every later decoder would look better for its training alone"
        )


def pack(out: Path, recipes: Mapping[str, Any], training: Mapping[str, Any], config: Config) -> None:
    """Copy finished parts into `out/mini` in half precision, with `CARD.md` and `card.json`.

    The card has no study of training seeds in the tables then: an earlier one is about other weights.

    Raises:
        RuntimeError: they are larger than a repository should carry.
    """
    names = [name for name in recipes if name not in UNPACKED]
    with whole_folder(out / PACKED) as partial:
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
        _give_vanilla_decoder(out / "vanilla", autoencoder)
        for name, folder in [("vanilla", autoencoder), *((name, partial / name) for name in names)]:
            if "training" in recipes[name]:
                made = _made(out, name)
                notes = {key: made[key] for key in ("part", "settings", "seed", "steps", "recipe", "source")}
                note_lineage(folder, notes)
        card = _card(out, list(recipes), training, config, partial)
        if card["bytes"] > MOST_BYTES:
            raise RuntimeError(f"{partial}: {card['bytes'] / 1e6:.2f} MB of weights, more than {MOST_BYTES / 1e6:.0f}")
        write_json(partial / CARD, card)
        write_atomically(partial / CARD_TEXT, card_text(card, SeedStudy()))


def _shipped_files(part: Path) -> list[Path]:
    """What a finished part's folder holds, apart from an autoencoder that another part has, by relative paths."""
    files = sorted(path.relative_to(part) for path in part.rglob("*") if path.is_file() and path.name != DONE)
    return [file for file in files if file.parts[0] != "vae" or part.name == AUTOENCODER]


def _halve(source: Path, copy: Path) -> None:
    save_file({key: x.half() if x.is_floating_point() else x for key, x in load_file(source).items()}, copy)


def _without_origin(source: Path, copy: Path) -> None:
    """Leave out where diffusers had read it from, which is a path of the machine that it was made on."""
    settings = {key: value for key, value in json.loads(source.read_text()).items() if key != "_name_or_path"}
    copy.write_text(json.dumps(settings, indent=2) + "\n")


def _give_vanilla_decoder(vanilla: Path, vae: Path) -> None:
    """Put the vanilla decoder into the autoencoder that it was trained for."""
    decoder = load_decoder(vanilla)
    tensors = load_file(vae / WEIGHTS)
    tensors |= {f"decoder.{key}": tensor.half() for key, tensor in decoder.state_dict().items()}
    save_file(tensors, vae / WEIGHTS)
    note_training(vae, decoder.training_note)


def _card(out: Path, recipes: list[str], training: Mapping[str, Any], config: Config, packed: Path) -> dict[str, Any]:
    seeds: dict[str, dict[str, Any]] = {}
    for name in recipes:
        others = sorted(folder.name for folder in out.glob(f"{name}@*") if (folder / DONE).is_file())
        if others:
            runs = [_made(out, run)["figures"] for run in (name, *others)]
            seeds[name] = {
                "seeds": [_made(out, run)["seed"] for run in (name, *others)],
                **{figure: [run[figure] for run in runs] for figure in runs[0]},
            }
    files = sorted(path for path in packed.rglob("*.safetensors"))
    return {
        "command": f"python -m bench experiment=train_mini seed={config.seed}",
        "seed": config.seed,
        "shipped": f"the parts of seed {config.seed}",
        **environment(),
        "parts": {name: _made(out, name) for name in recipes},
        "seeds": seeds,
        "recipes_tried": training["recipes_tried"],
        "sha256": {path.relative_to(packed).as_posix(): file_sha256(path) for path in files},
        "bytes": sum(path.stat().st_size for path in files),
    }
