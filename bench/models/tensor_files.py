"""Tensors of a weight file: safetensors, or what `torch.save` wrote, out of which nothing is ever run.

The authors' checkpoints are PyTorch Lightning 1.4's (Lightning-AI/pytorch-lightning:
pytorch_lightning/trainer/connectors/checkpoint_connector.py): beside `state_dict` they hold callbacks' states under the
callbacks' classes, schedulers' states with numpy scalars, and hyper-parameters in omegaconf's containers.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bench.errors import BadInputError

__all__ = ["mismatch", "read_tensors"]

PICKLED = (".ckpt", ".bin", ".pt", ".pth")
"""Endings of what `torch.save` writes."""
SHOWN = 3
"""Names in a message, of which there may be hundreds."""


class _StandIn:
    """Stands for a listed global: is made of any arguments, takes any state, and keeps neither."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class _DictStandIn(_StandIn):
    """Stands for a kind of dictionary. The unpickler fills plain ones only, so it is made as one."""

    def __new__(cls, *_: object) -> dict[Any, Any]:  # type: ignore[misc]
        return {}


_LISTED: dict[str, type[_StandIn]] = {
    **dict.fromkeys(
        (
            # keys of `callbacks`
            "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
            "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
            "pytorch_lightning.callbacks.timer.Timer",
            # `lr_schedulers`, whose factor numpy computes; its module has two names, of numpy 1 and 2
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
            # types that omegaconf notes for its nodes
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
    """A stand-in that the unpickler takes for the global of this name."""
    module, _, last = name.rpartition(".")
    return type(last, (kind,), {"__module__": module})


_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    _named(name, kind) for name, kind in _LISTED.items()
]


def read_tensors(path: Path, *, under: str = "state_dict") -> dict[str, Tensor]:
    """All tensors of a file by name, on the CPU, as they are stored.

    Args:
        path: ends in `.safetensors`, or in one of `PICKLED`: a state dict, or a dictionary that holds one under that
            key. The tensors of the latter may lie in the mapped file, which must stay while they are used.
        under: the key.

    Raises:
        BadInputError: the file is missing, of another kind or broken, or names what neither PyTorch nor the list above
            takes for harmless.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: expected a weight file, found none")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadInputError(f"{path}: expected a whole safetensors file, found a broken one ({error})") from None
    if path.suffix not in PICKLED:
        raise BadInputError(f"{path}: expected a file in .safetensors, {', '.join(PICKLED)}, found another ending")
    content = _unpickle(path)
    state = content.get(under, content) if isinstance(content, dict) else content
    if not isinstance(state, dict):
        raise BadInputError(f"{path}: expected a state dict, found {type(state).__name__}")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise BadInputError(f"{path}: expected tensors by name, found {type(value).__name__} at {name!r}")
        if value.is_meta or value.layout is not torch.strided:
            raise BadInputError(f"{path}: expected dense tensors, found one without its values at {name}")
    return state


def _unpickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # PyTorch warns of unusual pickles, which it then reads or refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a broken pickle may end in any of them
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise BadInputError(
                f"{path}: expected tensors and plain values, found {refused[1]}: refused, as it could run code"
            ) from None
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0]
        raise BadInputError(
            f"{path}: expected a whole file of torch.save, found a broken one or another "
            f"({reason or type(error).__name__})"
        ) from None


def mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What keeps some tensors from being a network's: a line for each kind of difference, none if they are."""
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
