"""Conversion of file names, which may contain any characters, into names for messages, tables and files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

__all__ = ["LONGEST", "escaped", "file_stem", "path_as_text", "text_as_path", "valid_id"]

LONGEST = 240
"""Largest number of bytes of a file's name before its ending; file systems allow 255 bytes in all."""
UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, of bytes that are not UTF-8, and of line and paragraph separators."""


def escaped(text: object) -> str:
    r"""Return a text or path as one line of valid Unicode; other characters are escaped, such as `\n` or `\xff`."""
    return "".join(_escape(one) if _is_unsafe(one) else one for one in str(text))


def valid_id(name: str) -> str:
    """Make an item's id from a name: one line of valid Unicode stays unchanged; other names are escaped and hashed."""
    shown = escaped(name)
    return name if shown == name else f"{shown}~{_digest(name)}"


def file_stem(item: str) -> str:
    """Return the relative path, without its ending, of an item's files.

    A slash in the id separates folders. A part of the path that a file system may refuse or misinterpret is reduced to
    its harmless characters, and a hash is appended: a part that is too long, empty, `.` or `..`, or that contains
    control characters, a backslash, or bytes that are not UTF-8.
    """
    return "/".join(_safe(part) for part in item.split("/"))


def _safe(part: str) -> str:
    harmless = "".join("_" if _is_unsafe(one) or one == "\\" else one for one in part)
    if part not in ("", ".", "..") and harmless == part and len(part.encode()) <= LONGEST:
        return part
    digest = _digest(part)
    kept = harmless.encode()[: LONGEST - len(digest) - 1].decode(errors="ignore").strip(".")
    return f"{kept}~{digest}"


def path_as_text(path: Path) -> str:
    """Return a path as valid Unicode, for formats that require it; `text_as_path` is the inverse."""
    return re.sub("[\udc80-\udcff]", lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", str(path))


def text_as_path(text: str) -> Path:
    """Return the path that `path_as_text` converted to a text."""
    return Path(re.sub("\0([0-9a-f]{2})", lambda found: chr(0xDC00 + int(found[1], 16)), text))


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in UNSAFE


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # Python's representation of a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
