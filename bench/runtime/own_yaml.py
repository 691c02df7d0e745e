"""A quick reader of the YAML files that belong to this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ["read_own_yaml"]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's loader in C, which is several times as fast as its loader in Python. If PyYAML lacks it, the slow loader."""


def read_own_yaml(path: Path) -> Any:
    """Return the content of a YAML file of this project as plain data.

    A file that a user wrote must be read with `yaml.safe_load`, which has better error messages.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
