"""Descriptions of external files, which are called assets. The file `bench/checking/assets.yaml` contains them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bench.errors import BadInputError
from bench.runtime.own_yaml import read_own_yaml

__all__ = ["Asset", "Companion", "Download", "read_assets", "read_facts"]

FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Download:
    """The address from which a program may download an asset.

    The address is either one file at `url`, or the repository `hub` of the Hugging Face hub at the commit `revision`.
    """

    url: str | None = None
    sha256: str | None = None
    """SHA-256 that the file at `url` must have; None means that `Asset.sha256` is used."""
    hub: str | None = None
    revision: str | None = None
    files: tuple[str, ...] = ()
    """Patterns of the files to download from the repository."""
    otherwise: tuple[str, ...] = ()
    """Patterns of further files, which are downloaded only if the asset is still incomplete after `files`."""
    folder: str = ""
    """Folder of the repository that becomes the asset's folder, such as `vae`; empty for the whole repository.

    `files` and `otherwise` are relative to this folder.
    """


@dataclass(frozen=True)
class Companion:
    """A file of an installed package. An asset can be used only together with this file."""

    package: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Asset:
    """An external file or folder that a run needs."""

    name: str
    """Name of the asset. For an asset of `assets.yaml`, it is also the name of its path in the group `paths`."""
    what: str
    used_for: str
    source: str
    licence: str
    how: str = ""
    """Instructions for what the user must do by hand, in addition to a download or instead of a download."""
    gigabytes: float | None = None
    count: str | None = None
    """Text that says how many files the asset contains, such as `3,500 triples of picture, mask and reference`."""
    items: int | None = None
    """Number of items that the paper's table has from this asset."""
    sha256: str | None = None
    """SHA-256 that the file must have. Another file is refused, unless `profile.unpinned` contains the asset's name."""
    within: str | None = None
    """Name of another asset. If the path of this asset is relative, it starts at the folder of the other asset."""
    unet_channels: int | None = None
    """Number of input channels that the asset's UNet must have; None if the asset has no UNet to check."""
    raw_unet: bool = False
    """True if a run needs the raw weights of the asset's UNet, and not their moving average."""
    files: tuple[str, ...] = ()
    """Names of files and folders that the asset's folder must contain."""
    parts: tuple[str, ...] = ()
    """Names of the networks that the asset's folder must contain. Each is a folder with settings and weights."""
    download: Download | None = None
    companion: Companion | None = None
    unverified: tuple[str, ...] = ()
    """Names of the fields of this asset whose values were not verified."""
    key: str = ""
    """Full name of the configuration key that sets the asset's path; empty for an asset of `assets.yaml`."""

    @property
    def set_by(self) -> str:
        """Words of a command line that set the asset's path, such as `paths.clip=PATH or BENCH_CLIP=PATH`."""
        return f"{self.key}=PATH" if self.key else f"paths.{self.name}=PATH or {self.variable}=PATH"

    @property
    def variable(self) -> str:
        """Name of the environment variable that sets the asset's path."""
        return f"BENCH_{self.name.upper()}"

    @property
    def expected_sha256(self) -> str | None:
        """The SHA-256 that the downloaded file must have; None if it is not known."""
        return (self.download.sha256 if self.download else None) or self.sha256


@cache
def read_assets(file: str | None = None) -> dict[str, Asset]:
    """Return all assets in the order of the file. The key of each asset is its name.

    Args:
        file: path of a file in the form of `assets.yaml`; None means `assets.yaml` itself.

    Raises:
        BadInputError: the file is missing or broken, or does not map the name of each asset to the asset's fields.
    """
    return {name: _asset(name, facts) for name, facts in read_facts(file).items()}


def read_facts(file: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the fields of each asset in a file, as plain data. The key is the name of the asset.

    `read_assets` converts these fields to objects.

    Args:
        file: path of a file in the form of `assets.yaml`; None means `assets.yaml` itself.

    Raises:
        BadInputError: the file is missing or broken, or does not map the name of each asset to the asset's fields.
    """
    path = FILE if file is None else Path(file)
    try:
        found = read_own_yaml(path) if file is None else yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInputError(f"profile.asset_list: expected a YAML file of assets, found an error: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(facts, dict) for facts in found.values()):
        raise BadInputError(
            "profile.asset_list: expected a file that maps the name of each asset to a mapping of its properties, "
            f"found another structure in {path}"
        )
    return found


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
