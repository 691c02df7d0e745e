"""Quick checks before torch is imported: of the device, the folder for temporary files, and the folders of the run."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.config.experiment_configs import MeasuringConfig, RunConfig
from bench.config.option_files import did_you_mean
from bench.config.overrides import key_of
from bench.config.schema import EXPORT
from bench.errors import BadInputError
from bench.results.export_folder import check_export
from bench.results.out_folder import check_out, check_writable

__all__ = ["check_cheaply"]

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
DRIVERS = ("libcuda.so.1", "libamdhip64.so")
"""Driver libraries of graphics cards under Linux: NVIDIA's, and AMD's, whose device PyTorch also calls cuda.

A run on the device cuda needs one of them.
"""
ROOTS = {
    "dataset.root": "a folder",
    "dataset.masks": "a folder",
    "dataset.captions": "a file or a folder",
    "dataset.exemplars": "a folder",
    "baseline.root": "a folder",
}
"""Keys of paths that a command line can set, each with a description of what the path must be."""


def check_cheaply(config: RunConfig, overrides: Sequence[str]) -> None:
    """Check what can be checked quickly: the device, the folder for temporary files, and the folders of the run.

    The folders are `out`, the store, the folder of data, and those paths in `ROOTS` that the command line sets. If the
    run of a table first trains a decoder, `out` is known only after the training and is not checked here. The
    stage `export` does not train, and `out` is always checked for this stage.

    Raises:
        BadInputError: the device or a folder is not usable. The message names the configuration key.
    """
    _check_device(config.device)
    _check_temporary()
    if config.stage == EXPORT:
        check_export(config)
    elif not isinstance(config, MeasuringConfig) or config.training is None:
        check_out(config)  # otherwise `out` is known, and checked, only after the training
    for name in ("store", "data"):
        path = config.resolved["paths"][name]
        if not path or not Path(path).is_dir():  # an existing folder may be complete even if it is read-only
            check_writable(path, f"paths.{name}")
    for key, expected in ROOTS.items():
        group, _, name = key.partition(".")
        root = (config.resolved[group] or {}).get(name)
        if root is not None and not isinstance(root, str | Mapping):
            raise BadInputError(f"{key}: expected {expected}, found {root}")
        if isinstance(root, str) and key in map(key_of, overrides):
            _check_root(key, root, expected)


def _check_root(key: str, root: str, expected: str) -> None:
    if not root:
        raise BadInputError(f"{key}: expected {expected}, found an empty text")
    if not Path(root).exists():
        raise BadInputError(f"{key}: expected {expected}, found nothing at {root}")


def _check_temporary() -> None:
    """Check that a folder for temporary files exists. Without such a folder, PyTorch cannot be imported."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise BadInputError(
            "TMPDIR: expected a folder in which temporary files can be written, found no such folder "
            f"({error.strerror}); the disk may be full, or a limit on the size of files may be too low (ulimit -f)"
        ) from None


def _check_device(name: str) -> None:
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and not number.isdecimal()):
        raise BadInputError(
            f"device: expected one of {', '.join(DEVICES)}, or cuda:N, found "
            f"{name or 'an empty text'}{did_you_mean(kind, DEVICES)}"
        )
    if kind != "cuda" or not sys.platform.startswith("linux"):
        return
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        raise BadInputError(
            f"device: expected a device that exists, found {name}, but CUDA_VISIBLE_DEVICES names no device"
        )
    if not any(map(_loads, DRIVERS)):
        raise BadInputError(
            f"device: expected a device that exists, found {name}, but this machine has no driver for a graphics card"
        )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
