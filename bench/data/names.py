"""Converts file names, which may contain any character, into names that messages, tables and files can contain."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

__all__ = ["LONGEST", "escaped", "file_stem", "path_as_text", "text_as_path", "valid_id"]

LONGEST = 240
"""Largest number of bytes of a file's name without its ending. File systems allow 255 bytes with the ending."""
UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that are escaped.

They are control characters, surrogates (with which Python represents bytes that are not UTF-8), and separators of lines
and paragraphs.
"""


def escaped(text: object) -> str:
    r"""Return a text or path as one line of valid Unicode.

    Each control character, line separator or invalid byte is replaced by a visible escape, such as `\n` or `\xff`.
    """
    return "".join(_escape(one) if _is_unsafe(one) else one for one in str(text))


def valid_id(name: str) -> str:
    """Convert a name into an item's id, which is one line of valid Unicode.

    A name that is one line of valid Unicode already is returned unchanged. Any other name is escaped, and a hash of the
    name is appended, so that different names have different ids.
    """
    shown = escaped(name)
    return name if shown == name else f"{shown}~{_digest(name)}"


def file_stem(item: str) -> str:
    """Return the relative path, without ending, under which the files of an item are saved.

    A slash in the id separates folders. A name between slashes is changed if a file system may refuse or misinterpret
    it. Such a name is longer than `LONGEST` bytes, is empty, `.` or `..`, or contains control characters, line
    separators, a backslash, or bytes that are not UTF-8. These characters become `_`, a long name is shortened, and a
    hash of the original name is appended.

    Args:
        item: id of the item.
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
    """Convert a path to valid Unicode, for file formats that require it. `text_as_path` converts it back."""
    return re.sub("[\udc80-\udcff]", lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", str(path))


def text_as_path(text: str) -> Path:
    """Convert a text back into the path from which `path_as_text` made it."""
    return Path(re.sub("\0([0-9a-f]{2})", lambda found: chr(0xDC00 + int(found[1], 16)), text))


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in UNSAFE


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # Python's representation of a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
