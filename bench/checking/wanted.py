"""What any experiment lacks, a collection's experiments together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra.utils import get_class

from bench.checking.inspection import Problem, inspect_needs, merged
from bench.checking.needs import needs
from bench.config import COLLECTIONS, MEASURING, compose_config, for_each, typed
from bench.errors import BadInputError
from bench.objects import PATH_KEYS
from bench.schema import Config

__all__ = ["of_each", "wanted"]

TRAINING = ("start", "first_stage", "training_data", "validation_data")


def wanted(config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    """Everything that is missing or wrong for an experiment, each thing once.

    Args:
        config: of the experiment, as `bench.config.typed` gives it.
        resolved: the same as plain data.
        overrides: as on the command line.

    Raises:
        BadInputError: the configuration itself is wrong.
    """
    if config.kind in COLLECTIONS:
        return of_each(config, overrides)
    if config.kind in MEASURING:
        experiment = get_class(MEASURING[config.kind])(config, resolved, overrides)
        experiment.check_settings()
        return list(experiment.inspection.problems)
    if config.kind == "train_decoder":
        return inspect_needs(needs(_of_training(resolved), resolved["paths"], (*PATH_KEYS, "start", "first_stage")))
    return []


def of_each(config: Config, overrides: Sequence[str]) -> list[Problem]:
    """The same for each experiment of a collection; one whose configuration is wrong is told with the others.

    Args:
        config: of the collection.
        overrides: of its run.
    """
    problems: list[Problem] = []
    for name, words in for_each(config, list(overrides)).items():
        try:
            found = wanted(*typed(compose_config(words)), words)
        except BadInputError as error:
            found = [Problem("", str(error))]
        problems += [replace(problem, experiments=(name,)) for problem in found]
    return merged(problems)


def _of_training(resolved: dict[str, Any]) -> dict[str, Any]:
    fresh = resolved["training"].get("fresh", False)
    nodes = {key: resolved[key] for key in TRAINING if not (key == "start" and fresh)}
    return {**nodes, "profile.perceptual": resolved["profile"]["perceptual"]}
