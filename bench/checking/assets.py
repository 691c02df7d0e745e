"""Facts about external files: `bench/checking/assets.yaml` as typed objects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Asset", "Companion", "Download", "read_assets"]

FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Download:
    """A source from which a program may download an asset: one file, or a repository of the hub at a commit."""

    url: str | None = None
    sha256: str | None = None
    """SHA-256 of the file; None stands for the asset's own."""
    hub: str | None = None
    revision: str | None = None
    files: tuple[str, ...] = ()
    """Patterns of the files to download from the repository."""
    otherwise: tuple[str, ...] = ()
    """Patterns of further files to download if the asset is still incomplete."""


@dataclass(frozen=True)
class Companion:
    """A file of an installed package that belongs to an asset."""

    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Asset:
    """A file or folder of another source that the paper profile needs."""

    name: str
    """Name of its path in `paths`."""
    what: str
    used_for: str
    source: str
    licence: str
    how: str = ""
    """Instructions for steps by hand, in addition to or instead of a download."""
    gigabytes: float | None = None
    count: str | None = None
    """Number and kind of the files in it."""
    items: int | None = None
    """Number of items of the paper's table that come from it."""
    sha256: str | None = None
    """Expected SHA-256 of the file; a file with another one is refused."""
    within: str | None = None
    """Name of the asset at which a relative path starts."""
    unet_channels: int | None = None
    """Number of input channels of its UNet."""
    raw_unet: bool = False
    """True if the raw weights of its UNet are needed instead of their moving average."""
    files: tuple[str, ...] = ()
    """Names that a folder must contain."""
    parts: tuple[str, ...] = ()
    """Networks that a folder must contain, as folders with settings and weights."""
    download: Download | None = None
    companion: Companion | None = None
    unverified: tuple[str, ...] = ()
    """Names of the fields above whose values were not verified."""

    @property
    def variable(self) -> str:
        """Name of the environment variable that sets its path."""
        return f"BENCH_{self.name.upper()}"

    @property
    def expected_sha256(self) -> str | None:
        """The SHA-256 that the downloaded file must have."""
        return (self.download.sha256 if self.download else None) or self.sha256


@cache
def read_assets() -> dict[str, Asset]:
    """Return every asset by its name, in the file's order."""
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
