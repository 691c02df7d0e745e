"""Functions that run an experiment.

They compose the configuration of the experiment, and create an object of the class that the key `_target_` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.utils import get_class

from bench.checking.preflight import check_cheaply
from bench.config.compose import checked, compose_config, typed
from bench.config.experiment_configs import CollectingConfig, MeasuringConfig, RunConfig, TrainDecoderConfig
from bench.config.flags import as_overrides
from bench.config.kinds import kind_of, narrowed
from bench.config.overrides import setting
from bench.config.schema import EXPORT, FETCH
from bench.errors import BadInputError, naming_extras
from bench.runtime.progress import Progress
from bench.runtime.quiet import quiet as quietly

if TYPE_CHECKING:
    from bench.checking.inspection import Problem
    from bench.results.run_folder import Results

__all__ = ["Experiment", "experiment_of", "run"]


class Experiment(Protocol):
    """The interface of every experiment's class. Each class also has the constructor `__init__(config, overrides)`."""

    def missing(self) -> list[Problem]:
        """Return everything that is missing or wrong among the files of the experiment. Each problem is returned once.

        Raises:
            BadInputError: the configuration itself is wrong.
        """

    def run(self) -> Results:
        """Run every stage up to and including the stage in the configuration, and return the results."""


@naming_extras()
def run(
    overrides: Sequence[str],
    *,
    rows: Mapping[str, Any] | None = None,
    config_dir: str | Path | None = None,
    quiet: bool = False,
) -> Results:
    """Run an experiment from Python exactly as the command does, and return the results, such as the table.

    The argument `rows` adds objects of your program as rows of the table, in addition to the rows that the overrides
    choose. The new rows use the latents that all rows share, and are measured exactly as all other rows. The run works
    on a copy of each object, and sets the copy of a decoder to evaluation mode. A run with such rows is labelled
    custom, and `run.json` says that no command line can repeat the run.

    The scores of an object are reused if its weights, attributes and code are unchanged. Some objects cannot be
    compared with earlier objects. Examples are a function of your own, and an object whose class was typed into a
    notebook. The scores of such an object are computed anew in every run.

    Args:
        overrides: overrides, as on the command line, such as ``["experiment=table2_inpaint_imagenet", "limit=8"]``. The
            list may also contain ``--config-dir`` and a folder.
        rows: decoders that become new rows. The key is the name of the row. A decoder is a module or a function. If the
            decoder needs exactly three arguments, or if its second and third argument have the names ``image`` and
            ``mask``, it is called as ``decoder(z, image, mask)``. Otherwise it is called as ``decoder(z)``. A `Decoder`
            of this project gets the image and the mask if it has a branch. In place of a decoder, a `Method` is
            possible, for example ``Decoded(module, conditioned=True)``.
        config_dir: folder with rows, data sets and experiments of your own, as for the option ``--config-dir``.
        quiet: True to print nothing but errors.

    Raises:
        BadInputError: the input is bad. The command would end with exit status 2 in this case.
    """
    words = as_overrides(overrides, config_dir)
    with quietly() if quiet else nullcontext(), _added(rows, words) as added:
        return _run([*words, *added])


@contextmanager
def _added(rows: Mapping[str, Any] | None, words: list[str]) -> Iterator[list[str]]:
    """Yield the overrides that add objects as rows. The rows exist only during the `with` block.

    Raises:
        BadInputError: an object cannot be a row, or the experiment has no rows.
    """
    if rows is None:
        yield []
        return
    from bench.generation.python_objects import as_rows

    with as_rows(rows, words) as added:
        composed = compose_config(words)
        kind = kind_of(str(composed._target_))
        if not (kind.measures or kind.collects):
            raise BadInputError(
                f"rows: expected an experiment that measures rows, found {composed.name}, which measures no rows"
            )
        yield added


def _run(overrides: list[str]) -> Results:
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
        BadInputError: the experiment does not measure the items of one table.
    """
    if not isinstance(config, MeasuringConfig):
        chosen = ", such as " + ", ".join(config.experiments[:3]) if isinstance(config, CollectingConfig) else ""
        found = f"{config.name}, which runs several experiments" if chosen else f"{config.name}, which has no items"
        raise BadInputError(
            f"stage={EXPORT}: expected an experiment that measures the items of one table{chosen}, found {found}"
        )
    check_cheaply(config, overrides)
    from bench.evaluation.export import export
    from bench.evaluation.setup import Setup

    return export(Setup(config, overrides))


def experiment_of(config: RunConfig, overrides: list[str]) -> Experiment:
    """Create the experiment whose class the configuration names. This imports the class, and usually torch.

    Args:
        config: configuration in the type that the experiment expects, as `bench.config.kinds.narrowed` returns it.
        overrides: overrides, as on the command line.
    """
    with Progress("load"):
        experiment: Experiment = get_class(config.resolved["_target_"])(config, overrides)
    return experiment
