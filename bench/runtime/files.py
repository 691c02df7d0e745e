"""Writes text and JSON files that appear whole or not at all."""

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
"""Pattern of halves of surrogate pairs, which UTF-8 cannot encode."""


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file, complete or not at all; half of a surrogate pair, which UTF-8 cannot encode, becomes an escape."""
    with whole_file(path) as partial:
        partial.write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    r"""Write a JSON file, complete or not at all.

    Half of a surrogate pair is written as the text of its escape, such as `\ud800`, so that any reader can read the
    file.

    Raises:
        TypeError, ValueError: a value cannot be written as JSON, such as a number that is not finite.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, SURROGATES.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text) + "\n")


def read_if_there(path: Path) -> dict[str, Any]:
    """Return the JSON object that a run has written; empty if the file does not exist or is not a JSON object."""
    try:
        return read_json(path)
    except (FileNotFoundError, BadInputError):
        return {}
