"""A strict JSON reader, which refuses a file that could cause a wrong number or a traceback later.

RFC 8259 lets each program decide how to read repeated keys, huge numbers and deep nesting. This reader refuses them.
"""

from __future__ import annotations

import gc
import json
import math
import re
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from bench.errors import BadInputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

__all__ = ["DEEPEST", "LARGEST_INTEGER", "LONGEST_NUMBER", "checked", "parse_json", "read_json", "read_json_as"]

DEEPEST = 100
"""Largest number of levels of objects and lists, one inside the other."""
LONGEST_NUMBER = 100
"""Largest number of characters with which a number may be written."""
LARGEST_INTEGER = 2**63 - 1
SHORT_INTEGER = 18
"""Number of characters. An integer with this number or fewer is never above `LARGEST_INTEGER` and needs no check."""
LARGEST_FILE = 2**31
"""Size in bytes of the largest file that is read. For comparison, the file of COCO's captions has 158 million bytes."""
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Pattern of the escape of a surrogate. In JSON, a pair of such escapes can stand for one character."""
SHOWN = 60
"""Largest number of characters of a wrong value that an error message shows."""

Shape = TypeVar("Shape")


class _DamageError(ValueError):
    """The error for JSON that has the right syntax but that this reader refuses."""


def parse_json(text: str | bytes, place: str) -> Any:
    """Parse a JSON text and return its value, which may be of any JSON type.

    Args:
        text: the JSON text. Bytes must be UTF-8, with or without a byte order mark.
        place: origin of the text for error messages, such as the path of a file.

    Raises:
        BadInputError: the text is not JSON; or an object has a key twice; or a number is not finite, is too large or
            has too many digits; or a text contains a lone surrogate; or the nesting is too deep.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        with _no_collection():
            content = json.loads(
                plain,
                object_pairs_hook=_object,
                parse_int=_integer,
                parse_float=_float,
                parse_constant=_constant,
            )
            _refuse_depth(content)
        if SURROGATE.search(plain):
            json.dumps(content, ensure_ascii=False).encode()  # a lone surrogate raises ValueError here
    except RecursionError:
        raise BadInputError(f"{place}: expected JSON with at most {DEEPEST} nested levels, found more levels") from None
    except ValueError as error:  # json and UTF-8 decoding raise it
        raise BadInputError(f"{place}: expected JSON, found an error: {error}") from None
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that contains one JSON object.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: the file cannot be read, is not a regular file, is larger than `LARGEST_FILE`, does not contain
            a JSON object, or `parse_json` refuses its content.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInputError(f"{path}: expected a JSON file, found a folder or a special file")
        if status.st_size > LARGEST_FILE:
            raise BadInputError(
                f"{path}: expected a JSON file of at most {LARGEST_FILE} bytes, found {status.st_size} bytes"
            )
        content = parse_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a path with a null character raises ValueError
        raise BadInputError(f"{path}: expected a JSON file that can be read, found an error: {error}") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: expected a JSON object, found {_shown(content)}")
    return content


def read_json_as(path: Path, shape: type[Shape]) -> Shape:
    """Read a file that contains one JSON object, and require that the object has the keys and types of `shape`.

    `checked` says which keys the result has.

    Args:
        path: path of the file.
        shape: a type that pydantic can validate, such as a TypedDict. Validation is strict: for example, `true` is
            not accepted as a number.

    Raises:
        FileNotFoundError: the file does not exist.
        BadInputError: `read_json` refuses the file, or a value is missing, has a wrong type or is out of range. The
            message names the key of the value.
    """
    return checked(read_json(path), shape, str(path))


def checked(content: Any, shape: type[Shape], place: str) -> Shape:
    """Require that data has the keys and types of `shape`, and return the data.

    Keys that `shape` does not name are allowed. They are in the result only if `shape` is a TypedDict whose pydantic
    configuration says `extra="allow"`.

    Args:
        content: data that `parse_json` returned.
        shape: a type that pydantic can validate, such as a TypedDict. Validation is strict.
        place: origin of the data for error messages, such as the path of a file.

    Raises:
        BadInputError: a value is missing, has a wrong type or is out of range.
    """
    from pydantic import ValidationError

    expected: Any = shape
    try:
        with _no_collection():
            found: Shape = _validator(expected).validate_python(content, strict=True)
            return found
    except ValidationError as error:
        raise BadInputError(f"{place}: {_first(error.errors(include_url=False))}") from None


@cache
def _validator(shape: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Disable Python's garbage collector during the `with` block.

    The block creates many objects and discards none, so that a search for garbage would only cost time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _first(errors: list[ErrorDetails]) -> str:
    first = errors[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole content"
    if first["type"] == "missing":
        return f"expected the key {key}, found no such key"
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key}: expected {expected}, found {_shown(first['input'])}"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _DamageError(f"the key {_shown(twice)} occurs twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) <= SHORT_INTEGER:
        return int(text)
    if len(text) > LONGEST_NUMBER or abs(int(text)) > LARGEST_INTEGER:
        raise _DamageError(f"a whole number of {len(text)} characters, which is too large")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if len(text) > LONGEST_NUMBER or not math.isfinite(value):
        raise _DamageError(f"a number that is too large or too long: {text[:SHOWN]}")
    return value


def _constant(text: str) -> NoReturn:
    raise _DamageError(f"{text}, which is not a JSON number")


def _refuse_depth(content: Any) -> None:
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(DEEPEST + 1):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))  # for millions of values a tuple is faster than a union
        ]
        if not level:
            return
    raise RecursionError
