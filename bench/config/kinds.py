"""The types of experiments. Each type has a configuration class and a list of the keys that the experiment reads.

This information is needed before the experiment's class is imported, because the import loads torch and takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config import experiment_configs as configs
from bench.config.references import users
from bench.config.schema import ComposedConfig, is_measured
from bench.errors import BadInputError

__all__ = ["KINDS", "RUN", "Kind", "kind_of", "narrowed"]

SENSITIVITY = "bench.experiments.sensitivity.SensitivityExperiment"


@dataclass(frozen=True)
class Kind:
    """The type of an experiment, with the configuration class and the keys that the experiment's class reads."""

    config: type[configs.RunConfig]
    """Class of the configuration that the experiment's class receives."""
    reads: Callable[[DictConfig], Iterable[str]]
    """Function that receives a composed configuration and returns the keys that the experiment's class reads itself.

    The name of a group, such as `generator`, stands for all keys below it.
    """

    @property
    def measures(self) -> bool:
        """True if an experiment of this type samples and scores the rows of a table."""
        return issubclass(self.config, configs.MeasuringConfig)

    @property
    def collects(self) -> bool:
        """True if an experiment of this type runs other experiments."""
        return issubclass(self.config, configs.CollectingConfig)


RUN = ("name", "_target_", "stage", "out", "overwrite", "paths.assets", "profile.name")
DECODER = tuple(f"decoder.{name}" for name in ("width", "depth", "conditioned", "blending", "branch"))
TRAINING = (
    "training", "start", "first_stage", "first_stage_space", "training_data", "validation_data", "predict_branch",
    "workers", "wandb", "sampled_preview",
    "profile.decoder_sizes", "profile.perceptual", "profile.asset_list", "profile.unpinned", "generator", "seed",
    "device", "paths.store", "paths.data", *DECODER,
)  # fmt: skip
MEASURED = (
    "limit", "seed", "device", "batch_size", "strip_rows", "compile", "controls", "save_images", "keep_features",
    "profile.resolution", "profile.masks", "profile.fid_minimum", "profile.error", "profile.precision",
    "profile.asset_list", "profile.unpinned", "paths.store", "paths.data", "generator", "dataset.items",
    "dataset.fit", "dataset.filter", "dataset.crop_offset", "dataset.pictures", "protocol", "metrics.name",
    "table.number", "table.title", "table.task", "table.columns", "table.beside", "table.reference",
    "verbose", "fresh",
)  # fmt: skip
COLLECTED = ("experiments", "each", "device", "verbose", "profile.error", "profile.precision")


def _measured_keys(config: DictConfig) -> Iterator[str]:
    yield from MEASURED
    if config.table is None or config.metrics is None:
        return
    task = config.table.task
    yield f"metrics.tasks.{task}"
    measure_names = list(OmegaConf.select(config, f"metrics.tasks.{task}") or [])
    if config._target_ == SENSITIVITY:
        yield "metrics.choices"
        measure_names += [name for choice in config.metrics.choices.values() for name in choice.get("measures") or []]
    for name, measure in config.metrics.measures.items():
        if name in measure_names or task in (measure.get("tasks") or []):
            yield f"metrics.measures.{name}"
    for name, row in config.rows.items():
        if is_measured(row, config.table.number, config.controls):
            yield from (f"rows.{name}.{key}" for key in ("label", "method", "cited", "control", "control_in", "beside"))
            yield f"rows.{name}.published.{config.table.number}"
    if config.keep_features:
        yield "features_dtype"


def _table_keys(config: DictConfig) -> Iterator[str]:
    yield from _measured_keys(config)
    yield from ("costs", "tex", "profile.weights", "table.readings", "table.figures")
    if config.training is not None and any("rows." in key for key in users(config, "decoder.checkpoint")):
        yield from TRAINING


def _turns_keys(config: DictConfig) -> Iterator[str]:
    yield from _measured_keys(config)
    yield from ("turns", "masks", "saved")


def _leaderboard_keys(config: DictConfig) -> Iterator[str]:
    yield from (key for key in _measured_keys(config) if key not in ("generator", "table.reference"))
    yield from ("vaes", "costs", "tex", "table.readings", "profile.weights")


def _train_decoder_keys(config: DictConfig) -> Iterator[str]:
    yield from ("decoder.name", *TRAINING)


def _train_mini_keys(config: DictConfig) -> Iterator[str]:
    yield from ("part", "seed", "device", "profile.resolution", "paths.data")
    yield from (f"mini_models.{key}" for key in config.mini_models if key != "extras")
    name, _, seed = (config.part or "").partition("@")
    if name in config.mini_models.extras:
        yield f"mini_models.extras.{name}"
    if seed:
        yield "profile.weights"


KINDS: Mapping[str, Kind] = {
    "bench.experiments.table.TableExperiment": Kind(configs.TableConfig, _table_keys),
    SENSITIVITY: Kind(configs.MeasuringConfig, _measured_keys),
    "bench.experiments.turns.TurnsExperiment": Kind(configs.TurnsConfig, _turns_keys),
    "bench.experiments.leaderboard.Leaderboard": Kind(configs.LeaderboardConfig, _leaderboard_keys),
    "bench.experiments.architecture.ArchitectureExperiment": Kind(
        configs.ArchitectureConfig, lambda config: (*DECODER, "table.number", "table.title", "verbose")
    ),
    "bench.experiments.train_decoder.TrainDecoder": Kind(configs.TrainDecoderConfig, _train_decoder_keys),
    "bench.experiments.train_mini.TrainMini": Kind(configs.TrainMiniConfig, _train_mini_keys),
    "bench.experiments.collection.Collection": Kind(configs.CollectionConfig, lambda config: COLLECTED),
    "bench.experiments.regression.Regression": Kind(configs.RegressionConfig, lambda config: (*COLLECTED, "gate")),
    "bench.experiments.rehearsal.Rehearsal": Kind(
        configs.RehearsalConfig, lambda config: ("rehearsal", "limit", "device", "verbose")
    ),
    "bench.experiments.seeds.SeedsExperiment": Kind(
        configs.SeedsConfig,
        lambda config: (
            "experiments", "each", "seeds", "seeds_from", "card", "seed", "profile.weights", "profile.decoders",
        ),
    ),
}  # fmt: skip
"""The kinds of experiments, by the full name of the experiment's class."""


def kind_of(target: str) -> Kind:
    """Return the type of an experiment, given the name of its class.

    Args:
        target: full name of the class, as in `_target_`.

    Raises:
        BadInputError: `target` is not the name of an experiment's class.
    """
    if target not in KINDS:
        raise BadInputError(f"_target_: expected one of {', '.join(KINDS)}, found {target}")
    return KINDS[target]


def narrowed(composed: ComposedConfig, resolved: dict[str, Any]) -> configs.RunConfig:
    """Return the configuration of an experiment, with only the keys that this experiment needs.

    The result is an object of the configuration class that `KINDS` names for the experiment.

    Args:
        composed: configuration, as `bench.config.compose.typed` returns it.
        resolved: the same configuration as plain data.
    """
    return kind_of(composed._target_).config.of(composed, resolved)
