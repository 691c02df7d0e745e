"""Functions that convert text from users and data sets into harmless text, before it is printed or written to a table.

A row's label, an item's id, a caption or a file name may contain any character. In the output, no such text may start a
new line, move a terminal's cursor or reverse the reading direction. No such text may act as a command of a build server
or as a formula of a spreadsheet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__all__ = ["as_line", "csv_text", "few", "one_line", "printable"]

_COMMAND = re.compile(r":(?=:)|#(?=#\w*\[)")
"""Pattern of the first character of `::` and of `##word[`.

At the start of a line, a build server of GitHub, Azure or TeamCity takes such text for a command.
"""
_FORMULA = ("=", "+", "-", "@")
"""Characters that make a spreadsheet read a text as a formula if the text begins with one of them."""


def few(names: Sequence[str], most: int = 5) -> str:
    """Return the first `most` names as one text. If there are more names, the text also says how many are left out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def printable(text: str) -> str:
    r"""Return a text in which each character that is not printable is replaced by an escape such as `\x1b`.

    Line feeds stay. These characters are not printable: control characters, marks that change the direction of
    writing, Unicode separators of lines and paragraphs, lone surrogates and unassigned code points. A horizontal tab or
    a no-break space becomes a space. A build server of GitHub, Azure or TeamCity treats texts such as `::error::`,
    `##[error]` or `##vso[task]` as commands, so the first character of such a text is also replaced by an escape.
    """
    if text.isascii() and text.isprintable() and "::" not in text and "##" not in text:
        return text
    shown = "".join(_shown(character) for character in text)
    return _COMMAND.sub(lambda found: _escape(found[0]), shown)


def one_line(text: str) -> str:
    """Return a text as one printable line, in which each run of white space becomes one space.

    `printable` says what happens to characters that are not printable.
    """
    return printable(" ".join(text.split()))


def as_line(text: str) -> str:
    r"""Return a text as one printable line, in which each line feed (`\n`) becomes a space.

    Unlike `one_line`, this function does not shorten runs of spaces. `printable` says what happens to characters that
    are not printable.
    """
    return printable(text.replace("\n", " "))


def csv_text(frame: pandas.DataFrame) -> str:
    """Return a table in CSV format, without the index of the data frame.

    Each text and each heading is converted to one printable line. If a spreadsheet would treat the line as a formula,
    an apostrophe is put before the line.
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
