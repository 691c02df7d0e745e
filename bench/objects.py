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

__all__ = ["check_targets", "identity", "make", "missing_files", "weight_files"]

TARGET = "_target_"
PATH_KEYS = ("folder", "pipeline", "root")
"""Keys below a `_target_` whose string is a path of something that must be there."""
IGNORED = (".lock", ".md", ".gitattributes")
"""Endings of what lies beside weights and does not change them."""


def check_targets(node: Any, key: str, given: tuple[str, ...] = ()) -> None:
    """See that every `_target_` can be imported and takes the arguments beside it.

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


def _paths(node: Any, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name in PATH_KEYS and isinstance(value, str):
                yield f"{key}.{name}", Path(value)
            else:
                yield from _paths(value, f"{key}.{name}")


def missing_files(node: Any, key: str) -> list[str]:
    """A line for every path that a configuration names and that is not there."""
    return [f"{name}: nothing at {path}" for name, path in _paths(node, key) if not path.exists()]


def weight_files(node: Any, key: str = "") -> dict[str, str]:
    """SHA-256 of every file under the paths that a configuration names, by path."""
    found: dict[str, str] = {}
    for _, path in _paths(node, key):
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        found |= {str(file): file_sha256(file) for file in files if not file.name.endswith(IGNORED)}
    return found


def identity(node: Any) -> Any:
    """The node as plain data in which every path is replaced by the hash of what lies there.

    Moved weights stay the same thing; changed weights do not.
    """
    if isinstance(node, Mapping):
        return {
            name: _content(Path(value)) if name in PATH_KEYS and isinstance(value, str) else identity(value)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [identity(value) for value in node]
    return node


def _content(path: Path) -> str:
    if path.is_file():
        return file_sha256(path)
    hashes = {
        file.relative_to(path).as_posix(): file_sha256(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.endswith(IGNORED)
    }
    return content_key(hashes)
