"""How a command line becomes a configuration of `bench.schema`, and what is said of one that does not.

Nothing here imports torch: listing the experiments and refusing a bad key take about a second.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bench.errors import BadInputError
from bench.schema import COMPILE, CONTROLS, DTYPES, FETCH, STAGES, Config

__all__ = [
    "COLLECTIONS",
    "MEASURING",
    "changing",
    "compose_config",
    "conf_dir",
    "experiments",
    "for_each",
    "group_of",
    "key_of",
    "one_message",
    "typed",
    "with_decoder_rows",
]

NEEDS = {
    "table": ("dataset", "generator", "features", "table"),
    "sensitivity": ("dataset", "generator", "features", "table"),
    "architecture": ("decoder", "table"),
    "train_decoder": ("decoder", "training", "first_stage", "training_data", "validation_data"),
    "train_mini": ("parts",),
    "seeds": ("experiments", "seeds_from", "card"),
    "collection": ("experiments",),
    "regression": ("experiments", "gate"),
}
"""Groups and keys that each kind of experiment must have."""

MEASURING = {"table": "bench.experiment.TableExperiment", "sensitivity": "bench.sensitivity.SensitivityExperiment"}
"""Kinds that sample and score the rows of a table, and the class of each."""

COLLECTIONS = ("collection", "regression", "seeds")
"""Kinds that run other experiments."""

OWN = ("experiment", "experiments", "out", "each", "gate", "seeds", "seeds_from", "card")
"""Keys of those kinds that they do not hand on to the experiments that they run."""

NEUTRAL = (
    "experiment", "experiments", "stage", "device", "batch_size", "strip_rows", "compile", "out", "save_images",
    "keep_features", "features_dtype", "paths", "hydra", "controls", "costs", "each", "gate", "seeds", "seeds_from",
    "card",
)  # fmt: skip
"""Overrides of these change no number of the paper's tables."""
OFFERED = ("profile=", "baseline=", "baseline.", "dataset=imagenet_archive", "dataset.pictures.ground_truth=")
"""Nor do those that begin so, which choose between what the project offers for them."""

ConfigStore.instance().store(name="schema", node=Config)


def conf_dir() -> Path:
    """The folder of configuration files: inside an installed package, or beside it in a checkout."""
    installed = Path(__file__).parent / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "conf"


def experiments() -> dict[str, str]:
    """Name and description of every experiment."""
    found = {}
    for path in sorted((conf_dir() / "experiment").glob("*.yaml")):
        found[path.stem] = str(yaml.safe_load(path.read_text())["description"])
    return found


def compose_config(overrides: list[str]) -> DictConfig:
    """The configuration that a command line with these overrides stands for.

    Raises:
        BadInputError: it does not compose; the message names the key and what is allowed.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
            return compose("config", overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInputError(one_message(error)) from error
    except ValueError as error:  # Hydra's only word on `dataset=null`
        nulls = ", ".join(override for override in overrides if override.endswith("=null"))
        raise BadInputError(f"{nulls}: {error}") from error


def typed(composed: DictConfig) -> tuple[Config, dict[str, Any]]:
    """A composed configuration as the schema's objects, and as plain resolved data.

    Raises:
        BadInputError: a key that the schema does not have, a wrong type, a missing or an impossible value.
    """
    try:
        # As plain data, so that keys which `+` smuggled into the composed one meet the schema once more.
        plain = OmegaConf.create(OmegaConf.to_container(composed, resolve=False))
        merged = OmegaConf.merge(OmegaConf.structured(Config), plain)
        resolved = OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise BadInputError(one_message(error)) from error
    if not isinstance(config, Config) or not isinstance(resolved, dict):
        raise TypeError("the schema did not give a Config")
    _validate(config)
    return config, typing.cast(dict[str, Any], resolved)


def with_decoder_rows(config: Config, resolved: dict[str, Any], overrides: list[str]) -> tuple[Config, dict[str, Any]]:
    """The configuration with rows of the given decoder, with and without the mask, unless it has one of them.

    Args:
        config: of a table, composed of the overrides.
        resolved: the same as plain data.
        overrides: in which `decoder.checkpoint` is set.

    Raises:
        BadInputError: as `compose_config`.
    """
    assert config.decoder is not None  # it has a default
    own = [f"decoder_{ending}" for ending in (("mask", "nomask") if config.decoder.conditioned else ("nomask",))]
    if set(own) & set(config.rows):
        return config, resolved
    return typed(compose_config([*overrides, f"row=[{','.join([*config.rows, *own])}]"]))


def key_of(override: str) -> str:
    """What an override sets, such as `generator.steps` of `generator.steps=4`."""
    return override.lstrip("+~").partition("=")[0]


def group_of(override: str) -> str:
    """The first word of its key, such as `generator`."""
    return key_of(override).partition(".")[0].partition("@")[0]


def changing(overrides: Sequence[str]) -> list[str]:
    """Overrides that make another table than the paper's: a run with one of them is labelled custom."""
    return [word for word in overrides if group_of(word) not in NEUTRAL and not word.startswith(OFFERED)]


