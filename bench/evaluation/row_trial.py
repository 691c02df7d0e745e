"""The command `asymbench check --row ROW`, which tries the decoder of one row on a batch of noise.

ROW is the name of a row in the configuration, such as `large_mask`. It can also be the name of an object, or of a class
without arguments, in the form `MODULE.NAME` or `FILE.py:NAME`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from bench.config.compose import checked
from bench.config.experiment_configs import MeasuringConfig
from bench.config.flags import read_arguments
from bench.config.instantiate import make, missing_files, named, require_target
from bench.config.kinds import narrowed
from bench.config.option_files import did_you_mean, folders_of, options
from bench.config.overrides import key_of
from bench.errors import BadInputError
from bench.evaluation.decoder_trial import try_decoder
from bench.generation.decoding import Decoded
from bench.generation.method import Method, as_method, chain
from bench.runtime.device import choose_device

__all__ = ["main"]

EXPERIMENT = "table2_inpaint_imagenet"
"""Experiment from whose configuration the row is taken if the command names no experiment."""


def main(arguments: Sequence[str]) -> int:
    """Try the decoder of a row, print the findings, and return the exit status.

    The status is 0 if no problem was found, and 2 otherwise.

    Args:
        arguments: `--row ROW`, and overrides and flags of `python -m bench`.

    Raises:
        BadInputError: there is no such row, class or file, or the overrides are wrong.
    """
    row, words = _row_and_words(arguments)
    composed, resolved = checked(words)
    config = narrowed(composed, resolved)
    if not isinstance(config, MeasuringConfig):
        raise BadInputError(f"experiment: expected an experiment that measures rows, found {config.name}")
    device = choose_device(config.device)
    method = _configured(config.resolved["rows"][row]["method"], row) if _is_name(row) else None
    trial = try_decoder(
        _imported(row) if method is None else method.decoder.to(device),
        factor=2 ** (len(config.profile.decoder_sizes.channels) - 1),
        resolution=config.profile.resolution,
        conditioned=None if method is None else method.conditioned,
        device=device,
    )
    print(trial)
    return 0 if trial.ok else 2


def _row_and_words(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the value of `--row`, and the overrides of a run that has this row.

    Raises:
        BadInputError: `--row` is missing, is given twice, or names an unknown row.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--row", nargs="?", action="append", default=[])
    found, rest = parser.parse_known_args(arguments)
    rows = [row for row in found.row if row]
    if len(rows) != 1:
        raise BadInputError(
            f"--row: expected one row, as NAME, MODULE.NAME or FILE.py:NAME, found {', '.join(rows) or 'no row'}"
        )
    row: str = rows[0]
    words = read_arguments(rest).overrides
    if not any(key_of(word) == "experiment" for word in words):
        words = [f"experiment={EXPERIMENT}", *words]
    if _is_name(row):
        known = options("row", folders_of(words))
        if row not in known:
            raise BadInputError(
                f"--row: expected the name of a row, MODULE.NAME or FILE.py:NAME, found {row}{did_you_mean(row, known)}"
            )
        words = [*words, f"row=[{row}]"]
    return row, words


def _is_name(row: str) -> bool:
    """Return True if `--row` names a row of the configuration, and False if it names Python code."""
    return "." not in row and ":" not in row


def _configured(node: Mapping[str, Any] | None, row: str) -> Decoded:
    """Make the method of a row, with its weights. Return this method, or the inner method that decodes latents.

    Args:
        node: the row's method in the configuration; None for a row whose numbers are only quoted.
        row: name of the row.

    Raises:
        BadInputError: the row has no decoder, or its decoder cannot be made.
    """
    key = f"rows.{row}.method"
    found: list[Method] = []
    if node is not None:
        require_target(node, key)
        if missing := missing_files(node, key):
            raise BadInputError("\n".join(missing))
        found = list(chain(as_method(make(node, key))))
    for method in found:
        if isinstance(method, Decoded):
            return method
    raise BadInputError(f"{key}: expected a method that decodes latents with a decoder, found no such method")


def _imported(name: str) -> Any:
    """Return the object that `MODULE.NAME` or `FILE.py:NAME` names. For a class, return an object of the class.

    Raises:
        BadInputError: there is no such file, module or object, or the class needs arguments.
    """
    place, _, inside = name.rpartition(":")
    with named("--row", "an object, or a class that needs no arguments"):
        if place:
            spec = spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None or not Path(place).is_file():
                raise BadInputError(
                    f"--row: expected the path of an existing Python file before the colon, found {place}"
                )
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            if not hasattr(module, inside):
                known = [name for name in vars(module) if not name.startswith("_")]
                raise BadInputError(
                    f"--row: expected the name of an object in {place}, found {inside}{did_you_mean(inside, known)}"
                )
            found = getattr(module, inside)
        else:
            found = get_object(name)
        return found() if isinstance(found, type) else found
