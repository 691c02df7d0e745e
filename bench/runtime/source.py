"""A function that computes a hash of this project's own source files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["source_hash"]

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE, PACKAGE.parent / "baselines")
"""Folders of the project's Python packages."""


@cache
def source_hash() -> str:
    """Return a hash of all Python files of this project. Results with equal hashes come from the same code."""
    digest = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder.parent).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
