"""Overrides, which are the words `KEY=VALUE` of a command line.

Hydra's grammar parses them. This module turns the errors of Hydra's parser into messages for the user.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from bench.config.option_files import SEARCH_PATH, folders_of, option_file
from bench.errors import BadInputError
from bench.runtime.text import one_line

__all__ = [
    "added_row",
    "command",
    "group_of",
    "key_of",
    "keys_set",
    "parse",
    "parse_all",
    "quoted",
    "setting",
    "values_of",
]

PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]*")
"""Pattern of a text that Hydra's grammar reads without quotes. A text with any other character is quoted."""
ADDED_ROW = "row@rows."
"""Beginning of the key of an override with which `bench.run` adds an object of a Python program as a row."""
LONGEST_QUOTE = 200
"""Largest number of characters of a value, or of the parser's own message, that an error message quotes."""


def key_of(override: str) -> str:
    """Return the key that an override sets, such as `generator.steps` for `generator.steps=4`."""
    return override.lstrip("+~").partition("=")[0]


def group_of(override: str) -> str:
    """Return the first part of the key that an override sets, such as `generator` for `generator.steps=4`."""
    return key_of(override).partition(".")[0].partition("@")[0]


def parse_all(words: Iterable[str], *, sweep: bool = False) -> list[Override]:
    """Parse each word with Hydra's grammar.

    Args:
        words: overrides as on the command line.
        sweep: True if a word may have several values, as in `seed=0,1,2`.

    Raises:
        BadInputError: a word cannot be parsed; or `sweep` is False, and a word has several values.
    """
    found = [parse(word) for word in words]
    for override in found:
        if override.is_sweep_override() and not sweep:
            word = str(override.input_line)
            value = word.partition("=")[2]
            raise BadInputError(
                f"{key_of(word)}: expected one value, found several: {value}; write a list as "
                f"{shlex.quote(f'{key_of(word)}=[{value}]')} and a text with a comma as {_quoted(word)}, or use -m to "
                "run one job for each value"
            )
    return found


@lru_cache(maxsize=1024)
def parse(word: str) -> Override:
    """Parse one override with Hydra's grammar.

    Raises:
        BadInputError: the word cannot be parsed. The message names the key, and suggests a correction if one is known.
    """
    try:
        word.encode()
    except UnicodeEncodeError:
        raise BadInputError(f"{_shown(word)}: expected text in UTF-8, found other bytes") from None
    key, equals, value = word.partition("=")
    if not key.strip("+~ ") or (not equals and not key.startswith("~")):
        raise BadInputError(f"{word or repr('')}: expected KEY=VALUE, found no {'KEY' if equals else '='}")
    if "".join(key.split()) != key:
        raise BadInputError(
            f"{one_line(key_of(word))}: expected KEY=VALUE without white space in KEY, found {one_line(word)}"
        )
    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, ValueError, RecursionError) as error:
        raise BadInputError(_why_not_parsed(key_of(word), value, error)) from error


def _why_not_parsed(key: str, value: str, error: Exception) -> str:
    found = textwrap.shorten(one_line(value), LONGEST_QUOTE, placeholder=" …")
    if value.startswith("~"):
        return f"{key}: expected a path, found {found}; ~ is not expanded here, use $HOME/NAME"
    if value.startswith("["):
        return f"{key}: expected a list, such as {key}=[A,B], or a quoted text, found {found}"
    special = dict.fromkeys(PLAIN.sub("", value))
    if special and isinstance(error, HydraException):
        signs = one_line(" ".join(special)) or "blanks"
        return (
            f"{key}: expected a value that Hydra's grammar can read, found {found}; quote it, because it contains "
            f"{signs}: {_quoted(f'{key}={value}')}"
        )
    said = textwrap.shorten(one_line(str(error)), LONGEST_QUOTE, placeholder=" …") or type(error).__name__
    return f"{key}: expected a value that Hydra's grammar can read, found {found} ({said})"


