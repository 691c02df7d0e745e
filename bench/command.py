"""The command line: composes the configuration, runs the experiment, and turns what happened into an exit status."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bench.config import MEASURING, compose_config, experiments, typed, with_decoder_rows
from bench.errors import BadInputError, TerminatedError, outcome
from bench.schema import FETCH
from bench.signals import ending

if TYPE_CHECKING:
    from bench.results import Results

__all__ = ["main", "run"]

DONE, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for and return the exit status.

    0 done, 1 failed, 2 bad input, 130 interrupted (SIGINT), 143 asked to end (SIGTERM).
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return DONE
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "datasets", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with ending():
        return _status(arguments)


def _status(arguments: list[str]) -> int:
    try:
        sweep = [word for word in arguments if word in ("-m", "--multirun")]
        overrides = _overrides([word for word in arguments if word not in sweep])
        if sweep:
            from bench.sweep import run_sweep

            return run_sweep(overrides, _run)
        return _run(overrides).status
    except KeyboardInterrupt as interrupt:
        asked = isinstance(interrupt, TerminatedError)
        print(
            f"bench: {'asked to end' if asked else 'interrupted'}; the same command goes on from here", file=sys.stderr
        )
        return TERMINATED if asked else INTERRUPTED
    except Exception as error:
        known = outcome(error)
        if known is None:
            traceback.print_exc()
            return FAILED
        status, message = known
        print(f"bench: {message}", file=sys.stderr)
        return status


def _overrides(arguments: list[str]) -> list[str]:
    """The arguments with `--config-dir DIR` as the override that it stands for."""
    overrides, folders = [], []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name != "--config-dir":
            overrides.append(word)
            continue
        folder = Path(value if equals else next(words, "")).resolve()
        if not folder.is_dir():
            raise BadInputError(f"--config-dir: expected a folder of configuration files, found nothing at {folder}")
        folders.append(f"file://{folder}")
    return [*overrides, f"hydra.searchpath=[{','.join(folders)}]"] if folders else overrides


def run(overrides: list[str]) -> Results:
    """Run an experiment from Python exactly as the command does, and hand back its tables.

    Args:
        overrides: as on the command line, such as ``["experiment=table2_inpaint_imagenet", "limit=8"]``.

    Raises:
        BadInputError: where the command would end with status 2.
    """
    return _run(overrides)


def _run(overrides: list[str]) -> Results:
    config, resolved = typed(compose_config(overrides))
    if config.kind in MEASURING and any(word.startswith("decoder.checkpoint=") for word in overrides):
        config, resolved = with_decoder_rows(config, resolved, overrides)
    if config.stage == FETCH:
        from bench.checking.fetch import fetch

        return fetch(config, resolved, overrides)
    if config.kind == "train_mini":
        from bench.training.mini import train_mini

        return train_mini(config, resolved)
    if config.kind == "train_decoder":
        from bench.training.train_decoder import TrainDecoder

        return TrainDecoder(config, resolved, overrides).run()
    if config.kind == "table" and config.training is not None:
        from bench.training.train_decoder import own_checkpoint

        trained = own_checkpoint(config, resolved, overrides)
        if trained is not None:
            config, resolved = typed(compose_config([*overrides, f"decoder.checkpoint={trained}"]))
    if config.kind == "collection":
        from bench.collection import Collection

        return Collection(config, resolved, overrides, _run).run()
    if config.kind == "regression":
        from bench.regression import Regression

        return Regression(config, resolved, overrides, _run).run()
    if config.kind == "seeds":
        from bench.seed_study import SeedsExperiment

        return SeedsExperiment(config, resolved, overrides, _run).run()
    if config.kind == "architecture":
        from bench.architecture import ArchitectureExperiment

        return ArchitectureExperiment(config, resolved, overrides).run()
    from hydra.utils import get_class

    results: Results = get_class(MEASURING[config.kind])(config, resolved, overrides).run()
    return results


def _overview() -> str:
    found = experiments()
    width = max(len(name) for name in found)
    lines = [f"  {name:<{width}}  {description}" for name, description in found.items()]
    return "\n".join(
        [
            "usage: python -m bench experiment=NAME [KEY=VALUE …]",
            "",
            "experiments:",
            *lines,
            "",
            "-m KEY=A,B: a job for every combination, and one table of them all",
            "Often used: stage=check|fetch|prepare|sample|score|tabulate|report  limit=N  seed=N  out=DIR",
            "            batch_size=N  device=auto|cpu|cuda  save_images=true  row=[NAME,…]",
            "            dataset=folder dataset.root=DIR",
            "            --config-dir DIR  rows, decoders, data sets and experiments of your own",
            "            paths.store=DIR (environment: BENCH_STORE)  paths.data=DIR (environment: BENCH_DATA)",
        ]
    )
