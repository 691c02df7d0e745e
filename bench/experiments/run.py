"""Functions that run an experiment: they compose its configuration and give it to the class that `_target_` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hydra.utils import get_class

from bench.checking.preflight import check_cheaply
from bench.config.compose import checked, compose_config, typed
from bench.config.experiment_configs import CollectingConfig, MeasuringConfig, RunConfig, TrainDecoderConfig
from bench.config.kinds import narrowed
from bench.config.overrides import setting
from bench.config.schema import EXPORT, FETCH
from bench.errors import BadInputError
from bench.runtime.progress import Progress

if TYPE_CHECKING:
    from bench.checking.inspection import Problem
    from bench.results.run_folder import Results

__all__ = ["Experiment", "experiment_of", "run"]


class Experiment(Protocol):
    """The methods that every experiment's class has, in addition to `__init__(config, overrides)`."""

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files of the experiment. Each problem is returned once.

        Raises:
            BadInputError: the configuration itself is wrong.
        """

    def run(self) -> Results:
        """Run every stage up to the stage in the configuration, and return the results."""


def run(overrides: list[str]) -> Results:
    """Run an experiment from Python exactly as the command does, and return its results, such as its table.

    Args:
        overrides: overrides, as on the command line, such as ``["experiment=table2_inpaint_imagenet", "limit=8"]``.

    Raises:
        BadInputError: the input is bad. The command would end with exit status 2 in this case.
    """
    composed, resolved = checked(overrides)
    config = narrowed(composed, resolved)
    if config.stage == EXPORT:
        return _export(config, overrides)
    check_cheaply(config, overrides)
    if config.stage == FETCH:
        from bench.checking.fetch import fetch

        return fetch(config.name, lambda: experiment_of(config, overrides).missing())
    if isinstance(config, MeasuringConfig) and config.training is not None:
        from bench.experiments.train_decoder import own_checkpoint

        trained = own_checkpoint(TrainDecoderConfig.of(composed, resolved), overrides)
        if trained is not None:
            config = narrowed(*typed(compose_config([*overrides, setting("decoder.checkpoint", trained)])))
    return experiment_of(config, overrides).run()


def _export(config: RunConfig, overrides: list[str]) -> Results:
    """Write the items of an experiment as files; see `bench.evaluation.export`.

    Raises:
        BadInputError: the experiment has no items of its own.
    """
    if not isinstance(config, MeasuringConfig):
        chosen = ", such as " + ", ".join(config.experiments[:3]) if isinstance(config, CollectingConfig) else ""
        found = f"{config.name}, which runs several experiments" if chosen else f"{config.name}, which has no items"
        raise BadInputError(
            f"stage: expected for {EXPORT} an experiment that measures the items of one table{chosen}, found {found}"
        )
    check_cheaply(config, overrides)
    from bench.evaluation.export import export
    from bench.evaluation.setup import Setup

    return export(Setup(config, overrides))


def experiment_of(config: RunConfig, overrides: list[str]) -> Experiment:
    """Create the experiment whose class the configuration names. This imports the class, and usually torch.

    Args:
        config: configuration of the class that the experiment expects, as `bench.config.kinds.narrowed` returns it.
        overrides: overrides, as on the command line.
    """
    with Progress("load"):
        experiment: Experiment = get_class(config.resolved["_target_"])(config, overrides)
    return experiment
