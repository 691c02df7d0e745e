"""The configuration classes of the experiments. Each class has only the keys that the experiment needs.

Hydra composes one object with the keys of all experiments, `bench.config.schema.ComposedConfig`. The schema also says
what each key means. `RunConfig.of` takes the keys of one experiment from this object. It requires a value for each key
whose type does not allow None.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Self, get_args, get_type_hints

from bench.config.paths import Paths
from bench.config.schema import (
    ComposedConfig,
    Dataset,
    DecoderSpec,
    Gate,
    Metrics,
    MiniModels,
    Profile,
    ProtocolSpec,
    RehearsalSpec,
    Row,
    TableSpec,
    Tex,
    VaeSpec,
)
from bench.errors import BadInputError
from bench.runtime.clock import utc_now

__all__ = [
    "ArchitectureConfig",
    "CollectingConfig",
    "CollectionConfig",
    "LeaderboardConfig",
    "MeasuringConfig",
    "RegressionConfig",
    "RehearsalConfig",
    "RunConfig",
    "ScoringConfig",
    "SeedsConfig",
    "TableConfig",
    "TrainDecoderConfig",
    "TrainMiniConfig",
    "TurnsConfig",
]


@dataclass(kw_only=True)
class RunConfig:
    """The keys that every experiment has."""

    name: str
    stage: str
    out: str | None
    overwrite: bool
    seed: int
    device: str
    profile: Profile
    paths: Paths
    resolved: dict[str, Any]
    """The whole composed configuration as plain data, with the keys of all experiments."""
    started: str = field(default_factory=utc_now, compare=False)
    """Time at which the run began, as `bench.runtime.clock.utc_now` returns it. No key of the configuration sets it."""

    @classmethod
    def of(cls, composed: ComposedConfig, resolved: dict[str, Any]) -> Self:
        """Return an object of this class with values from a composed configuration.

        Args:
            composed: configuration, as `bench.config.compose.typed` returns it.
            resolved: the same configuration as plain data.

        Raises:
            BadInputError: a key that the experiment needs has no value.
        """
        cls.check(composed)
        return cls(**{key: getattr(composed, key) for key in cls._keys()}, resolved=resolved)

    @classmethod
    def check(cls, composed: ComposedConfig) -> None:
        """Require a value for each key of this class whose type does not allow None.

        Raises:
            BadInputError: a key has no value. The message names the key.
        """
        hints = get_type_hints(cls)
        for key in cls._keys():
            if getattr(composed, key) is None and NoneType not in get_args(hints[key]):
                raise BadInputError(
                    f"{key}: expected a value, because this experiment needs one, found null; {key}=VALUE sets it"
                )

    @classmethod
    def _keys(cls) -> list[str]:
        return [one.name for one in fields(cls) if one.name not in ("resolved", "started")]


@dataclass(kw_only=True)
class ScoringConfig(RunConfig):
    """Configuration of an experiment that scores items, in the same way for every row."""

    dataset: Dataset
    metrics: Metrics
    table: TableSpec
    protocol: ProtocolSpec | None
    controls: list[str]
    limit: int | None
    fresh: bool
    batch_size: int | str
    strip_rows: int | None
    compile: str | None
    verbose: bool
    save_images: bool
    keep_features: bool
    features_dtype: str


@dataclass(kw_only=True)
class MeasuringConfig(ScoringConfig):
    """Configuration of an experiment that samples and scores the rows of a table, such as the sensitivity study."""

    generator: dict[str, Any]
    rows: dict[str, Row]
    training: dict[str, Any] | None


@dataclass(kw_only=True)
class TableConfig(MeasuringConfig):
    """Configuration of an experiment that measures one of the paper's tables."""

    costs: bool
    tex: Tex


@dataclass(kw_only=True)
class TurnsConfig(MeasuringConfig):
    """Configuration of the experiment that measures repeated edits: each row edits its own images again."""

    turns: int
    masks: str
    saved: str


@dataclass(kw_only=True)
class LeaderboardConfig(ScoringConfig):
    """Configuration of the experiment that compares autoencoders and decoders of several latent spaces."""

    vaes: dict[str, VaeSpec]
    costs: bool
    tex: Tex


@dataclass(kw_only=True)
class ArchitectureConfig(RunConfig):
    """Configuration of Tables 7 and 8, which list the layers of a decoder."""

    decoder: DecoderSpec
    table: TableSpec
    verbose: bool


@dataclass(kw_only=True)
class TrainDecoderConfig(RunConfig):
    """Configuration of the experiment that trains one decoder."""

    decoder: DecoderSpec
    training: dict[str, Any]
    first_stage: str
    first_stage_space: str
    training_data: dict[str, Any]
    validation_data: dict[str, Any]
    generator: dict[str, Any] | None
    start: str | None
    predict_branch: bool
    workers: int | None
    sampled_preview: bool
    wandb: str | None


@dataclass(kw_only=True)
class TrainMiniConfig(RunConfig):
    """Configuration of the experiment that trains the models of the mini profile."""

    mini_models: MiniModels
    part: str | None


@dataclass(kw_only=True)
class CollectingConfig(RunConfig):
    """Base class of the configurations of all experiments that run several other experiments."""

    experiments: list[str]
    each: dict[str, list[str]]


@dataclass(kw_only=True)
class CollectionConfig(CollectingConfig):
    """Configuration of a collection with the key `verbose`, such as `all_tables`."""

    verbose: bool


@dataclass(kw_only=True)
class RegressionConfig(CollectionConfig):
    """Configuration of `experiment=regression`, which runs several tables and checks that no result became worse.

    The check is called the gate. The gate compares the new results with saved results of earlier runs, which are called
    the baseline.
    """

    gate: Gate


@dataclass(kw_only=True)
class SeedsConfig(CollectingConfig):
    """Configuration of `experiment=seeds`, which measures several tables with decoders of different training seeds."""

    seeds: list[int]
    seeds_from: str
    card: str


@dataclass(kw_only=True)
class RehearsalConfig(RunConfig):
    """Configuration of the rehearsal of the paper profile."""

    rehearsal: RehearsalSpec
    limit: int | None
    verbose: bool
