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
KINDS = ("table", "train_mini")


@dataclass
class Paths:
    """Where things lie; none of it changes a result."""

    store: str = MISSING
    """Latents, scores and prepared items (environment: BENCH_STORE)."""
    data: str = MISSING
    """Data sets (environment: BENCH_DATA)."""
    assets: str = str(Path(__file__).parent / "assets")
    """What travels with the package."""


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
    decoders: dict[str, str] = field(default_factory=dict)
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
class Convergence:
    part: str = MISSING
    figure: str = MISSING
    largest: float = MISSING


@dataclass
class Training:
    per_class: int = MISSING
    """Pictures to train on in each class."""
    dev_per_class: int = MISSING
    """Pictures to choose recipes by in each class."""
    bfloat16: bool = MISSING
    convergence: Convergence = MISSING
    recipes_tried: dict[str, int] = MISSING
    """By part, the chosen one included."""
    parts: dict[str, Any] = MISSING
    """Recipes by name, each a `_target_` and that one's arguments."""


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
    training: Training | None = None


def _validate(config: Config) -> None:
    """Refuse what no type can: numbers out of range and unknown words."""
    _one_of("kind", config.kind, KINDS)
    _one_of("stage", config.stage, STAGES)
    _positive(config, "", "limit", "batch_size")
    if config.kind == "table":
        for group in ("dataset", "generator", "features", "table"):
            if getattr(config, group) is None:
                raise BadInputError(f"{group}: expected one of the files in conf/{group}, found none")
        _positive(config.profile, "profile.", "resolution", "steps", "items")
        _positive(config.dataset, "dataset.", "items")
        if config.profile.fid_minimum < 2:
            raise BadInputError(f"profile.fid_minimum: expected 2 or more, found {config.profile.fid_minimum}")
    elif config.training is None:
        raise BadInputError("training: expected one of the files in conf/training, found none")
    else:
        _positive(config.training, "training.", "per_class", "dev_per_class")
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
