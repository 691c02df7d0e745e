"""Functions that read tensors from weight files (safetensors, or files of `torch.save`) without running any code.

The authors' checkpoints were written by PyTorch Lightning 1.4 (Lightning-AI/pytorch-lightning:
pytorch_lightning/trainer/connectors/checkpoint_connector.py). In addition to `state_dict`, these checkpoints contain
the states of callbacks, with the callbacks' classes as keys. They also contain the states of schedulers with numpy
scalars, and hyper-parameters in omegaconf's containers. This module replaces all these classes by harmless ones.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from bench.errors import BadInputError

__all__ = ["mismatch", "read_some_tensors", "read_tensors"]

PICKLED = (".ckpt", ".bin", ".pt", ".pth")
"""Endings of files that `torch.save` writes."""
SHOWN = 3
"""Largest number of names that a message shows, because a file may have hundreds."""


class _StandIn:
    """A replacement for a class or function that is named in `_HARMLESS`.

    The replacement accepts any arguments and any state, and stores neither.
    """

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class _DictStandIn(_StandIn):
    """A replacement for a subclass of dict. It creates a plain dict, because the unpickler fills only plain dicts."""

    def __new__(cls, *_: object) -> dict[Any, Any]:  # type: ignore[misc]
        return {}


_HARMLESS: dict[str, type[_StandIn]] = {
    **dict.fromkeys(
        (
            # keys of `callbacks`
            "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
            "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
            "pytorch_lightning.callbacks.timer.Timer",
            # `lr_schedulers`, whose factor numpy computes; the module's name differs between numpy 1 and 2
            "numpy.core.multiarray._reconstruct",
            "numpy.core.multiarray.scalar",
            "numpy._core.multiarray._reconstruct",
            "numpy._core.multiarray.scalar",
            "numpy.dtype",
            "numpy.ndarray",
            # `hyper_parameters` and `hparams_type`
            "argparse.Namespace",
            "omegaconf.base.ContainerMetadata",
            "omegaconf.base.Metadata",
            "omegaconf.dictconfig.DictConfig",
            "omegaconf.listconfig.ListConfig",
            "omegaconf.nodes.AnyNode",
            # types that omegaconf records for its nodes
            "builtins.bool",
            "builtins.dict",
            "builtins.float",
            "builtins.int",
            "builtins.list",
            "builtins.str",
            "typing.Any",
        ),
        _StandIn,
    ),
    "collections.defaultdict": _DictStandIn,
    "pytorch_lightning.utilities.parsing.AttributeDict": _DictStandIn,
}


def _named(name: str, kind: type[_StandIn]) -> type[_StandIn]:
    """Return a subclass of `kind` that the unpickler accepts in place of the class or function with this full name."""
    module, _, last = name.rpartition(".")
    return type(last, (kind,), {"__module__": module})


_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    _named(name, kind) for name, kind in _HARMLESS.items()
]


def read_tensors(path: Path, *, under: str = "state_dict") -> dict[str, Tensor]:
    """Read all tensors of a file onto the CPU, in their stored types. The key of a tensor is its name in the file.

    Args:
        path: path that ends in `.safetensors` or in one of the endings `PICKLED`. A file with an ending of `PICKLED`
            contains a state dict, or a dictionary with a state dict under the key `under`. The returned tensors may be
            views of the file, so the file must exist as long as the tensors are used.
        under: key of the state dict in the dictionary.

    Raises:
        BadInputError: the file is missing, is broken, has another format, or contains something that is not a dense
            named tensor; or it refers to a class or function that is not in PyTorch's or this module's list of harmless
            ones.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected a weight file, found no such file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadInputError(
                f"{path}: expected a safetensors file, found a damaged or unreadable file ({error})"
            ) from None
    if path.suffix not in PICKLED:
        raise BadInputError(
            f"{path}: expected a name with one of the endings .safetensors, {', '.join(PICKLED)}, found "
            f"{path.suffix or 'no ending'}"
        )
    content = _unpickle(path)
    state = content.get(under, content) if isinstance(content, dict) else content
    if not isinstance(state, dict):
        raise BadInputError(f"{path}: expected a dictionary of tensors (a state dict), found {type(state).__name__}")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise BadInputError(
                f"{path}: expected only tensors with names, found {type(value).__name__} under the name {name!r}"
            )
        if value.is_meta or value.layout is not torch.strided:
            raise BadInputError(
                f"{path}: expected dense tensors with values, found a sparse or empty (meta) tensor under the name "
                f"{name}"
            )
    return state


def read_some_tensors(path: Path, names: Collection[str]) -> dict[str, Tensor]:
    """Read those tensors of a file that have one of the given names. From a safetensors file, only these are read.

    Args:
        path: as for `read_tensors`.
        names: names of tensors. Names that the file does not have are ignored.

    Raises:
        BadInputError: as for `read_tensors`.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return {name: value for name, value in read_tensors(path).items() if name in names}
    try:
        with safe_open(path, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys() if name in names}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadInputError(f"{path}: expected a safetensors file, found a damaged one ({error})") from None


def _unpickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # PyTorch warns about unusual pickles, which it then reads or refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a broken pickle can raise any error
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise BadInputError(
                f"{path}: expected only tensors and plain values, found {refused[1]}, which could run code"
            ) from None
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
        raise BadInputError(
            f"{path}: expected a file that torch.save wrote, found a damaged file or another format "
            f"({reason or type(error).__name__})"
        ) from None


def mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return one line of text for each kind of difference between two sets of tensors; return [] if they fit.

    The kinds are missing names, unexpected names, other shapes and other types. A type differs only if exactly one of
    the two types is a floating-point type.

    Args:
        expected: the tensors of a network, by name.
        found: the tensors of a file, by name.
    """
    common = sorted(expected.keys() & found.keys())
    shapes = [
        f"{name} should be {tuple(expected[name].shape)} and is {tuple(found[name].shape)}"
        for name in common
        if expected[name].shape != found[name].shape
    ]
    types = [
        f"{name} is {found[name].dtype}"
        for name in common
        if expected[name].is_floating_point() != found[name].is_floating_point()
    ]
    differences = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": shapes,
        "of another type": types,
    }
    return [
        f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        for kind, names in differences.items()
        if names
    ]