def for_each(config: Config, overrides: list[str]) -> dict[str, list[str]]:
    """By experiment of a collection, the overrides that it is run with.

    Args:
        config: of the collection.
        overrides: of its run, which count for more than those that it has for its experiments.
    """
    shared = [word for word in overrides if group_of(word) not in OWN]
    return {
        name: [f"experiment={name}", *config.each.get("all", []), *config.each.get(name, []), *shared]
        for name in config.experiments
    }


def one_message(error: BaseException) -> str:
    """What Hydra or OmegaConf found wrong, in one message that names the key and what is allowed."""
    deeper = error.__cause__
    if isinstance(error, HydraException) and isinstance(deeper, OmegaConfBaseException):
        return one_message(deeper)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        options = sorted(path.stem for path in (conf_dir() / missing).parent.glob("*.yaml"))
        return f"{Path(missing).parent}: expected one of {', '.join(options)}, found no {missing}"
    if not isinstance(error, OmegaConfBaseException) or not error.full_key:
        return " ".join(lines)
    key, parent = str(error.full_key), error.parent_node
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and isinstance(parent, DictConfig):
        kind = parent._metadata.object_type
        allowed = [item.name for item in fields(kind)] if is_dataclass(kind) else [str(name) for name in parent]
        return f"{key}: no such key; allowed are {', '.join(allowed)}"
    return lines[0] if lines[0].startswith(key) else f"{key}: {lines[0]}"


def _validate(config: Config) -> None:
    """Refuse what no type can: numbers out of range and unknown words."""
    _one_of("kind", config.kind, tuple(NEEDS))
    _one_of("stage", config.stage, (STAGES[0], FETCH, *STAGES[1:]))
    _positive(config, "", "limit")
    if config.batch_size != "auto" and not (isinstance(config.batch_size, int) and config.batch_size >= 1):
        raise BadInputError(f"batch_size: expected 1 or more, or auto, found {config.batch_size}")
    _positive(config, "", "strip_rows")
    if config.compile is not None:
        _one_of("compile", config.compile, COMPILE)
    _one_of("features_dtype", config.features_dtype, DTYPES)
    for control in config.controls:
        _one_of("controls", control, CONTROLS)
    for key in NEEDS[config.kind]:
        if getattr(config, key) is None:
            raise BadInputError(f"{key}: expected one of the files in conf/{key}, found none")
    if config.kind in MEASURING:
        _positive(config.profile, "profile.", "resolution", "steps")
        _positive(config.dataset, "dataset.", "items")
        if config.profile.fid_minimum < 2:
            raise BadInputError(f"profile.fid_minimum: expected 2 or more, found {config.profile.fid_minimum}")
    if config.parts is not None:
        _positive(config.parts, "parts.", "per_class", "dev_per_class")
    if config.decoder is not None and min(config.decoder.width, config.decoder.depth) <= 0:
        raise BadInputError(f"decoder: expected a width and depth above 0, found {config.decoder}")
    if config.seed < 0:
        raise BadInputError(f"seed: expected 0 or more, found {config.seed}")


def _positive(node: object, prefix: str, *names: str) -> None:
    for name in names:
        value = getattr(node, name)
        if value is not None and value < 1:
            raise BadInputError(f"{prefix}{name}: expected 1 or more, found {value}")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInputError(f"{key}: expected one of {', '.join(allowed)}, found {value}")
