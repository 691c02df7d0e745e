"""Functions for the objects that a configuration names by `_target_`.

The functions check the objects before any work, create them, and identify them by their code and files. The keys next
to a `_target_` are not in the schema, so that a configuration can name any class. These keys are checked against the
signature of the class instead.
"""

from __future__ import annotations

import inspect
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate

from bench.config.opened_files import opened_files, plain_files
from bench.config.own_code import OWN_PACKAGES, code_of
from bench.errors import BadInputError, outcome
from bench.runtime.text import one_line
from bench.store import content_key, file_sha256

__all__ = ["check_targets", "identity", "make", "missing_files", "named", "own_code", "require_target", "weight_files"]

TARGET = "_target_"
PATH_KEYS = (
    "backbone", "checkpoint", "edge_weights", "file", "folder", "inpainting_weights", "path", "pipeline", "root", "vae",
    "weights",
)  # fmt: skip
"""Keys next to a `_target_` whose value, if it is a text, is the path of a file or folder that must exist."""
PLAIN = {kind.__name__: kind for kind in (bool, int, float, str)}

logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # its message about a bad target is in the error as well


def check_targets(node: Any, key: str, given: tuple[str, ...] = ()) -> None:
    """Check that every `_target_` in a part of a configuration can be imported and accepts its arguments.

    If a parameter is annotated with `bool`, `int`, `float` or `str`, the type of the parameter's value is checked too.

    Args:
        node: part of a configuration, as plain data.
        key: full name of the key that has this part, for error messages.
        given: names of the arguments that the program itself passes to the outermost target.

    Raises:
        BadInputError: a target or an argument is wrong; the message names the key and what is allowed.
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
    """Check a part of a configuration by `check_targets`, and require that its outermost level has a `_target_`.

    Args:
        node: part of a configuration, as plain data.
        key: full name of the key that has this part, for error messages.
        given: names of the arguments that the program itself passes to the outermost target.

    Raises:
        BadInputError: the outermost level has no `_target_`, or `check_targets` refuses the node.
    """
    if not (isinstance(node, Mapping) and isinstance(node.get(TARGET), str)):
        raise BadInputError(f"{key}.{TARGET}: expected the full name of a class or function, found no such name")
    check_targets(node, key, given)


def _check_call(node: Mapping[str, Any], key: str, given: tuple[str, ...]) -> None:
    try:
        target: Callable[..., Any] = get_object(node[TARGET])
        signature = inspect.signature(target)
    except (Exception, SystemExit) as error:
        if isinstance(error, Exception) and outcome(error) is not None:
            raise
        raise BadInputError(
            f"{key}.{TARGET}: expected a class or function, found {node[TARGET]} ({_reason(error)})"
        ) from error
    parameters = signature.parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    absent = [name for name in given if name not in parameters]
    if absent:
        raise BadInputError(
            f"{key}.{TARGET}: expected a class or function that accepts the argument {absent[0]}, found "
            f"{node[TARGET]}, which does not accept it"
        )
    allowed = [name for name in parameters if name not in given]
    for name in node:
        if not str(name).startswith("_") and name not in allowed:
            raise BadInputError(f"{key}.{name}: no such key; {node[TARGET]} accepts {', '.join(allowed) or 'no keys'}")
    for name in allowed:
        if parameters[name].default is inspect.Parameter.empty and name not in node:
            raise BadInputError(f"{key}.{name}: expected a value, because {node[TARGET]} needs it; found none")
        kind = PLAIN.get(_plain(parameters[name].annotation))
        if kind is not None and name in node and not _fits(node[name], kind):
            raise BadInputError(f"{key}.{name}: expected {kind.__name__}, found {node[name]!r}")


def _plain(annotation: object) -> str:
    """Return the name of the type in an annotation, such as `int` for `int` and for `InitVar[int]`."""
    return re.sub(r"^<class '(.*)'>$|^InitVar\[(.*)\]$", r"\1\2", str(annotation))


def _reason(error: BaseException) -> str:
    """Return the class and message of the error that first caused `error`, in one line.

    If a module was not found, the text also says how the user can make it importable.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    said = f"{type(error).__name__}: {error}".split("\n")[0]
    if isinstance(error, ModuleNotFoundError):
        said += "; to add a folder of your own modules, write PYTHONPATH=FOLDER before the command"
    return said


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def make(node: Mapping[str, Any], key: str, **given: Any) -> Any:
    """Create the object that a part of a configuration describes.

    Args:
        node: part of a configuration with a `_target_`, as plain data.
        key: full name of the key that has this part, for error messages.
        given: further arguments for the class or function. They are passed without being copied.

    Raises:
        BadInputError: the class or function refuses its arguments or fails. The message names the key. If
            the class or function belongs to this project, only a TypeError or a ValueError is converted in this way.
        OSError, MemoryError: the class or function raised an error for which `bench.errors.outcome` has a message.
    """
    try:
        return instantiate({**_with_paths(node), "_partial_": True}, _convert_="all")(**given)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:  # Hydra wraps the error that an inner target raised
            if isinstance(cause, Exception) and outcome(cause) is not None:
                while isinstance(cause.__cause__, Exception) and outcome(cause.__cause__) is not None:
                    cause = cause.__cause__  # Hydra's error about a missing package has a message only by its cause
                raise cause from (None if cause is error else error)
            if isinstance(cause, TypeError | ValueError):
                raise BadInputError(f"{key}: {cause}") from error
            if cause.__cause__ is None and str(node.get(TARGET)).split(".")[0] not in OWN_PACKAGES:
                with named(key, f"an object of {node.get(TARGET)}"):
                    raise cause from None
            cause = cause.__cause__
        raise


