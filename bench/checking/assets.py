"""Facts about what others made: `bench/assets.yaml` as typed objects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Asset", "Companion", "Download", "read_assets"]

FILE = Path(__file__).parents[1] / "assets.yaml"


@dataclass(frozen=True)
class Download:
    """Where a program may get an asset: one file, or a repository of the hub at a commit."""

    url: str | None = None
    sha256: str | None = None
    """Of the file; where it is None, the asset's own."""
    hub: str | None = None
    revision: str | None = None
    files: tuple[str, ...] = ()
    """Patterns of the repository's files."""
    otherwise: tuple[str, ...] = ()
    """Patterns of more of them, where those leave the asset incomplete."""


@dataclass(frozen=True)
class Companion:
    """A file of an installed package that belongs to an asset."""

    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Asset:
    """Something that the paper profile takes from others."""

    name: str
    """Of its path in `paths`."""
    what: str
    used_for: str
    source: str
    licence: str
    how: str = ""
    """What is to be done by hand, or instead of a download."""
    gigabytes: float | None = None
    count: str | None = None
    """How many of what there should be."""
    items: int | None = None
    """That the paper's table takes of it."""
    sha256: str | None = None
    """Of the file: another one is refused."""
    within: str | None = None
    """The asset from which a relative path is meant."""
    unet_channels: int | None = None
    """Input channels of its UNet."""
    raw_unet: bool = False
    """Whether its UNet's raw weights are needed, and not their moving average."""
    files: tuple[str, ...] = ()
    """Names that must be in it where it is a folder."""
    parts: tuple[str, ...] = ()
    """Its networks where it is a folder: folders with settings and weights."""
    download: Download | None = None
    companion: Companion | None = None
    unverified: tuple[str, ...] = ()
    """Names of the fields above that nobody checked."""

    @property
    def variable(self) -> str:
        """The environment variable that sets its path."""
        return f"BENCH_{self.name.upper()}"

    @property
    def expected_sha256(self) -> str | None:
        """Of what is downloaded."""
        return (self.download.sha256 if self.download else None) or self.sha256


@cache
def read_assets() -> dict[str, Asset]:
    """Every asset by its name, in the file's order."""
    return {name: _asset(name, facts) for name, facts in yaml.safe_load(FILE.read_text(encoding="utf-8")).items()}


def _asset(name: str, facts: dict[str, Any]) -> Asset:
    download, companion = facts.pop("download", None), facts.pop("companion", None)
    return Asset(
        name=name,
        **_tuples(facts),
        download=None if download is None else Download(**_tuples(download)),
        companion=None if companion is None else Companion(**companion),
    )


def _tuples(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
