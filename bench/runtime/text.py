"""Conversion of untrusted text into harmless text, for every writer of output for people or machines.

A row's label, an item's id, a caption or the name of a file may hold any characters. None of them may start a new line,
move a terminal's cursor, reverse the reading direction, or give a command to a continuous integration system or a
spreadsheet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__all__ = ["as_line", "csv_text", "one_line", "printable"]

_COMMAND = re.compile(r":(?=:)|#(?=#\w*\[)")
"""The first character of text that a runner of GitHub, Azure or TeamCity takes for a command at the start of a line."""
_FORMULA = ("=", "+", "-", "@")
"""First characters of a spreadsheet cell that make it a formula."""


def printable(text: str) -> str:
    r"""Replace every character that is not printable by an escape such as `\x1b`, and keep the lines of the text.

    Not printable are control characters, marks that change the direction of writing, separators of lines and
    paragraphs, lone surrogates and unassigned code points. A horizontal tab becomes a space. Text that a runner of
    GitHub, Azure or TeamCity takes for a command (`::error::`, `##[error]`, `##vso[task]`) gets an escape as well.
    """
    if text.isascii() and text.isprintable() and "::" not in text and "##" not in text:
        return text
    shown = "".join(_shown(character) for character in text)
    return _COMMAND.sub(lambda found: _escape(found[0]), shown)


def one_line(text: str) -> str:
    """Return a printable text on one line, in which white space of any kind and length becomes one space."""
    return printable(" ".join(text.split()))


def as_line(text: str) -> str:
    """Return a printable text on one line, in which each line break becomes a space."""
    return printable(text.replace("\n", " "))


def csv_text(frame: pandas.DataFrame) -> str:
    """Return a table as comma-separated values without its index.

    Texts are on one line, and begin with an apostrophe if a spreadsheet would take them for a formula.
    """
    words = frame.select_dtypes(["object", "string"])
    safe = frame.assign(**{str(name): words[name].map(_cell) for name in words})
    text: str = safe.rename(columns=_cell).to_csv(index=False)
    return text


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = one_line(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _shown(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return " " if character in "\t\N{NO-BREAK SPACE}" else _escape(character)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
