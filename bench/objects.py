"""What a configuration names by `_target_`: checked before any work, made, and identified by its content.

Below a `_target_` the schema is open, so that anybody's class may stand there; its signature is the schema.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate

from bench.errors import BadInputError
from bench.store import content_key, file_sha256

__all__ = ["check_targets", "identity", "make", "missing_files", "require_target", "weight_files"]

TARGET = "_target_"
OWN_PACKAGES = ("bench", "baselines")
"""What changes in these is told by the versions in the keys."""
PATH_KEYS = (
    "backbone", "checkpoint", "edge_weights", "file", "folder", "inpainting_weights", "path", "pipeline", "root", "vae",
    "weights",
)  # fmt: skip
"""Keys whose string is a path of something that must be there."""
PLAIN = {kind.__name__: kind for kind in (bool, int, float, str)}
IGNORED = (".lock", ".md", ".gitattributes")
"""Endings of what lies beside weights and does not change them."""


def check_targets(node: Any, key: str, given: tuple[str, ...] = ()) -> None:
    """See that every `_target_` can be imported and takes the arguments beside it, those of plain types by their type.

    Args:
        node: configuration as plain data.
        key: where it stands, for messages.
        given: arguments that the outermost target gets in the program.

    Raises:
        BadInputError: the message names the key and what is allowed.
    """
    if isinstance(node, Mapping):
        if TARGET in node:
            _check_call(node, key, given)
        for name, value in node.items():
            check_targets(value, f"{key}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            check_targets(value, f"{key}[{index}]")


def require_target(node: Any, key: str, given: tuple[str, ...] = ()) -> None:
    """The same for a node that must name a class or function itself.

    Raises:
        BadInputError: as above, or there is no `_target_`.
    """
    if not (isinstance(node, Mapping) and isinstance(node.get(TARGET), str)):
        raise BadInputError(f"{key}.{TARGET}: expected the name of a class or function, found none")
    check_targets(node, key, given)


def _check_call(node: Mapping[str, Any], key: str, given: tuple[str, ...]) -> None:
    try:
        target: Callable[..., Any] = get_object(node[TARGET])
        signature = inspect.signature(target)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise BadInputError(f"{key}.{TARGET}: expected a class or function, found {node[TARGET]} ({reason})") from error
    parameters = signature.parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    allowed = [name for name in parameters if name not in given]
    for name in node:
        if not str(name).startswith("_") and name not in allowed:
            raise BadInputError(f"{key}.{name}: no such key; {node[TARGET]} takes {', '.join(allowed) or 'none'}")
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in node:
            raise BadInputError(f"{key}.{name}: missing; {node[TARGET]} needs it")
        kind = PLAIN.get(str(parameters[name].annotation).removeprefix("<class '").removesuffix("'>"))
        if kind is not None and name in node and not _fits(node[name], kind):
            raise BadInputError(f"{key}.{name}: expected {kind.__name__}, found {node[name]!r}")


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def make(node: Mapping[str, Any], key: str, **given: Any) -> Any:
    """The object of a configuration node.

    Raises:
        BadInputError: its class or function refuses the arguments; the message names the key.
    """
    try:
        return instantiate(dict(node), _convert_="all", **given)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:  # Hydra wraps what the target raised
            if isinstance(cause, BadInputError):
                raise cause from error
            if isinstance(cause, TypeError | ValueError) and cause is not error:
                raise BadInputError(f"{key}: {cause}") from error
            cause = cause.__cause__
        raise


def _is_path(name: str, value: Any) -> bool:
    """Whether a value is a path: by its key, or because it is an absolute one of something that is there."""
    return isinstance(value, str) and (name in PATH_KEYS or (Path(value).is_absolute() and Path(value).exists()))


def _paths(node: Any, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if _is_path(name, value):
                yield f"{key}.{name}", Path(value)
            else:
                yield from _paths(value, f"{key}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _paths(value, f"{key}[{index}]")


def missing_files(node: Any, key: str) -> list[str]:
    """A line for every path that a configuration names and that is not there."""
    return [f"{name}: nothing at {path}" for name, path in _paths(node, key) if not path.exists()]


def weight_files(node: Any, key: str = "") -> dict[str, str]:
    """SHA-256 of every file under the paths that a configuration names, by path."""
    files = {file for _, path in _paths(node, key) for file in _files(path)}
    return {str(file): file_sha256(file) for file in sorted(files)}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [file for file in path.rglob("*") if file.is_file() and not file.name.endswith(IGNORED)]
    # What download tools note beside weights, in folders such as `.cache`, is none of them.
    return [file for file in found if not any(name.startswith(".") for name in file.relative_to(path).parts)]


def identity(node: Any, files: Mapping[str, str]) -> Any:
    """The node as plain data in which every path is replaced by the hash of what lies there.

    Moved weights stay the same thing; changed weights do not, nor does a changed module of somebody's own.

    Args:
        node: configuration as plain data.
        files: SHA-256 by path, as `weight_files` gives it.
    """
    if isinstance(node, Mapping):
        found = {
            name: _content(Path(value), files) if _is_path(name, value) else identity(value, files)
            for name, value in node.items()
        }
        if TARGET in node and node[TARGET].split(".")[0] not in OWN_PACKAGES:
            found["_source_"] = _source(node[TARGET])
        return found
    if isinstance(node, list):
        return [identity(value, files) for value in node]
    return node


def _content(path: Path, files: Mapping[str, str]) -> str:
    if path.is_file():
        return files[str(path)]
    return content_key({file.relative_to(path).as_posix(): files[str(file)] for file in _files(path)})


def _source(target: str) -> str | None:
    """SHA-256 of the file that defines a class or function; None for what no Python file defines."""
    found = inspect.getsourcefile(inspect.unwrap(get_object(target)))
    return file_sha256(Path(found)) if found else None
