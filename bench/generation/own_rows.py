"""The code and the networks of rows that are a user's own: classes and functions that do not belong to this project."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hydra.utils import get_object
from torch import Tensor, nn

from bench.config.instantiate import TARGET
from bench.config.own_code import OWN_PACKAGES, code_files, module_of
from bench.generation.python_objects import CalledFunction, object_of

__all__ = ["code_of_row", "networks_of"]

Plain = dict[str, Any]

PROJECT = "asymbench"
CLOSED = (type, ModuleType, Tensor, np.ndarray, str, bytes, bytearray, bool, int, float, complex, type(None))
"""Types of values that contain no network."""


def code_of_row(node: Any) -> Plain:
    """Return the code of a user that a row uses, as plain data. The result is empty if the row uses none.

    Args:
        node: part of the configuration that describes the row's method, as plain data.

    Returns:
        Dictionary with two keys. `code` lists the user's classes and functions. Each entry has the full `name`; the
            path of the `file` and its `sha256`; and the `package`, the name and version of the installed package to
            which the code belongs. `file` and `sha256` are None for an installed package, for this project's own code,
            and for code that is in no file. `package` is None for all other code. `imports` has the SHA-256 of each
            further file of the user that these files import, by the file's path. A path is relative to the current
            folder if the file is below it.
    """
    given = {_full_name(_code(found)) for found in _given(node)}
    if not given:
        return {}
    named = {_full_name(one): one for found in _given(node) for one in (_code(found), *map(_code, _parts(found)))}
    entries = {name: _entry(name, one) for name, one in named.items()}
    code = [entry for name, entry in entries.items() if entry["sha256"] or name in given]
    modules = [module_of(named[entry["name"]]) or "" for entry in code if entry["sha256"]]
    known = {entry["file"] for entry in code}
    files = {
        shown: one.sha256 for one in code_files(modules) if one.sha256 and (shown := _shown(one.path)) not in known
    }
    return {"code": code, "imports": dict(sorted(files.items()))}


def _given(node: Any) -> Iterator[object]:
    """Yield each class, function or object of a user that a part of a configuration names."""
    if isinstance(node, Mapping):
        target = node.get(TARGET)
        found = object_of(node)
        if found is not None:
            yield found
        elif isinstance(target, str) and target.partition(".")[0] not in OWN_PACKAGES:
            yield get_object(target)
        for value in node.values():
            yield from _given(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _given(value)


def _code(found: object) -> Any:
    """Return the class or the function whose code an object runs. A class or function is returned unchanged."""
    while isinstance(found, functools.partial):
        found = found.func
    return found if inspect.isroutine(found) or isinstance(found, type) else type(found)


def _full_name(named: Any) -> str:
    return f"{module_of(named) or 'builtins'}.{named.__qualname__}"


def _entry(name: str, named: object) -> Plain:
    """Return the entry of a class or function in the result of `code_of_row`; `name` is its full name."""
    module = module_of(named) or "builtins"
    entry: Plain = {"name": name, "file": None, "sha256": None, "package": None}
    if module.partition(".")[0] in OWN_PACKAGES:
        return {**entry, "package": PROJECT}
    typed_in = module == "__main__" and not hasattr(sys.modules[module], "__file__")  # a notebook or an interpreter
    here = None if typed_in else next((one for one in code_files([module]) if one.module == module), None)
    if here is None:
        return entry
    return {**entry, "package": here.package, "sha256": here.sha256, "file": _shown(here.path) if here.sha256 else None}


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def networks_of(found: object) -> list[nn.Module]:
    """Return all modules that an object holds: the object itself, its attributes, and their attributes at any depth.

    For a function, these are the modules in the variables of the program that the function uses. A module whose only
    work is to call a function, as `CalledFunction` does, is not part of the result.

    Args:
        found: a module, a function or an object of any other class.
    """
    return [one for one in _parts(found) if isinstance(one, nn.Module) and not isinstance(one, CalledFunction)]


def _parts(found: object) -> Iterator[object]:
    """Yield an object, if it may hold networks, and every such object that it holds at any depth, each once."""
    waiting: list[object] = [found]
    seen: dict[int, object] = {}  # keeps every part alive, so that no later part gets its `id`
    while waiting:
        value = waiting.pop()
        if isinstance(value, CLOSED) or id(value) in seen:
            continue
        seen[id(value)] = value
        if not isinstance(value, Mapping | list | tuple | set | frozenset | functools.partial):
            yield value
        waiting += reversed(list(_held(value)))


def _held(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if inspect.ismethod(value):
        return [value.__self__]
    if inspect.isfunction(value):
        try:
            used = inspect.getclosurevars(value)
        except ValueError:  # a variable of the function has no value yet
            return []
        return [*used.nonlocals.values(), *(one for one in used.globals.values() if isinstance(one, nn.Module))]
    return list(getattr(value, "__dict__", {}).values())
