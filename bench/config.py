"""The typed schema of an experiment, and how a command line becomes one.

Nothing here imports torch: listing the experiments and refusing a bad key take about a second.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bench.errors import BadInputError

__all__ = ["STAGES", "Config", "compose_config", "conf_dir", "experiments", "one_message", "typed"]

STAGES = ("check", "prepare", "sample", "score", "tabulate", "report")
NEEDS = {
    "table": ("dataset", "generator", "features", "table"),
    "architecture": ("decoder", "table"),
    "train_decoder": ("decoder", "training", "first_stage", "training_data", "validation_data"),
    "train_mini": ("parts",),
}
"""Groups and keys that each kind of experiment must have."""


@dataclass
class Paths:
    """Where things lie; none of it changes a result."""

    store: str = MISSING
    """Latents, scores and prepared items (environment: BENCH_STORE)."""
    data: str = MISSING
    """Data sets (environment: BENCH_DATA)."""
    weights: str = MISSING
    """Weights of the paper profile (environment: BENCH_WEIGHTS)."""
    assets: str = str(Path(__file__).parent / "assets")
    """What travels with the package."""


@dataclass
class DecoderSizes:
    """Of the vanilla decoder, from which the others' follow by their factors."""

    channels: list[int] = MISSING
    layers: int = MISSING
    groups: int = MISSING
    widen_groups: bool = False
    """Whether a wider decoder has more normalisation groups instead of larger ones."""


@dataclass
class Profile:
    """Everything that differs between the miniature and the real thing: sizes and paths."""

    name: str = MISSING
    resolution: int = MISSING
    masks: str = MISSING
    items: int | None = None
    """Items of a table from the paper's own data sets; None for all that they give."""
    fid_minimum: int = MISSING
    """Fewest items of which a Fréchet distance is given."""
    steps: int = MISSING
    """Sampling steps."""
    batch_size: int = MISSING
    weights: str = MISSING
    pipeline: str = MISSING
    features: str = MISSING
    first_stage: str = MISSING
    """The frozen one for which decoders are trained."""
    decoder_sizes: DecoderSizes = field(default_factory=DecoderSizes)
    decoders: dict[str, str] = field(default_factory=dict)
    perceptual: dict[str, Any] = field(default_factory=dict)
    """The distance that decoders are trained with: a `_target_` and that one's arguments."""
    datasets: dict[str, Any] = field(default_factory=dict)


@dataclass
class Row:
    """One line of a table."""

    label: str = MISSING
    method: dict[str, Any] = MISSING
    """How its images are made: a `_target_` and that one's arguments."""
    published: str | None = None
    """The paper's label of the row, where the paper has it."""
    reference: bool = False
    """Whether the others are compared with this row."""


@dataclass
class TableSpec:
    number: int = MISSING
    """Of the table in the paper."""
    title: str = MISSING
    columns: list[str] = MISSING
    """Names of metrics, in the paper's order."""


@dataclass
class Dataset:
    name: str = MISSING
    root: str | None = None
    items: int | None = None
    """Take as many items at most; None for all."""
    pictures: dict[str, Any] = MISSING
    """What yields them: a `_target_` and that one's arguments."""


@dataclass
class Features:
    name: str = MISSING
    """Stands in the titles of columns."""
    network: dict[str, Any] = MISSING
    """A `_target_` and that one's arguments."""


@dataclass
class DecoderSpec:
    """A decoder to train, to draw up, or to put into a row."""

    name: str = MISSING
    width: float = 1.0
    """Factor on the vanilla decoder's channels."""
    depth: float = 1.0
    """Factor on its layers, rounded to whole ones."""
    conditioned: bool = True
    blending: str = "add"
    branch: str = "plain"
    checkpoint: str | None = None
    """Its weights, where a row is made with it."""


@dataclass
class Convergence:
    part: str = MISSING
    figure: str = MISSING
    largest: float = MISSING


@dataclass
class Parts:
    """What `train_mini` makes."""

    per_class: int = MISSING
    """Pictures to train on in each class."""
    dev_per_class: int = MISSING
    """Pictures to choose recipes by in each class."""
    bfloat16: bool = MISSING
    convergence: Convergence = MISSING
    recipes_tried: dict[str, int] = MISSING
    """By part, the chosen one included."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Recipes that are made only when `part=` names them; nothing of them is packed."""
    recipes: dict[str, Any] = MISSING
    """By name, each a `_target_` and that one's arguments."""


@dataclass
class Config:
    """One experiment."""

    name: str = MISSING
    description: str = MISSING
    kind: str = "table"
    stage: str = "report"
    """Run up to and including this stage."""
    limit: int | None = None
    """Take only the first items of the manifest."""
    seed: int = 0
    device: str = "auto"
    batch_size: int = "${profile.batch_size}"  # type: ignore[assignment]
    out: str | None = None
    save_images: bool = False
    part: str | None = None
    """Of `train_mini`: the one part to make; None for all."""
    profile: Profile = field(default_factory=Profile)
    paths: Paths = field(default_factory=Paths)
    dataset: Dataset | None = None
    generator: dict[str, Any] | None = None
    features: Features | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    table: TableSpec | None = None
    parts: Parts | None = None
    decoder: DecoderSpec | None = None
    training: dict[str, Any] | None = None
    """How the decoder is trained: a `_target_` and that one's arguments."""
    start: str | None = None
    """Weights that the decoder starts from; None for fresh ones."""
    first_stage: str | None = None
    training_data: dict[str, Any] | None = None
    validation_data: dict[str, Any] | None = None
    predict_branch: bool = False
    """Whether a fresh branch starts as the linear prediction of the decoder's features from the picture."""
    workers: int = 0
    """Processes that read training data, beside each that trains."""
    wandb: str | None = None
    """Project at W&B."""


def _validate(config: Config) -> None:
    """Refuse what no type can: numbers out of range and unknown words."""
    _one_of("kind", config.kind, tuple(NEEDS))
    _one_of("stage", config.stage, STAGES)
    _positive(config, "", "limit", "batch_size")
    for key in NEEDS[config.kind]:
        if getattr(config, key) is None:
            raise BadInputError(f"{key}: expected one of the files in conf/{key}, found none")
    if config.kind == "table":
        _positive(config.profile, "profile.", "resolution", "steps", "items")
        _positive(config.dataset, "dataset.", "items")
        if config.profile.fid_minimum < 2:
            raise BadInputError(f"profile.fid_minimum: expected 2 or more, found {config.profile.fid_minimum}")
    if config.parts is not None:
        _positive(config.parts, "parts.", "per_class", "dev_per_class")
    if config.decoder is not None and min(config.decoder.width, config.decoder.depth) <= 0:
        raise BadInputError(f"decoder: expected a width and depth above 0, found {config.decoder}")
    if config.seed < 0:
        raise BadInputError(f"seed: expected 0 or more, found {config.seed}")
    references = [name for name, row in config.rows.items() if row.reference]
    if len(references) > 1:
        raise BadInputError(f"rows: expected one reference row, found {', '.join(references)}")


def _positive(node: object, prefix: str, *names: str) -> None:
    for name in names:
        value = getattr(node, name)
        if value is not None and value < 1:
            raise BadInputError(f"{prefix}{name}: expected 1 or more, found {value}")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInputError(f"{key}: expected one of {', '.join(allowed)}, found {value}")


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