@contextmanager
def named(key: str, expected: str) -> Iterator[None]:
    """Turn an error that external code raises in the `with` block into a `BadInputError`.

    The message is one sentence. It contains the file and line of the code that raised the error.

    Args:
        key: key of the configuration that names the external code.
        expected: description of the object that the code should return, for the message.

    Raises:
        BadInputError: the block raised an error for which `bench.errors.outcome` has no message. All other errors are
            raised unchanged.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # a script that is not meant to be imported may end the process
        if isinstance(error, Exception) and outcome(error) is not None:
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise BadInputError(
            f"{key}: expected {expected}, found {one_line(said)} ({last.filename}:{last.lineno})"
        ) from error


def _is_path(node: Mapping[str, Any], name: str) -> bool:
    """Return True if the value of the key `name` in a part of a configuration is the path of a file or folder.

    A text is a path if one of three conditions is true: its key is in `PATH_KEYS`; it is an argument of external code
    for a parameter that is annotated as a path; or it is an absolute path that exists.
    """
    value = node[name]
    if not isinstance(value, str):
        return False
    return name in PATH_KEYS or name in _path_parameters(node) or (Path(value).is_absolute() and Path(value).exists())


def _path_parameters(node: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of those parameters of an external class or function that are annotated as paths.

    The class or function is the `_target_` of `node`. If it belongs to this project, the result is empty.
    """
    target = node.get(TARGET)
    if not isinstance(target, str) or _is_own(target):
        return frozenset()
    return _annotated_paths(target)


@lru_cache(maxsize=256)
def _annotated_paths(target: str) -> frozenset[str]:
    try:
        parameters = inspect.signature(get_object(target)).parameters
    except (Exception, SystemExit):  # `check_targets` has a message for it
        return frozenset()
    return frozenset(name for name, one in parameters.items() if re.search(r"\bPath\b", str(one.annotation)))


