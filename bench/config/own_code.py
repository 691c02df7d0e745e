"""Hashes of the code that an external class or function depends on, found by its import statements without running it.

Import statements are followed wherever they are, also inside functions, as is `importlib.import_module("name")` with a
literal name. Imports with a computed name, and data that the code reads, are not detected.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from hydra.utils import get_object

__all__ = ["OWN_PACKAGES", "code_of"]

OWN_PACKAGES = ("bench", "baselines")
"""This project's packages; versions in the store's keys stand for changes in their code."""
INSTALLED = ("site-packages", "dist-packages")
"""Names of the folders that hold installed packages."""


def code_of(target: str) -> dict[str, str]:
    """Identify the code that importing a target loads, by module.

    Args:
        target: name of a class or function, as in `_target_`.

    Returns:
        The SHA-256 of each module outside the standard library and the installed packages, and the version of each
            installed package that they import. This project's own packages are left out.
    """
    found: dict[str, str] = {}
    named = inspect.unwrap(get_object(target))
    waiting = [target, getattr(named, "__module__", None) or target]
    seen: set[str] = set()
    while waiting:
        for name in _with_parents(waiting.pop()):
            if not name or name in seen or name.partition(".")[0] in {*sys.stdlib_module_names, *OWN_PACKAGES}:
                continue
            seen.add(name)
            spec = _spec(name)
            if spec is None or spec.origin is None or not Path(spec.origin).is_file():
                continue
            version = _version(name, Path(spec.origin))
            if version is not None:
                found[name.partition(".")[0]] = version
                continue
            source = Path(spec.origin).read_bytes()
            found[name] = hashlib.sha256(source).hexdigest()
            if spec.origin.endswith(".py"):
                waiting += _imported(source, name, is_package=spec.submodule_search_locations is not None)
    return dict(sorted(found.items()))


def _with_parents(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[: count + 1]) for count in range(len(words))]


def _spec(name: str) -> ModuleSpec | None:
    """Find a module like an import does, but without running it; return None if there is no such module."""
    loaded: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded
    parent = name.rpartition(".")[0]
    above = _spec(parent) if parent else None
    if parent and (above is None or above.submodule_search_locations is None):
        return None
    path = list(above.submodule_search_locations or ()) if above is not None else None
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None:
            return spec
    return None


def _version(name: str, file: Path) -> str | None:
    """Return the installed distributions of a module with their versions, or None if it is not installed."""
    if sysconfig.get_path("stdlib") in map(str, file.parents) and not set(INSTALLED) & set(file.parts):
        return f"Python {sys.version_info.major}.{sys.version_info.minor}"
    if not set(INSTALLED) & set(file.parts):
        return None
    names = sorted(set(_distributions().get(name.partition(".")[0], ())))
    return ", ".join(f"{one} {importlib.metadata.version(one)}" for one in names) or None


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _imported(source: bytes, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the names that import statements may load: modules, and the names taken from them, which may be modules."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            words = package.split(".")
            above = words[: len(words) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value
