"""Search for the files that a configuration needs: every path that it names, and the asset at that path."""

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
    """Configuration key of the path."""
    path: Path
    asset: Asset | None = None
    """Asset at the path; None for a file of the user's own."""
    root: Path | None = None
    """Folder of the asset, which may be above the path."""


def needs(nodes: Mapping[str, Any], paths: Mapping[str, str], path_keys: Collection[str] = PATH_KEYS) -> list[Need]:
    """Return every path of a configuration.

    A value belongs to an asset if it lies at or below the asset's path in `paths`, for any key. Other values are paths
    only if their key is one of `path_keys`.

    Args:
        nodes: parts of a resolved configuration, as plain data, by their keys.
        paths: the resolved `paths`.
        path_keys: keys whose values are paths.
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
    """Return the asset whose path is nearest at or above a path."""
    found = [
        (len(place.parts), asset)
        for name, asset in read_assets().items()
        if name in paths
        for place in (Path(paths[name]),)
        if Path(value) == place or place in Path(value).parents
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None