def _with_paths(node: Any) -> Any:
    """Return a copy of a part of a configuration, with `Path` objects for the arguments in `_path_parameters`.

    All other texts stay unchanged.
    """
    if isinstance(node, list):
        return [_with_paths(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    taken = _path_parameters(node)
    return {
        name: Path(value) if name in taken and isinstance(value, str) else _with_paths(value)
        for name, value in node.items()
    }


@dataclass(frozen=True)
class _Content:
    """A path that an object in the configuration has as an argument, and the files at this path."""

    path: Path
    by_own_code: bool
    """True if a class or function of this project reads the path."""

    @classmethod
    def of(cls, node: Mapping[str, Any], name: str) -> _Content:
        """Return the content of the path that is the value of the key `name` in a part of a configuration."""
        target = node.get(TARGET)
        return cls(Path(node[name]), not isinstance(target, str) or _is_own(target))

    @property
    def files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        return opened_files(self.path) if self.by_own_code else list(plain_files(self.path))

    def hash(self, files: Mapping[str, str]) -> str:
        """Return the hash of the content.

        Args:
            files: SHA-256 of each file. The key is the path of the file.
        """
        if self.path.is_file():
            return files[str(self.path)]
        return content_key({file.relative_to(self.path).as_posix(): files[str(file)] for file in self.files})


def _paths(node: Any, key: str) -> Iterator[tuple[str, _Content]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if _is_path(node, name):
                yield f"{key}.{name}", _Content.of(node, name)
            else:
                yield from _paths(value, f"{key}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _paths(value, f"{key}[{index}]")


def missing_files(node: Any, key: str) -> list[str]:
    """Return one line of text for every path in a part of a configuration at which nothing exists.

    Args:
        node: part of a configuration, as plain data.
        key: full name of the key that has this part. Each line begins with the full key of the absent path.
    """
    return [
        f"{name}: expected a file or folder at {found.path}, found nothing"
        for name, found in _paths(node, key)
        if not found.path.exists()
    ]


def weight_files(node: Any, key: str = "") -> dict[str, str]:
    """Return the SHA-256 of every file at or below the paths in a part of a configuration. The key is the file's path.

    If code of this project reads a folder, only the files that this code may open are included; see
    `bench.config.opened_files`. If external code reads the folder, all files in the folder are included except
    hidden files and files such as README.md, because the files that the code opens are not known.
    """
    files = {file for _, found in _paths(node, key) for file in found.files}
    return {str(file): file_sha256(file) for file in sorted(files)}


def identity(node: Any, files: Mapping[str, str]) -> Any:
    """Return a part of a configuration in which every path is replaced by the hash of the content at this path.

    The keys of the store are computed from the result. Therefore moved weights keep their key, and changed weights get
    a new key. A class or function of this project is identified by its name without its module, so that the module may
    be renamed. An external class or function is identified by its full name, and by the hashes or versions of its code
    and of all modules that this code imports.

    Args:
        node: part of a configuration, as plain data.
        files: SHA-256 of each file by its path, as `weight_files` returns it.
    """
    if isinstance(node, Mapping):
        found = {
            name: _Content.of(node, name).hash(files) if _is_path(node, name) else identity(value, files)
            for name, value in node.items()
        }
        if TARGET in node:
            if _is_own(node[TARGET]):
                found[TARGET] = get_object(node[TARGET]).__qualname__
            else:
                found["_source_"] = code_of(node[TARGET])
        return found
    if isinstance(node, list):
        return [identity(value, files) for value in node]
    return node


def own_code(node: Any) -> dict[str, str]:
    """Identify the code of all external classes and functions that a part of a configuration names by `_target_`.

    Code is external if it does not belong to this project. The result maps the name of each module or package to a hash
    or a version, as in the result of `bench.config.own_code.code_of`.
    """
    if isinstance(node, list):
        return {name: sha for one in node for name, sha in own_code(one).items()}
    if not isinstance(node, Mapping):
        return {}
    found = {name: sha for one in node.values() for name, sha in own_code(one).items()}
    if isinstance(node.get(TARGET), str) and not _is_own(node[TARGET]):
        found |= code_of(node[TARGET])
    return found


def _is_own(target: str) -> bool:
    """Return True if the class or function with this full name belongs to this project."""
    return target.split(".")[0] in OWN_PACKAGES
