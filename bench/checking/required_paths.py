"""Search for the files that a configuration needs: every path in its values, and the asset of each path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.checking.assets import Asset, read_assets
from bench.config.instantiate import PATH_KEYS

__all__ = ["Need", "needs"]


@dataclass(frozen=True)
class Need:
    """A path that must exist."""

    key: str
    """Full name of the configuration key whose value is the path."""
    path: Path
    asset: Asset | None = None
    """Asset to which the path belongs; None for a file that is not an asset, such as the user's own weights."""
    root: Path | None = None
    """Path of the asset, which is `path` itself or a folder above it; None if there is no asset."""


def needs(nodes: Mapping[str, Any], paths: Mapping[str, str], path_keys: Collection[str] = PATH_KEYS) -> list[Need]:
    """Return every path that parts of a configuration name.

    Any value that lies at or below the path of an asset in `paths` is a path of this asset. Another value is a path
    only if the last part of its key is in `path_keys`.

    Args:
        nodes: parts of a configuration as plain data with resolved interpolations, by the names of their keys.
        paths: value of the configuration key `paths`, with resolved interpolations.
        path_keys: last parts of the keys whose values are paths.
    """
    return [need for key, node in nodes.items() for need in _needs(node, key, {}, paths, path_keys)]


def _needs(
    node: Any, key: str, siblings: Mapping[str, Any], paths: Mapping[str, str], path_keys: Collection[str]
) -> Iterator[Need]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _needs(value, f"{key}.{name}", node, paths, path_keys)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _needs(value, f"{key}[{index}]", {}, paths, path_keys)
    elif isinstance(node, str) and node:
        asset = _asset(node, paths)
        if asset is not None:
            folder = siblings.get("root") or paths[asset.within] if asset.within else ""
            yield Need(key, Path(folder) / node, asset, Path(folder) / paths[asset.name])
        elif key.rpartition(".")[2] in path_keys:
            yield Need(key, Path(node))


def _asset(value: str, paths: Mapping[str, str]) -> Asset | None:
    """Return the asset whose path in `paths` is `value` or the nearest folder above it; None if there is none."""
    found = [
        (len(place.parts), asset)
        for name, asset in read_assets().items()
        if name in paths
        for place in (Path(paths[name]),)
        if Path(value) == place or place in Path(value).parents
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None
