"""Read files that several tests compare."""

import json
from pathlib import Path
from typing import Any

from bench.store import file_sha256

__all__ = ["digests", "read_json"]


def digests(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every file below a folder by its path from the folder."""
    return {path.relative_to(folder): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def read_json(folder: Path, name: str) -> Any:
    """Return the content of a JSON file in a folder."""
    return json.loads((folder / name).read_text())
