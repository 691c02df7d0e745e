"""Hashes of the code on which an external class or function depends.

The modules are found by reading import statements, without running the code. Import statements inside functions are
followed too, and so are calls such as `importlib.import_module("name")` with a literal name. Imports with a computed
name are not detected, and data files that the code reads are not detected either.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

from hydra.utils import get_object

__all__ = ["OWN_PACKAGES", "CodeFile", "code_files", "code_of", "module_of"]

OWN_PACKAGES = ("bench", "baselines")
"""Names of this project's packages. Their code is not hashed.

A version number in the store's keys is increased instead when their code changes a result.
"""
INSTALLED = ("site-packages", "dist-packages")
"""Names of the folders that hold installed packages."""


@dataclass(frozen=True)
class CodeFile:
    """The file of one module."""

    module: str
    """Full name of the module."""
    path: Path
    package: str | None
    """Name and version of the installed package that the module belongs to; None if it belongs to none."""
    sha256: str | None
    """SHA-256 of the file's content; None for a module of an installed package."""


def code_of(target: str) -> dict[str, str]:
    """Return an identification of all code that Python loads when it imports a class or function.

    Args:
        target: full name of a class or function, as in `_target_`.

    Returns:
        A text for each module or package. The key is the name of the module or package. For a module that belongs to no
            installed package, the text is the SHA-256 of the module's file. For an installed package, it is the
            version. The standard library and this project's packages are left out.
    """
    found: dict[str, str] = {}
    for one in code_files([target, module_of(get_object(target)) or target]):
        found[one.module if one.package is None else one.module.partition(".")[0]] = one.package or str(one.sha256)
    return dict(sorted(found.items()))


def module_of(named: object) -> str | None:
    """Return the name of the module in which a class or function was written; None if it does not state one."""
    return getattr(inspect.unwrap(named), "__module__", None)  # type: ignore[arg-type]


def code_files(names: Sequence[str]) -> Iterator[CodeFile]:
    """Yield the file of every module that Python loads when it imports some modules. Each file is yielded once.

    Files of the standard library and of this project's packages are left out. The imports in the files of installed
    packages are not followed.

    Args:
        names: full names of modules, or of classes and functions in modules.
    """
    waiting = list(names)
    seen: set[str] = set()
    while waiting:
        for name in _with_parents(waiting.pop()):
            if not name or name in seen or name.partition(".")[0] in {*sys.stdlib_module_names, *OWN_PACKAGES}:
                continue
            seen.add(name)
            spec = _spec(name)
            if spec is None or spec.origin is None or not Path(spec.origin).is_file():
                continue
            file = Path(spec.origin)
            version = _version(name, file)
            if version is not None:
                yield CodeFile(name, file, version, None)
                continue
            source = file.read_bytes()
            yield CodeFile(name, file, None, hashlib.sha256(source).hexdigest())
            if spec.origin.endswith(".py"):
                waiting += _imported(source, spec.name, is_package=spec.submodule_search_locations is not None)


def _with_parents(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[: count + 1]) for count in range(len(words))]


def _spec(name: str) -> ModuleSpec | None:
    """Find a module by the rules of Python's import statement, without running the module.

    Return None if no module has this name.
    """
    module = sys.modules.get(name)
    loaded: ModuleSpec | None = getattr(module, "__spec__", None)
    if loaded is not None:
        return loaded
    file = getattr(module, "__file__", None)
    if file is not None:  # the script that Python was started with is a module without a spec
        return spec_from_file_location(name, file)
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
    """Return the version of the installed code to which a module belongs, such as `numpy 2.1.0`.

    A module of the standard library has the version of Python, such as `Python 3.12`. Return None for a module that
    belongs to no installed distribution. The content of this module must then be hashed.
    """
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
    """Yield the full name of every module that the imports in a module's source may load.

    For `from a import b`, yield `a` and `a.b`, because `b` may itself be a module. If the source cannot be parsed,
    yield nothing.

    Args:
        source: content of the module's file.
        module: full name of the module.
        is_package: True if the module is a package, which changes the meaning of relative imports.
    """
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
