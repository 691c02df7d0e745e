"""A hash of everything that determines what a Python object computes, such as a module with its weights.

The hash covers the values of all attributes, all tensors, and the code of all classes and functions. This includes the
attributes of attributes, at any depth. If any part of an object cannot be described in this way, the object has no
hash.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.config.own_code import OWN_PACKAGES, code_of
from bench.store import content_key

__all__ = ["UnidentifiableError", "content_of", "name_of"]

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.memory_format, range)
"""Types whose values are described completely by their `repr`."""
FILE_HASH = re.compile(r"[0-9a-f]{64}")
"""Pattern of the text with which `bench.config.own_code.code_of` identifies a file outside installed packages."""
HEAP_TYPE = 1 << 9
"""Bit in the `__flags__` of every class that is written in Python."""
VERSION = 1
"""Version number of the description. It is increased when the description changes."""


class UnidentifiableError(Exception):
    """The error for a part of an object that cannot be described by its content. The message names the part."""


def content_of(found: object) -> str:
    """Return the SHA-256 of an object's content, as 64 hexadecimal digits.

    Two objects have equal hashes only if they have equal attributes, equal tensors (values, shapes, data types), and
    classes and functions with equal names and equal code. The code of an installed package is identified by the version
    of the package. Other code is identified by the content of its file and of all files that this file imports. The
    device of a tensor does not matter.

    Args:
        found: a module, a function or an object of any other class.

    Raises:
        UnidentifiableError: a part of the object has content that cannot be described; a part has code that is in no
            file or cannot be imported; or a part is a function from a file that belongs to no installed package. The
            result of such a function could depend on variables of that file, which the hash does not contain.
    """
    return content_key({"version": VERSION, "object": _Description().of(found, "the object")})


def name_of(found: object) -> str:
    """Return the full name of a function, or of the class of any other object, such as `my_code.MyDecoder`."""
    named = found if inspect.isroutine(found) else type(found)
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"


class _Description:
    """A helper that describes one object as plain data.

    Each part of the object gets a number and is described once. If a part occurs again, only its number is given.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._alive: list[object] = []  # keeps every part alive, so that no later part gets its `id`
        self._codes: dict[str, dict[str, str]] = {}

    def of(self, value: Any, where: str) -> Any:
        """Return the description of a value as lists, texts and numbers.

        Args:
            value: the value.
            where: name of the value, for messages.
        """
        if type(value) in PLAIN:
            return [type(value).__name__, repr(value)]
        if id(value) in self._places:
            return ["part", self._places[id(value)]]
        if not isinstance(value, tuple):  # Python itself decides whether equal tuples are one object
            self._places[id(value)] = len(self._places)
            self._alive.append(value)
        return [type(value).__name__, *self._parts(value, where)]

    def _parts(self, value: Any, where: str) -> Iterator[Any]:
        match value:
            case Tensor():
                yield from (self._code(type(value), where), *_tensor(value, where))
                yield self.of(vars(value), where)
            case np.ndarray() | np.generic():
                yield from _array(np.asarray(value), where)
            case enum.Enum():
                yield from (self._code(type(value), where), value.name)
            case PurePath():
                yield str(value)
            case type():
                yield self._code(value, where)
            case functools.partial():
                yield self.of([value.func, value.args, value.keywords], where)
            case _ if inspect.ismethod(value):
                yield from (self.of(value.__self__, where), value.__name__)
            case _ if inspect.isroutine(value):
                yield self._function(value, where)
            case _:
                yield from self._object(value, where)

    def _object(self, value: Any, where: str) -> Iterator[Any]:
        """Yield the class of an object, its elements if it is a container, and its attributes.

        Raises:
            UnidentifiableError: the object is neither a container nor an object of a class that is written in Python.
        """
        kind = type(value)
        yield self._code(kind, where)
        slots = [name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)]
        if isinstance(value, Mapping):
            yield [[self.of(key, where), self.of(one, f"{where}[{key!r}]")] for key, one in value.items()]
        elif isinstance(value, list | tuple):
            yield [self.of(one, f"{where}[{place}]") for place, one in enumerate(value)]
        elif isinstance(value, set | frozenset):
            yield sorted(content_key({"of": _Description().of(one, where)}) for one in value)
        elif not all(base is object or base.__flags__ & HEAP_TYPE for base in kind.__mro__) or not (
            slots or hasattr(value, "__dict__")
        ):
            raise UnidentifiableError(f"{where} is of the type {kind.__qualname__}, whose content Python cannot see")
        for name, one in {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}.items():
            yield [str(name), self.of(one, f"{where}.{name}")]

    def _function(self, value: Any, where: str) -> Any:
        """Return the name of a function, and an identification of its code.

        Raises:
            UnidentifiableError: the function is in a module of the user, so it may use any variable of this module.
        """
        name, code = self._code(value, where)
        if any(FILE_HASH.fullmatch(found) for found in code.values()):
            raise UnidentifiableError(f"{where} is the function {name}, which may use variables outside the function")
        return [name, code]

    def _code(self, named: Any, where: str) -> Any:
        """Return the full name of a class or function, and an identification of its code.

        Raises:
            UnidentifiableError: the class or function cannot be imported by its full name, or its code is in no file.
        """
        module, qualified = getattr(named, "__module__", None) or "builtins", named.__qualname__
        name = f"{module}.{qualified}"
        if name in self._codes:
            return [name, self._codes[name]]
        held: Any = sys.modules.get(module)
        for word in qualified.split("."):
            held = getattr(held, word, None)
        if held is not named:
            raise UnidentifiableError(f"{where} has code that cannot be imported under the name {name}")
        known = module.partition(".")[0] in {*sys.stdlib_module_names, *OWN_PACKAGES} and module != "__main__"
        code = {} if known else code_of(name)
        if not known and not code:
            raise UnidentifiableError(f"{where} has code that is in no file: {name}")
        self._codes[name] = code
        return [name, code]


def _slots(base: type) -> list[str]:
    slots = vars(base).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _tensor(value: Tensor, where: str) -> Iterator[Any]:
    if value.layout is not torch.strided or value.is_quantized or value.device.type == "meta":
        raise UnidentifiableError(
            f"{where} is a tensor whose values cannot be read from memory: it is sparse, quantised or on meta"
        )
    content = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    yield str(value.dtype)
    yield list(value.shape)
    yield hashlib.sha256(content.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def _array(value: np.ndarray[Any, Any], where: str) -> Iterator[Any]:
    if value.dtype.hasobject:
        raise UnidentifiableError(f"{where} is an array of Python objects")
    yield value.dtype.str
    yield list(value.shape)
    yield hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
