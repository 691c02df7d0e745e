"""Functions that write and read files. An incomplete file is never visible under the final name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.runtime.atomic import whole_file
from bench.runtime.strict_json import read_json

__all__ = ["read_if_there", "write_atomically", "write_json"]

SURROGATES = re.compile("[\ud800-\udfff]")
"""Pattern of a surrogate: one half of a pair that stands for one character. UTF-8 cannot encode it alone."""


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file that appears completely or not at all.

    Args:
        path: path of the file.
        data: bytes, or a text to encode as UTF-8. A lone surrogate, which UTF-8 cannot encode, becomes an escape.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    r"""Write a JSON file that appears completely or not at all.

    A lone surrogate is written as visible text, such as `\ud800`, so that every program can read the file.

    Raises:
        TypeError: a value has a type that JSON does not have.
        ValueError: a number is not finite.
        OSError: the file cannot be written.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, SURROGATES.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text) + "\n")


def read_if_there(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Return an empty object if the file is missing or `read_json` refuses it."""
    try:
        return read_json(path)
    except (FileNotFoundError, BadInputError):
        return {}