def _quoted(word: str) -> str:
    key, _, value = word.partition("=")
    return shlex.quote(one_line(setting(key, value)))


def _shown(word: str) -> str:
    return os.fsencode(word).decode("utf-8", "backslashreplace")


def setting(key: str, value: object) -> str:
    """Return the override `KEY=VALUE`. The value is quoted if it needs quotes in Hydra's grammar."""
    return f"{key}={quoted(str(value))}"


def quoted(text: str) -> str:
    """Return a text in a form that Hydra's grammar reads as this text.

    If the text needs no quotes, it is returned unchanged. Inside quotes, Hydra treats backslashes as escapes only if a
    quote follows them. Therefore only backslashes before a quote are doubled.
    """
    if PLAIN.fullmatch(text):
        return text
    escaped = re.sub(r'(\\+)(?="|\Z)', r"\1\1", text).replace('"', '\\"')
    return f'"{escaped}"'


def command(overrides: Sequence[str]) -> str:
    """Return the command line that repeats a run, quoted for a shell.

    The overrides `out` and `overwrite` are left out. Each added folder of configuration files becomes a `--config-dir`.
    If folders are added and PYTHONPATH is set, the command line sets PYTHONPATH as well, because Python may need it to
    find the classes that these folders name. A comment lists further things that the repeated run needs: the files of
    the chosen options in these folders, and the rows that were objects of a Python program.
    """
    folders = folders_of(overrides)[1:]
    words = [word for word in overrides if key_of(word) not in ("out", "overwrite", SEARCH_PATH)]
    for folder in reversed(folders):
        words[:0] = ["--config-dir", str(folder)]
    path = os.environ.get("PYTHONPATH")
    before = f"PYTHONPATH={shlex.quote(path)} " if folders and path else ""
    own = [
        str(file)
        for word in overrides
        if "=" in word and not word.startswith("hydra")
        for name in values_of(parse(word))
        if (file := option_file(key_of(word), name, folders)) is not None
    ]
    needed = [*own, *(f"the object rows={{'{row}': …}} of a Python program" for row in _objects(overrides))]
    return f"{before}{shlex.join(['python', '-m', 'bench', *words])}" + (
        f"  # with {', '.join(needed)}" if needed else ""
    )


def _objects(overrides: Sequence[str]) -> list[str]:
    """Return the names of the rows that `bench.run` added as objects of a Python program."""
    return [key_of(word).removeprefix(ADDED_ROW) for word in overrides if key_of(word).startswith(ADDED_ROW)]


def added_row(name: str) -> str:
    """Return the override with which `bench.run` adds an object of a Python program as the row `name`."""
    return f"+{ADDED_ROW}{name}={name}"


def keys_set(override: Override) -> list[str]:
    """Return the full names of the keys that an override sets.

    `a.b=1` sets only `a.b`. If the value is a mapping, as in `a={b:1,c:2}`, the override sets `a.b` and `a.c`.
    """
    value = None if override.value_type in SWEEPS else override.value()
    return list(_leaves(override.key_or_group, value))


SWEEPS = (
    ValueType.CHOICE_SWEEP,
    ValueType.SIMPLE_CHOICE_SWEEP,
    ValueType.GLOB_CHOICE_SWEEP,
    ValueType.RANGE_SWEEP,
    ValueType.INTERVAL_SWEEP,
)


def _leaves(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(f"{key}.{name}", below)
    else:
        yield key


def values_of(override: Override) -> Sequence[str]:
    """Return the names of the options that an override of a group chooses, such as `["a", "b"]` for `row=[a,b]`.

    The result is empty if the override deletes something, has several values to sweep over, or has the value `null`.
    """
    if override.is_delete() or override.value_type in SWEEPS:
        return ()
    value = override.value()
    chosen = value if isinstance(value, list) else [value]
    return [str(name) for name in chosen if name is not None]
