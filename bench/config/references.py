"""References between the keys of a configuration: the interpolations in its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

__all__ = ["references", "users", "values_below"]

REFERENCE = re.compile(r"\$\{(?:oc\.(?:select|dict\.keys|dict\.values):\s*)?(\.*[A-Za-z_][\w.\-]*?)\.?\s*(?=[,}]|\$\{)")
"""Pattern of a key in an interpolation, also in one of the resolvers that take a key."""


def values_below(tree: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield keys and values at a key and below it; if an interpolation stands on the path, yield that one."""
    node, way = tree, list[str]()
    for part in key.split(".") if key else ():
        if isinstance(node, str):
            break
        node = _child(node, part)
        if node is None:
            return
        way.append(part)
    yield from _leaves(node, ".".join(way))


def _child(node: Any, part: str) -> Any:
    if isinstance(node, list):
        return node[int(part)] if part.isdecimal() and int(part) < len(node) else None
    if not isinstance(node, dict):
        return None
    # null is a value that exists; keys may be numbers.
    return next((NULL if value is None else value for name, value in node.items() if str(name) == part), None)


NULL = object()


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not isinstance(node, dict | list) or not node:
        yield key, node
    for name, value in below:
        yield from _leaves(value, f"{key}.{name}" if key else str(name))


def references(key: str, value: Any) -> list[str]:
    """Return the keys that a value refers to; a key that begins with dots is relative to the place of the value."""
    if not isinstance(value, str):
        return []
    found = []
    for name in REFERENCE.findall(value):
        dots = len(name) - len(name.lstrip("."))
        above = key.split(".")[:-dots] if dots else []
        found.append(".".join([*above, name.lstrip(".")]))
    return found


def users(config: DictConfig, key: str) -> Iterator[str]:
    """Yield every key whose value refers to the given key."""
    tree = OmegaConf.to_container(config, resolve=False)
    return (leaf for leaf, value in values_below(tree, "") if key in references(leaf, value))
