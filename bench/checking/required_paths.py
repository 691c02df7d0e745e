"""Search for the files that a configuration needs: every path in its values, and the asset to which a path belongs."""

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


def needs(
    nodes: Mapping[str, Any],
    paths: Mapping[str, str],
    path_keys: Collection[str] = PATH_KEYS,
    *,
    asset_list: str | None = None,
) -> list[Need]:
    """Return every path that the given values of a configuration name.

    A text is a path of an asset if it equals the path of this asset in `paths`, or lies below it. Any other text is a
    path only if the last part of its key is in `path_keys`.

    Args:
        nodes: values of a configuration as plain data with resolved interpolations, by their keys.
        paths: value of the configuration key `paths`, with resolved interpolations.
        path_keys: last parts of the keys whose values are paths.
        asset_list: file that lists the assets; None for `bench/checking/assets.yaml`.
    """
    search = _Search(paths, path_keys, read_assets(asset_list))
    return [need for key, node in nodes.items() for need in search.needs(node, key, {})]


@dataclass(frozen=True)
class _Search:
    """A search for paths in a configuration. It uses the arguments `paths` and `path_keys` of the function `needs`."""

    paths: Mapping[str, str]
    path_keys: Collection[str]
    assets: Mapping[str, Asset]

    def needs(self, node: Any, key: str, siblings: Mapping[str, Any]) -> Iterator[Need]:
        if isinstance(node, Mapping):
            for name, value in node.items():
                yield from self.needs(value, f"{key}.{name}", node)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from self.needs(value, f"{key}[{index}]", {})
        elif isinstance(node, str) and node:
            asset = self._asset(node)
            if asset is not None:
                folder = siblings.get("root") or self.paths[asset.within] if asset.within else ""
                yield Need(key, Path(folder) / node, asset, Path(folder) / self.paths[asset.name])
            elif key.rpartition(".")[2] in self.path_keys:
                yield Need(key, Path(node))

    def _asset(self, value: str) -> Asset | None:
        """Return the asset whose path is `value` or the nearest folder above `value`.

        Return None if no asset has such a path.
        """
        found = [
            (len(place.parts), asset)
            for name, asset in self.assets.items()
            if name in self.paths
            for place in (Path(self.paths[name]),)
            if Path(value) == place or place in Path(value).parents
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None
